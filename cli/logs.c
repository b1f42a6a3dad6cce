/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs: reads the json-file log itself, rotated files included, and follows it. The daemon only
 * tells where it is. Following survives rotation: a file that was renamed is read to its end, then
 * the new one from its start.
 */
#include "base/clock.h"
#include "base/str.h"
#include "cli/cli.h"

#include "json/json.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_MAX  (64U << 20)
#define FILES_MAX  10000
#define RECORD_MAX (1U << 20)
#define LINES_MAX  1000000
#define POLL_MS    1000 /* a missed notice costs this much */

struct view {
    bool is_raw;
    int64_t since_ns; /* records before are left out */
    int64_t skip;     /* records still to be left out at the beginning */
};

static void print_record(const struct view *view, struct dv_str line)
{
    DV_AUTO(dv_json) record = NULL;
    if (dv_json_parse(line.data, line.len, &record, NULL) < 0)
        return; /* the record that is being written */
    const char *time = dv_json_text(dv_json_get(record, "time"));
    int64_t ns;
    if (view->since_ns && time && dv_time_parse(time, strlen(time), &ns) && ns < view->since_ns)
        return;
    if (view->is_raw) {
        printf("%.*s\n", DV_STR_ARG(line));
        return;
    }
    const char *text = dv_json_text(dv_json_get(record, "log"));
    const char *stream = dv_json_text(dv_json_get(record, "stream"));
    fputs(text ? text : "", stream && strcmp(stream, "stderr") == 0 ? stderr : stdout);
}

/* Whole lines of what is readable now; an unfinished one stays in *rest. */
static int drain(int fd, struct dv_buf *rest, struct view *view, struct dv_error *err)
{
    for (;;) {
        char *room;
        int r = dv_buf_reserve(rest, 65536, &room, err);
        if (r < 0)
            return r;
        ssize_t got = read(fd, room, 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "read the log");
        if (got == 0)
            return 0;
        rest->len += (size_t)got;
        dv_buf_terminate(rest);
        struct dv_str left = {rest->data, rest->len};
        struct dv_str line;
        struct dv_str tail;
        while (dv_str_cut(left, '\n', &line, &tail)) {
            if (view->skip > 0)
                view->skip--;
            else
                print_record(view, line);
            left = tail;
        }
        dv_buf_consume(rest, rest->len - left.len);
    }
}

static int64_t count_lines(const char *path)
{
    dv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    char chunk[65536];
    int64_t lines = 0;
    ssize_t got;
    while (fd >= 0 && (got = read(fd, chunk, sizeof(chunk))) > 0)
        for (ssize_t i = 0; i < got; i++)
            lines += chunk[i] == '\n';
    return lines;
}

static int oldest_file(const char *path)
{
    char name[PATH_MAX];
    int number = 0;
    for (;; number++) {
        snprintf(name, sizeof(name), "%s.%d", path, number + 1);
        if (number == FILES_MAX || access(name, F_OK) < 0)
            return number;
    }
}

static const char *file_name(const char *path, int number, char name[PATH_MAX])
{
    if (number)
        snprintf(name, PATH_MAX, "%s.%d", path, number);
    else
        snprintf(name, PATH_MAX, "%s", path);
    return name;
}

static int
follow(const char *path, int fd, struct dv_buf *rest, struct view *view, struct dv_error *err)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = '\0';
    dv_autoclose int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    dv_autoclose int current = fd;
    if (watch < 0 || inotify_add_watch(watch, folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "watch '%s'", folder);
    for (;;) {
        struct pollfd wait = {.fd = watch, .events = POLLIN};
        char events[4096];
        struct stat open_file;
        struct stat named;
        fflush(stdout);
        (void)poll(&wait, 1, POLL_MS);
        (void)!read(watch, events, sizeof(events));
        int r = current >= 0 ? drain(current, rest, view, err) : 0;
        if (r < 0)
            return r;
        if (stat(path, &named) < 0) {
            if (access(folder, F_OK) < 0)
                return 0; /* the container was removed */
            continue;
        }
        if (current >= 0 && fstat(current, &open_file) == 0 && open_file.st_ino == named.st_ino) {
            /* max_files 1 cuts the file to nothing instead of renaming it. */
            if (lseek(current, 0, SEEK_CUR) > named.st_size)
                (void)lseek(current, 0, SEEK_SET);
            continue;
        }
        dv_close(&current);
        dv_buf_clear(rest);
        current = open(path, O_RDONLY | O_CLOEXEC);
        if (current >= 0 && (r = drain(current, rest, view, err)) < 0)
            return r;
    }
}

static int
show(const char *path, int64_t tail, bool is_following, struct view *view, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) rest = DV_BUF_INIT(RECORD_MAX);
    char name[PATH_MAX];
    int oldest = oldest_file(path);
    if (tail >= 0) {
        int64_t lines = 0;
        for (int i = oldest; i >= 0; i--)
            lines += count_lines(file_name(path, i, name));
        view->skip = lines > tail ? lines - tail : 0;
    }
    dv_autoclose int fd = -1;
    for (int i = oldest; i >= 0; i--) {
        dv_close(&fd);
        dv_buf_clear(&rest);
        fd = open(file_name(path, i, name), O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT)
            return dv_error_sys(err, DV_ERR_IO, errno, "open '%s'", name);
        int r = fd >= 0 ? drain(fd, &rest, view, err) : 0;
        if (r < 0)
            return r;
    }
    return is_following ? follow(path, dv_steal_fd(&fd), &rest, view, err) : 0;
}

int cli_logs(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"follow", no_argument, NULL, 'f'},
                                            {"tail", required_argument, NULL, 'n'},
                                            {"last-run", no_argument, NULL, 'l'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    struct view view = {.is_raw = cli->is_json};
    int64_t tail = -1;
    bool is_following = false;
    bool is_last_run = false;
    int option;
    while ((option = getopt_long(argc, argv, "fn:t:", options, NULL)) != -1) {
        if (option == 'f')
            is_following = true;
        else if (option == 'l')
            is_last_run = true;
        else if (option == 'j')
            view.is_raw = true;
        else if ((option != 'n' && option != 't') ||
                 dv_str_to_i64(dv_str_of(optarg), -1, LINES_MAX, &tail, NULL) < 0)
            return cli_usage(argv[0]);
    }
    if (optind + 1 != argc)
        return cli_usage(argv[0]);
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    struct dv_error err = DV_ERROR_INIT;
    const struct dv_container_summary *container;
    if (!arena || cli_find(cli, argv[optind], arena, &container, &err) < 0)
        return cli_fail(&err);
    if (!container->log_path) {
        dv_error_set(&err, DV_ERR_STATE, "container '%s' keeps no log (type none)", argv[optind]);
        return cli_fail(&err);
    }
    if (is_last_run)
        view.since_ns = container->started_ns;
    return show(container->log_path, tail, is_following, &view, &err) < 0 ? cli_fail(&err)
                                                                          : CLI_DONE;
}
