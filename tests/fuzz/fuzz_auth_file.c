/* SPDX-License-Identifier: Apache-2.0 */
/* A credentials file that somebody else wrote. */
#include "runtime/image/auth_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4U << 20);
    struct dv_registry_login login = {0};
    struct dv_error err = DV_ERROR_INIT;
    if (arena &&
        dv_auth_file_parse((const char *)data, size, "r.example:5000/team/app:1", arena, &login,
                           &err) == 0 &&
        login.user && ((!login.password.data && !login.identity.data) || login.note))
        abort();
    return 0;
}
