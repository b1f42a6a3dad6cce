/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/metrics.h"

#include "base/str.h"
#include "spec/read.h"

#include "json/json.h"
#include <string.h>

#define NS_PER_MS      1000000
#define MS_PER_S       1000
#define ORIGINATOR_MAX 512U
#define ID_MAX         128U
#define ITEM_MAX       8192U
#define CONTAINER      "Container:"
#define DATA_HEAD      "{\"snapshot\":["
#define DATA_TAIL_MAX  64U /* "],"timestamp":<number>}" */

/* -- request -------------------------------------------------------------------------------- */

static bool is_given(const struct dv_json *node)
{
    return node && !dv_json_is(node, DV_JSON_NULL);
}

static int
wrong(struct dv_error *err, const char *field, const struct dv_json *node, const char *what)
{
    return spec_bad(err, field, "%s is given, %s is expected",
                    dv_json_type_name(dv_json_type_of(node)), what);
}

/* What is asked for more often than once a second comes once a second. */
static int set_period(double period_ms, const char *text, int64_t *ret, struct dv_error *err)
{
    if (period_ms > (double)DV_METRICS_PERIOD_MAX_MS)
        return spec_bad(err, "frequency", "'%.64s' is more than 7 days", text);
    if (period_ms <= 0)
        *ret = 0;
    else
        *ret = period_ms < DV_METRICS_PERIOD_MIN_MS ? DV_METRICS_PERIOD_MIN_MS : (int64_t)period_ms;
    return 0;
}

static int take_frequency(const struct dv_json *node, int64_t *ret_ms, struct dv_error *err)
{
    const char *text = dv_json_text(node);
    char number[64];
    int64_t ns;
    if (!node) {
        *ret_ms = 0;
        return 0;
    }
    if (dv_json_is(node, DV_JSON_NUMBER)) {
        double seconds = __builtin_trunc(dv_json_number(node));
        snprintf(number, sizeof(number), "%.17g", dv_json_number(node));
        return set_period(seconds * MS_PER_S, number, ret_ms, err);
    }
    if (!text)
        return wrong(err, "frequency", node, "a duration like \"5s\" or a number of seconds");
    if (dv_str_to_duration_ns(dv_str_of(text), &ns, NULL) < 0)
        return spec_bad(err, "frequency", "'%.64s' is no duration (like 5s, 1m30s, 500ms)", text);
    return set_period((double)ns / NS_PER_MS, text, ret_ms, err);
}

