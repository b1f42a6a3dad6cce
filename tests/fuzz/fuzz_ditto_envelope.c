/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "bridge/ditto/envelope.h"
#include "bridge/ditto/reply.h"

#include "json/json.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* A message is read or refused; a value is passed on as JSON and a refusal can be written. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4U << 20);
    struct dv_ditto_request request;
    if (dv_ditto_parse(bytes, len, "org.example:gw1:edge:containers", arena, &request, NULL) < 0)
        return 0;
    if (request.verdict == DV_DITTO_REFUSED) {
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(8U << 20);
        if (dv_ditto_write_refusal(&request, request.error_class, request.error_text, &out, NULL) <
            0)
            abort();
    } else if (request.verdict == DV_DITTO_COMMAND && request.value) {
        DV_AUTO(dv_json) value = NULL;
        if (dv_json_parse(request.value, strlen(request.value), &value, NULL) < 0)
            abort();
    }
    return 0;
}
