/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/publisher.h"

#include "actors/addresses.h"
#include "actors/bridge/outbox.h"
#include "actors/bridge/owed.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "messages/codec.h"
#include "spec/twin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES (1U << 20)
#define LIST_BYTES  (256U << 20)
/* Features of the list that wait in the outbox at a time: the rest stays in the list. */
#define FEED_MAX  64
#define PART_SIZE 512
/* Id, definition and names of a feature, and what its state grows by. */
#define FEATURE_BYTES 400

/* Which steps of publishing everything are still to come. */
enum phase {
    PHASE_DOWN,
    PHASE_LISTING,  /* the list is on its way */
    PHASE_FEEDING,  /* its features go out */
    PHASE_FACTORY,  /* ContainerFactory is on its way */
    PHASE_COMPLETE, /* events only */
};

struct dv_publisher {
    const char *bridge;
    struct dv_outbox *outbox;
    struct dv_things *things;
    struct dv_owed *owed;
    size_t feed_max;
    enum phase phase;
    bool was_complete; /* since the link came up */
    bool wants_list;
    bool is_behind;
    int64_t list_number;    /* of the newest list asked for */
    int64_t factory_number; /* of the change, 0: not sent yet */

    char **fresh; /* containers heard of while the list is on its way */
    size_t fresh_count;
    size_t fresh_room;

    struct dv_arena *arena; /* of the list */
    const struct dv_container_list *list;
    bool *is_out; /* of each container in it */
    size_t next;

    unsigned features_awaited;
    char *features[DV_PUBLISHER_FEATURES]; /* that went out since the link came up */
    size_t feature_count;
};

struct dv_publisher *dv_publisher_new(const char *bridge,
                                      struct dv_things *things,
                                      unsigned outbox_max,
                                      unsigned in_flight_max)
{
    DV_AUTO(dv_things) owned = things;
    DV_AUTO(dv_publisher) p = owned ? calloc(1, sizeof(*p)) : NULL;
    if (!p)
        return NULL;
    p->bridge = bridge;
    p->feed_max = outbox_max > FEED_MAX ? FEED_MAX : (outbox_max + 1) / 2;
    p->outbox = dv_outbox_new(outbox_max, in_flight_max);
    p->owed = dv_owed_new();
    p->things = dv_steal(&owned);
    return p->outbox && p->owed ? dv_steal(&p) : NULL;
}

static void drop_fresh(struct dv_publisher *p)
{
    while (p->fresh_count)
        free(p->fresh[--p->fresh_count]);
}

static void drop_features(struct dv_publisher *p)
{
    while (p->feature_count)
        free(p->features[--p->feature_count]);
    p->features_awaited = 0;
}

static void drop_list(struct dv_publisher *p)
{
    dv_arena_free(p->arena);
    p->arena = NULL;
    p->list = NULL;
    p->is_out = NULL;
    p->next = 0;
}

void dv_publisher_free(struct dv_publisher *p)
{
    if (!p)
        return;
    drop_fresh(p);
    drop_list(p);
    drop_features(p);
    free(p->fresh);
    dv_outbox_free(p->outbox);
    dv_owed_free(p->owed);
    dv_things_free(p->things);
    free(p);
}

/* -- into the outbox ------------------------------------------------------------------------ */

static void fall_behind(struct dv_publisher *p, const char *why)
{
    if (!p->is_behind)
        dv_log(DV_LOG_WARN, "bridge %s: %s, all features will be published again", p->bridge, why);
    p->is_behind = true;
}

/* Once something was dropped nothing more goes in until everything is published again: a property
 * could come without its feature. */
static void add(struct dv_publisher *p, const struct dv_twin_change *change)
{
    if (p->is_behind && change->kind != DV_TWIN_DELETE)
        return;
    if (!dv_outbox_add(p->outbox, change))
        fall_behind(p, "the outbox is full");
}

