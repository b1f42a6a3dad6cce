/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of control groups, as all of their forms. */
#include "runtime/cgroup/figures.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dv_str text = {(const char *)data, size};
    struct dv_str line;
    int64_t value = 0;
    int64_t read = 0;
    int64_t write = 0;
    if (dv_cgroup_figure(text, &value) && value < 0)
        abort();
    if (dv_cgroup_figure_of(text, "usage_usec", &value) && value < 0)
        abort();
    while (text.len) {
        (void)dv_str_cut(text, '\n', &line, &text);
        (void)dv_cgroup_add_io_v1(line, &read, &write);
        (void)dv_cgroup_add_io_v2(line, &read, &write);
    }
    if (read < 0 || write < 0)
        abort();
    return 0;
}
