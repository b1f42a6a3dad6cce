/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How the gateway answers a command. Its own thread. */
#include "actors/kit/cell.h"
#include "messages/messages.h"

/* Answers with the JSON of a message. */
void gateway_answer(struct dv_cell *cell,
                    struct dv_request **request,
                    const struct dv_schema *schema,
                    const void *body);
