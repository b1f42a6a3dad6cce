/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All actors in one thread under many seeds: commands, exits at any point, lost links, a monitor
 * that is away, slow workers, kills of the daemon and power cuts, in an order drawn from the seed.
 * Then everything is made well again, and answers, twin and machine must agree.
 *
 * daemon_seeds [number of seeds [first seed [v]]]; a failure names the seed, which gives the same
 * run again; v shows each event. DAVIT_SIM_FULL: many more seeds.
 */
#include "actors/addresses.h"
#include "base/log.h"
#include "spec/resources.h"
#include "whole_daemon.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS         40
#define COMMANDS_MAX   256
#define CONTAINERS_MAX 64
#define SETTLE_MS      600000
#define NS_PER_MS      1000000

#define SEEDS      300
#define SEEDS_FULL 10000

struct sent {
    char feature[96];
    char operation[32];
    char args[128];
    char token[32];
};

struct story {
    struct whole_daemon w;
    uint64_t random;
    struct sent sent[COMMANDS_MAX];
    unsigned sent_count;
    char ids[CONTAINERS_MAX][64]; /* answers of creates */
    unsigned id_count;
    bool is_loud;
    char failure[512];
};

static uint64_t draw(struct story *s, uint64_t below)
{
    /* xorshift64* */
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return (s->random * UINT64_C(2685821657736338717) >> 33) % below;
}

__attribute__((format(printf, 2, 3))) static void say(struct story *s, const char *format, ...)
{
    va_list args;
    if (!s->is_loud)
        return;
    va_start(args, format);
    fprintf(stderr, "%10.3f  ", (double)(s->w.clock.monotonic_ns % 1000000000000) / 1e9);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

__attribute__((format(printf, 2, 3))) static int fail(struct story *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!s->failure[0])
        vsnprintf(s->failure, sizeof(s->failure), format, args);
    va_end(args);
    return -1;
}

/* -- what happens --------------------------------------------------------------------------- */

static void post(struct story *s, const struct sent *sent)
{
    say(s, "%s %s %s %s", sent->token, sent->feature, sent->operation, sent->args);
    memory_cloud_send(s->w.cloud, sent->feature, sent->operation, sent->args[0] ? sent->args : NULL,
                      sent->token);
}

static struct sent *new_command(struct story *s)
{
    if (s->sent_count == COMMANDS_MAX)
        return NULL;
    struct sent *sent = &s->sent[s->sent_count];
    snprintf(sent->token, sizeof(sent->token), "t%u", s->sent_count++);
    return sent;
}

static void send_create(struct story *s)
{
    static const char *const policies[] = {"no", "always", "unless-stopped", "on-failure"};
    struct sent *sent = new_command(s);
    if (!sent)
        return;
    snprintf(sent->feature, sizeof(sent->feature), "ContainerFactory");
    snprintf(sent->operation, sizeof(sent->operation), "createWithConfig");
    snprintf(sent->args, sizeof(sent->args),
             "{\"imageRef\":\"r.example/%s:1\",\"start\":%s,"
             "\"config\":{\"restartPolicy\":{\"type\":\"%s\"}}}",
             draw(s, 10) == 0 ? "broken" : "app", draw(s, 2) ? "true" : "false",
             policies[draw(s, 4)]);
    post(s, sent);
}

static void learn_ids(struct story *s)
{
    s->id_count = 0;
    for (unsigned i = 0; i < s->sent_count && s->id_count < CONTAINERS_MAX; i++) {
        if (strcmp(s->sent[i].operation, "createWithConfig") != 0)
            continue;
        struct memory_answer answer = memory_cloud_answer(s->w.cloud, s->sent[i].token);
        if (answer.status == 200)
            snprintf(s->ids[s->id_count++], sizeof(s->ids[0]), "%.*s",
                     (int)strcspn(answer.value + 1, "\""), answer.value + 1);
    }
}

static void send_operation(struct story *s)
{
    static const char *const operations[] = {"start",  "stop",   "stop",   "pause",
                                             "resume", "rename", "remove", "update"};
    learn_ids(s);
    struct sent *sent = s->id_count ? new_command(s) : NULL;
    if (!sent)
        return;
    const char *operation = operations[draw(s, 8)];
    struct dv_address feature = dv_address_of(DV_CONTAINER_PREFIX, s->ids[draw(s, s->id_count)]);
    snprintf(sent->feature, sizeof(sent->feature), "%.90s", feature.text);
    snprintf(sent->operation, sizeof(sent->operation), "%s", operation);
    if (strcmp(operation, "rename") == 0)
        snprintf(sent->args, sizeof(sent->args), "\"n%u\"", (unsigned)draw(s, 4));
    else if (strcmp(operation, "remove") == 0)
        snprintf(sent->args, sizeof(sent->args), "%s", draw(s, 2) ? "true" : "false");
    else if (strcmp(operation, "update") == 0 && draw(s, 2))
        snprintf(sent->args, sizeof(sent->args), "{\"resources\":{\"memory\":\"%u%s\"}}",
                 (unsigned)draw(s, 3) * 8, draw(s, 2) ? "M" : "m");
    else if (strcmp(operation, "update") == 0)
        snprintf(sent->args, sizeof(sent->args), "{\"restartPolicy\":{\"type\":\"no\"}}");
    post(s, sent);
}

