/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/remembered.h"

#include "actors/addresses.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_MS  1000000
#define RETRY_MS   1000
#define VALUE_MAX  256
#define NAME_SIZE  65 /* of a store_value */
#define SPREAD_ONE UINT64_C(1)

/* Whether it is worth asking again; logged. */
static bool is_late(const struct dv_remembered *r, const struct dv_error *error, const char *what)
{
    bool is_late = dv_error_is_retryable(error->class);
    dv_log(DV_LOG_WARN, "bridge %s: %s%s: %s", r->bridge, what, is_late ? ", asking again" : "",
           error->text);
    return is_late;
}

/* -- answers -------------------------------------------------------------------------------- */

static void ask_repeats(struct dv_remembered *r, int64_t after);

static void on_repeats_due(struct dv_cell *cell, void *ctx)
{
    (void)cell;
    ask_repeats(ctx, 0);
}

static void on_repeats(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_remembered *r = ctx;
    if (dv_cell_is_ending(cell))
        return;
    if (outcome->error) {
        if (is_late(r, outcome->error, "answers of before the restart are not known"))
            (void)dv_timer_set(cell, RETRY_MS, on_repeats_due, r);
        return;
    }
    const struct dv_store_repeats *repeats = outcome->body;
    int64_t now_ns = dv_clock_monotonic_ns(dv_cell_clock(cell));
    int64_t window_ns = r->repeat_window_ms * NS_PER_MS;
    int64_t last = 0;
    for (size_t i = 0; i < repeats->answers.count; i++) {
        const struct dv_store_answered *answer = &repeats->answers.items[i];
        last = answer->sequence;
        int64_t age_ns =
            dv_repeats_age_ns(answer, r->boot, now_ns, dv_clock_wall_ns(dv_cell_clock(cell)));
        if (!answer->reply || !answer->repeat_key || age_ns > window_ns)
            continue;
        dv_repeats_restore(r->repeats, answer->repeat_key, answer->reply, now_ns - age_ns);
    }
    if (repeats->more)
        ask_repeats(r, last);
}

static void ask_repeats(struct dv_remembered *r, int64_t after)
{
    struct dv_store_repeats_query query = {.bridge = (char *)r->bridge, .after = after};
    dv_ask(r->cell, DV_ADDRESS_STORE, DV_KIND_store_repeats_query, &query, r->timeout_ms,
           on_repeats, r);
}

/* -- containers that went ------------------------------------------------------------------- */

static void ask_gone(struct dv_remembered *r);

static void on_gone_due(struct dv_cell *cell, void *ctx)
{
    (void)cell;
    ask_gone(ctx);
}

static void on_gone(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_remembered *r = ctx;
    if (dv_cell_is_ending(cell))
        return;
    if (outcome->error) {
        if (is_late(r, outcome->error, "the twin may show containers that were removed"))
            (void)dv_timer_set(cell, RETRY_MS, on_gone_due, r);
        return;
    }
    const struct dv_store_gone *gone = outcome->body;
    for (size_t i = 0; i < gone->ids.count; i++)
        dv_publisher_owe_delete(r->publisher, gone->ids.items[i]);
    r->is_gone_known = true;
    r->changed(cell);
    dv_remembered_settle(r);
}

static void ask_gone(struct dv_remembered *r)
{
    struct dv_store_gone_query query;
    dv_ask(r->cell, DV_ADDRESS_STORE, DV_KIND_store_gone_query, &query, r->timeout_ms, on_gone, r);
}

/* -- things --------------------------------------------------------------------------------- */

static uint64_t spread_now(const struct dv_remembered *r)
{
    return SPREAD_ONE << (dv_things_count(dv_publisher_things(r->publisher)) - 1);
}

static void name_value(const struct dv_remembered *r, char ret[NAME_SIZE])
{
    snprintf(ret, NAME_SIZE, "things.%s", r->bridge);
}

