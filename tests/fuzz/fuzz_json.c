/* SPDX-License-Identifier: Apache-2.0 */
/* What parses is written and parses again to the same text. */
#include "json/json.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_tree(const struct dv_json *tree, struct dv_buf *out)
{
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_node(&w, tree);
    assert(dv_jw_done(&w, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTO(dv_json) tree = NULL;
    if (dv_json_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    DV_AUTO_IN_PLACE(dv_buf) first = DV_BUF_INIT(64U << 20);
    write_tree(tree, &first);
    DV_AUTO(dv_json) again = NULL;
    assert(dv_json_parse(first.data, first.len, &again, NULL) == 0);
    DV_AUTO_IN_PLACE(dv_buf) second = DV_BUF_INIT(64U << 20);
    write_tree(again, &second);
    assert(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    return 0;
}
