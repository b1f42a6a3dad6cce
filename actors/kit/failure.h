/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An error as a message and back. Pure functions, any thread. Private to the kit.
 */
#include "base/error.h"
#include "messages/messages.h"

/* Needs the room for the text, which *ret points to. A text that is not UTF-8 is made so. */
void dv_failure_of_error(const struct dv_error *error,
                         char text[DV_ERROR_TEXT_MAX],
                         struct dv_failure *ret);

/* Always leaves an error that is set. */
void dv_failure_to_error(const struct dv_failure *failure, struct dv_error *ret);
