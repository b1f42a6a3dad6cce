/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/place.h"

#include "base/cleanup.h"
#include "base/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int check_kanto(const struct dv_config *config, struct dv_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/lock", config->exec_root_dir);
    dv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return dv_error_set(err, DV_ERR_BUSY,
                            "Kanto container management is running (it holds '%s'); stop it first",
                            path);
    return 0;
}

int daemon_take_place(const struct dv_config *config, int *ret_lock_fd, struct dv_error *err)
{
    char path[PATH_MAX];
    int r = dv_dir_make(config->home_dir, 0711, err);
    if (r == 0)
        r = dv_dir_make(config->run_dir, 0711, err);
    if (r == 0)
        r = check_kanto(config, err);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "%s/davitd.lock", config->home_dir);
    dv_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return dv_error_set(err, DV_ERR_BUSY,
                            "another davitd uses '%s'; give this one its own manager.home_dir",
                            config->home_dir);
    *ret_lock_fd = dv_steal_fd(&fd);
    return 0;
}

/* The first 60 bits of a UUID. */
static int64_t number_of(const char *uuid)
{
    char digits[16];
    size_t len = 0;
    for (const char *at = uuid; *at && len < sizeof(digits) - 1; at++)
        if (*at != '-')
            digits[len++] = *at;
    digits[len] = '\0';
    return strtoll(digits, NULL, 16);
}

int daemon_check_boot(const struct dv_config *config,
                      bool *ret_same_boot,
                      int64_t *ret_boot,
                      struct dv_error *err)
{
    char path[PATH_MAX];
    DV_AUTO_IN_PLACE(dv_buf) now = DV_BUF_INIT(64);
    DV_AUTO_IN_PLACE(dv_buf) then = DV_BUF_INIT(64);
    snprintf(path, sizeof(path), "%s/boot_id", config->run_dir);
    int r = dv_file_read("/proc/sys/kernel/random/boot_id", &now, err);
    if (r < 0)
        return r;
    *ret_boot = number_of(now.data);
    *ret_same_boot =
        dv_file_read(path, &then, NULL) == 0 && then.data && strcmp(then.data, now.data) == 0;
    return *ret_same_boot ? 0 : dv_durable_replace(path, now.data, now.len, 0644, err);
}
