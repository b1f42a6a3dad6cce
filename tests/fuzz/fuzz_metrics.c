/* SPDX-License-Identifier: Apache-2.0 */
/* A request for metrics, and what it wants of a container and of the machine. */
#include "spec/metrics.h"

#include "json/json.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct dv_metrics_request *request, const char *id)
{
    const struct dv_maybe some = {true, 5};
    const struct dv_sample sample = {.memory_used = some,
                                     .memory_total = some,
                                     .io_read = some,
                                     .io_write = some,
                                     .net_read = some,
                                     .net_write = some,
                                     .tasks = some};
    struct dv_measurements measured = {.id = id,
                                       .name = id ? "web" : NULL,
                                       .has_utilization = true,
                                       .cpu_utilization = 1.5,
                                       .sample = &sample};
    struct dv_metrics_data value = {.max = 4096};
    bool is_full = false;
    if (dv_metrics_data_add(&value, request, &measured, &is_full, NULL) < 0 || is_full)
        abort();
    if (!id && value.originators && !dv_metrics_wants_system(request))
        abort();
    if (value.originators) {
        DV_AUTO(dv_json) json = NULL;
        if (dv_metrics_data_end(&value, 1, NULL) < 0 ||
            dv_json_parse(value.value.data, value.value.len, &json, NULL) < 0)
            abort();
    }
    dv_buf_done(&value.value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dv_metrics_request request;
    struct dv_spec_notes notes;
    DV_AUTO(dv_arena) arena = dv_arena_new(8U << 20);
    if (!arena || dv_spec_metrics_request((struct dv_str){(const char *)data, size}, arena,
                                          &request, &notes, NULL) < 0)
        return 0;
    if (request.period_ms && (request.period_ms < DV_METRICS_PERIOD_MIN_MS ||
                              request.period_ms > DV_METRICS_PERIOD_MAX_MS))
        abort();
    check(&request, "1");
    check(&request, NULL);
    return 0;
}