/* What cannot be read is as if nothing were known: then the twin check has to find what is left. */
static uint64_t read_spread(struct dv_bytes value)
{
    struct dv_str rest = {(const char *)value.data, value.len}, number;
    uint64_t spread = 0;
    int64_t count;
    if (value.len == 0)
        return SPREAD_ONE;
    while (rest.len > 0) {
        dv_str_cut(rest, ' ', &number, &rest);
        if (dv_str_to_i64(number, 1, DV_THINGS_MAX, &count, NULL) == 0)
            spread |= SPREAD_ONE << (count - 1);
    }
    return spread;
}

static void become_ready(struct dv_remembered *r)
{
    r->is_ready = true;
    r->changed(r->cell);
}

static void note(struct dv_remembered *r);

static void on_note_due(struct dv_cell *cell, void *ctx)
{
    (void)cell;
    note(ctx);
}

/* Nothing is published before it is durable: else a container could stay for ever on a thing that
 * nobody remembers. */
static void on_noted(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    static struct dv_log_limit limit;
    struct dv_remembered *r = ctx;
    unsigned skipped;
    if (dv_cell_is_ending(cell))
        return;
    if (outcome->error && dv_log_allow(&limit, 60, &skipped))
        dv_log(DV_LOG_ERROR,
               "bridge %s: over how many things containers are spread cannot be written to the "
               "journal, trying again%s: %s skipped=%u",
               r->bridge, r->is_ready ? "" : "; the twin is not published before",
               outcome->error->text, skipped);
    if (outcome->error)
        (void)dv_timer_set(cell, RETRY_MS, on_note_due, r);
    else if (!r->is_ready)
        become_ready(r);
}

static void note(struct dv_remembered *r)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(VALUE_MAX);
    char name[NAME_SIZE];
    name_value(r, name);
    int result = 0;
    for (unsigned n = 1; n <= DV_THINGS_MAX && result == 0; n++)
        if (r->spread & SPREAD_ONE << (n - 1))
            result = dv_buf_printf(&text, NULL, "%s%u", text.len ? " " : "", n);
    struct dv_store_value body = {.name = name};
    if (result == 0 && r->spread != SPREAD_ONE)
        body.value = (struct dv_bytes){(uint8_t *)text.data, text.len};
    dv_ask(r->cell, DV_ADDRESS_STORE, DV_KIND_store_value, &body, r->timeout_ms, on_noted, r);
}

static void ask_spread(struct dv_remembered *r);

static void on_spread_due(struct dv_cell *cell, void *ctx)
{
    (void)cell;
    ask_spread(ctx);
}

static void on_spread(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_remembered *r = ctx;
    if (dv_cell_is_ending(cell))
        return;
    if (outcome->error) {
        if (is_late(r, outcome->error, "over how many things containers were spread is not known"))
            (void)dv_timer_set(cell, RETRY_MS, on_spread_due, r);
        else
            become_ready(r);
        return;
    }
    uint64_t before = read_spread(((const struct dv_store_value *)outcome->body)->value);
    r->spread = before | spread_now(r);
    dv_publisher_was_spread(r->publisher, before);
    if (before & spread_now(r))
        become_ready(r);
    else
        note(r);
}

static void ask_spread(struct dv_remembered *r)
{
    char name[NAME_SIZE];
    name_value(r, name);
    struct dv_store_value_query query = {.name = name};
    dv_ask(r->cell, DV_ADDRESS_STORE, DV_KIND_store_value_query, &query, r->timeout_ms, on_spread,
           r);
}

void dv_remembered_settle(struct dv_remembered *r)
{
    if (!r->is_gone_known || !r->is_ready || !dv_publisher_is_moved(r->publisher))
        return;
    dv_log(DV_LOG_INFO, "bridge %s: containers have gone from the things where they were before",
           r->bridge);
    r->spread = spread_now(r);
    dv_publisher_was_spread(r->publisher, r->spread);
    note(r);
}

void dv_remembered_ask(struct dv_remembered *r, bool has_twin)
{
    r->is_ready = !has_twin;
    ask_repeats(r, 0);
    if (!has_twin)
        return;
    ask_gone(r);
    ask_spread(r);
}
