/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/command.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* A token comes back from the journal, which may be damaged. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    dv_autofree char *token = dv_str_dup((struct dv_str){(const char *)bytes, len});
    DV_AUTO_IN_PLACE(dv_hono_answer) answer = DV_HONO_ANSWER_INIT;
    struct dv_command_reply reply = {
        .feature = "F", .operation = "o", .token = token, .status = 204};
    (void)!dv_hono_answer_write(&reply, &answer, NULL);
    return 0;
}
