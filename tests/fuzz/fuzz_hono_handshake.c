/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/identity.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* An accepted identity can always be a part of a topic. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dv_hono_identity identity;
    if (dv_hono_handshake_parse((struct dv_str){(const char *)bytes, len}, &identity, NULL) < 0)
        return 0;
    if (!dv_hono_is_topic_part(dv_str_of(identity.thing)) ||
        !dv_hono_is_topic_part(dv_str_of(identity.tenant)))
        abort();
    return 0;
}