typedef int
twin_text_fn(const struct dv_container_record *record, struct dv_buf *out, struct dv_error *err);

static void add_value(struct dv_publisher *p,
                      const struct dv_container_record *record,
                      const char *path,
                      twin_text_fn *text)
{
    struct dv_address feature = dv_address_of(DV_CONTAINER_PREFIX, record->id);
    DV_AUTO_IN_PLACE(dv_buf) value = DV_BUF_INIT(VALUE_BYTES);
    struct dv_error err = DV_ERROR_INIT;
    if (text(record, &value, &err) < 0) {
        dv_log(DV_LOG_ERROR, "bridge %s: twin of %s: %s", p->bridge, feature.text, err.text);
        return;
    }
    struct dv_twin_change change = {
        .kind = path ? DV_TWIN_PROPERTY : DV_TWIN_FEATURE,
        .feature = feature.text,
        .path = (char *)path,
        .definition = path ? NULL : (char *)DV_TWIN_CONTAINER_DEFINITION,
        .value = value.data,
        .thing = dv_things_of(p->things, record->id),
    };
    add(p, &change);
}

static size_t length_of(twin_text_fn *text, const struct dv_container_record *record)
{
    DV_AUTO_IN_PLACE(dv_buf) value = DV_BUF_INIT(VALUE_BYTES);
    return text(record, &value, NULL) < 0 ? 0 : value.len;
}

static void weigh(struct dv_publisher *p, const struct dv_container_record *record)
{
    dv_weight_set(dv_things_weight_of(p->things, record->id), record->id,
                  FEATURE_BYTES + length_of(dv_twin_container_properties, record),
                  FEATURE_BYTES + length_of(dv_twin_container_outline, record));
}

static void settle(struct dv_publisher *p)
{
    if (dv_things_settle(p->things))
        fall_behind(p, "containers are shown otherwise");
}

static bool is_compact(const struct dv_publisher *p, const struct dv_container_record *record)
{
    return dv_weight_is_compact(dv_things_weight_of(p->things, record->id));
}

static void add_full(struct dv_publisher *p, const struct dv_container_record *record)
{
    weigh(p, record);
    add_value(p, record, NULL,
              is_compact(p, record) ? dv_twin_container_outline : dv_twin_container_properties);
}

/* One of the deletes that are owed and not on their way, of that container or of any. */
static bool add_delete(struct dv_publisher *p, const char *id)
{
    const struct dv_owed_delete *owed = dv_owed_take(p->owed, id);
    if (!owed)
        return false;
    struct dv_address feature = dv_address_of(DV_CONTAINER_PREFIX, owed->id);
    struct dv_twin_change change = {
        .kind = DV_TWIN_DELETE, .feature = feature.text, .thing = owed->thing};
    add(p, &change);
    return true;
}

/* -- who is known by what ------------------------------------------------------------------- */

static bool grow(void **array, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return true;
    size_t more = *room ? *room * 2 : 16;
    void *grown = reallocarray(*array, more, size);
    if (!grown)
        return false;
    *array = grown;
    *room = more;
    return true;
}

static bool is_fresh(const struct dv_publisher *p, const char *id)
{
    for (size_t i = 0; i < p->fresh_count; i++)
        if (strcmp(p->fresh[i], id) == 0)
            return true;
    return false;
}

/* The list that is on its way says nothing new of that container. */
static void add_fresh(struct dv_publisher *p, const char *id)
{
    if (is_fresh(p, id))
        return;
    char *copy = p->fresh_count < DV_PUBLISHER_FRESH_MAX &&
                         grow((void **)&p->fresh, &p->fresh_room, p->fresh_count, sizeof(char *))
                     ? strdup(id)
                     : NULL;
    if (copy)
        p->fresh[p->fresh_count++] = copy;
    else
        fall_behind(p, "too much happens while the containers are listed");
}

