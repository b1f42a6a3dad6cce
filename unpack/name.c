/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/name.h"

#include <string.h>

#define WHITEOUT_PREFIX     ".wh."
#define WHITEOUT_PREFIX_LEN 4
#define AUFS_PREFIX         ".wh..wh."
#define AUFS_PREFIX_LEN     8
#define OPAQUE_NAME         ".wh..wh..opq"

static int is_dot(const char *part, size_t len)
{
    return len == 1 && part[0] == '.';
}

static int is_dot_dot(const char *part, size_t len)
{
    return len == 2 && part[0] == '.' && part[1] == '.';
}

int dv_unpack_name_clean(const char *name,
                         size_t max,
                         bool may_be_absolute,
                         const char *role,
                         char ret[DV_UNPACK_NAME_SIZE],
                         struct dv_error *err)
{
    size_t len = strlen(name);
    if (len == 0)
        return dv_error_set(err, DV_ERR_INVALID, "%s with an empty name", role);
    if (len > max || len > DV_UNPACK_NAME_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "%s name '%.64s...': %zu bytes, at most %zu allowed",
                            role, name, len, max < DV_UNPACK_NAME_MAX ? max : DV_UNPACK_NAME_MAX);
    char out[DV_UNPACK_NAME_SIZE];
    size_t used = 0;
    size_t depth = 0;
    for (const char *part = name; *part;) {
        size_t part_len = strcspn(part, "/");
        if (is_dot_dot(part, part_len))
            return dv_error_set(err, DV_ERR_INVALID, "%s '%.512s': '..' is refused", role, name);
        if (part_len > 0 && !is_dot(part, part_len)) {
            if (++depth > DV_UNPACK_DEPTH_MAX)
                return dv_error_set(err, DV_ERR_LIMIT, "%s '%.64s...': deeper than %d directories",
                                    role, name, DV_UNPACK_DEPTH_MAX);
            if (used > 0)
                out[used++] = '/';
            memcpy(out + used, part, part_len);
            used += part_len;
        }
        part += part_len;
        part += *part == '/';
    }
    if (name[0] == '/' && used > 0 && !may_be_absolute)
        return dv_error_set(err, DV_ERR_INVALID,
                            "%s '%.512s': absolute names are refused unless "
                            "davit.images.absolute_names is true",
                            role, name);
    memcpy(ret, out, used);
    ret[used] = '\0';
    return 0;
}

const char *dv_unpack_name_base(const char *name, size_t *ret_parent_len)
{
    const char *slash = strrchr(name, '/');
    *ret_parent_len = slash ? (size_t)(slash - name) : 0;
    return slash ? slash + 1 : name;
}

int dv_unpack_name_whiteout(const char *base,
                            enum dv_unpack_whiteout *ret,
                            const char **ret_hidden,
                            struct dv_error *err)
{
    if (strncmp(base, WHITEOUT_PREFIX, WHITEOUT_PREFIX_LEN) != 0) {
        *ret = DV_UNPACK_PLAIN;
        return 0;
    }
    if (strncmp(base, AUFS_PREFIX, AUFS_PREFIX_LEN) == 0) {
        *ret = strcmp(base, OPAQUE_NAME) == 0 ? DV_UNPACK_OPAQUE : DV_UNPACK_AUFS;
        return 0;
    }
    const char *hidden = base + WHITEOUT_PREFIX_LEN;
    size_t len = strlen(hidden);
    if (len == 0 || is_dot(hidden, len) || is_dot_dot(hidden, len))
        return dv_error_set(err, DV_ERR_INVALID, "whiteout '%s' does not name a file", base);
    *ret = DV_UNPACK_WHITEOUT;
    *ret_hidden = hidden;
    return 0;
}
