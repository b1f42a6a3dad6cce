/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_bridge.h"

#include "base/log.h"
#include "messages/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>

#define RAW_MAX  (1U << 20)
#define LIVE_MAX (16U << 20)

struct pending {
    STAILQ_ENTRY(pending) link;
    enum dv_bridge_event_type type;
    bool is_up;     /* LINK */
    unsigned thing; /* TWIN */
    int64_t number; /* SENT; COMMAND: sequence */
    size_t len;     /* COMMAND */
    char raw[];     /* COMMAND: an encoded struct dv_command */
};

struct bridge {
    struct dv_bridge base; /* first: the port's view of it */
    struct fake_cloud *cloud;
    struct dv_bridge_sink *sink;
    STAILQ_HEAD(, pending) queue;
    int fd;
};

struct fake_cloud {
    struct bridge *bridge; /* NULL: no daemon */
    bool is_up;
    bool is_ready;
    bool is_cut;
    unsigned lives;
    struct fake_command *commands;
    size_t command_count;
    size_t command_room;
    size_t answer_count;
    struct fake_feature *features;
    size_t feature_count;
    size_t feature_room;
    char complaint[600];
    int64_t live_batch;
    unsigned live_life; /* of the daemon that sent it */
    uint64_t live_batches;
    struct dv_buf live;
};

static void *need(void *pointer)
{
    if (!pointer)
        abort();
    return pointer;
}

static void complain(struct fake_cloud *cloud, const char *what, const char *which)
{
    if (!cloud->complaint[0])
        snprintf(cloud->complaint, sizeof(cloud->complaint), "%s: %s", what, which);
}

static void set_text(char **at, const char *text)
{
    free(*at);
    *at = text ? need(strdup(text)) : NULL;
}

/* -- from the cloud ------------------------------------------------------------------------- */

struct fake_cloud *fake_cloud_new(void)
{
    struct fake_cloud *cloud = need(calloc(1, sizeof(*cloud)));
    cloud->is_up = true;
    return cloud;
}

static void drop_feature(struct fake_cloud *cloud, struct fake_feature *feature)
{
    free(feature->definition);
    free(feature->properties);
    free(feature->dependencies);
    free(feature->last_operation);
    free(feature->last_failed);
    free(feature->state);
    free(feature->name);
    free(feature->config);
    *feature = cloud->features[--cloud->feature_count];
}

void fake_cloud_free(struct fake_cloud *cloud)
{
    if (!cloud)
        return;
    while (cloud->feature_count)
        drop_feature(cloud, &cloud->features[cloud->feature_count - 1]);
    free(cloud->features);
    free(cloud->commands);
    dv_buf_done(&cloud->live);
    free(cloud);
}

static struct pending *push(struct bridge *bridge, enum dv_bridge_event_type type, size_t len)
{
    struct pending *pending = need(calloc(1, sizeof(*pending) + len));
    pending->type = type;
    pending->len = len;
    STAILQ_INSERT_TAIL(&bridge->queue, pending, link);
    (void)eventfd_write(bridge->fd, 1);
    return pending;
}

static void push_command(struct bridge *bridge, const void *raw, size_t len, int64_t sequence)
{
    struct pending *pending = push(bridge, DV_BRIDGE_COMMAND, len);
    memcpy(pending->raw, raw, len);
    pending->number = sequence;
}

static void refuse(struct fake_command *command, const struct dv_error *err)
{
    command->state = FAKE_COMMAND_REFUSED;
    command->status = dv_error_status(err->class);
    snprintf(command->error, sizeof(command->error), "%s", err->text);
}

/* Hands a command over as the client library's thread does: durable first, then acknowledged. */
static void deliver(struct fake_cloud *cloud, size_t index)
{
    struct fake_command *command = &cloud->commands[index];
    char token[32];
    snprintf(token, sizeof(token), "%zu", index);
    struct dv_command body = {
        .feature = command->feature,
        .operation = command->operation,
        .args = command->args[0] ? command->args : NULL,
        .token = token,
        .wants_reply = command->wants_reply,
        .repeat_key = command->repeat_key[0] ? command->repeat_key : NULL,
    };
    DV_AUTO_IN_PLACE(dv_buf) raw = DV_BUF_INIT(RAW_MAX);
    struct dv_error err = DV_ERROR_INIT;
    int64_t sequence = 0;
    int r = dv_encode(&dv_schema_command, &body, &raw, &err);
    if (r == 0)
        r = cloud->bridge->sink->accept(cloud->bridge->sink, raw.data, raw.len, &sequence, &err);
    if (r < 0) {
        refuse(command, &err);
        return;
    }
    command->state = FAKE_COMMAND_TAKEN;
    command->life = cloud->lives;
    push_command(cloud->bridge, raw.data, raw.len, sequence);
}

