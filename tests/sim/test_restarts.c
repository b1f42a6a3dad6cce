/* SPDX-License-Identifier: Apache-2.0 */
/* Restart policies of the whole daemon: after ends, crashes and reboots, and many at once. */
#include "tests/support/daemon_sim.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS  1000000LL
#define LIST_BYTES (64U << 20)

static struct daemon_sim *sim;

static void start_daemon(void)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(daemon_sim_start(sim, &err), 0, "%s", err.text);
}

static void setup(void)
{
    sim = daemon_sim_new(7);
    fake_cloud_set_link(sim->cloud, true);
    start_daemon();
}

static void teardown(void)
{
    daemon_sim_free(sim);
}

TestSuite(restarts, .init = setup, .fini = teardown);

static void command(const char *id, const char *operation)
{
    char feature[FAKE_TEXT_MAX];
    snprintf(feature, sizeof(feature), "Container:%s", id);
    size_t index = fake_cloud_send(sim->cloud, feature, operation, "", NULL, true);
    daemon_sim_run(sim, 20000);
    cr_assert_eq(fake_cloud_command(sim->cloud, index)->status, 204, "%s: %s", operation,
                 fake_cloud_command(sim->cloud, index)->error);
}

static size_t send_create(const char *policy)
{
    char args[512];
    snprintf(args, sizeof(args),
             "{\"imageRef\":\"reg.sim/app:1\",\"start\":true,\"config\":{\"restartPolicy\":{%s}}}",
             policy);
    return fake_cloud_send(sim->cloud, "ContainerFactory", "createWithConfig", args, NULL, true);
}

static void id_of(size_t index, char id[129])
{
    const struct fake_command *sent = fake_cloud_command(sim->cloud, index);
    cr_assert_eq(sent->status, 200, "%s", sent->error);
    snprintf(id, 129, "%.*s", (int)strcspn(sent->value + 1, "\""), sent->value + 1);
}

static void create(const char *policy, char id[129])
{
    size_t index = send_create(policy);
    daemon_sim_run(sim, 500);
    id_of(index, id);
}

/* A copy of what counts of the record. */
static struct dv_container_record record_of(const char *id)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(LIST_BYTES);
    const struct dv_container_list *list;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(daemon_sim_list(sim, arena, &list, &err), 0, "%s", err.text);
    for (size_t i = 0; i < list->containers.count; i++)
        if (strcmp(list->containers.items[i].id, id) == 0)
            return list->containers.items[i];
    cr_assert_fail("%s is not known", id);
    return (struct dv_container_record){0};
}

static bool is_running(const char *id)
{
    return dv_fake_machine_status(sim->machine, id) == DV_STATUS_RUNNING;
}

static void end(const char *id, int code)
{
    cr_assert_eq(dv_fake_machine_end(sim->machine, id, code, false, NULL), 0);
}

static void fail_at_once(void)
{
    struct dv_fake_behaviour behaviour = {
        .ends_by_itself = true, .runs_ns = 100 * NS_PER_MS, .exit_code = 1};
    cr_assert_eq(dv_fake_machine_script(sim->machine, NULL, &behaviour, NULL), 0);
}

static uint64_t starts(void)
{
    struct dv_fake_counts counts;
    dv_fake_machine_count(sim->machine, &counts);
    return counts.calls[DV_FAKE_START];
}

enum event {
    ENDS_WELL,
    FAILS,
    STOPPED,
    STOPPED_AND_DAEMON_RESTARTED,
    DAEMON_RESTARTED,
    REBOOTED,
    STOPPED_AND_REBOOTED,
    ENDED_WELL_AND_REBOOTED,
    EVENTS,
};

static void happen(enum event event, const char *id)
{
    bool stops =
        event == STOPPED || event == STOPPED_AND_DAEMON_RESTARTED || event == STOPPED_AND_REBOOTED;
    if (stops)
        command(id, "stop");
    if (event == ENDS_WELL || event == ENDED_WELL_AND_REBOOTED)
        end(id, 0);
    if (event == FAILS)
        end(id, 3);
    daemon_sim_run(sim, event == ENDED_WELL_AND_REBOOTED ? 10 : 5000);
    if (event == STOPPED_AND_DAEMON_RESTARTED || event == DAEMON_RESTARTED) {
        daemon_sim_crash(sim);
        start_daemon();
    }
    if (event == REBOOTED || event == STOPPED_AND_REBOOTED || event == ENDED_WELL_AND_REBOOTED) {
        daemon_sim_reboot(sim);
        start_daemon();
    }
    daemon_sim_run(sim, 5000);
}

