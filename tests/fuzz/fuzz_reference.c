/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/reference.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dv_reference ref, again;
    struct dv_error err = DV_ERROR_INIT;
    if (dv_reference_parse((struct dv_str){(const char *)data, size}, &ref, &err) < 0) {
        if (!err.text[0])
            abort();
        return 0;
    }
    /* The canonical text must read back as itself. */
    if (dv_reference_parse(dv_str_of(ref.text), &again, &err) < 0 ||
        strcmp(ref.text, again.text) != 0)
        abort();
    return 0;
}