/* Takes a container out of what the list still has to say; false if it was out already. */
static bool take_from_list(struct dv_publisher *p, const char *id)
{
    for (size_t i = p->next; p->list && i < p->list->containers.count; i++) {
        if (strcmp(p->list->containers.items[i].id, id) != 0)
            continue;
        bool was_out = p->is_out[i];
        p->is_out[i] = true;
        return !was_out;
    }
    return false;
}

static void owe(struct dv_publisher *p, const char *id, unsigned thing, bool is_removed)
{
    if (!dv_owed_add(p->owed, id, thing, is_removed))
        dv_log(DV_LOG_ERROR, "bridge %s: container '%s' is gone and may stay in the twin",
               p->bridge, id);
}

/* On all things that may hold it beside the one where it is now. */
static void owe_moved(struct dv_publisher *p, const char *id, bool is_removed)
{
    uint64_t had = dv_things_had(p->things, id);
    for (unsigned thing = 0; had; thing++, had >>= 1)
        if (had & 1)
            owe(p, id, thing, is_removed);
}

static void owe_removed(struct dv_publisher *p, const char *id)
{
    owe(p, id, dv_things_of(p->things, id), true);
    owe_moved(p, id, true);
}

/* -- events --------------------------------------------------------------------------------- */

static void take_removed(struct dv_publisher *p, const char *id)
{
    owe_removed(p, id);
    dv_weight_remove(dv_things_weight_of(p->things, id), id);
    if (p->phase == PHASE_DOWN)
        return;
    if (p->phase == PHASE_LISTING)
        add_fresh(p, id);
    else
        (void)take_from_list(p, id);
    while (add_delete(p, id))
        ;
    if (p->phase == PHASE_COMPLETE)
        settle(p);
}

static void take_change(struct dv_publisher *p, const struct dv_container_event *event)
{
    switch (event->change) {
    case DV_CHANGE_CREATED:
        add_full(p, event->record);
        add_value(p, event->record, "status/state", dv_twin_container_state);
        break;
    case DV_CHANGE_STATE:
        add_value(p, event->record, "status/state", dv_twin_container_state);
        break;
    case DV_CHANGE_NAME:
        add_value(p, event->record, "status/name", dv_twin_container_name);
        break;
    case DV_CHANGE_CONFIG:
        weigh(p, event->record);
        if (!is_compact(p, event->record))
            add_value(p, event->record, "status/config", dv_twin_container_config);
        break;
    case DV_CHANGE_REMOVED:
    case DV_CHANGE_SNAPSHOT:
        add_full(p, event->record);
        break;
    }
}

void dv_publisher_event(struct dv_publisher *p, const struct dv_container_event *event)
{
    const char *id = event->record->id;
    if (event->change == DV_CHANGE_REMOVED) {
        take_removed(p, id);
        return;
    }
    if (p->phase == PHASE_DOWN)
        return; /* everything is published when the link comes up */
    bool is_first = false;
    if (p->phase == PHASE_LISTING) {
        is_first = !is_fresh(p, id);
        add_fresh(p, id);
    } else {
        is_first = take_from_list(p, id);
    }
    if (is_first && event->change != DV_CHANGE_CREATED)
        add_full(p, event->record);
    else
        take_change(p, event);
    if (p->phase == PHASE_COMPLETE)
        settle(p);
}

/* -- everything ----------------------------------------------------------------------------- */

void dv_publisher_again(struct dv_publisher *p)
{
    p->is_behind = false;
    if (p->phase == PHASE_DOWN)
        return;
    drop_list(p);
    drop_fresh(p);
    drop_features(p);
    dv_things_clear(p->things);
    p->phase = PHASE_LISTING;
    p->wants_list = true;
    p->factory_number = 0;
}

void dv_publisher_link(struct dv_publisher *p, bool is_up)
{
    dv_outbox_clear(p->outbox);
    drop_list(p);
    drop_fresh(p);
    drop_features(p);
    dv_owed_link_lost(p->owed);
    p->was_complete = false;
    p->is_behind = false;
    p->wants_list = false;
    p->phase = is_up ? PHASE_LISTING : PHASE_DOWN;
    if (is_up)
        dv_publisher_again(p);
}

