/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses: files below /proc, or an answer of rtnetlink. */
#include "runtime/meter/figures.h"
#include "runtime/meter/links.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_files(struct dv_str text)
{
    int64_t a = 0;
    int64_t b = 0;
    struct dv_str line;
    struct dv_str name;
    if ((dv_meter_cpu(text, &a, &b) && (a < 0 || b < a)) ||
        (dv_meter_memory(text, &a, &b) && (a < 0 || b < a)) || (dv_meter_tasks(text, &a) && a < 0))
        abort();
    a = 0;
    b = 0;
    while (text.len) {
        int64_t read;
        int64_t write;
        (void)dv_str_cut(text, '\n', &line, &text);
        if (dv_meter_disk(line, &name, &read, &write) && (read < 0 || write < 0))
            abort();
        dv_meter_add_net(line, &a, &b);
    }
    if (a < 0 || b < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool is_done;
    int64_t a;
    int64_t b;
    if (size == 0)
        return 0;
    if (data[0] % 2) {
        read_files((struct dv_str){(const char *)data + 1, size - 1});
        return 0;
    }
    DV_AUTO(dv_meter_links) links = dv_meter_links_offline();
    if (!links)
        return 0;
    (void)!dv_meter_links_take(links, data + 1, size - 1, &is_done, NULL);
    (void)dv_meter_links_uplinks(links, &a, &b);
    (void)dv_meter_links_named(links, "eth0");
    return 0;
}
