/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/decryption.h"

static int
write_lines(const struct dv_texts *texts, char kind, struct dv_buf *out, struct dv_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < texts->count; i++)
        r = dv_buf_printf(out, err, "%c%s\n", kind, texts->items[i]);
    return r;
}

int dv_decryption_write(const struct dv_decryption *decryption,
                        struct dv_buf *out,
                        struct dv_error *err)
{
    if (!decryption)
        return 0;
    int r = write_lines(&decryption->keys, 'k', out, err);
    return r < 0 ? r : write_lines(&decryption->recipients, 'r', out, err);
}
