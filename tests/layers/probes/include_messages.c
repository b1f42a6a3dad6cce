/* SPDX-License-Identifier: Apache-2.0 */
#include "messages/codec.h"
