/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many containers on the fake machine, all actors, real threads: daemon_many CONTAINERS HOSTS
 * [MESSAGES]. Before the rest each container's actor is asked that many times.
 * Creates and starts all by commands from the cloud, renames, pauses, resumes and stops each,
 * starts the daemon again between, removes all. Every answer, the twin and the machine are looked
 * at.
 */
#include "actors/addresses.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/process.h"
#include "whole_daemon.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS   1000000
#define PATIENCE_MS 90000

static int64_t now_ms(void)
{
    return dv_clock_monotonic_ns(dv_clock_real()) / NS_PER_MS;
}

/* Waits until `count` features are in that status (or exist, for NULL) and the machine agrees. */
static int expect(struct whole_daemon *w, const char *status, size_t count, size_t running)
{
    int64_t end_ms = now_ms() + PATIENCE_MS;
    struct dv_fake_counts counts;
    for (uint64_t seen = 0;;) {
        seen = memory_cloud_wait(w->cloud, seen, PATIENCE_MS);
        size_t shown =
            status ? memory_cloud_in_status(w->cloud, status) : memory_cloud_containers(w->cloud);
        dv_fake_machine_count(w->machine, &counts);
        if (shown == count && counts.running == running)
            return 0;
        if (now_ms() > end_ms) {
            fprintf(stderr, "%zu of %zu are %s in the twin, %zu of %zu run\n", shown, count,
                    status ? status : "there", counts.running, running);
            return -1;
        }
    }
}

static struct memory_answer wait_answer(struct whole_daemon *w, const char *token)
{
    int64_t end_ms = now_ms() + PATIENCE_MS;
    struct memory_answer answer;
    for (uint64_t seen = 0;;) {
        answer = memory_cloud_answer(w->cloud, token);
        if (answer.status != 0 || now_ms() > end_ms)
            return answer;
        seen = memory_cloud_wait(w->cloud, seen, PATIENCE_MS);
    }
}

/* One command to each container, with an argument made of `name` unless it is NULL; all answers
 * must have that status. */
static int command(struct whole_daemon *w,
                   char (*ids)[64],
                   size_t count,
                   const char *operation,
                   const char *name,
                   int64_t status)
{
    char token[64];
    char feature[96];
    char text[96];
    for (size_t i = 0; i < count; i++) {
        snprintf(token, sizeof(token), "%s-%zu", operation, i);
        snprintf(feature, sizeof(feature), "Container:%s", ids[i]);
        snprintf(text, sizeof(text), "\"%s-%zu\"", name ? name : "", i);
        memory_cloud_send(w->cloud, feature, operation, name ? text : NULL, token);
    }
    for (size_t i = 0; i < count; i++) {
        snprintf(token, sizeof(token), "%s-%zu", operation, i);
        struct memory_answer answer = wait_answer(w, token);
        if (answer.status != status) {
            fprintf(stderr, "%s of container %zu: status %" PRId64 " %s\n", operation, i,
                    answer.status, answer.error);
            return -1;
        }
    }
    return 0;
}

static int create_all(struct whole_daemon *w, char (*ids)[64], size_t count)
{
    char token[64];
    for (size_t i = 0; i < count; i++) {
        snprintf(token, sizeof(token), "create-%zu", i);
        memory_cloud_send(w->cloud, "ContainerFactory", "create",
                          "{\"imageRef\":\"registry.example/app:1\",\"start\":true}", token);
    }
    for (size_t i = 0; i < count; i++) {
        snprintf(token, sizeof(token), "create-%zu", i);
        struct memory_answer answer = wait_answer(w, token);
        if (answer.status != 200 || answer.value[0] != '"') {
            fprintf(stderr, "create %zu: status %" PRId64 " %s\n", i, answer.status, answer.error);
            return -1;
        }
        snprintf(ids[i], sizeof(ids[i]), "%.*s", (int)strcspn(answer.value + 1, "\""),
                 answer.value + 1);
    }
    return 0;
}

static int nothing_is_left(struct whole_daemon *w)
{
    struct dv_fake_counts counts;
    dv_fake_machine_count(w->machine, &counts);
    if (counts.layers || counts.records || memory_cloud_bad_changes(w->cloud)) {
        fprintf(stderr, "left: %zu layers, %zu exit records, %zu changes of nothing\n",
                counts.layers, counts.records, memory_cloud_bad_changes(w->cloud));
        return -1;
    }
    return 0;
}

static int restart_daemon(struct whole_daemon *w, struct dv_error *err)
{
    int r = whole_daemon_stop(w, err);
    return r < 0 ? r : whole_daemon_start(w, err);
}

static long count_of(const char *folder)
{
    long count = -2; /* . and .. */
    DIR *dir = opendir(folder);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

/* Of this process: the daemon, the fake machine and the cloud. */
static void print_cost(const char *when, size_t n, unsigned hosts)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    long private_kb = 0;
    while (file && fgets(line, sizeof(line), file)) {
        long kb = 0;
        if (sscanf(line, "Private_%*[^:]: %ld", &kb) == 1)
            private_kb += kb;
    }
    if (file)
        fclose(file);
    printf("{\"when\":\"%s\",\"containers\":%zu,\"hosts\":%u,\"private_kb\":%ld,"
           "\"descriptors\":%ld,\"threads\":%ld}\n",
           when, n, hosts, private_kb, count_of("/proc/self/fd"), count_of("/proc/self/task"));
}

