/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/hono.h"
