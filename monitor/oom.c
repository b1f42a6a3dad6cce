/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/oom.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <fcntl.h>
#include <unistd.h>

#define FILE_MAX 1024U

bool mon_has_oom_kills(const char *path)
{
    char text[FILE_MAX];
    dv_autoclose int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));
    struct dv_str rest = {text, len > 0 ? (size_t)len : 0};
    while (rest.len) {
        struct dv_str line;
        struct dv_str name;
        struct dv_str number;
        int64_t count;
        dv_str_cut(rest, '\n', &line, &rest);
        if (dv_str_cut(line, ' ', &name, &number) && dv_str_eq(name, "oom_kill"))
            return dv_str_to_i64(number, 0, INT64_MAX, &count, NULL) == 0 && count > 0;
    }
    return false;
}