/* shows: K35, K38 */
Test(restarts, what_runs_again_is_as_the_table_in_docs_supervision_says)
{
    static const struct {
        const char *policy;
        bool runs[EVENTS];
    } table[] = {
        /* ends well, fails, stop, stop + daemon, daemon, reboot, stop + reboot, end + reboot */
        {"\"type\":\"no\"", {0, 0, 0, 0, 1, 0, 0, 0}},
        {"\"type\":\"always\"", {1, 1, 0, 0, 1, 1, 1, 1}},
        {"\"type\":\"unless-stopped\"", {1, 1, 0, 0, 1, 1, 0, 1}},
        {"\"type\":\"on-failure\"", {0, 1, 0, 0, 1, 1, 0, 0}},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        for (int event = 0; event < EVENTS; event++) {
            char id[129];
            create(table[i].policy, id);
            cr_assert(is_running(id));
            happen((enum event)event, id);
            cr_expect_eq(is_running(id), table[i].runs[event], "policy %s, event %d",
                         table[i].policy, event);
        }
    }
}

/* Thousands of containers on flash: who finds nothing new writes nothing. */
Test(restarts, a_daemon_that_finds_all_as_it_was_writes_nothing)
{
    char running[129];
    char stopped[129];
    char ended[129];
    create("\"type\":\"always\"", running);
    create("\"type\":\"always\"", stopped);
    create("\"type\":\"no\"", ended);
    command(stopped, "stop");
    end(ended, 3);
    daemon_sim_run(sim, 20000);
    uint64_t size = dv_journal_size(sim->journal);
    daemon_sim_crash(sim);
    start_daemon();
    daemon_sim_run(sim, 20000);
    cr_assert_eq(dv_journal_size(sim->journal), size);
    /* A boot begins another clock. */
    daemon_sim_reboot(sim);
    start_daemon();
    daemon_sim_run(sim, 20000);
    cr_assert_gt(dv_journal_size(sim->journal), size);
    cr_assert(is_running(running) && is_running(stopped) && !is_running(ended));
}

/* shows: K30 */
Test(restarts, a_record_that_is_written_otherwise_is_saved_as_it_is_understood)
{
    char id[129];
    struct dv_error err = DV_ERROR_INIT;
    create("\"type\":\"no\"", id);
    command(id, "stop");
    cr_assert_eq(daemon_sim_stop(sim, &err), 0, "%s", err.text);
    struct record_memory_file *file = record_memory_find(&sim->record_files, id);
    cr_assert_not_null(file);
    DV_AUTO_IN_PLACE(dv_buf) before = DV_BUF_INIT(1U << 20);
    cr_assert_eq(dv_buf_append(&before, file->text, file->len, NULL), 0);
    /* Nothing of it comes from the journal. */
    journal_memory_done(&sim->journal_files);
    journal_memory_init(&sim->journal_files);
    char *other = malloc(before.len + 1);
    cr_assert_not_null(other);
    other[0] = ' ';
    memcpy(other + 1, before.data, before.len);
    free(file->text);
    file->text = other;
    file->len++;
    start_daemon();
    daemon_sim_run(sim, 20000);
    cr_assert_eq(file->len, before.len);
    cr_assert_eq(memcmp(file->text, before.data, before.len), 0);
}

Test(restarts, a_boot_of_the_machine_uses_no_retry)
{
    char id[129];
    create("\"type\":\"on-failure\",\"maxRetryCount\":2", id);
    for (int i = 0; i < 5; i++) {
        daemon_sim_reboot(sim);
        start_daemon();
        daemon_sim_run(sim, 5000);
        cr_assert(is_running(id), "boot %d", i);
        cr_assert_eq(record_of(id).restart_count, 0);
    }
}

