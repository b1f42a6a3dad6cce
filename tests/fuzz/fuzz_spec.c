/* SPDX-License-Identifier: Apache-2.0 */
/* Creates, updates and records from outside; a record that is accepted survives a round trip. */
#include "spec/create.h"
#include "spec/operations.h"
#include "spec/record.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dv_str text = {(const char *)data, size};
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 20);
    struct dv_create_request request = {0};
    struct dv_stop_options options;
    (void)!dv_spec_stop_options(text, &options, NULL);
    if (dv_spec_create_with_config(text, "id", arena, &request, NULL) == 0) {
        struct dv_container_record *changed;
        bool is_changed;
        (void)!dv_spec_update(text, request.record, arena, &changed, &is_changed, NULL);
    }
    struct dv_container_record *record = NULL;
    if (dv_record_decode(text.data, text.len, "id", arena, &record, NULL) < 0)
        return 0;
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(64U << 20);
    assert(dv_record_encode(record, &out, NULL) == 0);
    assert(dv_record_decode(out.data, out.len, NULL, arena, &record, NULL) == 0);
    return 0;
}