int64_t dv_publisher_wants_list(struct dv_publisher *p)
{
    if (!p->wants_list)
        return 0;
    p->wants_list = false;
    return ++p->list_number;
}

static bool keep_list(struct dv_publisher *p, const struct dv_container_list *list)
{
    void *copy;
    p->arena = dv_arena_new(LIST_BYTES);
    if (!p->arena || dv_copy(&dv_schema_container_list, list, p->arena, &copy, NULL) < 0)
        return false;
    p->list = copy;
    p->is_out = dv_arena_array(p->arena, p->list->containers.count + 1, sizeof(bool));
    if (!p->is_out)
        return false;
    for (size_t i = 0; i < p->list->containers.count; i++)
        p->is_out[i] = is_fresh(p, p->list->containers.items[i].id);
    return true;
}

void dv_publisher_list(struct dv_publisher *p, int64_t number, const struct dv_container_list *list)
{
    if (p->phase != PHASE_LISTING || number != p->list_number || p->wants_list)
        return; /* of another link, or overtaken by a newer one */
    if (!list || !keep_list(p, list)) {
        drop_list(p);
        fall_behind(p, "the list of containers did not come");
        return;
    }
    drop_fresh(p);
    for (size_t i = 0; i < p->list->containers.count; i++) {
        owe_moved(p, p->list->containers.items[i].id, false);
        if (!p->is_out[i])
            weigh(p, &p->list->containers.items[i]);
    }
    /* Before the first one goes out; what was heard of meanwhile went out as was right before. */
    (void)dv_things_settle(p->things);
    p->phase = PHASE_FEEDING;
}

/* -- features that are no containers -------------------------------------------------------- */

static bool is_out(const struct dv_publisher *p, const char *feature)
{
    for (size_t i = 0; i < p->feature_count; i++)
        if (strcmp(p->features[i], feature) == 0)
            return true;
    return false;
}

static void add_feature(struct dv_publisher *p, const struct dv_feature_event *event)
{
    struct dv_twin_change change = {
        .kind = event->path ? DV_TWIN_PROPERTY : DV_TWIN_FEATURE,
        .feature = event->feature,
        .path = event->path,
        .definition = event->path ? NULL : event->definition,
        .value = event->value,
    };
    char part[PART_SIZE];
    snprintf(part, sizeof(part), "%s/%s", event->feature, event->path ? event->path : "");
    size_t bytes = FEATURE_BYTES + (event->value ? strlen(event->value) : 0);
    dv_weight_set(dv_things_weight(p->things, 0), part, bytes, bytes);
    if (!event->path && !is_out(p, event->feature)) {
        char *copy = p->feature_count < DV_PUBLISHER_FEATURES ? strdup(event->feature) : NULL;
        if (copy)
            p->features[p->feature_count++] = copy;
    }
    add(p, &change);
}

void dv_publisher_await_features(struct dv_publisher *p, int64_t number, unsigned count)
{
    if (number == p->list_number)
        p->features_awaited = count;
}

void dv_publisher_feature(struct dv_publisher *p,
                          int64_t number,
                          const struct dv_feature_event *feature)
{
    if (p->phase == PHASE_DOWN || number != p->list_number || p->wants_list)
        return; /* of another link, or overtaken by a newer one */
    if (p->features_awaited)
        p->features_awaited--;
    if (feature)
        add_feature(p, feature);
}

bool dv_publisher_feature_event(struct dv_publisher *p, const struct dv_feature_event *event)
{
    if (p->phase == PHASE_DOWN)
        return true; /* everything is published when the link comes up */
    if (event->path && !is_out(p, event->feature))
        return false;
    add_feature(p, event);
    return true;
}

