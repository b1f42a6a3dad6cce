/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many cells with real threads: kit_many_cells CELLS HOSTS MESSAGES. Starts all, sends each that
 * many asks, prints what one costs, stops all.
 */
#include "actors.h"
#include "base/clock.h"

#include <czmq.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define STACK_BYTES   (128U << 10)
#define NS_PER_MS     1000000
#define STOP_MS       60000
#define MESSAGES_EACH 10

static int fail(const char *what, const struct dv_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    return 1;
}

static int64_t now_ms(void)
{
    return dv_clock_monotonic_ns(dv_clock_real()) / NS_PER_MS;
}

static long private_kb(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    long total = 0;
    while (file && fgets(line, sizeof(line), file)) {
        long kb = 0;
        if (sscanf(line, "Private_%*[^:]: %ld", &kb) == 1)
            total += kb;
    }
    if (file)
        fclose(file);
    return total;
}

static int prepare(void)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_setattr_default_np(&attr);
    pthread_attr_destroy(&attr);
    mallopt(M_ARENA_MAX, 2);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -1;
    limit.rlim_cur = limit.rlim_max;
    zsys_handler_set(NULL);
    zsys_set_max_sockets(0);
    return setrlimit(RLIMIT_NOFILE, &limit);
}

static int talk(struct dv_system *kit, int cells, int messages)
{
    char text[TEST_TEXT];
    char address[16];
    for (int i = 0; i < messages; i++) {
        for (int c = 0; c < cells; c++) {
            snprintf(address, sizeof(address), "c%d", c);
            test_tell(kit, address, "echo", 7, 0, text);
            if (strcmp(text, "missed 7") != 0) {
                fprintf(stderr, "%s says %s\n", address, text);
                return -1;
            }
        }
    }
    return 0;
}

static int run(struct dv_system *kit, int cells, unsigned hosts, int messages)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_exit_watch_cmd start = {.id = (char *)"run", .pid = 1};
    char address[16];
    long before_kb = private_kb();
    int64_t began = now_ms();
    for (int i = 0; i < cells; i++) {
        snprintf(address, sizeof(address), "c%d", i);
        if (dv_system_spawn(kit, address, "test_container", &start, &err) < 0)
            return fail("spawn", &err);
    }
    int64_t started = now_ms();
    long cold_kb = private_kb() - before_kb;
    if (talk(kit, cells, messages) < 0)
        return 1;
    int64_t talked = now_ms();
    long warm_kb = private_kb() - before_kb;
    if (dv_system_stop(kit, NULL, STOP_MS, &err) < 0)
        return fail("stop", &err);
    printf("%d cells, %u hosts: start %" PRId64 " ms, %d asks each %" PRId64 " ms, stop %" PRId64
           " ms; private KB a cell: %.1f cold, %.1f after\n",
           cells, hosts, started - began, messages, talked - started, now_ms() - talked,
           (double)cold_kb / cells, (double)warm_kb / cells);
    return 0;
}

int main(int argc, char **argv)
{
    int cells = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1500;
    unsigned hosts = argc > 2 ? (unsigned)strtol(argv[2], NULL, 10) : 256;
    int messages = argc > 3 ? (int)strtol(argv[3], NULL, 10) : MESSAGES_EACH;
    struct test_env env = {0};
    struct dv_system_options options = {
        .types = test_types, .env = &env, .shared_hosts_max = hosts};
    struct dv_system *kit = NULL;
    struct dv_error err = DV_ERROR_INIT;
    if (prepare() != 0 || dv_system_new(&options, &kit, &err) < 0)
        return fail("start", &err);
    int r = run(kit, cells, hosts, messages);
    dv_system_free(kit);
    if (env.stopped_cells != cells)
        r = 1;
    zsys_shutdown();
    return r;
}
