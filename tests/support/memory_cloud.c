/* SPDX-License-Identifier: Apache-2.0 */
#include "memory_cloud.h"

#include "base/buf.h"
#include "messages/codec.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct item {
    struct item *next;
    void *bytes;
    size_t len;
    int64_t number;
};

struct list {
    struct item *first;
    struct item **end;
};

struct answer {
    char token[64];
    struct memory_answer answer;
};

struct feature {
    char id[160];
    struct memory_feature shown;
};

struct bridge {
    struct dv_bridge port;
    struct memory_cloud *cloud;
    struct dv_bridge_sink *sink;
    struct list replays;
    struct list sent;
    bool is_told_up;
    bool takes_commands;
};

struct memory_cloud {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t events; /* answers, changes of the twin, live messages */
    int64_t live_batch;
    size_t live_containers; /* that the live messages of this batch tell of */
    int fd;                 /* readable when a bridge has something to do */
    bool is_up;
    struct list commands;
    size_t waiting;
    struct answer *answers;
    size_t answer_count;
    struct feature *features;
    size_t feature_count;
    size_t bad_changes;
};

static void list_init(struct list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void push(struct list *list, const void *bytes, size_t len, int64_t number)
{
    struct item *item = calloc(1, sizeof(*item));
    if (!item)
        abort();
    item->bytes = malloc(len ? len : 1);
    if (!item->bytes)
        abort();
    if (len)
        memcpy(item->bytes, bytes, len);
    item->len = len;
    item->number = number;
    *list->end = item;
    list->end = &item->next;
}

static struct item *pop(struct list *list)
{
    struct item *item = list->first;
    if (!item)
        return NULL;
    list->first = item->next;
    if (!list->first)
        list->end = &list->first;
    return item;
}

static void item_free(struct item *item)
{
    if (!item)
        return;
    free(item->bytes);
    free(item);
}

static void list_done(struct list *list)
{
    struct item *item;
    while ((item = pop(list)) != NULL)
        item_free(item);
}

static void *grow(void *items, size_t count, size_t size)
{
    /* Powers of two. */
    if (count & (count - 1))
        return items;
    void *more = reallocarray(items, count ? count * 2 : 1, size);
    if (!more)
        abort();
    return more;
}

static void ring(struct memory_cloud *cloud)
{
    (void)!write(cloud->fd, &(uint64_t){1}, sizeof(uint64_t));
}

/* -- the cloud ------------------------------------------------------------------------------ */

struct memory_cloud *memory_cloud_new(void)
{
    struct memory_cloud *cloud = calloc(1, sizeof(*cloud));
    if (!cloud)
        abort();
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&cloud->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&cloud->lock, NULL);
    cloud->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    list_init(&cloud->commands);
    return cloud;
}

void memory_cloud_free(struct memory_cloud *cloud)
{
    if (!cloud)
        return;
    list_done(&cloud->commands);
    free(cloud->answers);
    free(cloud->features);
    close(cloud->fd);
    pthread_cond_destroy(&cloud->changed);
    pthread_mutex_destroy(&cloud->lock);
    free(cloud);
}

void memory_cloud_set_link(struct memory_cloud *cloud, bool is_up)
{
    pthread_mutex_lock(&cloud->lock);
    cloud->is_up = is_up;
    pthread_mutex_unlock(&cloud->lock);
    ring(cloud);
}

void memory_cloud_send(struct memory_cloud *cloud,
                       const char *feature,
                       const char *operation,
                       const char *args,
                       const char *token)
{
    struct dv_command command = {
        .feature = (char *)feature,
        .operation = (char *)operation,
        .args = (char *)args,
        .token = (char *)token,
        .repeat_key = (char *)token,
        .wants_reply = true,
    };
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(1U << 20);
    struct dv_error err = DV_ERROR_INIT;
    if (dv_encode(&dv_schema_command, &command, &bytes, &err) < 0)
        abort();
    pthread_mutex_lock(&cloud->lock);
    push(&cloud->commands, bytes.data, bytes.len, 0);
    cloud->waiting++;
    pthread_mutex_unlock(&cloud->lock);
    ring(cloud);
}

