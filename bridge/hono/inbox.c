/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/inbox.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct queue {
    struct dv_hono_item *first;
    struct dv_hono_item **end;
};

/* The newest of its kind; `text` NULL: none. */
struct answer {
    char *text;
    size_t len;
};

struct dv_hono_inbox {
    pthread_mutex_t lock;
    int fd;
    struct dv_hono_inbox_limits limits;
    char thing[DV_HONO_THING_MAX + 1]; /* the first */
    unsigned things;

    struct queue commands;
    size_t command_count; /* with the reserved places */
    size_t command_bytes;

    struct queue refusals;
    size_t refusal_count;
    size_t dropped;

    struct dv_hono_signal *signals; /* a ring of limits.signals + 1 */
    size_t signal_head;
    size_t signal_count;

    struct answer handshake;
    struct answer twin;
};

static void queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
}

static void queue_put(struct queue *queue, struct dv_hono_item *item)
{
    item->next = NULL;
    *queue->end = item;
    queue->end = &item->next;
}

static struct dv_hono_item *queue_take(struct queue *queue)
{
    struct dv_hono_item *item = queue->first;
    if (item) {
        queue->first = item->next;
        if (!queue->first)
            queue->end = &queue->first;
    }
    return item;
}

static void queue_done(struct queue *queue)
{
    struct dv_hono_item *item;
    while ((item = queue_take(queue)))
        free(item);
}

struct dv_hono_item *
dv_hono_item_new(const char *topic, struct dv_str bytes, int64_t sequence, struct dv_error *err)
{
    size_t topic_size = topic ? strlen(topic) + 1 : 0;
    struct dv_hono_item *item = malloc(sizeof(*item) + topic_size + bytes.len + 1);
    if (!item) {
        dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a message of %zu bytes", bytes.len);
        return NULL;
    }
    char *text = (char *)(item + 1);
    *item = (struct dv_hono_item){.sequence = sequence};
    if (topic)
        item->topic = memcpy(text, topic, topic_size);
    char *copy = text + topic_size;
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    copy[bytes.len] = '\0';
    item->bytes = (struct dv_str){copy, bytes.len};
    return item;
}

int dv_hono_inbox_new(const struct dv_hono_inbox_limits *limits,
                      struct dv_hono_inbox **ret,
                      struct dv_error *err)
{
    DV_AUTO(dv_hono_inbox) inbox = calloc(1, sizeof(*inbox));
    if (!inbox)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the inbox");
    inbox->fd = -1;
    inbox->limits = *limits;
    pthread_mutex_init(&inbox->lock, NULL);
    queue_init(&inbox->commands);
    queue_init(&inbox->refusals);
    inbox->signals = calloc(limits->signals + 1, sizeof(*inbox->signals));
    if (!inbox->signals)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the inbox");
    inbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (inbox->fd < 0)
        return dv_error_sys(err, DV_ERR_LIMIT, errno, "make the event descriptor of the inbox");
    *ret = dv_steal(&inbox);
    return 0;
}

void dv_hono_inbox_free(struct dv_hono_inbox *inbox)
{
    if (!inbox)
        return;
    queue_done(&inbox->commands);
    queue_done(&inbox->refusals);
    free(inbox->signals);
    free(inbox->handshake.text);
    free(inbox->twin.text);
    dv_close(&inbox->fd);
    pthread_mutex_destroy(&inbox->lock);
    free(inbox);
}

int dv_hono_inbox_fd(const struct dv_hono_inbox *inbox)
{
    return inbox->fd;
}

void dv_hono_inbox_wake(struct dv_hono_inbox *inbox)
{
    /* The counter can only overflow if nobody has read it 2^64 times. */
    eventfd_write(inbox->fd, 1);
}

void dv_hono_inbox_silence(struct dv_hono_inbox *inbox)
{
    eventfd_t ignored;
    eventfd_read(inbox->fd, &ignored);
}

void dv_hono_inbox_set_thing(struct dv_hono_inbox *inbox, const char *first, unsigned count)
{
    pthread_mutex_lock(&inbox->lock);
    snprintf(inbox->thing, sizeof(inbox->thing), "%s", first);
    inbox->things = count;
    pthread_mutex_unlock(&inbox->lock);
}

unsigned dv_hono_inbox_thing(struct dv_hono_inbox *inbox, char ret[DV_HONO_THING_MAX + 1])
{
    pthread_mutex_lock(&inbox->lock);
    memcpy(ret, inbox->thing, sizeof(inbox->thing));
    unsigned count = inbox->things;
    pthread_mutex_unlock(&inbox->lock);
    return count;
}

int dv_hono_inbox_reserve(struct dv_hono_inbox *inbox, size_t bytes, struct dv_error *err)
{
    const struct dv_hono_inbox_limits *limits = &inbox->limits;
    pthread_mutex_lock(&inbox->lock);
    size_t waiting = inbox->command_count;
    bool has_room = waiting < limits->commands && inbox->command_bytes <= limits->bytes &&
                    bytes <= limits->bytes - inbox->command_bytes;
    if (has_room) {
        inbox->command_count++;
        inbox->command_bytes += bytes;
    }
    pthread_mutex_unlock(&inbox->lock);
    if (has_room)
        return 0;
    return dv_error_set(err, DV_ERR_BUSY,
                        "%zu commands are waiting (at most %zu, %zu bytes); try again later",
                        waiting, limits->commands, limits->bytes);
}

void dv_hono_inbox_cancel(struct dv_hono_inbox *inbox, size_t bytes)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->command_count--;
    inbox->command_bytes -= bytes;
    pthread_mutex_unlock(&inbox->lock);
}

