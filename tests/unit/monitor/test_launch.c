/* SPDX-License-Identifier: Apache-2.0 */
/*
 * davit-launch alone: the root file systems that it mounts. What is mounted is in a namespace of
 * the test's own, and in a further one that davit-launch makes and that ends with it.
 */
#include "base/cleanup.h"
#include "base/durable.h"
#include "base/spawn.h"
#include "messages/messages.h"
#include "monitor/protocol.h"
#include "tests/support/needs.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define WAIT_MS    20000
#define LAYERS_MAX 128U

struct rig {
    char base[64];
    char layers[PATH_MAX];
    char upper[PATH_MAX];
    char work[PATH_MAX];
    char target[PATH_MAX];
    char names[LAYERS_MAX][16];
    char *lower[LAYERS_MAX];
    struct dv_monitor_launch what;
    char output[4096]; /* standard output, then standard error, of the last call */
};

static void make_file(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX + 64];
    cr_assert_eq(dv_dir_make(folder, 0755, NULL), 0, "%s", folder);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    dv_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Layer k has the files "f<k>", and "top" with its number. */
static void make_layers(struct rig *rig, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char folder[PATH_MAX + 32];
        char number[16];
        snprintf(rig->names[i], sizeof(rig->names[i]), "%012zx", i);
        rig->lower[i] = rig->names[i];
        snprintf(folder, sizeof(folder), "%s/%s", rig->layers, rig->names[i]);
        snprintf(number, sizeof(number), "%zu", i);
        make_file(folder, "top", number);
        snprintf(number, sizeof(number), "f%zu", i);
        make_file(folder, number, "");
    }
    rig->what.lower = (struct dv_texts){rig->lower, count};
}

/* `folder` is what the writable layer lies in. */
static void rig_init(struct rig *rig, const char *folder, size_t layers)
{
    memset(rig, 0, sizeof(*rig));
    dv_need_root();
    dv_need(unshare(CLONE_NEWNS) == 0, "the right to make a mount namespace");
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    snprintf(rig->base, sizeof(rig->base), "/tmp/davit-launch-XXXXXX");
    cr_assert_not_null(mkdtemp(rig->base));
    snprintf(rig->layers, PATH_MAX, "%s/layers", rig->base);
    snprintf(rig->upper, PATH_MAX, "%s/%s/upper", rig->base, folder);
    snprintf(rig->work, PATH_MAX, "%s/%s/work", rig->base, folder);
    snprintf(rig->target, PATH_MAX, "%s/target", rig->base);
    make_layers(rig, layers);
    make_file(rig->upper, "own", "");
    cr_assert_eq(dv_dir_make(rig->work, 0755, NULL), 0);
    rig->what.layers_dir = rig->layers;
    rig->what.upper = rig->upper;
    rig->what.work = rig->work;
    rig->what.target = rig->target;
    rig->what.timeout_ms = WAIT_MS;
}

static void rig_done(struct rig *rig)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_expect_eq(dv_tree_remove(rig->base, &err), 0, "%s", err.text);
}