static void pump(struct fake_cloud *cloud)
{
    if (!cloud->bridge || !cloud->is_up || !cloud->is_ready || cloud->is_cut)
        return;
    for (size_t i = 0; i < cloud->command_count; i++)
        if (cloud->commands[i].state == FAKE_COMMAND_WAITING)
            deliver(cloud, i);
}

static struct fake_command *add_command(struct fake_cloud *cloud)
{
    if (cloud->command_count == cloud->command_room) {
        cloud->command_room = cloud->command_room ? cloud->command_room * 2 : 64;
        cloud->commands =
            need(reallocarray(cloud->commands, cloud->command_room, sizeof(*cloud->commands)));
    }
    struct fake_command *command = &cloud->commands[cloud->command_count++];
    *command = (struct fake_command){0};
    return command;
}

size_t fake_cloud_send(struct fake_cloud *cloud,
                       const char *feature,
                       const char *operation,
                       const char *args,
                       const char *repeat_key,
                       bool wants_reply)
{
    struct fake_command *command = add_command(cloud);
    snprintf(command->feature, sizeof(command->feature), "%s", feature);
    snprintf(command->operation, sizeof(command->operation), "%s", operation);
    snprintf(command->args, sizeof(command->args), "%s", args ? args : "");
    snprintf(command->repeat_key, sizeof(command->repeat_key), "%s", repeat_key ? repeat_key : "");
    command->wants_reply = wants_reply;
    dv_log(DV_LOG_INFO, "cloud: %zu %s %s %s", cloud->command_count - 1, feature, operation,
           command->args);
    pump(cloud);
    return cloud->command_count - 1;
}

size_t fake_cloud_repeat(struct fake_cloud *cloud, size_t index)
{
    struct fake_command *again = add_command(cloud);
    const struct fake_command *command = &cloud->commands[index];
    *again = (struct fake_command){
        .wants_reply = command->wants_reply,
        .repeat_of = index + 1,
    };
    memcpy(again->feature, command->feature, sizeof(again->feature));
    memcpy(again->operation, command->operation, sizeof(again->operation));
    memcpy(again->args, command->args, sizeof(again->args));
    memcpy(again->repeat_key, command->repeat_key, sizeof(again->repeat_key));
    dv_log(DV_LOG_INFO, "cloud: %zu repeats %zu", cloud->command_count - 1, index);
    pump(cloud);
    return cloud->command_count - 1;
}

static void tell_link(struct fake_cloud *cloud)
{
    if (!cloud->bridge)
        return;
    struct pending *pending = push(cloud->bridge, DV_BRIDGE_LINK, 0);
    pending->is_up = cloud->is_up;
}

static void forget_all(struct fake_cloud *cloud)
{
    cloud->is_ready = false;
    for (size_t i = 0; i < cloud->feature_count; i++)
        cloud->features[i].is_current = false;
}

void fake_cloud_set_link(struct fake_cloud *cloud, bool is_up)
{
    if (cloud->is_up == is_up)
        return;
    dv_log(DV_LOG_INFO, "cloud: link %s", is_up ? "up" : "down");
    cloud->is_up = is_up;
    forget_all(cloud);
    tell_link(cloud);
}

bool fake_cloud_link(const struct fake_cloud *cloud)
{
    return cloud->is_up;
}

void fake_cloud_cut(struct fake_cloud *cloud)
{
    cloud->is_cut = true;
}

size_t fake_cloud_commands(const struct fake_cloud *cloud)
{
    return cloud->command_count;
}

struct fake_command *fake_cloud_command(struct fake_cloud *cloud, size_t index)
{
    return &cloud->commands[index];
}

