/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses the platform, the rest is an index. */
#include "runtime/image/digest.h"
#include "runtime/image/manifest.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dv_platform platforms[] = {{"amd64", 1}, {"amd64", 3}, {"arm", 5},
                                                   {"arm", 7},   {"arm64", 8}, {"riscv64", 0}};
    if (size == 0)
        return 0;
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 20);
    if (!arena)
        return 0;
    const struct dv_platform *platform = &platforms[data[0] % 6];
    struct dv_document document;
    struct dv_error err = DV_ERROR_INIT;
    int r = dv_document_parse(DV_MEDIA_OCI_INDEX, (const char *)data + 1, size - 1, platform, arena,
                              &document, &err);
    if (r < 0 && !err.text[0])
        abort();
    if (r == 0 && (document.kind != DV_DOCUMENT_INDEX ||
                   !dv_digest_is_valid(dv_str_of(document.chosen.digest)) ||
                   document.chosen.size > DV_MANIFEST_BYTES_MAX))
        abort();
    return 0;
}