uint64_t memory_cloud_wait(struct memory_cloud *cloud, uint64_t seen, int timeout_ms)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += timeout_ms / 1000;
    pthread_mutex_lock(&cloud->lock);
    while (cloud->events == seen &&
           pthread_cond_timedwait(&cloud->changed, &cloud->lock, &end) == 0)
        ;
    uint64_t events = cloud->events;
    pthread_mutex_unlock(&cloud->lock);
    return events;
}

size_t memory_cloud_waiting(struct memory_cloud *cloud)
{
    pthread_mutex_lock(&cloud->lock);
    size_t waiting = cloud->waiting;
    pthread_mutex_unlock(&cloud->lock);
    return waiting;
}

static struct answer *find_answer(struct memory_cloud *cloud, const char *token)
{
    for (size_t i = cloud->answer_count; i-- > 0;)
        if (strcmp(cloud->answers[i].token, token) == 0)
            return &cloud->answers[i];
    return NULL;
}

struct memory_answer memory_cloud_answer(struct memory_cloud *cloud, const char *token)
{
    pthread_mutex_lock(&cloud->lock);
    const struct answer *found = find_answer(cloud, token);
    struct memory_answer answer = found ? found->answer : (struct memory_answer){0};
    pthread_mutex_unlock(&cloud->lock);
    return answer;
}

size_t memory_cloud_answers(struct memory_cloud *cloud)
{
    pthread_mutex_lock(&cloud->lock);
    size_t count = cloud->answer_count;
    pthread_mutex_unlock(&cloud->lock);
    return count;
}

static struct feature *find_feature(struct memory_cloud *cloud, const char *id)
{
    for (size_t i = cloud->feature_count; i-- > 0;)
        if (strcmp(cloud->features[i].id, id) == 0)
            return &cloud->features[i];
    return NULL;
}

bool memory_cloud_feature(struct memory_cloud *cloud,
                          const char *feature,
                          struct memory_feature *ret)
{
    pthread_mutex_lock(&cloud->lock);
    const struct feature *found = find_feature(cloud, feature);
    if (found)
        *ret = found->shown;
    pthread_mutex_unlock(&cloud->lock);
    return found != NULL;
}

size_t memory_cloud_containers(struct memory_cloud *cloud)
{
    size_t count = 0;
    pthread_mutex_lock(&cloud->lock);
    for (size_t i = 0; i < cloud->feature_count; i++)
        count += strncmp(cloud->features[i].id, "Container:", 10) == 0;
    pthread_mutex_unlock(&cloud->lock);
    return count;
}

size_t memory_cloud_in_status(struct memory_cloud *cloud, const char *status)
{
    size_t count = 0;
    pthread_mutex_lock(&cloud->lock);
    for (size_t i = 0; i < cloud->feature_count; i++)
        count += strcmp(cloud->features[i].shown.status, status) == 0;
    pthread_mutex_unlock(&cloud->lock);
    return count;
}

size_t memory_cloud_live_containers(struct memory_cloud *cloud)
{
    pthread_mutex_lock(&cloud->lock);
    size_t count = cloud->live_containers;
    pthread_mutex_unlock(&cloud->lock);
    return count;
}

size_t memory_cloud_bad_changes(struct memory_cloud *cloud)
{
    pthread_mutex_lock(&cloud->lock);
    size_t count = cloud->bad_changes;
    pthread_mutex_unlock(&cloud->lock);
    return count;
}

/* -- the mirror ----------------------------------------------------------------------------- */

/* The text behind `mark` up to the next quote. */
static void cut(const char *json, const char *mark, char *out, size_t size)
{
    const char *at = strstr(json, mark);
    if (!at)
        return;
    at += strlen(mark);
    snprintf(out, size, "%.*s", (int)strcspn(at, "\""), at);
}

