/* SPDX-License-Identifier: Apache-2.0 */
/* Orders for the log thread of davit-monitor while it reads, tees and writes: containers come,
 * clients attach, one end of each is told, and the thread is stopped in the middle of it. */
#include "base/cleanup.h"
#include "monitor/log.h"
#include "monitor/protocol.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS  300
#define CLIENTS 3

static void require(bool is_so, const char *what)
{
    if (is_so)
        return;
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

/* Until the last frame; true if the code is the one that was told. */
static bool read_to_the_end(int fd, int code)
{
    for (;;) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1U << 20);
        uint16_t kind = 0;
        void *body = NULL;
        if (!arena || dv_monitor_receive(fd, arena, &kind, &body, NULL) <= 0)
            return false;
        if (kind == DV_KIND_monitor_ended)
            return ((struct dv_monitor_ended *)body)->exit_code == code;
    }
}

static int attach(struct dv_log_thread *thread, const char *id, bool is_session, int out)
{
    int fds[2];
    struct dv_error err = DV_ERROR_INIT;
    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0, "socketpair");
    const struct dv_log_client client = {.fd = fds[0], .input = -1};
    int r = is_session ? dv_log_thread_add_session(thread, id, out, -1, &client, &err)
                       : dv_log_thread_attach(thread, id, &client, &err);
    require(r == 0, err.text);
    return fds[1];
}

static void run_container(struct dv_log_thread *thread, const char *id, const char *path, int code)
{
    int out[2];
    int in_error[2];
    int clients[CLIENTS];
    struct dv_error err = DV_ERROR_INIT;
    const struct dv_monitor_log log = {
        .path = (char *)path, .max_size_bytes = 65536, .max_files = 2};
    require(pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0, "pipe");
    require(pipe2(in_error, O_CLOEXEC | O_NONBLOCK) == 0, "pipe");
    dv_log_thread_begin(thread);
    require(dv_log_thread_add(thread, id, out[0], in_error[0], &log, &err) == 0, err.text);
    for (size_t i = 0; i < CLIENTS; i++)
        clients[i] = attach(thread, id, false, -1);
    dv_log_thread_commit(thread);
    for (int i = 0; i < 20; i++) {
        require(write(out[1], "some output\n", 12) == 12, "write");
        require(write(in_error[1], "an error\n", 9) == 9, "write");
    }
    close(clients[0]); /* goes without a word */
    close(out[1]);
    dv_log_thread_ended(thread, id, true, code);
    close(in_error[1]);
    for (size_t i = 1; i < CLIENTS; i++) {
        require(read_to_the_end(clients[i], code), "the end is told");
        close(clients[i]);
    }
}

static void run_session(struct dv_log_thread *thread, const char *id, int code)
{
    int out[2];
    require(pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0, "pipe");
    int client = attach(thread, id, true, out[0]);
    require(write(out[1], "output", 6) == 6, "write");
    dv_log_thread_ended(thread, id, true, code);
    require(read_to_the_end(client, code), "the end is told");
    close(client);
    close(out[1]);
}

int main(void)
{
    char path[] = "/tmp/davit-race-log-XXXXXX";
    struct dv_log_thread *thread = NULL;
    struct dv_error err = DV_ERROR_INIT;
    signal(SIGPIPE, SIG_IGN);
    int fd = mkstemp(path);
    require(fd >= 0, "mkstemp");
    close(fd);
    for (int i = 0; i < ROUNDS; i++) {
        char id[32];
        if (!thread)
            require(dv_log_thread_start(&thread, &err) == 0, err.text);
        snprintf(id, sizeof(id), "c%d", i % 5);
        run_container(thread, id, path, i % 200);
        run_session(thread, "exec/1", i % 100);
        if (i % 20 == 0) {
            dv_log_thread_stop(thread);
            thread = NULL;
        }
    }
    dv_log_thread_stop(thread);
    (void)unlink(path);
    char rotated[sizeof(path) + 2];
    snprintf(rotated, sizeof(rotated), "%s.1", path);
    (void)unlink(rotated);
    return 0;
}
