/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on software, descriptions and MD5 files from outside; what is accepted can be sent. */
#include "messages/codec.h"
#include "spec/software.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, const struct dv_software_operation *operation)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    struct dv_error err = DV_ERROR_INIT;
    if (r < 0)
        return;
    r = dv_encode(&dv_schema_software_operation, operation, &out, &err);
    assert(r == 0 || err.class == DV_ERR_LIMIT);
    for (size_t i = 0; i < operation->modules.count; i++) {
        const struct dv_software_module *module = &operation->modules.items[i];
        assert(module->problem || module->artifacts.items[0].links.count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dv_str text = {(const char *)data, size};
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 20);
    struct dv_software_operation operation;
    struct dv_spec_notes notes;
    struct dv_container_record *record;
    char hex[33];
    check(dv_software_install(text, arena, &operation, &notes, NULL), &operation);
    check(dv_software_remove(text, arena, &operation, &notes, NULL), &operation);
    (void)!dv_software_description(text.data, text.len, "id", arena, &record, NULL);
    (void)dv_software_md5_of(text.data, text.len, hex);
    struct dv_bytes url = {(uint8_t *)data, size};
    (void)dv_software_place(url, arena);
    return 0;
}
