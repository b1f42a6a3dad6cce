/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/user.h"

#include <string.h>

#define ID_MAX     INT32_MAX
#define FIELDS_MAX 7

/* The next line of a file of colon-separated fields; false at its end. */
static bool next_line(struct dv_str *rest, struct dv_str fields[FIELDS_MAX], size_t *ret_count)
{
    if (rest->len == 0)
        return false;
    struct dv_str line;
    struct dv_str tail;
    if (!dv_str_cut(*rest, '\n', &line, &tail))
        tail = (struct dv_str){rest->data, 0};
    *rest = tail;
    size_t count = 0;
    bool has_more = true;
    while (has_more && count < FIELDS_MAX) {
        struct dv_str field;
        has_more = dv_str_cut(line, ':', &field, &tail);
        fields[count++] = field;
        line = tail;
    }
    *ret_count = count;
    return true;
}

static bool to_id(struct dv_str text, uint32_t *ret)
{
    int64_t value;
    if (dv_str_to_i64(text, 0, ID_MAX, &value, NULL) < 0)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static bool same(struct dv_str a, struct dv_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* name:password:uid:gid:... A number is looked up as a number first, as others do. */
static bool find_user(struct dv_str passwd,
                      struct dv_str wanted,
                      struct dv_oci_user *user,
                      struct dv_str *ret_name)
{
    uint32_t number = 0;
    bool is_number = to_id(wanted, &number);
    struct dv_str fields[FIELDS_MAX];
    size_t count;
    while (next_line(&passwd, fields, &count)) {
        uint32_t uid;
        uint32_t gid;
        if (count < 4 || !to_id(fields[2], &uid) || !to_id(fields[3], &gid))
            continue;
        if (is_number ? uid != number : !same(fields[0], wanted))
            continue;
        user->uid = uid;
        user->gid = gid;
        *ret_name = fields[0];
        return true;
    }
    return false;
}

/* name:password:gid:members */
static bool find_group(struct dv_str group, struct dv_str wanted, uint32_t *ret_gid)
{
    if (to_id(wanted, ret_gid))
        return true;
    struct dv_str fields[FIELDS_MAX];
    size_t count;
    while (next_line(&group, fields, &count))
        if (count >= 3 && same(fields[0], wanted) && to_id(fields[2], ret_gid))
            return true;
    return false;
}

static bool has_member(struct dv_str members, struct dv_str name)
{
    bool has_more = members.len > 0;
    while (has_more) {
        struct dv_str member;
        struct dv_str tail;
        has_more = dv_str_cut(members, ',', &member, &tail);
        if (same(member, name))
            return true;
        members = tail;
    }
    return false;
}

static int add_groups_of(struct dv_str group,
                         struct dv_str name,
                         struct dv_arena *arena,
                         struct dv_oci_user *user,
                         struct dv_error *err)
{
    struct dv_str fields[FIELDS_MAX];
    size_t count;
    uint32_t gid;
    size_t found = 0;
    struct dv_str rest = group;
    while (next_line(&rest, fields, &count))
        found += count >= 4 && to_id(fields[2], &gid) && has_member(fields[3], name);
    if (found > DV_OCI_GROUPS_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "user '%.*s' of the image is in more than %u groups",
                            DV_STR_ARG(name), DV_OCI_GROUPS_MAX);
    if (found == 0)
        return 0;
    user->groups = dv_arena_array(arena, found, sizeof(*user->groups));
    if (!user->groups)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot keep the groups of a user");
    rest = group;
    while (next_line(&rest, fields, &count))
        if (count >= 4 && to_id(fields[2], &gid) && has_member(fields[3], name))
            user->groups[user->group_count++] = gid;
    return 0;
}

int dv_oci_user_resolve(const char *text,
                        struct dv_str passwd,
                        struct dv_str group,
                        struct dv_arena *arena,
                        struct dv_oci_user *ret,
                        struct dv_error *err)
{
    struct dv_str wanted_user;
    struct dv_str wanted_group = {NULL, 0};
    (void)dv_str_cut(dv_str_of(text), ':', &wanted_user, &wanted_group);
    if (wanted_user.len == 0)
        wanted_user = DV_STR("0");
    struct dv_oci_user user = {.uid = 0};
    struct dv_str name = {NULL, 0};
    bool is_known = find_user(passwd, wanted_user, &user, &name);
    if (!is_known && !to_id(wanted_user, &user.uid))
        return dv_error_set(err, DV_ERR_INVALID,
                            "user '%.*s' of the image is not in its /etc/passwd",
                            (int)(wanted_user.len < 64 ? wanted_user.len : 64), wanted_user.data);
    if (wanted_group.len > 0) {
        if (!find_group(group, wanted_group, &user.gid))
            return dv_error_set(
                err, DV_ERR_INVALID, "group '%.*s' of the image is not in its /etc/group",
                (int)(wanted_group.len < 64 ? wanted_group.len : 64), wanted_group.data);
    } else if (is_known) {
        int r = add_groups_of(group, name, arena, &user, err);
        if (r < 0)
            return r;
    }
    *ret = user;
    return 0;
}
