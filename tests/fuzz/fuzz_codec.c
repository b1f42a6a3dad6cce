/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of every kind; the first two bytes choose it. What decodes, encodes and decodes again. */
#include "messages/catalog.h"
#include "messages/codec.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct dv_schema *schema = dv_schema_of_kind((uint16_t)(data[0] | data[1] << 8));
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 20);
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(64U << 20);
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(64U << 20);
    void *body;
    if (!schema || dv_decode(schema, data + 2, size - 2, arena, &body, NULL) < 0)
        return 0;
    assert(dv_print(schema, body, &text, NULL) == 0);
    assert(dv_encode(schema, body, &bytes, NULL) == 0);
    assert(dv_decode(schema, bytes.data, bytes.len, arena, &body, NULL) == 0);
    return 0;
}
