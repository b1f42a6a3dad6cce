/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/logfile.h"

#include "base/clock.h"
#include "base/durable.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_PER_DAY 86400

/* One log of the process; the lock orders lines of all threads and rotations. */
static struct {
    pthread_mutex_t lock;
    char path[PATH_MAX - 8];
    int fd;
    int64_t size;
    int64_t max_size;
    int64_t max_files;
    int64_t max_age_days;
} file = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static int open_file(void)
{
    file.fd = open(file.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    struct stat info;
    file.size = file.fd >= 0 && fstat(file.fd, &info) == 0 ? info.st_size : 0;
    return file.fd;
}

/* name.1 is the newest of the old ones. */
static void rotate(void)
{
    char from[PATH_MAX + 16];
    char to[PATH_MAX + 16];
    struct stat info;
    for (int64_t i = file.max_files - 1; i >= 1; i--) {
        snprintf(to, sizeof(to), "%s.%lld", file.path, (long long)i);
        if (i == 1)
            snprintf(from, sizeof(from), "%s", file.path);
        else
            snprintf(from, sizeof(from), "%s.%lld", file.path, (long long)i - 1);
        (void)rename(from, to);
        if (file.max_age_days && stat(to, &info) == 0 &&
            time(NULL) - info.st_mtime > file.max_age_days * SECONDS_PER_DAY)
            (void)unlink(to);
    }
    if (file.max_files == 1)
        (void)unlink(file.path);
    dv_close(&file.fd);
    (void)open_file();
}

static void to_file(enum dv_log_level level, const char *line, void *ctx)
{
    (void)ctx;
    char stamp[DV_TIME_TEXT_SIZE];
    char text[2200];
    dv_time_format(dv_clock_wall_ns(dv_clock_real()) / 1000000 * 1000000, stamp);
    int len = snprintf(text, sizeof(text), "%s %-5s %s\n", stamp, dv_log_level_name(level), line);
    pthread_mutex_lock(&file.lock);
    if (file.size >= file.max_size)
        rotate();
    ssize_t wrote = file.fd >= 0 ? write(file.fd, text, (size_t)len) : -1;
    if (wrote > 0)
        file.size += wrote;
    pthread_mutex_unlock(&file.lock);
    if (wrote < 0)
        (void)!write(STDERR_FILENO, text, (size_t)len);
}

static void to_syslog(enum dv_log_level level, const char *line, void *ctx)
{
    (void)ctx;
    static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_DEBUG};
    syslog(priorities[level], "%s", line);
}

int daemon_log_open(const struct dv_config *config, struct dv_error *err)
{
    enum dv_log_level level;
    if (!dv_log_level_parse(config->log_level, &level))
        return dv_error_set(err, DV_ERR_INVALID,
                            "log.log_level: '%s' is not one of ERROR, WARN, INFO, DEBUG, TRACE",
                            config->log_level);
    if (!config->log_file[0]) {
        if (config->log_syslog)
            openlog("davitd", LOG_PID, LOG_DAEMON);
        dv_log_set(config->log_syslog ? to_syslog : NULL, NULL, level);
        return 0;
    }
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", config->log_file);
    char *slash = strrchr(folder, '/');
    if (slash && slash != folder) {
        *slash = '\0';
        int r = dv_dir_make(folder, 0755, err);
        if (r < 0)
            return r;
    }
    snprintf(file.path, sizeof(file.path), "%s", config->log_file);
    file.max_size = config->log_file_size << 20;
    file.max_files = config->log_file_count;
    file.max_age_days = config->log_file_max_age;
    if (open_file() < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open log file '%s'", config->log_file);
    dv_log_set(to_file, NULL, level);
    return 0;
}