static int make_request(const struct dv_monitor_launch *what)
{
    DV_AUTO_IN_PLACE(dv_buf) frame = DV_BUF_INIT(DV_MONITOR_FRAME_BYTES);
    struct dv_error err = DV_ERROR_INIT;
    int fd = memfd_create("request", MFD_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(dv_monitor_encode(&dv_schema_monitor_launch, what, &frame, &err), 0, "%s",
                 err.text);
    cr_assert_eq(write(fd, frame.data, frame.len), (ssize_t)frame.len);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* Runs `script` by sh, "$1" is the mount point; the exit code. */
static int run(struct rig *rig, const char *script)
{
    char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, (char *)"sh", rig->target};
    char *env[] = {(char *)"PATH=/usr/bin:/bin"};
    rig->what.argv = (struct dv_texts){argv, 5};
    rig->what.env = (struct dv_texts){env, 1};
    dv_autoclose int request = make_request(&rig->what);
    dv_autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dv_autoclose int said = memfd_create("said", MFD_CLOEXEC);
    const char *const own[] = {"davit-launch", NULL};
    const struct dv_spawn_fd fds[] = {{null, 0}, {said, 1}, {said, 2}, {request, 3}};
    struct dv_spawn spawn = {
        .path = DV_BIN_DIR "/davit-launch", .argv = own, .fds = fds, .fd_count = 4};
    pid_t pid = 0;
    int status = 0;
    cr_assert_eq(dv_spawn_start(&spawn, &pid, NULL), 0);
    dv_autoclose int watch = dv_pidfd_open(pid, 0);
    struct pollfd ended = {.fd = watch, .events = POLLIN};
    if (watch >= 0 && poll(&ended, 1, WAIT_MS) != 1)
        kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    ssize_t got = pread(said, rig->output, sizeof(rig->output) - 1, 0);
    rig->output[got > 0 ? got : 0] = '\0';
    return dv_exit_code_of(status);
}

Test(launch, folders_of_any_name_hold_the_writable_layer, .timeout = 60)
{
    static const char *const folders[] = {"plain",        "with blank", "a,b",      "a:b",
                                          "a\\b",         "a\\,b",      "\\",       ",",
                                          "a,lowerdir=b", "end\\",      "\xc3\xa4", "x,,:\\:y"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        struct rig rig;
        char path[PATH_MAX + 16];
        rig_init(&rig, folders[i], 2);
        cr_expect_eq(run(&rig, "cat \"$1/top\" && ls \"$1\" && echo x > \"$1/new\""), 0, "%s: %s",
                     folders[i], rig.output);
        cr_expect_str_eq(rig.output, "0f0\nf1\nown\ntop\n");
        snprintf(path, sizeof(path), "%s/new", rig.upper);
        cr_expect_eq(access(path, F_OK), 0, "%s", path);
        rig_done(&rig);
    }
}

Test(launch, images_of_one_to_128_layers_are_mounted, .timeout = 60)
{
    static const size_t counts[] = {1, 2, LAYERS_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct rig rig;
        char wanted[32];
        rig_init(&rig, "home", counts[i]);
        cr_expect_eq(run(&rig, "cat \"$1/top\"; ls \"$1\" | grep -c ^f"), 0, "%s", rig.output);
        snprintf(wanted, sizeof(wanted), "0%zu\n", counts[i]);
        cr_expect_str_eq(rig.output, wanted);
        rig_done(&rig);
    }
}

Test(launch, root_file_system_without_a_writable_layer_is_read_only, .timeout = 60)
{
    for (size_t count = 1; count <= 3; count++) {
        struct rig rig;
        rig_init(&rig, "home", count);
        rig.what.upper = NULL;
        rig.what.work = NULL;
        cr_expect_eq(run(&rig, "cat \"$1/top\"; test -e \"$1/own\" && exit 5; "
                               "touch \"$1/new\" 2>/dev/null && exit 6; exit 0"),
                     0, "%zu layers: %s", count, rig.output);
        cr_expect_str_eq(rig.output, "0");
        rig_done(&rig);
    }
}

Test(launch, what_cannot_be_mounted_is_said_and_nothing_runs, .timeout = 60)
{
    struct rig rig;
    rig_init(&rig, "home", 1);
    rig.what.lower.count = 0;
    cr_expect_eq(run(&rig, "echo ran"), 125);
    cr_expect_not_null(strstr(rig.output, "without layers"), "%s", rig.output);
    rig.what.lower.count = 1;
    rig.lower[0] = (char *)"missing";
    cr_expect_eq(run(&rig, "echo ran"), 125);
    cr_expect_not_null(strstr(rig.output, "No such file"), "%s", rig.output);
    cr_expect_null(strstr(rig.output, "ran"), "%s", rig.output);
    rig_done(&rig);
}

Test(launch, options_beyond_one_page_are_refused, .timeout = 60)
{
    static char longest[256];
    static char *layers[LAYERS_MAX];
    struct rig rig;
    memset(longest, 'x', 250);
    for (size_t i = 0; i < LAYERS_MAX; i++)
        layers[i] = longest;
    rig_init(&rig, "home", 1);
    rig.what.lower = (struct dv_texts){layers, LAYERS_MAX};
    cr_expect_eq(run(&rig, "echo ran"), 125);
    cr_expect_not_null(strstr(rig.output, "Argument list too long"), "%s", rig.output);
    rig_done(&rig);
}
