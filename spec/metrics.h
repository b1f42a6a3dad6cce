/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The feature Metrics: what `request` asks for, whose measurements it wants, and the data that is
 * sent. Pure, any thread. Shapes: docs/metrics.md.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "messages/messages.h"
#include "spec/notes.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_METRICS_DEFINITION    "com.bosch.iot.suite.edge.metric:Metrics:1.0.0"
#define DV_METRICS_SYSTEM        "SYSTEM"
#define DV_METRICS_PERIOD_MIN_MS 1000
#define DV_METRICS_PERIOD_MAX_MS (7LL * 24 * 3600 * 1000)
#define DV_METRICS_FILTERS_MAX   64
#define DV_METRICS_IDS_MAX       64 /* of one filter */

/* `args` is the JSON value of the command, empty when there is none. Sets period_ms (0: nothing is
 * wanted any more) and filters, which live in the arena; unknown keys of the value become notes.
 * INVALID names field, value and rule; LIMIT names the limit. */
__attribute__((warn_unused_result)) int dv_spec_metrics_request(struct dv_str args,
                                                                struct dv_arena *arena,
                                                                struct dv_metrics_request *ret,
                                                                struct dv_spec_notes *ret_notes,
                                                                struct dv_error *err);

/* What is known of one originator. Those that are not set are not sent. */
struct dv_measurements {
    const char *id;         /* of the container; NULL: the machine */
    const char *name;       /* of the container */
    bool has_utilization;   /* of the processors */
    double cpu_utilization; /* percent of the whole machine */
    const struct dv_sample *sample;
};

/* Whether a request wants anything of the machine itself. */
bool dv_metrics_wants_system(const struct dv_metrics_request *request);

/* The value of one or more `data` messages, in the making: as many originators as fit. */
struct dv_metrics_data {
    struct dv_buf value;
    size_t max; /* bytes of a value */
    size_t originators;
};

/* Adds what the request wants of an originator; nothing if that is nothing. `*ret_is_full`: there
 * is no room; end this value, send it, clear it, and add again. */
__attribute__((warn_unused_result)) int
dv_metrics_data_add(struct dv_metrics_data *data,
                    const struct dv_metrics_request *request,
                    const struct dv_measurements *measured,
                    bool *ret_is_full,
                    struct dv_error *err);
/* Makes `data->value` a whole JSON value. */
__attribute__((warn_unused_result)) int
dv_metrics_data_end(struct dv_metrics_data *data, int64_t timestamp, struct dv_error *err);
void dv_metrics_data_clear(struct dv_metrics_data *data);