static void mirror(struct memory_cloud *cloud, const struct dv_twin_change *change)
{
    cloud->events++;
    pthread_cond_broadcast(&cloud->changed);
    struct feature *feature = find_feature(cloud, change->feature);
    const char *value = change->value ? change->value : "";
    switch (change->kind) {
    case DV_TWIN_FEATURE:
        if (!feature) {
            cloud->features = grow(cloud->features, cloud->feature_count, sizeof(*cloud->features));
            feature = &cloud->features[cloud->feature_count++];
        }
        *feature = (struct feature){0};
        snprintf(feature->id, sizeof(feature->id), "%s", change->feature);
        cut(value, "{\"status\":\"", feature->shown.status, sizeof(feature->shown.status));
        cut(value, "{\"status\":{\"name\":\"", feature->shown.name, sizeof(feature->shown.name));
        break;
    case DV_TWIN_PROPERTY:
        if (!feature)
            cloud->bad_changes++;
        else if (strcmp(change->path, "status/state") == 0)
            cut(value, "{\"status\":\"", feature->shown.status, sizeof(feature->shown.status));
        else if (strcmp(change->path, "status/name") == 0)
            cut(value, "\"", feature->shown.name, sizeof(feature->shown.name));
        break;
    case DV_TWIN_DELETE:
        if (feature)
            *feature = cloud->features[--cloud->feature_count];
        break;
    }
}

/* -- the bridge ----------------------------------------------------------------------------- */

static int
bridge_open(const struct dv_bridge_env *env, struct dv_bridge **ret, struct dv_error *err)
{
    struct bridge *bridge = calloc(1, sizeof(*bridge));
    if (!bridge)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a bridge");
    bridge->port.ops = &memory_cloud_ops;
    bridge->cloud = (struct memory_cloud *)env->config;
    bridge->sink = env->sink;
    list_init(&bridge->replays);
    list_init(&bridge->sent);
    bridge->cloud->live_batch = 0; /* a new daemon counts anew */
    ring(bridge->cloud);
    *ret = &bridge->port;
    return 0;
}

static int bridge_fd(struct dv_bridge *port)
{
    return ((struct bridge *)port)->cloud->fd;
}

static int64_t bridge_deadline(struct dv_bridge *port)
{
    (void)port;
    return INT64_MAX;
}

static int give_command(struct item *item,
                        struct dv_arena *arena,
                        struct dv_bridge_event *ret,
                        struct dv_error *err)
{
    void *body;
    int r = dv_decode(&dv_schema_command, item->bytes, item->len, arena, &body, err);
    if (r == 0) {
        ((struct dv_command *)body)->sequence = item->number;
        *ret = (struct dv_bridge_event){DV_BRIDGE_COMMAND, body};
    }
    item_free(item);
    return r;
}

/* A command that could not be made durable stays in the queue, as a broker keeps what was not
 * acknowledged. */
static int take_command(struct bridge *bridge,
                        struct dv_arena *arena,
                        struct dv_bridge_event *ret,
                        struct dv_error *err)
{
    struct memory_cloud *cloud = bridge->cloud;
    pthread_mutex_lock(&cloud->lock);
    struct item *item = cloud->is_up ? cloud->commands.first : NULL;
    pthread_mutex_unlock(&cloud->lock);
    if (!item)
        return 0;
    int r = bridge->sink->accept(bridge->sink, item->bytes, item->len, &item->number, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&cloud->lock);
    (void)pop(&cloud->commands);
    cloud->waiting--;
    pthread_mutex_unlock(&cloud->lock);
    return give_command(item, arena, ret, err);
}

static int bridge_next(struct dv_bridge *port,
                       struct dv_arena *arena,
                       struct dv_bridge_event *ret,
                       struct dv_error *err)
{
    static struct dv_link_changed up = {.status = DV_LINK_UP, .note = "", .identity = "memory"};
    static struct dv_link_changed down = {.status = DV_LINK_DOWN, .note = "", .identity = ""};
    struct bridge *bridge = (struct bridge *)port;
    uint64_t rings;
    (void)!read(bridge->cloud->fd, &rings, sizeof(rings));
    *ret = (struct dv_bridge_event){.type = DV_BRIDGE_NOTHING};
    pthread_mutex_lock(&bridge->cloud->lock);
    bool is_up = bridge->cloud->is_up;
    pthread_mutex_unlock(&bridge->cloud->lock);
    if (is_up != bridge->is_told_up) {
        bridge->is_told_up = is_up;
        bridge->takes_commands = false;
        list_done(&bridge->sent);
        *ret = (struct dv_bridge_event){DV_BRIDGE_LINK, is_up ? &up : &down};
        return 0;
    }
    struct item *item = pop(&bridge->sent);
    if (item) {
        struct dv_twin_sent *sent = dv_arena_array(arena, 1, sizeof(*sent));
        if (sent)
            sent->number = item->number;
        item_free(item);
        *ret = (struct dv_bridge_event){sent ? DV_BRIDGE_SENT : DV_BRIDGE_NOTHING, sent};
        return 0;
    }
    item = pop(&bridge->replays);
    if (item)
        return give_command(item, arena, ret, err);
    return bridge->takes_commands ? take_command(bridge, arena, ret, err) : 0;
}

