/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs: reads the json-file log itself, rotated files included, and follows it. The daemon only
 * tells where it is. Reading survives rotation, also several at once: the open file is looked for
 * among the names it may have now, read to its end, and the next younger one follows.
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
#define READ_BYTES 65536
#define LINES_MAX  1000000
#define GAP_MAX    3 /* names missing in a row: there are no more */
#define LOOKS_MAX  100
#define POLL_MS    1000 /* a missed notice costs this much */

struct view {
    bool is_raw;
    bool is_terminal[2]; /* standard output, standard error */
    int64_t since_ns;    /* records before are left out */
    int64_t skip;        /* records still to be left out at the beginning */
};

/* The log while it is read. */
struct reading {
    const char *path; /* of the newest file */
    int fd;           /* of the file being read, -1: none */
    struct dv_buf rest;
    struct view *view;
};

/* A program may write a NUL, which JSON can say and a C string cannot hold: U+FFFD stands for it.
 */
static int parse_record(struct dv_str line, struct dv_json **ret)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(RECORD_MAX);
    if (dv_json_parse(line.data, line.len, ret, NULL) == 0)
        return 0;
    if (dv_buf_append(&text, line.data, line.len, NULL) < 0)
        return -DV_ERR_LIMIT;
    for (size_t i = 0; i + 5 < text.len; i++) {
        if (text.data[i] != '\\')
            continue;
        if (memcmp(text.data + i, "\\u0000", 6) == 0)
            memcpy(text.data + i, "\\ufffd", 6);
        i++;
    }
    return dv_json_parse(text.data, text.len, ret, NULL);
}

static void put(const struct view *view, bool is_error, struct dv_str line, const char *text)
{
    FILE *file = is_error ? stderr : stdout;
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(8 * RECORD_MAX);
    if (view->is_raw && view->is_terminal[0]) {
        cli_json(&out, line.data);
        printf("%s\n", out.data ? out.data : "");
    } else if (view->is_raw) {
        printf("%.*s\n", DV_STR_ARG(line));
    } else if (view->is_terminal[is_error]) {
        cli_log_text(&out, text);
        fputs(out.data ? out.data : "", file);
    } else {
        fputs(text, file);
    }
}

static void print_record(const struct view *view, struct dv_str line)
{
    DV_AUTO(dv_json) record = NULL;
    if (parse_record(line, &record) < 0)
        return;
    const char *time = dv_json_text(dv_json_get(record, "time"));
    int64_t ns;
    if (view->since_ns && time && dv_time_parse(time, strlen(time), &ns) && ns < view->since_ns)
        return;
    const char *text = dv_json_text(dv_json_get(record, "log"));
    const char *stream = dv_json_text(dv_json_get(record, "stream"));
    put(view, stream && strcmp(stream, "stderr") == 0, line, text ? text : "");
}

