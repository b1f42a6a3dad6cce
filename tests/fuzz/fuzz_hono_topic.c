/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/command.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The first line is the topic, the rest the payload, as a broker could deliver them. Whatever a
 * command becomes can be answered. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dv_str topic, payload = {"", 0};
    dv_str_cut((struct dv_str){(const char *)bytes, len}, '\n', &topic, &payload);
    if (!dv_str_is_utf8(topic) || (topic.len > 0 && memchr(topic.data, 0, topic.len)))
        return 0;
    DV_AUTO(dv_arena) arena = dv_arena_new(8U << 20);
    struct dv_hono_raw raw = {
        .thing = dv_arena_strdup(arena, "org.example:gw1:edge:containers"),
        .topic = dv_arena_strndup(arena, topic.data ? topic.data : "", topic.len),
        .payload = {(uint8_t *)(uintptr_t)payload.data, payload.len},
    };
    struct dv_hono_judgement judgement;
    if (dv_hono_judge(&raw, arena, &judgement, NULL) < 0 || judgement.verdict != DV_HONO_COMMAND)
        return 0;
    DV_AUTO_IN_PLACE(dv_hono_answer) answer = DV_HONO_ANSWER_INIT;
    struct dv_command_reply reply = {.feature = judgement.command->feature,
                                     .operation = judgement.command->operation,
                                     .token = judgement.command->token,
                                     .status = 204};
    if (dv_hono_answer_write(&reply, &answer, NULL) < 0)
        abort();
    return 0;
}
