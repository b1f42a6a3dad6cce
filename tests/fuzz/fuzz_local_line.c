/* SPDX-License-Identifier: Apache-2.0 */
/* One line as a client of the local socket may send it; what is accepted keeps the limits of its
 * message. */
#include "bridge/local/line.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so)
{
    if (!is_so)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(8U << 20);
    struct line line;
    struct dv_error err = DV_ERROR_INIT;
    if (!arena || memchr(data, '\n', size))
        return 0;
    int r = line_read((struct dv_str){(const char *)data, size}, arena, &line, &err);
    require(line.id && strlen(line.id) <= LINE_ID_MAX && dv_str_is_utf8(dv_str_of(line.id)));
    if (r < 0) {
        require(err.class && err.text[0]);
        return 0;
    }
    if (line.type == LINE_ATTACH)
        require(line.attach->container[0] && strcmp(line.attach->id, line.id) == 0);
    if (line.type == LINE_EXEC)
        require(line.exec->args.count > 0 && strcmp(line.exec->id, line.id) == 0);
    if (line.type != LINE_REQUEST)
        return 0;
    require(line.request->id[0] && strcmp(line.request->id, line.id) == 0);
    require(line.request->feature[0] && strlen(line.request->feature) <= 256);
    require(line.request->operation[0] && strlen(line.request->operation) <= 128);
    if (line.request->args)
        require(dv_str_is_utf8(dv_str_of(line.request->args)));
    (void)line_traces(line.request);
    return 0;
}