Test(restarts, retries_and_back_off_go_on_over_restarts_of_the_daemon)
{
    char id[129];
    fail_at_once();
    create("\"type\":\"on-failure\",\"maxRetryCount\":6", id);
    /* Waits of 1, 2, 4, 8, 16, 30 s; a daemon lives for less than most of them. */
    for (int life = 0; life < 40; life++) {
        daemon_sim_run(sim, 2500);
        daemon_sim_crash(sim);
        start_daemon();
    }
    cr_expect_eq(starts(), 7, "%llu starts", (unsigned long long)starts());
    struct dv_container_record record = record_of(id);
    cr_expect_eq(record.restart_count, 6);
    cr_expect_eq(record.restart_wait_ms, 30000);
    cr_expect_eq(record.restart_due_ns, 0);
    daemon_sim_run(sim, 600000);
    cr_expect_eq(starts(), 7, "it gives up");
}

Test(restarts, a_pending_restart_is_not_hurried_by_a_restart_of_the_daemon)
{
    char id[129];
    fail_at_once();
    create("\"type\":\"always\"", id);
    daemon_sim_run(sim, 120000);
    uint64_t before = starts();
    for (int life = 0; life < 10; life++) {
        daemon_sim_crash(sim);
        start_daemon();
        daemon_sim_run(sim, 1000);
    }
    cr_expect_leq(starts() - before, 1, "the wait is 30 s by now");
    daemon_sim_run(sim, 31000);
    cr_expect_geq(starts() - before, 1);
}

Test(restarts, a_start_that_failed_for_an_update_is_left_to_the_policy)
{
    char id[129];
    create("\"type\":\"unless-stopped\"", id);
    command(id, "stop");
    cr_assert_eq(
        dv_fake_machine_fail(sim->machine, DV_FAKE_START, NULL, 1, DV_ERR_FAILED, "no", NULL), 0);
    char feature[FAKE_TEXT_MAX];
    snprintf(feature, sizeof(feature), "Container:%s", id);
    size_t index = fake_cloud_send(sim->cloud, feature, "start", "", NULL, true);
    daemon_sim_run(sim, 60000);
    cr_assert_eq(fake_cloud_command(sim->cloud, index)->status, 500);
    cr_assert(!is_running(id), "a start that somebody asked for is not tried again by itself");

    DV_AUTO(dv_arena) arena = dv_arena_new(LIST_BYTES);
    struct dv_container_retry_cmd nothing;
    struct dv_error err = DV_ERROR_INIT;
    uint16_t kind;
    void *body;
    cr_assert_eq(dv_system_ask(sim->system, feature, DV_KIND_container_retry_cmd, &nothing, 1000,
                               arena, &kind, &body, &err),
                 0, "%s", err.text);
    daemon_sim_run(sim, 5000);
    cr_assert(is_running(id));
}

Test(restarts, a_storm_is_spread_and_leaves_workers_for_commands)
{
    static char ids[60][129];
    size_t sent[60];
    const size_t count = sizeof(ids) / sizeof(ids[0]);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(daemon_sim_stop(sim, &err), 0);
    sim->settings.workers = 12;
    sim->settings.launches_max = 2;
    start_daemon();
    for (size_t i = 0; i < count; i++)
        sent[i] = send_create("\"type\":\"always\"");
    daemon_sim_run(sim, 500);
    for (size_t i = 0; i < count; i++)
        id_of(sent[i], ids[i]);
    for (size_t i = 0; i < count; i++)
        end(ids[i], 1);
    size_t most = 0;
    int64_t deadline_ns = daemon_sim_now_ns(sim) + 20000 * NS_PER_MS;
    struct dv_fake_counts counts;
    do {
        size_t launching = 0;
        daemon_sim_steps(sim, 1, 20000);
        for (size_t i = 0; i < count; i++)
            launching += dv_fake_machine_status(sim->machine, ids[i]) == DV_STATUS_CREATED;
        most = launching > most ? launching : most;
        dv_fake_machine_count(sim->machine, &counts);
    } while ((counts.calls[DV_FAKE_START] < 2 * count || counts.running < count) &&
             daemon_sim_now_ns(sim) < deadline_ns);
    cr_expect_eq(counts.running, count, "%zu run again", counts.running);
    cr_expect_eq(most, 2, "%zu at once", most);
}
