/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/mosquitto.h"

#include "base/cleanup.h"
#include "base/spawn.h"
#include "tests/support/needs.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PROGRAM  "/usr/sbin/mosquitto"
#define SETPRIV  "/usr/bin/setpriv"
#define READY    " running"
#define START_MS 10000

struct dv_mosquitto {
    pid_t pid;
    int port;
    char folder[64];
    char config[96];
    const char *extra;
};

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    dv_autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

static void write_config(const struct dv_mosquitto *broker)
{
    dv_autofclose FILE *file = fopen(broker->config, "we");
    cr_assert_not_null(file);
    fprintf(file,
            "listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n"
            "log_dest stderr\nlog_type all\nmax_queued_messages 0\n%s\n",
            broker->port, broker->extra ? broker->extra : "");
}

/* Reads the log until the broker says that it runs; false if it ended. The rest of the log goes
 * nowhere: the pipe is closed, and mosquitto ignores that. */
static bool wait_until_ready(int log_fd)
{
    char text[8192];
    size_t len = 0;
    struct pollfd wait = {.fd = log_fd, .events = POLLIN};
    while (len < sizeof(text) - 1) {
        cr_assert_eq(poll(&wait, 1, START_MS), 1, "mosquitto says nothing");
        ssize_t got = read(log_fd, text + len, sizeof(text) - 1 - len);
        if (got <= 0)
            return false;
        len += (size_t)got;
        text[len] = '\0';
        if (strstr(text, READY))
            return true;
    }
    return false;
}

static bool start(struct dv_mosquitto *broker)
{
    const char *argv[] = {"setpriv", "--pdeathsig", "KILL", PROGRAM, "-c", broker->config, NULL};
    struct dv_error err = DV_ERROR_INIT;
    int pipe_fds[2];
    cr_assert_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
    dv_autoclose int read_end = pipe_fds[0];
    dv_autoclose int write_end = pipe_fds[1];
    dv_autoclose int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    const struct dv_spawn_fd fds[] = {{null_fd, 0}, {null_fd, 1}, {write_end, 2}};
    struct dv_spawn spawn = {.path = SETPRIV, .argv = argv, .fds = fds, .fd_count = 3};
    cr_assert_eq(dv_spawn_start(&spawn, &broker->pid, &err), 0, "%s", err.text);
    dv_close(&write_end);
    return wait_until_ready(read_end);
}

static void reap(struct dv_mosquitto *broker)
{
    int status;
    if (broker->pid <= 0)
        return;
    kill(broker->pid, SIGKILL);
    waitpid(broker->pid, &status, 0);
    broker->pid = 0;
}

struct dv_mosquitto *dv_mosquitto_start(const char *extra)
{
    dv_need_program(PROGRAM);
    dv_need_program(SETPRIV);
    struct dv_mosquitto *broker = calloc(1, sizeof(*broker));
    cr_assert_not_null(broker);
    broker->extra = extra;
    snprintf(broker->folder, sizeof(broker->folder), "/tmp/davit-mosquitto-XXXXXX");
    cr_assert_not_null(mkdtemp(broker->folder));
    snprintf(broker->config, sizeof(broker->config), "%s/mosquitto.conf", broker->folder);
    for (int attempt = 0; attempt < 5; attempt++) {
        broker->port = free_port();
        write_config(broker);
        if (start(broker))
            return broker;
        reap(broker); /* somebody else took the port in between */
    }
    cr_assert_fail("mosquitto does not start");
    return NULL;
}

int dv_mosquitto_port(const struct dv_mosquitto *broker)
{
    return broker->port;
}

void dv_mosquitto_kill(struct dv_mosquitto *broker)
{
    reap(broker);
}

void dv_mosquitto_restart(struct dv_mosquitto *broker)
{
    reap(broker);
    cr_assert(start(broker), "mosquitto does not start again");
}

void dv_mosquitto_freeze(struct dv_mosquitto *broker, bool is_frozen)
{
    kill(broker->pid, is_frozen ? SIGSTOP : SIGCONT);
}

void dv_mosquitto_end(struct dv_mosquitto *broker)
{
    if (!broker)
        return;
    reap(broker);
    unlink(broker->config);
    rmdir(broker->folder);
    free(broker);
}