/* Whole lines of what is readable now; an unfinished one stays in the rest. */
static int drain(struct reading *reading, struct dv_error *err)
{
    struct dv_buf *rest = &reading->rest;
    for (;;) {
        char *room;
        int r = dv_buf_reserve(rest, READ_BYTES, &room, err);
        if (r < 0)
            return r;
        ssize_t got = read(reading->fd, room, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "read the log '%s'", reading->path);
        if (got == 0)
            return 0;
        rest->len += (size_t)got;
        dv_buf_terminate(rest);
        struct dv_str left = {rest->data, rest->len};
        struct dv_str line;
        struct dv_str tail;
        while (dv_str_cut(left, '\n', &line, &tail)) {
            rest->data[tail.data - rest->data - 1] = '\0';
            if (reading->view->skip > 0)
                reading->view->skip--;
            else
                print_record(reading->view, line);
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

/* While files are renamed, one after the other, a name in the middle is missing for a moment. */
static int oldest_file(const char *path)
{
    char name[PATH_MAX];
    int oldest = 0;
    for (int number = 1; number <= FILES_MAX && number <= oldest + GAP_MAX; number++) {
        snprintf(name, sizeof(name), "%s.%d", path, number);
        if (access(name, F_OK) == 0)
            oldest = number;
    }
    return oldest;
}

static const char *file_name(const char *path, int number, char name[PATH_MAX])
{
    if (number)
        snprintf(name, PATH_MAX, "%s.%d", path, number);
    else
        snprintf(name, PATH_MAX, "%s", path);
    return name;
}

/* Which of the files is open: 0 the newest; -1: not seen. */
static int look_for(const char *path, const struct stat *open_file)
{
    struct stat named;
    char name[PATH_MAX];
    int missing = 0;
    for (int number = 0; number <= FILES_MAX && missing < GAP_MAX; number++) {
        if (stat(file_name(path, number, name), &named) < 0)
            missing++;
        else if (named.st_ino == open_file->st_ino && named.st_dev == open_file->st_dev)
            return number;
        else
            missing = 0;
    }
    return -1;
}

/* Looks again for a file that has a name: it got another one while names were compared. -1: it has
 * none any more. */
static int number_of(const char *path, int fd)
{
    struct stat open_file;
    int number = -1;
    for (int i = 0; i < LOOKS_MAX && number < 0; i++) {
        if (fstat(fd, &open_file) < 0 || open_file.st_nlink == 0)
            return -1;
        number = look_for(path, &open_file);
    }
    return number;
}

/* With max_files 1 the file is cut to nothing instead of being renamed. */
static int start_again_if_cut(struct reading *reading, struct dv_error *err)
{
    struct stat info;
    if (fstat(reading->fd, &info) < 0 || lseek(reading->fd, 0, SEEK_CUR) <= info.st_size)
        return 0;
    (void)lseek(reading->fd, 0, SEEK_SET);
    dv_buf_clear(&reading->rest);
    return drain(reading, err);
}

/* The number of the file to read after the one that has `number`, the oldest after none (-1).
 * -1: there is none now. */
static int number_after(const char *path, int number)
{
    char name[PATH_MAX];
    if (number < 0)
        return oldest_file(path);
    for (int i = number - 1; i >= 0; i--)
        if (access(file_name(path, i, name), F_OK) == 0)
            return i;
    return -1;
}

/* Reads on to the end of the newest file, from the oldest if none is open. */
static int read_on(struct reading *reading, struct dv_error *err)
{
    for (;;) {
        char name[PATH_MAX];
        int number = reading->fd >= 0 ? number_of(reading->path, reading->fd) : -1;
        /* A file that is not the newest was written to its end before it was looked for. */
        int r = reading->fd >= 0 ? drain(reading, err) : 0;
        if (r < 0)
            return r;
        if (number == 0)
            return start_again_if_cut(reading, err);
        int next = number_after(reading->path, number);
        if (next < 0)
            return 0;
        dv_autoclose int fd = open(file_name(reading->path, next, name), O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT)
            return dv_error_sys(err, DV_ERR_IO, errno, "open '%s'", name);
        if (fd < 0 && number < 0 && next == 0)
            return 0;
        int again = reading->fd >= 0 ? number_of(reading->path, reading->fd) : -1;
        if (fd < 0 || again != number || number_after(reading->path, number) != next)
            continue; /* names have moved on meanwhile */
        dv_close(&reading->fd);
        dv_buf_clear(&reading->rest);
        reading->fd = dv_steal_fd(&fd);
    }
}

static int follow(struct reading *reading, struct dv_error *err)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", reading->path);
    *strrchr(folder, '/') = '\0';
    dv_autoclose int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch < 0 || inotify_add_watch(watch, folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "watch '%s'", folder);
    for (;;) {
        struct pollfd wait = {.fd = watch, .events = POLLIN};
        char events[4096];
        int r = read_on(reading, err);
        fflush(stdout);
        if (r < 0 || access(folder, F_OK) < 0)
            return r; /* the container was removed */
        (void)poll(&wait, 1, POLL_MS);
        (void)!read(watch, events, sizeof(events));
    }
}

static int
show(const char *path, int64_t tail, bool is_following, struct view *view, struct dv_error *err)
{
    struct reading reading = {
        .path = path, .fd = -1, .rest = DV_BUF_INIT(RECORD_MAX), .view = view};
    char name[PATH_MAX];
    if (tail >= 0) {
        int64_t lines = 0;
        for (int i = oldest_file(path); i >= 0; i--)
            lines += count_lines(file_name(path, i, name));
        view->skip = lines > tail ? lines - tail : 0;
    }
    int r = read_on(&reading, err);
    if (r == 0 && is_following)
        r = follow(&reading, err);
    dv_close(&reading.fd);
    dv_buf_done(&reading.rest);
    return r;
}

int cli_logs(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"follow", no_argument, NULL, 'f'},
                                            {"tail", required_argument, NULL, 'n'},
                                            {"last-run", no_argument, NULL, 'l'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    struct view view = {.is_raw = cli->is_json,
                        .is_terminal = {isatty(STDOUT_FILENO), isatty(STDERR_FILENO)}};
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
