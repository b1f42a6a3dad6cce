/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/roster/roster.h"

#include "actors/addresses.h"
#include "actors/env.h"
#include "actors/roster/launches.h"
#include "actors/roster/sweep.h"
#include "actors/roster/table.h"
#include "actors/roster/uses.h"
#include "base/log.h"
#include "messages/codec.h"

#include <stdlib.h>
#include <string.h>

#define SPAWN_TIMEOUT_MS 60000
#define LOAD_RETRY_MS    1000
#define QUERIES_MAX      64
/* A list must fit one message; the rest is left out and said so. */
#define LIST_BYTES_MAX (DV_MESSAGE_BYTES_MAX - (64U << 10))

/* A create that made its container before the last start and is not answered. */
struct interrupted {
    int64_t sequence;
    char id[129];
};

struct state {
    struct dv_cell *cell;
    const struct dv_actor_env *env;
    struct dv_roster_table *table;
    struct dv_launches *launches;
    struct interrupted *interrupted;
    size_t interrupted_count;
    size_t restoring;  /* cells asked for and not heard of */
    int64_t load_from; /* place of the next page of records in the store */
    bool is_loaded;
    bool is_incomplete;                      /* a record is there and not known here */
    struct dv_request *queries[QUERIES_MAX]; /* wait for the end of the restore */
    struct dv_request *uses_query;           /* likewise */
    char *query_names[QUERIES_MAX];
    size_t query_count;
};

static dv_handler_fn on_create;
static dv_handler_fn on_name;
static dv_handler_fn on_list;
static dv_handler_fn on_launch;
static dv_handler_fn on_launched;
static dv_handler_fn on_uses;
static dv_handler_fn on_event;
static dv_handler_fn on_missed;

static const struct dv_handler handlers[] = {
    {DV_KIND_container_create_cmd, on_create}, {DV_KIND_container_name_cmd, on_name},
    {DV_KIND_container_list_query, on_list},   {DV_KIND_image_uses_query, on_uses},
    {DV_KIND_container_launch_cmd, on_launch}, {DV_KIND_container_launched, on_launched},
    {DV_KIND_container_event, on_event},       {DV_KIND_missed, on_missed},
};

/* -- lists ---------------------------------------------------------------------------------- */

struct list {
    struct dv_arena *arena;
    struct dv_container_record *items;
    size_t count;
    size_t bytes;
    size_t left_out;
};

static void add_to_list(const struct dv_roster_entry *entry, void *ctx)
{
    struct list *list = ctx;
    if (!entry->snapshot_len)
        return; /* being created: nothing is known yet */
    if (list->bytes + entry->snapshot_len > LIST_BYTES_MAX) {
        list->left_out++;
        return;
    }
    struct dv_error err = DV_ERROR_INIT;
    void *record;
    if (dv_decode(&dv_schema_container_record, entry->snapshot, entry->snapshot_len, list->arena,
                  &record, &err) < 0) {
        dv_log(DV_LOG_ERROR, "roster: snapshot of '%s': %s", entry->id, err.text);
        return;
    }
    list->bytes += entry->snapshot_len;
    list->items[list->count++] = *(struct dv_container_record *)record;
}

static int
answer_list(struct state *s, const char *name, struct dv_request **request, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(256U << 20);
    struct list list = {.arena = arena};
    if (arena)
        list.items = dv_arena_array(arena, dv_roster_table_count(s->table) + 1,
                                    sizeof(struct dv_container_record));
    if (!list.items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the list of containers");
    const char *id = NULL;
    if (name) {
        const struct dv_roster_entry *entry = dv_roster_table_find(s->table, name, err);
        if (!entry)
            return err ? -(int)err->class : -DV_ERR_NOT_FOUND;
        id = entry->id;
        add_to_list(entry, &list);
    } else {
        dv_roster_table_each(s->table, add_to_list, &list);
    }
    if (list.left_out)
        dv_log(DV_LOG_WARN, "roster: a list has room for %zu containers, %zu are left out",
               list.count, list.left_out);
    struct dv_container_list body = {
        .containers = {list.items, list.count},
        .id = (char *)id,
    };
    dv_answer(s->cell, request, DV_KIND_container_list, &body);
    return 0;
}

static int
on_list(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_container_list_query *query = body;
    if (!*request)
        return 0;
    if (s->is_loaded && !s->restoring)
        return answer_list(s, query->name, request, err);
    if (s->query_count == QUERIES_MAX)
        return dv_error_set(err, DV_ERR_BUSY, "containers are being restored; try again later");
    s->query_names[s->query_count] = query->name ? strdup(query->name) : NULL;
    s->queries[s->query_count++] = dv_steal(request);
    return 0;
}

/* Only when all are restored: an image that nobody seems to use may be removed. */
static int
on_uses(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)body;
    struct state *s = dv_cell_state(cell);
    if (!*request)
        return 0;
    if (s->is_loaded && !s->restoring)
        return roster_answer_uses(cell, s->table, request, err);
    if (s->uses_query)
        return dv_error_set(err, DV_ERR_BUSY, "containers are being restored; try again later");
    s->uses_query = dv_steal(request);
    return 0;
}

