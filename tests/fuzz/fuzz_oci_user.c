/* SPDX-License-Identifier: Apache-2.0 */
/* Up to the first NUL the user text of an image, then its passwd up to the next, then its group. */
#include "runtime/oci/user.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dv_str user_text;
    struct dv_str rest;
    struct dv_str passwd;
    struct dv_str group;
    (void)dv_str_cut((struct dv_str){(const char *)data, size}, '\0', &user_text, &rest);
    (void)dv_str_cut(rest, '\0', &passwd, &group);
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 20);
    char *text = arena ? dv_arena_strndup(arena, user_text.data, user_text.len) : NULL;
    if (!text)
        return 0;
    struct dv_oci_user user;
    if (dv_oci_user_resolve(text, passwd, group, arena, &user, NULL) == 0 &&
        (user.uid > INT32_MAX || user.gid > INT32_MAX || user.group_count > DV_OCI_GROUPS_MAX))
        abort();
    return 0;
}
