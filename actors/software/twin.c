/* SPDX-License-Identifier: Apache-2.0 */
/* What the twin shows: dependencies a moment after they change, reports at once. */
#include "actors/software/internal.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* Ditto takes no message of more than 250 KB, so what is larger than this is not true anyway. */
#define DEPENDENCIES_BYTES (400U << 10)
#define REPORT_BYTES       (256U << 10)
#define VALUE_BYTES        (1U << 20)
#define ARENA_BYTES        (32U << 20)
/* The whole map goes out with each change: with many containers the changes of a moment are told
 * together. */
#define GATHER_MS         100
#define CONTAINERS_PER_MS 2

static void publish(struct software *s, const char *path, const char *value)
{
    struct dv_feature_event event = {
        .feature = (char *)DV_ADDRESS_SOFTWARE,
        .definition = (char *)DV_SOFTWARE_DEFINITION,
        .path = (char *)path,
        .value = (char *)value,
    };
    dv_publish(s->cell, DV_KIND_feature_event, &event);
}

/* -- dependencies --------------------------------------------------------------------------- */

/* NULL in *out->data only after a failure, which is logged. */
static void write_dependencies(const struct software *s, struct dv_buf *out)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_BYTES);
    size_t count = known_count(s->known);
    size_t left_out = 0;
    struct dv_error err = DV_ERROR_INIT;
    struct dv_dependency *list = arena ? dv_arena_array(arena, count + 1, sizeof(*list)) : NULL;
    int r = list ? 0 : dv_error_set(&err, DV_ERR_NO_MEMORY, "no memory for dependencies");
    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct known *known = known_at(s->known, i);
        r = dv_software_dependency(known->id, known->image_ref, arena, &list[i], &err);
    }
    if (r == 0)
        r = dv_software_write_dependencies(list, count, DEPENDENCIES_BYTES, out, &left_out, &err);
    if (r < 0)
        dv_log(DV_LOG_ERROR, "software: installedDependencies: %s", err.text);
    if (left_out)
        dv_log(DV_LOG_WARN, "software: %zu containers find no room in installedDependencies",
               left_out);
}

static void on_gathered(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct software *s = dv_cell_state(cell);
    DV_AUTO_IN_PLACE(dv_buf) value = DV_BUF_INIT(VALUE_BYTES);
    s->dependencies_timer = 0;
    write_dependencies(s, &value);
    if (value.data)
        publish(s, "status/installedDependencies", value.data);
}

void software_dependencies_changed(struct software *s)
{
    if (s->awaited || s->dependencies_timer)
        return; /* the whole feature is told when all are known */
    int64_t wait_ms = GATHER_MS + (int64_t)(known_count(s->known) / CONTAINERS_PER_MS);
    s->dependencies_timer = dv_timer_set(s->cell, wait_ms, on_gathered, NULL);
}

/* -- reports -------------------------------------------------------------------------------- */

static bool is_failure(enum dv_software_status status)
{
    return status == DV_SOFTWARE_FINISHED_ERROR || status == DV_SOFTWARE_FINISHED_REJECTED;
}

static void tell(struct software *s, const struct dv_software_report *report)
{
    DV_AUTO_IN_PLACE(dv_buf) value = DV_BUF_INIT(REPORT_BYTES);
    struct dv_error err = DV_ERROR_INIT;
    if (dv_software_write_report(report, &value, &err) < 0) {
        dv_log(DV_LOG_ERROR, "software: a status is not told: %s", err.text);
        return;
    }
    dv_log(is_failure(report->status) ? DV_LOG_WARN : DV_LOG_INFO, "software: %.600s", value.data);
    char *copy = strdup(value.data);
    if (is_failure(report->status)) {
        free(s->last_failed);
        s->last_failed = strdup(value.data);
        publish(s, "status/lastFailedOperation", value.data);
    }
    free(s->last_operation);
    s->last_operation = copy;
    publish(s, "status/lastOperation", value.data);
}

void software_report(struct software *s, enum dv_software_status status, const char *message)
{
    struct dv_software_report report = {
        .correlation_id = s->current->body->correlation_id,
        .status = status,
        .module = software_module(s),
        .message = message,
    };
    if (status == DV_SOFTWARE_DOWNLOADING || status == DV_SOFTWARE_INSTALLING)
        report.progress = s->progress;
    if (status != s->told)
        s->told_ns = dv_clock_monotonic_ns(dv_cell_clock(s->cell));
    s->told = status;
    tell(s, &report);
}

void software_report_list(struct software *s,
                          enum dv_software_status status,
                          const struct dv_dependency *const *list,
                          size_t count,
                          const char *message)
{
    struct dv_software_report report = {
        .correlation_id = s->current->body->correlation_id,
        .status = status,
        .software = list,
        .software_count = count,
        .message = message,
    };
    tell(s, &report);
}

void software_report_refusal(struct software *s,
                             const struct dv_software_operation *operation,
                             const char *message)
{
    struct dv_software_report report = {
        .correlation_id = operation->correlation_id,
        .status = DV_SOFTWARE_FINISHED_REJECTED,
        .message = message,
    };
    if (!operation->correlation_id)
        return; /* nobody could tell what it is about */
    tell(s, &report);
}

/* -- the whole ------------------------------------------------------------------------------ */

void software_answer_query(struct software *s, struct dv_request **request)
{
    DV_AUTO_IN_PLACE(dv_buf) value = DV_BUF_INIT(VALUE_BYTES);
    DV_AUTO_IN_PLACE(dv_buf) dependencies = DV_BUF_INIT(VALUE_BYTES);
    struct dv_error err = DV_ERROR_INIT;
    if (known_count(s->known))
        write_dependencies(s, &dependencies);
    if (dv_software_write_properties(dependencies.data, s->last_operation, s->last_failed, &value,
                                     &err) < 0) {
        dv_answer_error(s->cell, request, &err);
        return;
    }
    struct dv_feature_event event = {
        .feature = (char *)DV_ADDRESS_SOFTWARE,
        .definition = (char *)DV_SOFTWARE_DEFINITION,
        .value = value.data,
    };
    dv_answer(s->cell, request, DV_KIND_feature_event, &event);
}
