/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a log while it is written and rotated; the writer is the test. */
#include "base/cleanup.h"
#include "tests/support/cli_fake.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define PATIENCE_MS 15000
#define WORDS(...)  ((char *[]){"logs", __VA_ARGS__, NULL})
#define STAMP       "2024-06-28T08:00:0%d.000000000Z"

static char folder[32];
static char path[64];
static int seen = -1; /* what the command writes to standard output */
static int writer = -1;

static void setup(void)
{
    int ends[2];
    snprintf(folder, sizeof(folder), "/tmp/davit-logs-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/json.log", folder);
    cli_fake.container = (struct dv_container_summary){.id = "1", .log_path = path};
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    fflush(stdout);
    cr_assert_geq(dup2(ends[1], STDOUT_FILENO), 0);
    close(ends[1]);
    seen = ends[0];
}

static void remove_files(void)
{
    char name[96];
    (void)unlink(path);
    for (int i = 1; i < 10; i++) {
        snprintf(name, sizeof(name), "%s.%d", path, i);
        (void)unlink(name);
    }
    (void)rmdir(folder);
}

static void teardown(void)
{
    remove_files();
    dv_close(&writer);
    dv_close(&seen);
}

TestSuite(logs, .init = setup, .fini = teardown, .timeout = 60);

static void write_raw(const char *text)
{
    if (writer < 0)
        writer = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    cr_assert_eq(write(writer, text, strlen(text)), (ssize_t)strlen(text));
}

static void write_record(const char *log, int second)
{
    char line[256];
    snprintf(line, sizeof(line),
             "{\"stream\":\"stdout\",\"log\":\"%s\\n\",\"time\":\"" STAMP "\"}\n", log, second);
    write_raw(line);
}

/* As the monitor does it: all names move on, the newest is made again with the next record. */
static void rotate(void)
{
    char from[96];
    char to[96];
    for (int i = 8; i >= 0; i--) {
        snprintf(to, sizeof(to), "%s.%d", path, i + 1);
        if (i)
            snprintf(from, sizeof(from), "%s.%d", path, i);
        else
            snprintf(from, sizeof(from), "%s", path);
        (void)rename(from, to);
    }
    dv_close(&writer);
}

/* The next `len` bytes of output. */
static void expect_output(const char *text)
{
    char got[1024] = "";
    size_t len = strlen(text), at = 0;
    cr_assert_lt(len, sizeof(got));
    while (at < len) {
        struct pollfd wait = {.fd = seen, .events = POLLIN};
        cr_assert_eq(poll(&wait, 1, PATIENCE_MS), 1, "'%s' comes, then nothing", got);
        ssize_t more = read(seen, got + at, len - at);
        cr_assert_gt(more, 0);
        at += (size_t)more;
    }
    cr_assert_str_eq(got, text);
}

static void expect_no_output(void)
{
    struct pollfd wait = {.fd = seen, .events = POLLIN};
    fflush(stdout);
    cr_assert_eq(poll(&wait, 1, 0), 0, "there is more output");
}

static void run(char **words)
{
    cr_assert_eq(cli_fake_run(cli_logs, words), CLI_DONE);
    fflush(stdout);
}

/* shows: logs */
Test(logs, all_files_are_read_from_the_oldest_on)
{
    for (int i = 0; i < 3; i++) {
        char text[] = {(char)('a' + i), '\0'};
        write_record(text, i);
        if (i < 2)
            rotate();
    }
    run(WORDS("web"));
    expect_output("a\nb\nc\n");
    expect_no_output();
}

/* Renaming is not one step: this is what a reader may see in the middle of it. */
Test(logs, a_name_missing_during_rotation_does_not_hide_older_files)
{
    char from[96];
    char to[96];
    for (int i = 0; i < 3; i++) {
        char text[] = {(char)('a' + i), '\0'};
        write_record(text, i);
        if (i < 2)
            rotate();
    }
    snprintf(from, sizeof(from), "%s.2", path);
    snprintf(to, sizeof(to), "%s.3", path);
    cr_assert_eq(rename(from, to), 0);
    run(WORDS("web"));
    expect_output("a\nb\nc\n");
    expect_no_output();
}

Test(logs, container_that_has_written_nothing_shows_nothing)
{
    run(WORDS("web"));
    expect_no_output();
}

Test(logs, tail_counts_over_all_files)
{
    write_record("a", 0);
    write_record("b", 1);
    rotate();
    write_record("c", 2);
    run(WORDS("-n", "2", "web"));
    expect_output("b\nc\n");
    run(WORDS("--tail", "0", "web"));
    run(WORDS("-t", "9", "web"));
    expect_output("a\nb\nc\n");
    expect_no_output();
}

Test(logs, last_run_begins_with_its_start)
{
    write_record("a", 1);
    write_record("b", 2);
    cli_fake.container.started_ns = 1719561602LL * 1000000000;
    run(WORDS("--last-run", "web"));
    expect_output("b\n");
    expect_no_output();
}