/* A command weighs what is kept of it, which is only known when it has been encoded. */
static void put_command(struct dv_hono_inbox *inbox, struct dv_hono_item *item)
{
    inbox->command_count++;
    inbox->command_bytes += item->bytes.len;
    queue_put(&inbox->commands, item);
}

void dv_hono_inbox_put_command(struct dv_hono_inbox *inbox,
                               struct dv_hono_item *item,
                               size_t reserved)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->command_count--;
    inbox->command_bytes -= reserved;
    put_command(inbox, item);
    pthread_mutex_unlock(&inbox->lock);
    dv_hono_inbox_wake(inbox);
}

void dv_hono_inbox_put_replay(struct dv_hono_inbox *inbox, struct dv_hono_item *item)
{
    pthread_mutex_lock(&inbox->lock);
    put_command(inbox, item);
    pthread_mutex_unlock(&inbox->lock);
    dv_hono_inbox_wake(inbox);
}

void dv_hono_inbox_put_refusal(struct dv_hono_inbox *inbox, struct dv_hono_item *item)
{
    pthread_mutex_lock(&inbox->lock);
    bool has_room = inbox->refusal_count < DV_HONO_REFUSALS_MAX;
    if (has_room) {
        inbox->refusal_count++;
        queue_put(&inbox->refusals, item);
    } else {
        inbox->dropped++;
    }
    pthread_mutex_unlock(&inbox->lock);
    if (!has_room)
        free(item);
    dv_hono_inbox_wake(inbox);
}

/* The newest replaces the one before; without memory there is none, and it is asked for again. */
static void put_answer(struct dv_hono_inbox *inbox, struct answer *place, struct dv_str answer)
{
    char *copy = dv_str_dup(answer);
    if (!copy)
        return;
    pthread_mutex_lock(&inbox->lock);
    char *old = place->text;
    *place = (struct answer){copy, answer.len};
    pthread_mutex_unlock(&inbox->lock);
    free(old);
    dv_hono_inbox_wake(inbox);
}

void dv_hono_inbox_put_handshake(struct dv_hono_inbox *inbox, struct dv_str answer)
{
    put_answer(inbox, &inbox->handshake, answer);
}

void dv_hono_inbox_put_twin(struct dv_hono_inbox *inbox, struct dv_str answer)
{
    put_answer(inbox, &inbox->twin, answer);
}

/* The place behind the last signal is kept for the news that signals were lost. */
void dv_hono_inbox_signal(struct dv_hono_inbox *inbox, const struct dv_hono_signal *signal)
{
    static const struct dv_hono_signal overflow = {.type = DV_HONO_LOST,
                                                   .note = "more answers than requests"};
    pthread_mutex_lock(&inbox->lock);
    size_t size = inbox->limits.signals + 1;
    if (inbox->signal_count < size) {
        bool is_last = inbox->signal_count == size - 1;
        inbox->signals[(inbox->signal_head + inbox->signal_count) % size] =
            is_last ? overflow : *signal;
        inbox->signal_count++;
    }
    pthread_mutex_unlock(&inbox->lock);
    dv_hono_inbox_wake(inbox);
}

struct dv_hono_item *dv_hono_inbox_take_command(struct dv_hono_inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    struct dv_hono_item *item = queue_take(&inbox->commands);
    if (item) {
        inbox->command_count--;
        inbox->command_bytes -= item->bytes.len;
    }
    pthread_mutex_unlock(&inbox->lock);
    return item;
}

struct dv_hono_item *dv_hono_inbox_take_refusal(struct dv_hono_inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    struct dv_hono_item *item = queue_take(&inbox->refusals);
    if (item)
        inbox->refusal_count--;
    pthread_mutex_unlock(&inbox->lock);
    return item;
}

static char *take_answer(struct dv_hono_inbox *inbox, struct answer *place, size_t *ret_len)
{
    pthread_mutex_lock(&inbox->lock);
    char *text = place->text;
    *ret_len = place->len;
    place->text = NULL;
    pthread_mutex_unlock(&inbox->lock);
    return text;
}

char *dv_hono_inbox_take_handshake(struct dv_hono_inbox *inbox, size_t *ret_len)
{
    return take_answer(inbox, &inbox->handshake, ret_len);
}

char *dv_hono_inbox_take_twin(struct dv_hono_inbox *inbox, size_t *ret_len)
{
    return take_answer(inbox, &inbox->twin, ret_len);
}

bool dv_hono_inbox_take_signal(struct dv_hono_inbox *inbox, struct dv_hono_signal *ret)
{
    pthread_mutex_lock(&inbox->lock);
    bool has_one = inbox->signal_count > 0;
    if (has_one) {
        *ret = inbox->signals[inbox->signal_head];
        inbox->signal_head = (inbox->signal_head + 1) % (inbox->limits.signals + 1);
        inbox->signal_count--;
        /* An empty ring begins where it did before: its memory is only used as far as needed. */
        if (inbox->signal_count == 0)
            inbox->signal_head = 0;
    }
    pthread_mutex_unlock(&inbox->lock);
    return has_one;
}

void dv_hono_inbox_forget_signals(struct dv_hono_inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->signal_count = 0;
    char *handshake = inbox->handshake.text;
    char *twin = inbox->twin.text;
    inbox->handshake.text = NULL;
    inbox->twin.text = NULL;
    pthread_mutex_unlock(&inbox->lock);
    free(handshake);
    free(twin);
}

size_t dv_hono_inbox_take_dropped(struct dv_hono_inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    size_t dropped = inbox->dropped;
    inbox->dropped = 0;
    pthread_mutex_unlock(&inbox->lock);
    return dropped;
}
