/* SPDX-License-Identifier: Apache-2.0 */
/* What an OCI runtime wrote; parts of it come from inside the container. */
#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/oci/call.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dv_autofree char *output = malloc(size + 1);
    char text[128];
    if (!output)
        return 0;
    if (size)
        memcpy(output, data, size);
    output[size] = '\0';
    struct dv_str reason = dv_str_of(dv_oci_call_reason(output, text, sizeof(text)));
    if (reason.len == 0 || !dv_str_is_utf8(reason))
        abort();
    return 0;
}