static void answer_waiting(struct state *s)
{
    struct dv_error failure = DV_ERROR_INIT;
    if (!s->is_loaded || s->restoring)
        return;
    if (s->uses_query && roster_answer_uses(s->cell, s->table, &s->uses_query, &failure) < 0)
        dv_answer_error(s->cell, &s->uses_query, &failure);
    for (size_t i = 0; i < s->query_count; i++) {
        struct dv_error err = DV_ERROR_INIT;
        if (answer_list(s, s->query_names[i], &s->queries[i], &err) < 0)
            dv_answer_error(s->cell, &s->queries[i], &err);
        free(s->query_names[i]);
    }
    s->query_count = 0;
}

/* -- create --------------------------------------------------------------------------------- */

/* What is needed to take a reservation back. */
struct spawn {
    char id[129];
    char *reply_to;
    int64_t correlation;
    int64_t deadline_ns;
    bool is_new;
};

static void on_late_cell_ended(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    (void)ctx;
    (void)outcome; /* there is none if the start had really failed */
}

/* A cell whose start took too long may start after all; its create was answered as failed. */
static void end_late_cell(struct state *s, const char *id)
{
    struct dv_address address = dv_address_of(DV_CONTAINER_PREFIX, id);
    dv_stop_cell(s->cell, address.text, SPAWN_TIMEOUT_MS, on_late_cell_ended, NULL);
}

static void on_spawned(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct state *s = dv_cell_state(cell);
    struct spawn *spawn = ctx;
    if (outcome->error && outcome->error->class != DV_ERR_CANCELED) {
        struct dv_error error = *outcome->error;
        dv_error_prefix(&error, "start an actor for container '%s': ", spawn->id);
        dv_log(DV_LOG_ERROR, "roster: %s", error.text);
        if (spawn->is_new) {
            end_late_cell(s, spawn->id);
            dv_roster_table_remove(s->table, spawn->id);
        }
        if (spawn->reply_to) {
            struct dv_request *request =
                dv_request_adopt(cell, spawn->reply_to, spawn->correlation, spawn->deadline_ns);
            if (request)
                dv_answer_error(cell, &request, &error);
        }
        if (!spawn->is_new) {
            s->restoring--;
            answer_waiting(s);
        }
    }
    free(spawn->reply_to);
    free(spawn);
}

static int
start_container(struct state *s, const struct dv_container_start_args *args, struct dv_error *err)
{
    struct spawn *spawn = calloc(1, sizeof(*spawn));
    if (spawn && args->reply_to)
        spawn->reply_to = strdup(args->reply_to);
    if (!spawn || (args->reply_to && !spawn->reply_to)) {
        free(spawn);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for container '%s'",
                            args->record->id);
    }
    snprintf(spawn->id, sizeof(spawn->id), "%s", args->record->id);
    spawn->correlation = args->correlation;
    spawn->deadline_ns = args->deadline_ns;
    spawn->is_new = args->is_new;
    struct dv_address address = dv_address_of(DV_CONTAINER_PREFIX, args->record->id);
    dv_spawn(s->cell, address.text, "container", args, SPAWN_TIMEOUT_MS, on_spawned, spawn);
    return 0;
}

static struct interrupted *find_interrupted(struct state *s, int64_t sequence)
{
    for (size_t i = 0; sequence && i < s->interrupted_count; i++)
        if (s->interrupted[i].sequence == sequence)
            return &s->interrupted[i];
    return NULL;
}

static void keep_interrupted(struct state *s, const struct dv_store_intent *intent)
{
    if (strcmp(intent->work, "create") != 0 || find_interrupted(s, intent->command_sequence))
        return;
    struct interrupted *more =
        reallocarray(s->interrupted, s->interrupted_count + 1, sizeof(*s->interrupted));
    if (!more) {
        dv_log(DV_LOG_ERROR, "roster: no memory for the create of '%s'", intent->id);
        return;
    }
    s->interrupted = more;
    struct interrupted *fresh = &s->interrupted[s->interrupted_count++];
    fresh->sequence = intent->command_sequence;
    snprintf(fresh->id, sizeof(fresh->id), "%s", intent->id);
}