static void repeat_command(struct story *s)
{
    if (s->sent_count)
        post(s, &s->sent[draw(s, s->sent_count)]);
}

static void end_container(struct story *s)
{
    struct dv_error err = DV_ERROR_INIT;
    learn_ids(s);
    if (!s->id_count)
        return;
    const char *id = s->ids[draw(s, s->id_count)];
    int code = draw(s, 2) ? 0 : 3;
    if (dv_fake_machine_end(s->w.machine, id, code, false, &err) == 0)
        say(s, "exit of %s, code %d", id, code);
}

static void fail_call(struct story *s)
{
    struct dv_error err = DV_ERROR_INIT;
    enum dv_fake_call call = (enum dv_fake_call)draw(s, DV_FAKE_CALLS);
    say(s, "call %d fails once", (int)call);
    if (dv_fake_machine_fail(s->w.machine, call, NULL, 1, DV_ERR_IO, "it failed", &err) < 0)
        say(s, "%s", err.text);
}

static void delay_someone(struct story *s)
{
    static const char *const who[] = {"worker/0", "worker/1",       "store",
                                      "image",    "session/memory", "roster"};
    const char *address = who[draw(s, 6)];
    int64_t ms = (int64_t)draw(s, 5000);
    say(s, "%s is stuck for %" PRId64 " ms", address, ms);
    dv_sim_delay(s->w.system, address, s->w.clock.monotonic_ns + ms * NS_PER_MS);
}

static int begin_again(struct story *s)
{
    struct dv_error err = DV_ERROR_INIT;
    if (whole_daemon_start(&s->w, &err) < 0)
        return fail(s, "the daemon does not start: %s", err.text);
    return 0;
}

static int restart(struct story *s)
{
    struct dv_error err = DV_ERROR_INIT;
    uint64_t how = draw(s, 4);
    say(s, "%s", how == 0 ? "stop" : how == 1 ? "power cut" : "kill");
    if (how == 0 && whole_daemon_stop(&s->w, &err) < 0)
        return fail(s, "the daemon does not stop: %s", err.text);
    if (how == 1)
        whole_daemon_power_cut(&s->w);
    else if (how > 1)
        whole_daemon_kill(&s->w);
    if (draw(s, 2))
        end_container(s);
    return begin_again(s);
}

static int one_event(struct story *s)
{
    uint64_t what = draw(s, 100);
    if (what < 20) {
        send_create(s);
    } else if (what < 60) {
        send_operation(s);
    } else if (what < 70) {
        end_container(s);
    } else if (what < 75) {
        repeat_command(s);
    } else if (what < 80) {
        delay_someone(s);
    } else if (what < 84) {
        fail_call(s);
    } else if (what < 90) {
        bool is_up = draw(s, 2);
        say(s, "link %s", is_up ? "up" : "down");
        memory_cloud_set_link(s->w.cloud, is_up);
    } else if (what < 94) {
        bool is_alive = draw(s, 2);
        say(s, "monitor %s", is_alive ? "lives" : "is dead");
        dv_fake_machine_set_monitor(s->w.machine, is_alive);
    } else {
        return restart(s);
    }
    return 0;
}

/* Lets some steps pass, or some time. */
static void go_on(struct story *s)
{
    if (draw(s, 3) == 0) {
        whole_daemon_run_ms(&s->w, (int64_t)draw(s, 3000));
        return;
    }
    for (uint64_t steps = draw(s, 200); steps > 0 && dv_sim_step(s->w.system); steps--)
        ;
}

/* -- what must be true at the end ----------------------------------------------------------- */

/* An answer that was lost with the link or the daemon comes when the command is repeated. */
static int all_are_answered(struct story *s)
{
    memory_cloud_set_link(s->w.cloud, true);
    dv_fake_machine_set_monitor(s->w.machine, true);
    whole_daemon_run_ms(&s->w, SETTLE_MS);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < s->sent_count; i++)
            if (memory_cloud_answer(s->w.cloud, s->sent[i].token).status == 0)
                post(s, &s->sent[i]);
        whole_daemon_run_ms(&s->w, SETTLE_MS);
    }
    for (unsigned i = 0; i < s->sent_count; i++)
        if (memory_cloud_answer(s->w.cloud, s->sent[i].token).status == 0)
            return fail(s, "%s %s of %s is never answered", s->sent[i].token, s->sent[i].operation,
                        s->sent[i].feature);
    return 0;
}

static const char *status_text(enum dv_status status)
{
    return dv_enum_api(&dv_enum_status, (int64_t)status);
}

static int64_t memory_of(const struct dv_container_record *record)
{
    struct dv_memory_limits limits = {.memory = 0};
    (void)!dv_resources_bytes(record->spec->resources, &limits, NULL);
    return limits.memory;
}