static void add_factory(struct dv_publisher *p)
{
    struct dv_twin_change factory = {
        .kind = DV_TWIN_FEATURE,
        .feature = (char *)DV_ADDRESS_FACTORY,
        .definition = (char *)DV_TWIN_FACTORY_DEFINITION,
    };
    p->phase = PHASE_FACTORY;
    add(p, &factory);
}

/* Fills the outbox from the list, so far that it never overflows from that. */
static void feed(struct dv_publisher *p)
{
    while (p->phase == PHASE_FEEDING && dv_outbox_waiting(p->outbox) < p->feed_max) {
        if (p->next < p->list->containers.count) {
            size_t i = p->next++;
            if (!p->is_out[i])
                add_full(p, &p->list->containers.items[i]);
            continue;
        }
        if (p->features_awaited)
            return;
        if (add_delete(p, NULL))
            continue;
        drop_list(p);
        add_factory(p);
    }
}

/* -- out ------------------------------------------------------------------------------------ */

static void note_sent(struct dv_publisher *p, const struct dv_twin_change *change)
{
    if (change->kind == DV_TWIN_FEATURE && strcmp(change->feature, DV_ADDRESS_FACTORY) == 0)
        p->factory_number = change->number;
    if (change->kind != DV_TWIN_DELETE)
        return;
    dv_owed_sent(p->owed, change->feature + sizeof(DV_CONTAINER_PREFIX) - 1,
                 (unsigned)change->thing, change->number);
}

const struct dv_twin_change *dv_publisher_next(struct dv_publisher *p)
{
    if (p->phase == PHASE_DOWN)
        return NULL;
    feed(p);
    const struct dv_twin_change *change = dv_outbox_next(p->outbox);
    if (change)
        note_sent(p, change);
    return change;
}

void dv_publisher_acknowledge(struct dv_publisher *p, int64_t number, bool is_failed)
{
    dv_outbox_acknowledge(p->outbox, number);
    if (p->phase == PHASE_FACTORY && number == p->factory_number) {
        p->phase = PHASE_COMPLETE;
        p->was_complete = true;
    }
    dv_owed_acknowledge(p->owed, number, is_failed);
}

/* Else they go when the list has gone. */
static void add_late_deletes(struct dv_publisher *p)
{
    bool is_late = p->phase == PHASE_FACTORY || p->phase == PHASE_COMPLETE;
    while (is_late && add_delete(p, NULL))
        ;
}

void dv_publisher_owe_delete(struct dv_publisher *p, const char *id)
{
    owe_removed(p, id);
    add_late_deletes(p);
}

void dv_publisher_delete_from(struct dv_publisher *p, const char *id, unsigned thing)
{
    owe(p, id, thing, false);
    add_late_deletes(p);
}

char *dv_publisher_take_deleted(struct dv_publisher *p)
{
    return dv_owed_take_told(p->owed);
}

void dv_publisher_was_spread(struct dv_publisher *p, uint64_t counts)
{
    dv_things_set_before(p->things, counts);
    for (size_t i = 0, count = dv_owed_count(p->owed); i < count; i++) {
        const char *id = dv_owed_removed(p->owed, i);
        if (id)
            owe_moved(p, id, true);
    }
}

bool dv_publisher_is_moved(const struct dv_publisher *p)
{
    return p->phase == PHASE_COMPLETE && dv_things_has_before(p->things) &&
           dv_owed_count(p->owed) == 0;
}

bool dv_publisher_is_complete(const struct dv_publisher *p)
{
    return p->was_complete;
}

bool dv_publisher_is_behind(const struct dv_publisher *p)
{
    return p->is_behind && p->phase != PHASE_DOWN;
}

size_t dv_publisher_depth(const struct dv_publisher *p)
{
    return dv_outbox_waiting(p->outbox) + dv_outbox_open(p->outbox);
}

const struct dv_things *dv_publisher_things(const struct dv_publisher *p)
{
    return p->things;
}