static int bridge_features_ready(struct dv_bridge *port, struct dv_error *err)
{
    (void)err;
    struct bridge *bridge = (struct bridge *)port;
    bridge->takes_commands = bridge->is_told_up;
    ring(bridge->cloud);
    return 0;
}

static int
bridge_reply(struct dv_bridge *port, const struct dv_command_reply *reply, struct dv_error *err)
{
    struct memory_cloud *cloud = ((struct bridge *)port)->cloud;
    int r = 0;
    pthread_mutex_lock(&cloud->lock);
    struct answer *answer = find_answer(cloud, reply->token);
    if (!cloud->is_up) {
        r = dv_error_set(err, DV_ERR_UNAVAILABLE, "the link is down");
    } else {
        cloud->events++;
        pthread_cond_broadcast(&cloud->changed);
        if (!answer) {
            cloud->answers = grow(cloud->answers, cloud->answer_count, sizeof(*cloud->answers));
            answer = &cloud->answers[cloud->answer_count++];
        }
        *answer = (struct answer){.answer.status = reply->status};
        snprintf(answer->token, sizeof(answer->token), "%s", reply->token);
        snprintf(answer->answer.value, sizeof(answer->answer.value), "%s",
                 reply->value ? reply->value : "");
        snprintf(answer->answer.error, sizeof(answer->answer.error), "%s",
                 reply->error_text ? reply->error_text : "");
    }
    pthread_mutex_unlock(&cloud->lock);
    return r;
}

static int
bridge_twin(struct dv_bridge *port, const struct dv_twin_change *change, struct dv_error *err)
{
    struct bridge *bridge = (struct bridge *)port;
    struct memory_cloud *cloud = bridge->cloud;
    int r = 0;
    pthread_mutex_lock(&cloud->lock);
    if (!cloud->is_up)
        r = dv_error_set(err, DV_ERR_UNAVAILABLE, "the link is down");
    else
        mirror(cloud, change);
    pthread_mutex_unlock(&cloud->lock);
    if (r == 0) {
        push(&bridge->sent, NULL, 0, change->number);
        ring(cloud);
    }
    return r;
}

static int
bridge_outbox(struct dv_bridge *port, const struct dv_outbox_message *message, struct dv_error *err)
{
    struct memory_cloud *cloud = ((struct bridge *)port)->cloud;
    (void)err;
    pthread_mutex_lock(&cloud->lock);
    if (message->batch != cloud->live_batch)
        cloud->live_containers = 0;
    cloud->live_batch = message->batch;
    for (const char *at = message->value; at && (at = strstr(at, "\"Container:")); at++)
        cloud->live_containers++;
    cloud->events++;
    pthread_cond_broadcast(&cloud->changed);
    pthread_mutex_unlock(&cloud->lock);
    return 0;
}

static int bridge_replay(
    struct dv_bridge *port, const void *raw, size_t len, int64_t sequence, struct dv_error *err)
{
    (void)err;
    struct bridge *bridge = (struct bridge *)port;
    push(&bridge->replays, raw, len, sequence);
    ring(bridge->cloud);
    return 0;
}

static void bridge_free(struct dv_bridge *port)
{
    struct bridge *bridge = (struct bridge *)port;
    list_done(&bridge->replays);
    list_done(&bridge->sent);
    free(bridge);
}

const struct dv_bridge_ops memory_cloud_ops = {
    .name = "memory",
    .open = bridge_open,
    .fd = bridge_fd,
    .deadline_ns = bridge_deadline,
    .next = bridge_next,
    .features_ready = bridge_features_ready,
    .reply = bridge_reply,
    .twin = bridge_twin,
    .outbox = bridge_outbox,
    .replay = bridge_replay,
    .free = bridge_free,
};