/* True if the command has made its container already: that one goes on with it. */
static bool create_again(struct state *s,
                         const struct dv_container_create_cmd *command,
                         struct dv_request **request)
{
    struct dv_error err = DV_ERROR_INIT;
    struct interrupted *found = find_interrupted(s, command->command_sequence);
    if (!found)
        return false;
    found->sequence = 0;
    if (!dv_roster_table_find(s->table, found->id, &err))
        return false;
    struct dv_container_create_cmd again = *command;
    if (*request) {
        again.reply_to = (char *)dv_request_reply_to(*request);
        again.correlation = dv_request_correlation(*request);
        again.deadline_ns = dv_request_deadline_ns(*request);
    }
    struct dv_address address = dv_address_of(DV_CONTAINER_PREFIX, found->id);
    dv_post(s->cell, address.text, DV_KIND_container_create_cmd, &again);
    if (*request)
        dv_request_forward(s->cell, request);
    return true;
}

static int
on_create(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_container_create_cmd *command = body;
    const struct dv_container_record *record = command->record;
    if (create_again(s, command, request))
        return 0;
    int r = dv_roster_table_add(s->table, record->id, record->name, true, err);
    if (r < 0)
        return r;
    struct dv_container_start_args args = {
        .record = command->record,
        .is_new = true,
        .start = command->start,
        .command_sequence = command->command_sequence,
    };
    if (*request) {
        args.reply_to = (char *)dv_request_reply_to(*request);
        args.correlation = dv_request_correlation(*request);
        args.deadline_ns = dv_request_deadline_ns(*request);
    }
    r = start_container(s, &args, err);
    if (r < 0) {
        dv_roster_table_remove(s->table, record->id);
        return r;
    }
    if (*request)
        dv_request_forward(cell, request);
    return 0;
}

/* -- turns ---------------------------------------------------------------------------------- */

static void next_launches(struct state *s)
{
    struct dv_request *request;
    while ((request = dv_launches_next(s->launches)))
        dv_answer_done(s->cell, &request);
}

static void forget_launch(struct state *s, const char *id)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_request *request = dv_launches_forget(s->launches, id);
    if (request) {
        dv_error_set(&err, DV_ERR_NOT_FOUND, "container '%s' is gone", id);
        dv_answer_error(s->cell, &request, &err);
    }
    next_launches(s);
}

static int
on_launch(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_container_launch_cmd *command = body;
    if (!*request)
        return 0;
    if (dv_launches_take(s->launches, command->id)) {
        dv_answer_done(cell, request);
        return 0;
    }
    int r = dv_launches_wait(s->launches, command->id, *request, err);
    if (r == 0)
        *request = NULL;
    return r;
}

static int on_launched(struct dv_cell *cell,
                       const void *body,
                       struct dv_request **request,
                       struct dv_error *err)
{
    (void)request;
    (void)err;
    struct state *s = dv_cell_state(cell);
    const struct dv_container_launched *launched = body;
    dv_launches_give_back(s->launches, launched->id);
    next_launches(s);
    return 0;
}

/* -- names ---------------------------------------------------------------------------------- */

static int
on_name(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_container_name_cmd *command = body;
    if (!command->name) {
        dv_roster_table_remove(s->table, command->id);
        forget_launch(s, command->id);
    } else {
        int r = dv_roster_table_rename(s->table, command->id, command->name, err);
        if (r < 0)
            return r;
    }
    if (*request)
        dv_answer_done(cell, request);
    return 0;
}

/* -- events --------------------------------------------------------------------------------- */

static int
on_event(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)request;
    struct state *s = dv_cell_state(cell);
    const struct dv_container_event *event = body;
    if (event->change == DV_CHANGE_REMOVED) {
        dv_roster_table_remove(s->table, event->record->id);
        forget_launch(s, event->record->id);
        return 0;
    }
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    int r = dv_encode(&dv_schema_container_record, event->record, &buf, err);
    if (r < 0)
        return r;
    r = dv_roster_table_update(s->table, event->record->id, buf.data, buf.len, err);
    if (event->change == DV_CHANGE_SNAPSHOT && s->restoring &&
        dv_roster_table_mark_restored(s->table, event->record->id)) {
        s->restoring--;
        answer_waiting(s);
    }
    return r;
}

static void on_snapshot(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    struct dv_error err = DV_ERROR_INIT;
    struct dv_request *none = NULL;
    if (!outcome->error && on_event(cell, outcome->body, &none, &err) < 0)
        dv_log(DV_LOG_ERROR, "roster: %s", err.text);
}