size_t fake_cloud_features(const struct fake_cloud *cloud)
{
    return cloud->feature_count;
}

const struct fake_feature *fake_cloud_feature(const struct fake_cloud *cloud, size_t index)
{
    return &cloud->features[index];
}

static struct fake_feature *find(const struct fake_cloud *cloud, const char *id, int64_t thing)
{
    for (size_t i = 0; i < cloud->feature_count; i++)
        if (strcmp(cloud->features[i].id, id) == 0 && cloud->features[i].thing == thing)
            return &cloud->features[i];
    return NULL;
}

const struct fake_feature *fake_cloud_find(const struct fake_cloud *cloud, const char *id)
{
    const struct fake_feature *found = NULL;
    for (unsigned thing = 0; !found && thing < DV_THINGS_MAX; thing++)
        found = find(cloud, id, thing);
    return found;
}

const char *fake_cloud_complaint(const struct fake_cloud *cloud)
{
    return cloud->complaint[0] ? cloud->complaint : NULL;
}

unsigned fake_cloud_lives(const struct fake_cloud *cloud)
{
    return cloud->lives;
}

uint64_t fake_cloud_live_batches(const struct fake_cloud *cloud)
{
    return cloud->live_batches;
}

const char *fake_cloud_live(const struct fake_cloud *cloud)
{
    return cloud->live.data ? cloud->live.data : "";
}

bool fake_cloud_is_ready(const struct fake_cloud *cloud)
{
    return cloud->is_ready;
}

/* -- the port ------------------------------------------------------------------------------- */

static int
bridge_open(const struct dv_bridge_env *env, struct dv_bridge **ret, struct dv_error *err)
{
    struct fake_cloud *cloud = (struct fake_cloud *)env->config;
    struct bridge *bridge = need(calloc(1, sizeof(*bridge)));
    bridge->base.ops = &fake_bridge_ops;
    bridge->cloud = cloud;
    bridge->sink = env->sink;
    STAILQ_INIT(&bridge->queue);
    bridge->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bridge->fd < 0) {
        free(bridge);
        return dv_error_set(err, DV_ERR_FAILED, "no descriptor for a bridge");
    }
    cloud->bridge = bridge;
    cloud->is_cut = false;
    cloud->lives++;
    forget_all(cloud);
    if (cloud->is_up)
        tell_link(cloud);
    *ret = &bridge->base;
    return 0;
}

static int bridge_fd(struct dv_bridge *base)
{
    return ((struct bridge *)base)->fd;
}

static int64_t bridge_deadline(struct dv_bridge *base)
{
    (void)base;
    return INT64_MAX;
}

static int take_command(const struct pending *pending,
                        struct dv_arena *arena,
                        struct dv_bridge_event *ret,
                        struct dv_error *err)
{
    void *body;
    int r = dv_decode(&dv_schema_command, pending->raw, pending->len, arena, &body, err);
    if (r < 0)
        return r;
    ((struct dv_command *)body)->sequence = pending->number;
    ret->body = body;
    return 0;
}

static void take_seen(const struct fake_cloud *cloud,
                      unsigned thing,
                      struct dv_arena *arena,
                      struct dv_bridge_event *ret)
{
    struct dv_twin_seen *seen = need(dv_arena_alloc(arena, sizeof(*seen)));
    seen->features.items = need(dv_arena_array(arena, cloud->feature_count + 1, sizeof(char *)));
    seen->thing = thing;
    for (size_t i = 0; i < cloud->feature_count; i++)
        if (cloud->features[i].thing == thing)
            seen->features.items[seen->features.count++] =
                need(dv_arena_strdup(arena, cloud->features[i].id));
    ret->body = seen;
}