Test(logs, what_is_being_written_is_left_for_later)
{
    write_record("a", 0);
    write_raw("{\"stream\":\"stdout\",\"log\":\"half");
    run(WORDS("web"));
    expect_output("a\n");
    expect_no_output();
}

Test(logs, nul_and_controls_go_unchanged_into_a_pipe)
{
    write_record("a\\u001b[2J\xc2\x9b", 0);
    write_record("b\\u0000c\\\\u0000", 0);
    run(WORDS("web"));
    expect_output("a\x1b[2J\xc2\x9b\nb\xef\xbf\xbd"
                  "c\\u0000\n");
    run(WORDS("--json", "web"));
    expect_output("{\"stream\":\"stdout\",\"log\":\"a\\u001b[2J\xc2\x9b\\n\"");
}

Test(logs, controls_are_shown_on_a_terminal)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios mode;
    char name[64];
    cr_assert_geq(master, 0);
    cr_assert_eq(grantpt(master) + unlockpt(master) + ptsname_r(master, name, sizeof(name)), 0);
    dv_autoclose int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    cr_assert_eq(tcgetattr(slave, &mode), 0);
    cfmakeraw(&mode);
    cr_assert_eq(tcsetattr(slave, TCSANOW, &mode), 0);
    cr_assert_geq(dup2(slave, STDOUT_FILENO), 0);
    dv_close(&seen);
    seen = master;
    write_record("a\\u001b[2J\xc2\x9b"
                 "b",
                 0);
    run(WORDS("web"));
    expect_output("a\\x1b[2J\\u009bb\n");
    run(WORDS("--json", "web"));
    expect_output("{\"stream\":\"stdout\",\"log\":\"a\\u001b[2J\\u009bb\\n\",");
}

Test(logs, wrong_usage_and_refusals_have_their_codes)
{
    cr_expect_eq(cli_fake_run(cli_logs, WORDS("-n", "x", "web")), CLI_USAGE);
    cr_expect_eq(cli_fake_run(cli_logs, WORDS("-f")), CLI_USAGE);
    cr_expect_eq(cli_fake_run(cli_logs, WORDS("a", "b")), CLI_USAGE);
    cli_fake.container.log_path = NULL;
    cr_expect_eq(cli_fake_run(cli_logs, WORDS("web")), CLI_FAILED);
    cli_fake.refusal = DV_ERR_NOT_FOUND;
    cr_expect_eq(cli_fake_run(cli_logs, WORDS("web")), CLI_FAILED);
}

/* -- following -------------------------------------------------------------------------------- */

static void *follow_in_thread(void *ctx)
{
    (void)ctx;
    static int code;
    code = cli_fake_run(cli_logs, WORDS("-f", "web"));
    return &code;
}

static pthread_t begin_following(void)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, follow_in_thread, NULL), 0);
    return thread;
}

/* It ends when the container and its log are gone. */
static void end_following(pthread_t thread)
{
    void *code;
    remove_files();
    cr_assert_eq(pthread_join(thread, &code), 0);
    cr_assert_eq(*(int *)code, CLI_DONE);
    expect_no_output();
}

Test(logs, following_shows_what_is_written_later)
{
    write_record("a", 0);
    pthread_t thread = begin_following();
    expect_output("a\n");
    write_record("b", 1);
    expect_output("b\n");
    write_raw("{\"stream\":\"stdout\",\"log\":\"in two ");
    write_raw("pieces\\n\"}\n");
    expect_output("in two pieces\n");
    end_following(thread);
}

Test(logs, following_waits_for_a_log_that_is_not_there_yet)
{
    pthread_t thread = begin_following();
    write_record("first", 0);
    expect_output("first\n");
    end_following(thread);
}

Test(logs, following_survives_rotation)
{
    write_record("a", 0);
    pthread_t thread = begin_following();
    expect_output("a\n");
    for (int i = 0; i < 5; i++) {
        char last[32];
        char next[32];
        char both[64];
        snprintf(last, sizeof(last), "last of %d", i);
        snprintf(next, sizeof(next), "first of %d", i + 1);
        snprintf(both, sizeof(both), "%s\n%s\n", last, next);
        write_record(last, 1);
        rotate();
        write_record(next, 2);
        expect_output(both);
    }
    end_following(thread);
}

Test(logs, following_survives_several_rotations_at_once)
{
    write_record("a", 0);
    pthread_t thread = begin_following();
    expect_output("a\n");
    for (int round = 0; round < 50; round++) {
        write_record("b", 1);
        rotate();
        write_record("c", 2);
        rotate();
        write_record("d", 3);
        rotate();
        write_record("e", 4);
        expect_output("b\nc\nd\ne\n");
    }
    end_following(thread);
}

Test(logs, following_starts_again_in_a_file_that_was_cut)
{
    write_record("a long record that is cut off", 0);
    pthread_t thread = begin_following();
    expect_output("a long record that is cut off\n");
    cr_assert_eq(ftruncate(writer, 0), 0);
    write_record("b", 1);
    expect_output("b\n");
    end_following(thread);
}