static void ask_snapshot(const struct dv_roster_entry *entry, void *ctx)
{
    struct state *s = ctx;
    struct dv_address address = dv_address_of(DV_CONTAINER_PREFIX, entry->id);
    struct dv_container_snapshot_query query;
    dv_ask(s->cell, address.text, DV_KIND_container_snapshot_query, &query,
           s->env->settings->command_timeout_ms, on_snapshot, NULL);
}

static int
on_missed(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)body;
    (void)request;
    (void)err;
    struct state *s = dv_cell_state(cell);
    dv_roster_table_each(s->table, ask_snapshot, s);
    return 0;
}

/* -- restore -------------------------------------------------------------------------------- */

static bool has_remove_intent(const struct dv_store_loaded *loaded, const char *id)
{
    for (size_t i = 0; i < loaded->intents.count; i++)
        if (strcmp(loaded->intents.items[i].id, id) == 0 &&
            strcmp(loaded->intents.items[i].work, "remove") == 0)
            return true;
    return false;
}

/* Kanto gave a name as often as it was asked to. */
static void report_shared_name(const struct state *s, const struct dv_container_record *record)
{
    const struct dv_roster_entry *other = dv_roster_table_find(s->table, record->name, NULL);
    if (other && strcmp(other->name, record->name) == 0 && strcmp(other->id, record->id) != 0)
        dv_log(DV_LOG_WARN,
               "containers %s and %s have the same name '%s': a command by name means one of them, "
               "rename the other",
               other->id, record->id, record->name);
}

static void restore_one(struct state *s, const struct dv_container_record *record, bool is_removing)
{
    struct dv_error err = DV_ERROR_INIT;
    report_shared_name(s, record);
    if (dv_roster_table_add(s->table, record->id, record->name, false, &err) < 0) {
        dv_log(DV_LOG_ERROR, "roster: record '%s' is left out: %s", record->id, err.text);
        s->is_incomplete = true;
        return;
    }
    struct dv_container_start_args args = {
        .record = (struct dv_container_record *)record,
        .same_boot = s->env->settings->same_boot,
        .is_removing = is_removing,
    };
    if (start_container(s, &args, &err) < 0) {
        dv_log(DV_LOG_ERROR, "roster: record '%s' is left out: %s", record->id, err.text);
        s->is_incomplete = true;
    } else {
        s->restoring++;
    }
}

static void load(struct state *s);

static void on_load_again(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    load(dv_cell_state(cell));
}

static void on_loaded(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    if (dv_cell_is_ending(cell))
        return;
    if (outcome->error) {
        bool is_late = dv_error_is_retryable(outcome->error->class);
        dv_log(DV_LOG_ERROR, "roster: the records cannot be read%s: %s",
               is_late ? ", asking again" : "", outcome->error->text);
        if (is_late) {
            (void)dv_timer_set(cell, LOAD_RETRY_MS, on_load_again, NULL);
            return;
        }
        s->is_loaded = true;
        answer_waiting(s);
        return;
    }
    const struct dv_store_loaded *loaded = outcome->body;
    for (size_t i = 0; i < loaded->records.count; i++) {
        const struct dv_container_record *record = &loaded->records.items[i];
        restore_one(s, record, has_remove_intent(loaded, record->id));
    }
    for (size_t i = 0; i < loaded->intents.count; i++)
        keep_interrupted(s, &loaded->intents.items[i]);
    if (loaded->more) {
        s->load_from = loaded->next;
        load(s);
        return;
    }
    s->is_loaded = true;
    if (!s->is_incomplete)
        roster_sweep(cell, s->table, s->env->settings->job_timeout_ms);
    answer_waiting(s);
}

static void load(struct state *s)
{
    struct dv_store_load_query query = {.from = s->load_from};
    dv_ask(s->cell, DV_ADDRESS_STORE, DV_KIND_store_load_query, &query,
           s->env->settings->command_timeout_ms, on_loaded, NULL);
}

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    (void)start;
    struct state *s = dv_cell_state(cell);
    s->cell = cell;
    s->env = dv_cell_env(cell);
    s->table = dv_roster_table_new();
    s->launches = dv_launches_new(s->env->settings->launches_max);
    if (!s->table || !s->launches)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the roster");
    dv_subscribe(cell, DV_KIND_container_event);
    load(s);
    return 0;
}

static void stop_cell(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    for (size_t i = 0; i < s->query_count; i++)
        free(s->query_names[i]);
    free(s->interrupted);
    dv_launches_free(s->launches);
    dv_roster_table_free(s->table);
}

const struct dv_cell_type dv_roster_cell = {
    .name = "roster",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .is_service = true,
    .start = start_cell,
    .stop = stop_cell,
};