static int bridge_next(struct dv_bridge *base,
                       struct dv_arena *arena,
                       struct dv_bridge_event *ret,
                       struct dv_error *err)
{
    struct bridge *bridge = (struct bridge *)base;
    struct pending *pending = STAILQ_FIRST(&bridge->queue);
    ret->type = DV_BRIDGE_NOTHING;
    if (!pending) {
        eventfd_t count;
        (void)eventfd_read(bridge->fd, &count);
        return 0;
    }
    STAILQ_REMOVE_HEAD(&bridge->queue, link);
    int r = 0;
    ret->type = pending->type;
    if (pending->type == DV_BRIDGE_COMMAND) {
        r = take_command(pending, arena, ret, err);
    } else if (pending->type == DV_BRIDGE_LINK) {
        struct dv_link_changed *link = need(dv_arena_alloc(arena, sizeof(*link)));
        link->status = pending->is_up ? DV_LINK_UP : DV_LINK_DOWN;
        ret->body = link;
    } else if (pending->type == DV_BRIDGE_TWIN) {
        take_seen(bridge->cloud, pending->thing, arena, ret);
    } else {
        struct dv_twin_sent *sent = need(dv_arena_alloc(arena, sizeof(*sent)));
        sent->number = pending->number;
        ret->body = sent;
    }
    free(pending);
    return r;
}

static int bridge_ready(struct dv_bridge *base, struct dv_error *err)
{
    (void)err;
    struct fake_cloud *cloud = ((struct bridge *)base)->cloud;
    if (!cloud->is_up || cloud->is_cut)
        return 0;
    cloud->is_ready = true;
    pump(cloud);
    return 0;
}

static int link_is_down(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_UNAVAILABLE, "the link is down");
}

/* An answer counts as given even when the link is down: its loss is the link's. */
static int
bridge_reply(struct dv_bridge *base, const struct dv_command_reply *reply, struct dv_error *err)
{
    struct fake_cloud *cloud = ((struct bridge *)base)->cloud;
    if (cloud->is_cut)
        return link_is_down(err);
    size_t index = strtoul(reply->token, NULL, 10);
    if (index >= cloud->command_count) {
        complain(cloud, "an answer to nobody", reply->token);
        return 0;
    }
    struct fake_command *command = &cloud->commands[index];
    if (!command->wants_reply)
        complain(cloud, "an answer that nobody asked for", reply->token);
    if (command->replies && command->reply_life == cloud->lives)
        complain(cloud, "two answers by one daemon", reply->token);
    if (!command->replies)
        command->answer_number = ++cloud->answer_count;
    command->replies++;
    command->reply_life = cloud->lives;
    command->status = reply->status;
    snprintf(command->value, sizeof(command->value), "%s", reply->value ? reply->value : "");
    snprintf(command->error, sizeof(command->error), "%s",
             reply->error_text ? reply->error_text : "");
    dv_log(DV_LOG_INFO, "cloud: %zu answered %lld %s%s", index, command->status, command->value,
           command->error);
    return cloud->is_up ? 0 : link_is_down(err);
}

static struct fake_feature *add_feature(struct fake_cloud *cloud, const char *id, int64_t thing)
{
    if (cloud->feature_count == cloud->feature_room) {
        cloud->feature_room = cloud->feature_room ? cloud->feature_room * 2 : 64;
        cloud->features =
            need(reallocarray(cloud->features, cloud->feature_room, sizeof(*cloud->features)));
    }
    struct fake_feature *feature = &cloud->features[cloud->feature_count++];
    *feature = (struct fake_feature){0};
    snprintf(feature->id, sizeof(feature->id), "%s", id);
    feature->thing = thing;
    return feature;
}

static void publish_feature(struct fake_cloud *cloud, const struct dv_twin_change *change)
{
    struct fake_feature *feature = find(cloud, change->feature, change->thing);
    if (!feature)
        feature = add_feature(cloud, change->feature, change->thing);
    set_text(&feature->definition, change->definition);
    set_text(&feature->properties, change->value);
    set_text(&feature->state, NULL);
    set_text(&feature->name, NULL);
    set_text(&feature->config, NULL);
    set_text(&feature->dependencies, NULL);
    set_text(&feature->last_operation, NULL);
    set_text(&feature->last_failed, NULL);
    feature->is_current = true;
}

