/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup/figures.h"

static struct dv_str trim(struct dv_str text)
{
    while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == ' '))
        text.len--;
    while (text.len && text.data[0] == ' ') {
        text.data++;
        text.len--;
    }
    return text;
}

static bool digits(struct dv_str text, int64_t *ret)
{
    int64_t value = 0;
    if (!text.len)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c < '0' || c > '9')
            return false;
        if (value != INT64_MAX && (__builtin_mul_overflow(value, 10, &value) ||
                                   __builtin_add_overflow(value, c - '0', &value)))
            value = INT64_MAX;
    }
    *ret = value;
    return true;
}

static void add(int64_t *sum, int64_t value)
{
    if (__builtin_add_overflow(*sum, value, sum))
        *sum = INT64_MAX;
}

bool dv_cgroup_figure(struct dv_str text, int64_t *ret)
{
    text = trim(text);
    if (dv_str_eq(text, "max")) {
        *ret = INT64_MAX;
        return true;
    }
    return digits(text, ret);
}

bool dv_cgroup_figure_of(struct dv_str text, const char *key, int64_t *ret)
{
    struct dv_str line;
    while (text.len) {
        struct dv_str name;
        struct dv_str value;
        (void)dv_str_cut(text, '\n', &line, &text);
        if (dv_str_cut(line, ' ', &name, &value) && dv_str_eq(name, key))
            return digits(trim(value), ret);
    }
    return false;
}

bool dv_cgroup_add_io_v2(struct dv_str line, int64_t *read, int64_t *write)
{
    struct dv_str word;
    bool is_told = false;
    line = trim(line);
    while (line.len) {
        struct dv_str key;
        struct dv_str text;
        int64_t value;
        (void)dv_str_cut(line, ' ', &word, &line);
        if (!dv_str_cut(word, '=', &key, &text) || !digits(text, &value))
            continue;
        bool is_read = dv_str_eq(key, "rbytes");
        if (!is_read && !dv_str_eq(key, "wbytes"))
            continue;
        add(is_read ? read : write, value);
        is_told = true;
    }
    return is_told;
}

bool dv_cgroup_add_io_v1(struct dv_str line, int64_t *read, int64_t *write)
{
    struct dv_str device;
    struct dv_str rest;
    struct dv_str what;
    struct dv_str text;
    int64_t value;
    if (!dv_str_cut(trim(line), ' ', &device, &rest) || !dv_str_cut(rest, ' ', &what, &text) ||
        !digits(text, &value))
        return false;
    bool is_read = dv_str_eq(what, "Read");
    if (!is_read && !dv_str_eq(what, "Write"))
        return false;
    add(is_read ? read : write, value);
    return true;
}
