/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests and image configurations: whatever the bytes, an answer or an error with a text. */
#include "runtime/image/config.h"
#include "runtime/image/manifest.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 20);
    if (!arena)
        return 0;
    struct dv_platform platform = {"amd64", 1};
    struct dv_document document;
    struct dv_image_config config;
    struct dv_error err = DV_ERROR_INIT;
    int r = dv_document_parse(NULL, (const char *)data, size, &platform, arena, &document, &err);
    if (r < 0 && !err.text[0])
        abort();
    if (r == 0 && document.kind == DV_DOCUMENT_MANIFEST &&
        (document.layer_count == 0 || document.layer_count > DV_LAYERS_MAX))
        abort();
    dv_error_clear(&err);
    r = dv_image_config_parse((const char *)data, size, arena, &config, &err);
    if (r < 0 && !err.text[0])
        abort();
    return 0;
}