static void publish_property(struct fake_cloud *cloud, const struct dv_twin_change *change)
{
    struct fake_feature *feature = find(cloud, change->feature, change->thing);
    if (!feature || !feature->is_current) {
        /* One of the link before may come first; everything is published behind it. */
        if (cloud->is_ready)
            complain(cloud, "a property of a feature that is not published", change->feature);
        return;
    }
    if (strcmp(change->path, "status/state") == 0)
        set_text(&feature->state, change->value);
    else if (strcmp(change->path, "status/name") == 0)
        set_text(&feature->name, change->value);
    else if (strcmp(change->path, "status/config") == 0)
        set_text(&feature->config, change->value);
    else if (strcmp(change->path, "status/installedDependencies") == 0)
        set_text(&feature->dependencies, change->value);
    else if (strcmp(change->path, "status/lastOperation") == 0)
        set_text(&feature->last_operation, change->value);
    else if (strcmp(change->path, "status/lastFailedOperation") == 0)
        set_text(&feature->last_failed, change->value);
    else
        complain(cloud, "an unknown property", change->path);
}

static int
bridge_twin(struct dv_bridge *base, const struct dv_twin_change *change, struct dv_error *err)
{
    struct bridge *bridge = (struct bridge *)base;
    struct fake_cloud *cloud = bridge->cloud;
    if (!cloud->is_up || cloud->is_cut)
        return link_is_down(err);
    dv_log(DV_LOG_INFO, "cloud: twin %lld %s %s %s", (long long)change->thing, change->feature,
           change->path ? change->path : "*",
           change->kind == DV_TWIN_DELETE ? "deleted"
           : change->value                ? change->value
                                          : "");
    struct fake_feature *feature = find(cloud, change->feature, change->thing);
    if (change->kind == DV_TWIN_FEATURE)
        publish_feature(cloud, change);
    else if (change->kind == DV_TWIN_PROPERTY)
        publish_property(cloud, change);
    else if (feature)
        drop_feature(cloud, feature);
    push(bridge, DV_BRIDGE_SENT, 0)->number = change->number;
    return 0;
}

static int
bridge_outbox(struct dv_bridge *base, const struct dv_outbox_message *message, struct dv_error *err)
{
    struct fake_cloud *cloud = ((struct bridge *)base)->cloud;
    if (cloud->is_cut || !cloud->is_up)
        return dv_error_set(err, DV_ERR_UNAVAILABLE, "the link is down");
    if (message->batch != cloud->live_batch || cloud->live_life != cloud->lives) {
        dv_buf_clear(&cloud->live);
        cloud->live_batch = message->batch;
        cloud->live_life = cloud->lives;
        cloud->live_batches++;
    }
    cloud->live.max = LIVE_MAX;
    return message->value ? dv_buf_append_str(&cloud->live, message->value, err) : 0;
}

static int bridge_replay(
    struct dv_bridge *base, const void *raw, size_t len, int64_t sequence, struct dv_error *err)
{
    (void)err;
    dv_log(DV_LOG_INFO, "cloud: command with number %lld is replayed", (long long)sequence);
    push_command((struct bridge *)base, raw, len, sequence);
    return 0;
}

static void bridge_free(struct dv_bridge *base)
{
    struct bridge *bridge = (struct bridge *)base;
    while (!STAILQ_EMPTY(&bridge->queue)) {
        struct pending *pending = STAILQ_FIRST(&bridge->queue);
        STAILQ_REMOVE_HEAD(&bridge->queue, link);
        free(pending);
    }
    if (bridge->cloud->bridge == bridge)
        bridge->cloud->bridge = NULL;
    dv_close(&bridge->fd);
    free(bridge);
}

void fake_cloud_haunt(struct fake_cloud *cloud, const char *id, unsigned thing)
{
    if (!find(cloud, id, thing))
        (void)add_feature(cloud, id, thing);
}

static int bridge_check_twin(struct dv_bridge *base, unsigned thing, struct dv_error *err)
{
    struct bridge *bridge = (struct bridge *)base;
    if (!bridge->cloud->is_up || bridge->cloud->is_cut)
        return link_is_down(err);
    push(bridge, DV_BRIDGE_TWIN, 0)->thing = thing;
    return 0;
}

const struct dv_bridge_ops fake_bridge_ops = {
    .name = "fake",
    .open = bridge_open,
    .fd = bridge_fd,
    .deadline_ns = bridge_deadline,
    .next = bridge_next,
    .features_ready = bridge_ready,
    .reply = bridge_reply,
    .twin = bridge_twin,
    .outbox = bridge_outbox,
    .check_twin = bridge_check_twin,
    .replay = bridge_replay,
    .free = bridge_free,
};
