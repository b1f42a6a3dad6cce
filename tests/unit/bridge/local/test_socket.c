/* SPDX-License-Identifier: Apache-2.0 */
/* The socket: whose it is, and how many clients it has. */
#include "stage.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(local_socket, .init = stage_setup, .fini = stage_teardown, .timeout = 60);

Test(local_socket, clients_over_the_limit_are_told_and_turned_away)
{
    stage.config.clients_max = 2;
    stage_begin();
    struct dv_line_peer *first = dv_line_peer_new(stage.path);
    struct dv_line_peer *second = dv_line_peer_new(stage.path);
    stage_expect_served(first);
    stage_expect_served(second);
    struct dv_line_peer *third = dv_line_peer_new(stage.path);
    stage_expect_answer(third, "", "BUSY");
    stage_expect_end(third);
    dv_line_peer_free(third);
    stage_expect_served(first);
    dv_line_peer_free(second);
    stage_pump();
    third = dv_line_peer_new(stage.path);
    stage_expect_served(third);
    dv_line_peer_free(first);
    dv_line_peer_free(third);
    stage_end();
}

Test(local_socket, without_descriptors_a_client_is_told_and_turned_away)
{
    stage_begin();
    struct dv_line_peer *served = dv_line_peer_new(stage.path);
    stage_expect_served(served);
    struct dv_line_peer *waiting = dv_line_peer_new(stage.path);
    struct rlimit before;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(STDIN_FILENO); /* the first that is free */
    close(next);
    struct rlimit limit = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    stage_expect_answer(waiting, "", "BUSY");
    stage_expect_end(waiting);
    stage_expect_served(served);
    dv_line_peer_free(waiting);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    waiting = dv_line_peer_new(stage.path);
    stage_expect_served(waiting);
    dv_line_peer_free(waiting);
    dv_line_peer_free(served);
    stage_end();
}

Test(local_socket, socket_is_for_owner_and_group)
{
    struct stat info;
    mode_t before = umask(0);
    stage_begin();
    cr_assert_eq(umask(before), 0, "the mask of the process is as it was");
    cr_assert_eq(stat(stage.path, &info), 0);
    cr_expect(S_ISSOCK(info.st_mode));
    cr_expect_eq(info.st_mode & 07777, 0660);
    stage_end();
    cr_expect_eq(access(stage.path, F_OK), -1, "the file goes with the bridge");
}

static void expect_refused(int class)
{
    struct dv_bridge_env env = {.clock = dv_clock_real(), .config = &stage.config};
    struct dv_bridge *bridge = NULL;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_local_ops.open(&env, &bridge, &err), -class);
    cr_expect_not_null(strstr(err.text, stage.config.socket_path), "%s", err.text);
}

Test(local_socket, second_daemon_on_the_socket_is_refused)
{
    stage_begin();
    expect_refused(DV_ERR_BUSY);
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    stage_expect_served(peer);
    dv_line_peer_free(peer);
    stage_end();
}

static int listen_at_path(int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", stage.path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    (void)listen(fd, 0);
    return fd;
}

Test(local_socket, socket_of_a_daemon_that_is_gone_is_taken_over)
{
    int fd = listen_at_path(SOCK_STREAM);
    close(fd);
    stage_begin();
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    stage_expect_served(peer);
    dv_line_peer_free(peer);
    stage_end();
}

Test(local_socket, daemon_that_is_stuck_is_still_one)
{
    int fd = listen_at_path(SOCK_STREAM);
    struct dv_line_peer *waiting = dv_line_peer_new(stage.path); /* fills its queue */
    expect_refused(DV_ERR_BUSY);
    dv_line_peer_free(waiting);
    close(fd);
}

Test(local_socket, what_is_no_socket_of_ours_is_left_alone)
{
    struct stat before;
    struct stat after;
    int fd = listen_at_path(SOCK_DGRAM);
    expect_refused(DV_ERR_BUSY);
    cr_assert_eq(access(stage.path, F_OK), 0);
    close(fd);
    cr_assert_eq(unlink(stage.path), 0);

    FILE *file = fopen(stage.path, "we");
    cr_assert_not_null(file);
    fclose(file);
    cr_assert_eq(stat(stage.path, &before), 0);
    expect_refused(DV_ERR_BUSY);
    cr_assert_eq(stat(stage.path, &after), 0);
    cr_assert_eq(before.st_ino, after.st_ino);
}

Test(local_socket, place_that_cannot_be_is_refused)
{
    char name[200];
    memset(name, 'x', sizeof(name) - 1);
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    stage.config.socket_path = name;
    expect_refused(DV_ERR_INVALID);
    stage.config.socket_path = "/proc/no/such/folder/davit.sock";
    expect_refused(DV_ERR_IO);
}
