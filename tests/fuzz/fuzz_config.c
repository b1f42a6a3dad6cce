/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files: whatever is loaded can be printed, and what is refused says why. */
#include "config/config.h"
#include "file.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    for (int is_strict = 0; is_strict <= 1; is_strict++) {
        struct dv_config_options options = {.path = path, .is_strict = is_strict};
        struct dv_error err = DV_ERROR_INIT;
        DV_AUTO(dv_config_file) file = NULL;
        if (dv_config_load(&options, &file, &err) < 0) {
            assert(err.text[0]);
            continue;
        }
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(64U << 20);
        assert(dv_config_print(file, &out, NULL) == 0);
        for (size_t i = 0; dv_config_warning(file, i); i++)
            assert(dv_config_warning(file, i)[0]);
    }
    return 0;
}