static int ask_each(struct whole_daemon *w, char (*ids)[64], size_t n, unsigned messages)
{
    struct dv_container_snapshot_query query;
    for (unsigned m = 0; m < messages; m++) {
        for (size_t i = 0; i < n; i++) {
            struct dv_error err = DV_ERROR_INIT;
            struct dv_address address = dv_address_of(DV_CONTAINER_PREFIX, ids[i]);
            DV_AUTO(dv_arena) arena = dv_arena_new(1U << 20);
            uint16_t kind;
            void *body;
            if (dv_system_ask(w->system, address.text, DV_KIND_container_snapshot_query, &query,
                              PATIENCE_MS, arena, &kind, &body, &err) < 0) {
                fprintf(stderr, "ask %s: %s\n", address.text, err.text);
                return -1;
            }
        }
    }
    return 0;
}

/* Metrics of all containers come, in many messages of one batch; in one pass of several pages. */
static int expect_metrics(struct whole_daemon *w, size_t count)
{
    int64_t end_ms = now_ms() + PATIENCE_MS;
    for (uint64_t seen = 0; memory_cloud_live_containers(w->cloud) != count;) {
        if (now_ms() > end_ms) {
            fprintf(stderr, "metrics tell of %zu of %zu containers\n",
                    memory_cloud_live_containers(w->cloud), count);
            return -1;
        }
        seen = memory_cloud_wait(w->cloud, seen, PATIENCE_MS);
    }
    return 0;
}

static int request_metrics(struct whole_daemon *w, const char *value, const char *token)
{
    memory_cloud_send(w->cloud, "Metrics", "request", value, token);
    struct memory_answer answer = wait_answer(w, token);
    if (answer.status == 204)
        return 0;
    fprintf(stderr, "request for metrics: status %" PRId64 " %s\n", answer.status, answer.error);
    return -1;
}

static int live(struct whole_daemon *w, char (*ids)[64], size_t n, unsigned messages)
{
    struct dv_error err = DV_ERROR_INIT;
    int64_t begin_ms = now_ms();
    if (create_all(w, ids, n) < 0 || expect(w, "RUNNING", n, n) < 0)
        return -1;
    int64_t created_ms = now_ms();
    print_cost("running", n, w->hosts);
    if (ask_each(w, ids, n, messages) < 0)
        return -1;
    if (messages)
        print_cost("after messages", n, w->hosts);
    if (request_metrics(w, "{\"frequency\":1}", "metrics") < 0 || expect_metrics(w, n) < 0 ||
        request_metrics(w, "{}", "no metrics") < 0)
        return -1;
    if (command(w, ids, n, "rename", "name", 204) < 0 ||
        command(w, ids, n, "pause", NULL, 204) < 0 || expect(w, "PAUSED", n, n) < 0 ||
        command(w, ids, n, "resume", NULL, 204) < 0 || expect(w, "RUNNING", n, n) < 0)
        return -1;
    int64_t restart_ms = now_ms();
    if (restart_daemon(w, &err) < 0) {
        fprintf(stderr, "restart: %s\n", err.text);
        return -1;
    }
    int64_t restarted_ms = now_ms();
    if (expect(w, "RUNNING", n, n) < 0 || command(w, ids, n, "stop", NULL, 204) < 0 ||
        expect(w, "STOPPED", n, 0) < 0 || command(w, ids, n, "remove", NULL, 204) < 0 ||
        expect(w, NULL, 0, 0) < 0)
        return -1;
    printf("{\"containers\":%zu,\"hosts\":%u,\"create_start_ms\":%" PRId64
           ",\"restart_ms\":%" PRId64 ",\"whole_ms\":%" PRId64 "}\n",
           n, w->hosts, created_ms - begin_ms, restarted_ms - restart_ms, now_ms() - begin_ms);
    return 0;
}

int main(int argc, char **argv)
{
    size_t containers = argc > 1 ? strtoul(argv[1], NULL, 10) : 1500;
    unsigned hosts = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 256;
    unsigned messages = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    struct dv_error err = DV_ERROR_INIT;
    static struct whole_daemon w;
    char(*ids)[64] = calloc(containers, sizeof(*ids));
    daemon_prepare_process();
    dv_log_set(NULL, NULL, DV_LOG_WARN);
    print_cost("empty", 0, hosts);
    whole_daemon_init(&w, false, 1, hosts);
    memory_cloud_set_link(w.cloud, true);
    int r = ids ? whole_daemon_start(&w, &err) : -1;
    if (r == 0)
        r = live(&w, ids, containers, messages);
    if (w.system && whole_daemon_stop(&w, &err) < 0)
        r = -1;
    if (r == 0)
        r = nothing_is_left(&w);
    if (err.class)
        fprintf(stderr, "%s\n", err.text);
    whole_daemon_done(&w);
    free(ids);
    fflush(stdout);
    /* czmq's exit handler is not needed and takes long. */
    _Exit(r < 0 ? 1 : 0);
}
