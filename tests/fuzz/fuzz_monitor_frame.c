/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between davitd and davit-monitor: what decodes encodes again. */
#include "messages/catalog.h"
#include "monitor/protocol.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 20);
    DV_AUTO_IN_PLACE(dv_buf) frame = DV_BUF_INIT(DV_MONITOR_FRAME_BYTES * 2);
    uint16_t kind;
    void *body;
    if (dv_monitor_decode(data, size, arena, &kind, &body, NULL) < 0)
        return 0;
    /* Defaults that are written out may take more room than the frame that left them out. */
    int r = dv_monitor_encode(dv_schema_of_kind(kind), body, &frame, NULL);
    assert(r == 0 || r == -DV_ERR_LIMIT);
    return 0;
}
