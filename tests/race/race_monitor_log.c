/* SPDX-License-Identifier: Apache-2.0 */
/* The log thread of davit-monitor, the thread that writes logs and the control thread: containers
 * of both modes write at the same time, end, and are followed by others. In between the control
 * thread looks at all of it, as for an upgrade that is refused. */
#include "base/clock.h"
#include "monitor/log.h"
#include "monitor/state.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONTAINERS 8
#define ROUNDS     5
#define LINES      4000
#define LOOKS      10
#define REST_NS    20000000000LL

struct container {
    pthread_t thread;
    int out;
    int in_error;
};

static void *chatter(void *context)
{
    const struct container *container = context;
    char line[64];
    for (int i = 0; i < LINES; i++) {
        int len = snprintf(line, sizeof(line), "number %06d\n", i);
        if (write(i % 2 ? container->out : container->in_error, line, (size_t)len) != len)
            break;
    }
    close(container->out);
    close(container->in_error);
    return NULL;
}

static int begin(struct dv_log_thread *log, const char *folder, int number, struct container *ret)
{
    char id[32];
    char path[256];
    int out[2];
    int in_error[2];
    struct dv_error err = DV_ERROR_INIT;
    snprintf(id, sizeof(id), "c%d", number);
    snprintf(path, sizeof(path), "%s/%s.log", folder, id);
    const struct dv_monitor_log what = {.path = path,
                                        .max_size_bytes = 64 << 10,
                                        .max_files = 2,
                                        .max_buffer_bytes = number % 2 ? 8192 : 0};
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(in_error, O_CLOEXEC) < 0)
        return -1;
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(in_error[0], F_SETFL, O_NONBLOCK);
    ret->out = out[1];
    ret->in_error = in_error[1];
    if (dv_log_thread_add(log, id, out[0], in_error[0], &what, &err) < 0)
        return -1;
    return pthread_create(&ret->thread, NULL, chatter, ret);
}

/* The state of the thread while it rests; false if it does not. */
static bool look(struct dv_log_thread *log)
{
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO_IN_PLACE(mon_state_writer) writer;
    mon_state_begin(&writer, &err);
    int64_t until = dv_clock_monotonic_ns(dv_clock_real()) + REST_NS;
    if (dv_log_thread_rest(log, until, &err) < 0)
        return false;
    dv_log_thread_save(log, &writer);
    dv_log_thread_go_on(log);
    return err.class == DV_ERR_NONE;
}

int main(void)
{
    char folder[] = "/tmp/davit-race-XXXXXX";
    struct dv_log_thread *log = NULL;
    struct dv_error err = DV_ERROR_INIT;
    struct container containers[CONTAINERS];
    if (!mkdtemp(folder) || dv_log_thread_start(&log, &err) < 0)
        return 1;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CONTAINERS; i++)
            if (begin(log, folder, round * CONTAINERS + i, &containers[i]) != 0)
                return 1;
        for (int i = 0; i < LOOKS; i++)
            if (!look(log))
                return 1;
        for (int i = 0; i < CONTAINERS; i++)
            pthread_join(containers[i].thread, NULL);
    }
    dv_log_thread_stop(log);
    int missing = 0;
    for (int i = 0; i < ROUNDS * CONTAINERS; i++) {
        for (int old = 0; old < 2; old++) {
            char path[256];
            snprintf(path, sizeof(path), "%s/c%d.log%s", folder, i, old ? ".1" : "");
            missing += unlink(path) < 0;
        }
    }
    rmdir(folder);
    printf("%d containers, %d logs are missing\n", ROUNDS * CONTAINERS, missing);
    return missing != 0;
}
