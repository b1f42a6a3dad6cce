/* SPDX-License-Identifier: Apache-2.0 */
/* Creates, updates, records and deployment files from outside; a record that is accepted survives a
 * round trip, and a container is as its description says. */
#include "spec/create.h"
#include "spec/deploy.h"
#include "spec/operations.h"
#include "spec/record.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_deployment(const struct dv_container_record *record, struct dv_arena *arena)
{
    enum dv_deploy_difference difference;
    struct dv_container_record *changed;
    bool is_changed;
    DV_AUTO_IN_PLACE(dv_buf) args = DV_BUF_INIT(64U << 10);
    assert(dv_deploy_compare(record, record, arena, &difference, NULL) == 0);
    assert(difference == DV_DEPLOY_SAME);
    assert(dv_deploy_update_args(record, &args, NULL) == 0);
    (void)!dv_spec_update((struct dv_str){args.data, args.len}, record, arena, &changed,
                          &is_changed, NULL);
}

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
    if (dv_record_describe(text.data, text.len, "id", "name", arena, &record, NULL) == 0)
        check_deployment(record, arena);
    if (dv_record_decode(text.data, text.len, "id", arena, &record, NULL) < 0)
        return 0;
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(64U << 20);
    assert(dv_record_encode(record, &out, NULL) == 0);
    assert(dv_record_decode(out.data, out.len, NULL, arena, &record, NULL) == 0);
    return 0;
}