/* Twin, roster and machine say the same of every container. */
static int containers_agree(struct story *s)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_container_list_query query = {0};
    struct dv_fake_counts counts;
    DV_AUTO(dv_arena) arena = dv_arena_new(16U << 20);
    uint16_t kind;
    void *body;
    if (dv_system_ask(s->w.system, "roster", DV_KIND_container_list_query, &query, 10000, arena,
                      &kind, &body, &err) < 0)
        return fail(s, "roster: %s", err.text);
    const struct dv_container_list *list = body;
    size_t running = 0;
    for (size_t i = 0; i < list->containers.count; i++) {
        const struct dv_container_record *record = &list->containers.items[i];
        struct memory_feature shown;
        char feature[160];
        snprintf(feature, sizeof(feature), "Container:%s", record->id);
        const char *status = status_text(record->state->status);
        if (!memory_cloud_feature(s->w.cloud, feature, &shown))
            return fail(s, "%s is not in the twin", feature);
        if (strcmp(shown.status, status) != 0 || strcmp(shown.name, record->name) != 0)
            return fail(s, "%s: twin says %s '%s', record says %s '%s'", feature, shown.status,
                        shown.name, status, record->name);
        bool is_up =
            record->state->status == DV_STATUS_RUNNING || record->state->status == DV_STATUS_PAUSED;
        enum dv_status real = dv_fake_machine_status(s->w.machine, record->id);
        if (is_up ? real != record->state->status : real != DV_STATUS_UNKNOWN)
            return fail(s, "%s: record says %s, machine says %s", feature, status,
                        status_text(real));
        if (is_up && dv_fake_machine_memory(s->w.machine, record->id) != memory_of(record))
            return fail(s, "%s: the machine gives it %lld bytes", feature,
                        (long long)dv_fake_machine_memory(s->w.machine, record->id));
        running += is_up;
    }
    dv_fake_machine_count(s->w.machine, &counts);
    if (counts.running != running)
        return fail(s, "%zu run, %zu of them are known", counts.running, running);
    if (counts.records)
        return fail(s, "%zu exits were never taken over", counts.records);
    if (counts.layers > list->containers.count)
        return fail(s, "%zu writable layers of %zu containers", counts.layers,
                    list->containers.count);
    if (memory_cloud_containers(s->w.cloud) != list->containers.count)
        return fail(s, "%zu features of %zu containers", memory_cloud_containers(s->w.cloud),
                    list->containers.count);
    if (memory_cloud_bad_changes(s->w.cloud))
        return fail(s, "%zu properties of features that were not there",
                    memory_cloud_bad_changes(s->w.cloud));
    return 0;
}

/* A created container exists unless somebody asked for its removal. */
static int nothing_is_lost(struct story *s)
{
    learn_ids(s);
    for (unsigned i = 0; i < s->id_count; i++) {
        char feature[96];
        struct memory_feature shown;
        bool is_removed = false;
        snprintf(feature, sizeof(feature), "Container:%s", s->ids[i]);
        for (unsigned k = 0; k < s->sent_count; k++)
            is_removed |= strcmp(s->sent[k].feature, feature) == 0 &&
                          strcmp(s->sent[k].operation, "remove") == 0;
        if (!is_removed && !memory_cloud_feature(s->w.cloud, feature, &shown))
            return fail(s, "%s was created and is lost", feature);
    }
    return 0;
}

static int tell(struct story *s)
{
    if (begin_again(s) < 0)
        return -1;
    memory_cloud_set_link(s->w.cloud, true);
    for (unsigned i = 0; i < EVENTS; i++) {
        if (one_event(s) < 0)
            return -1;
        go_on(s);
    }
    if (all_are_answered(s) < 0 || containers_agree(s) < 0)
        return -1;
    return nothing_is_lost(s);
}

static void drop_line(enum dv_log_level level, const char *line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
}

int main(int argc, char **argv)
{
    static struct story story;
    uint64_t count = getenv("DAVIT_SIM_FULL") ? SEEDS_FULL : SEEDS;
    if (argc > 1)
        count = strtoull(argv[1], NULL, 10);
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    bool is_loud = argc > 3;
    if (is_loud)
        dv_log_set(NULL, NULL, DV_LOG_INFO);
    else
        dv_log_set(drop_line, NULL, DV_LOG_ERROR);
    unsigned failures = 0;
    for (uint64_t seed = first; seed < first + count && failures < 10; seed++) {
        story = (struct story){.random = seed * UINT64_C(0x9e3779b97f4a7c15), .is_loud = is_loud};
        whole_daemon_init(&story.w, true, seed, 4);
        if (tell(&story) < 0) {
            fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, story.failure);
            failures++;
        }
        whole_daemon_done(&story.w);
    }
    printf("sample: daemon_seeds %" PRIu64 " of %u seeds, seed %" PRIu64 "\n", count, SEEDS_FULL,
           first);
    printf("%" PRIu64 " seeds from %" PRIu64 ", %u failed\n", count, first, failures);
    return failures ? 1 : 0;
}
