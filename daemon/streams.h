/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Streams for clients of the local bridge, from davit-monitor: struct dv_local_streams with a
 * struct daemon_ports behind it. The session thread of that bridge; nothing blocks. */
#include "bridge/local/local.h"
#include "daemon/ports.h"

void daemon_streams(struct daemon_ports *ports, struct dv_local_streams *ret);