static int take_ids(const struct dv_json *node,
                    struct dv_arena *arena,
                    struct dv_texts *ret,
                    struct dv_error *err)
{
    if (!is_given(node))
        return 0;
    if (!dv_json_is(node, DV_JSON_ARRAY))
        return wrong(err, "filter.id", node, "an array of strings");
    size_t count = dv_json_count(node);
    if (count > DV_METRICS_IDS_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "filter.id: %zu ids are given, at most %d are taken",
                            count, DV_METRICS_IDS_MAX);
    ret->items = dv_arena_array(arena, count, sizeof(*ret->items));
    if (!ret->items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a filter");
    for (const struct dv_json *at = dv_json_first(node); at; at = dv_json_next(at)) {
        const char *id = dv_json_text(at);
        if (!id)
            return wrong(err, "filter.id", at, "a string like \"cpu.*\"");
        if (strlen(id) > ID_MAX)
            return dv_error_set(err, DV_ERR_LIMIT, "filter.id: an id of %zu bytes, at most %u",
                                strlen(id), ID_MAX);
        ret->items[ret->count] = dv_arena_strdup(arena, id);
        if (!ret->items[ret->count++])
            return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a filter");
    }
    return 0;
}

static int
take_filter(struct spec_reader *reader, const struct dv_json *node, struct dv_metrics_filter *ret)
{
    static const char *const known[] = {"id", "originator"};
    struct dv_error *err = reader->err;
    if (!dv_json_is(node, DV_JSON_OBJECT))
        return wrong(err, "filter", node, "an object with id and originator");
    spec_note_others(reader, node, "filter", known, 2);
    const struct dv_json *originator = dv_json_get(node, "originator");
    const char *text = dv_json_text(originator);
    if (is_given(originator) && !text)
        return wrong(err, "filter.originator", originator, "a string like \"Container:web\"");
    if (text && strlen(text) > ORIGINATOR_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "filter.originator: %zu bytes, at most %u",
                            strlen(text), ORIGINATOR_MAX);
    if (text && text[0]) {
        ret->originator = dv_arena_strdup(reader->arena, text);
        if (!ret->originator)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a filter");
    }
    return take_ids(dv_json_get(node, "id"), reader->arena, &ret->ids, err);
}

static int take_filters(struct spec_reader *reader,
                        const struct dv_json *node,
                        struct dv_metrics_filter_list *ret)
{
    struct dv_error *err = reader->err;
    if (!is_given(node))
        return 0;
    if (!dv_json_is(node, DV_JSON_ARRAY))
        return wrong(err, "filter", node, "an array");
    size_t count = dv_json_count(node);
    if (count > DV_METRICS_FILTERS_MAX)
        return dv_error_set(err, DV_ERR_LIMIT,
                            "filter: %zu filters are given, at most %d are taken", count,
                            DV_METRICS_FILTERS_MAX);
    ret->items = dv_arena_array(reader->arena, count, sizeof(*ret->items));
    if (!ret->items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for filters");
    for (const struct dv_json *at = dv_json_first(node); at; at = dv_json_next(at)) {
        int r = take_filter(reader, at, &ret->items[ret->count++]);
        if (r < 0)
            return r;
    }
    return 0;
}

int dv_spec_metrics_request(struct dv_str args,
                            struct dv_arena *arena,
                            struct dv_metrics_request *ret,
                            struct dv_spec_notes *ret_notes,
                            struct dv_error *err)
{
    static const char *const known[] = {"frequency", "filter"};
    DV_AUTO(dv_json) value = NULL;
    struct dv_metrics_request request = {0};
    struct spec_reader reader = {.shape = SPEC_API, .arena = arena, .err = err};
    int r = args.len ? dv_json_parse(args.data, args.len, &value, err) : 0;
    if (r < 0)
        return r;
    if (is_given(value) && !dv_json_is(value, DV_JSON_OBJECT))
        return wrong(err, "value", value, "an object with frequency and filter");
    spec_note_others(&reader, value, "", known, 2);
    r = take_frequency(dv_json_get(value, "frequency"), &request.period_ms, err);
    if (r == 0)
        r = take_filters(&reader, dv_json_get(value, "filter"), &request.filters);
    if (r < 0)
        return r;
    *ret = request;
    *ret_notes = reader.notes;
    return 0;
}

/* -- filters -------------------------------------------------------------------------------- */

/* `text` equals the pattern, or begins with what stands before a star at its end. */
static bool is_like(const char *text, struct dv_str pattern)
{
    if (pattern.len && pattern.data[pattern.len - 1] == '*')
        return strncmp(text, pattern.data, pattern.len - 1) == 0;
    return dv_str_eq(pattern, text);
}

/* Without an originator a filter is about every container; the machine has to be named. */
static bool applies(const struct dv_metrics_filter *filter, const struct dv_measurements *measured)
{
    struct dv_str pattern = dv_str_of(filter->originator);
    if (!pattern.len)
        return measured->id != NULL;
    if (!measured->id)
        return is_like(DV_METRICS_SYSTEM, pattern);
    if (dv_str_eq(pattern, "*"))
        return true;
    if (!dv_str_starts_with(pattern, CONTAINER))
        return false;
    pattern.data += sizeof(CONTAINER) - 1;
    pattern.len -= sizeof(CONTAINER) - 1;
    return is_like(measured->id, pattern) || is_like(measured->name, pattern);
}

/* Stars around an id mean nothing: each is a beginning. */
static bool is_beginning(const char *id, const char *measurement)
{
    struct dv_str text = dv_str_of(id);
    while (text.len && text.data[0] == '*') {
        text.data++;
        text.len--;
    }
    while (text.len && text.data[text.len - 1] == '*')
        text.len--;
    return strncmp(measurement, text.data, text.len) == 0;
}

static bool wants(const struct dv_metrics_request *request,
                  const struct dv_measurements *measured,
                  const char *measurement)
{
    if (!request->filters.count)
        return measured->id != NULL;
    for (size_t i = 0; i < request->filters.count; i++) {
        const struct dv_metrics_filter *filter = &request->filters.items[i];
        if (!applies(filter, measured))
            continue;
        if (!filter->ids.count)
            return true;
        for (size_t j = 0; j < filter->ids.count; j++)
            if (is_beginning(filter->ids.items[j], measurement))
                return true;
    }
    return false;
}

bool dv_metrics_wants_system(const struct dv_metrics_request *request)
{
    const struct dv_measurements machine = {.id = NULL};
    for (size_t i = 0; i < request->filters.count; i++)
        if (applies(&request->filters.items[i], &machine))
            return true;
    return false;
}

/* -- data ----------------------------------------------------------------------------------- */

/* An originator in the making; opened with its first measurement. */
struct item {
    struct dv_json_writer w;
    const struct dv_metrics_request *request;
    const struct dv_measurements *measured;
    bool is_open;
};

static bool begin(struct item *item, const char *measurement)
{
    struct dv_json_writer *w = &item->w;
    char originator[sizeof(CONTAINER) + ID_MAX];
    if (!wants(item->request, item->measured, measurement))
        return false;
    if (!item->is_open) {
        item->is_open = true;
        snprintf(originator, sizeof(originator), "%s%s", item->measured->id ? CONTAINER : "",
                 item->measured->id ? item->measured->id : DV_METRICS_SYSTEM);
        dv_jw_object(w);
        dv_jw_member_text(w, "originator", originator);
        dv_jw_key(w, "measurements");
        dv_jw_array(w);
    }
    dv_jw_object(w);
    dv_jw_member_text(w, "id", measurement);
    dv_jw_key(w, "value");
    return true;
}

static void whole(struct item *item, const char *measurement, struct dv_maybe value)
{
    if (!value.is_set || !begin(item, measurement))
        return;
    dv_jw_i64(&item->w, value.value);
    dv_jw_object_end(&item->w);
}

static void percent(struct item *item, const char *measurement, double value)
{
    if (!begin(item, measurement))
        return;
    dv_jw_double(&item->w, value < 0 ? 0 : value > 100 ? 100 : value);
    dv_jw_object_end(&item->w);
}

static int write_item(const struct dv_metrics_request *request,
                      const struct dv_measurements *measured,
                      struct dv_buf *out,
                      struct dv_error *err)
{
    const struct dv_sample *sample = measured->sample;
    struct item item = {.request = request, .measured = measured};
    dv_jw_init(&item.w, out);
    if (measured->has_utilization)
        percent(&item, "cpu.utilization", measured->cpu_utilization);
    whole(&item, "memory.total", sample->memory_total);
    whole(&item, "memory.used", sample->memory_used);
    if (sample->memory_used.is_set && sample->memory_total.is_set && sample->memory_total.value > 0)
        percent(&item, "memory.utilization",
                100.0 * (double)sample->memory_used.value / (double)sample->memory_total.value);
    whole(&item, "io.readBytes", sample->io_read);
    whole(&item, "io.writeBytes", sample->io_write);
    whole(&item, "net.readBytes", sample->net_read);
    whole(&item, "net.writeBytes", sample->net_write);
    if (sample->tasks.value > 0)
        whole(&item, "pids", sample->tasks);
    if (!item.is_open)
        return 0;
    dv_jw_array_end(&item.w);
    dv_jw_object_end(&item.w);
    return dv_jw_done(&item.w, err);
}

int dv_metrics_data_add(struct dv_metrics_data *data,
                        const struct dv_metrics_request *request,
                        const struct dv_measurements *measured,
                        bool *ret_is_full,
                        struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) item = DV_BUF_INIT(ITEM_MAX);
    int r = write_item(request, measured, &item, err);
    if (r < 0)
        return r;
    *ret_is_full = data->originators && data->value.len + item.len + DATA_TAIL_MAX > data->max;
    if (!item.len || *ret_is_full)
        return 0;
    data->value.max = data->max + ITEM_MAX;
    r = dv_buf_append_str(&data->value, data->originators ? "," : DATA_HEAD, err);
    if (r == 0)
        r = dv_buf_append(&data->value, item.data, item.len, err);
    data->originators += r == 0;
    return r;
}

int dv_metrics_data_end(struct dv_metrics_data *data, int64_t timestamp, struct dv_error *err)
{
    return dv_buf_printf(&data->value, err, "],\"timestamp\":%lld}", (long long)timestamp);
}

void dv_metrics_data_clear(struct dv_metrics_data *data)
{
    dv_buf_clear(&data->value);
    data->originators = 0;
}
