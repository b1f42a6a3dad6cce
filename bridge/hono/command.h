/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a message on a command topic means, and where its answer goes.
 *
 * The answer is given in the dialect of the request: with a request id on
 * command//<thing>/res/<request id>/<status>, without one, if the message wants an answer, on
 * command//<thing>/res//<operation>. A message that does not want one is executed in silence, and
 * so is its failure. A message that cannot be read that far is answered only by its request id.
 *
 * Pure functions, any thread; what they return lives in the arena.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "bridge/ditto/envelope.h"
#include "bridge/ditto/reply.h"
#include "bridge/hono/topic.h"
#include "messages/messages.h"

#include <stdbool.h>

enum dv_hono_verdict {
    DV_HONO_IGNORED, /* no command: an echo, or a topic of another kind */
    DV_HONO_SILENT,  /* malformed, and nobody wants to know */
    DV_HONO_REFUSED, /* to be answered with topic and payload */
    DV_HONO_COMMAND, /* for a feature */
};

struct dv_hono_judgement {
    enum dv_hono_verdict verdict;
    const struct dv_command *command; /* COMMAND; its sequence is 0 */
    const char *answer_topic;         /* REFUSED */
    struct dv_str answer;             /* REFUSED */

    struct dv_hono_topic topic;
    struct dv_ditto_request request;
};

/* Fails only for want of memory. `raw` must live as long as the judgement. */
__attribute__((warn_unused_result)) int dv_hono_judge(const struct dv_hono_raw *raw,
                                                      struct dv_arena *arena,
                                                      struct dv_hono_judgement *ret,
                                                      struct dv_error *err);

/* Turns a COMMAND or a refusal into a refusal for another reason (busy); SILENT if no answer is
 * wanted. */
__attribute__((warn_unused_result)) int dv_hono_refuse(struct dv_hono_judgement *judgement,
                                                       enum dv_error_class class,
                                                       const char *text,
                                                       struct dv_arena *arena,
                                                       struct dv_error *err);

/* Where an answer goes and for which thing it is, from the token of the command. `topic` and
 * `payload` are appended to. INVALID for a token that dv_hono_judge() has not made. */
struct dv_hono_answer {
    char thing[DV_HONO_THING_MAX + 1];
    struct dv_buf topic;
    struct dv_buf payload;
};
#define DV_HONO_ANSWER_INIT                                                                        \
    ((struct dv_hono_answer){.topic = DV_BUF_INIT(DV_HONO_TOPIC_MAX),                              \
                             .payload = DV_BUF_INIT(DV_DITTO_ENVELOPE_MAX)})
__attribute__((warn_unused_result)) int dv_hono_answer_write(const struct dv_command_reply *reply,
                                                             struct dv_hono_answer *ret,
                                                             struct dv_error *err);
void dv_hono_answer_done(struct dv_hono_answer *answer);
DV_DEFINE_CLEANUP_IN_PLACE(dv_hono_answer, dv_hono_answer_done)
