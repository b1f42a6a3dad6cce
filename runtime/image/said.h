/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What davit-unpack said on standard error: lines that begin with its name, warnings and at last
 * the reason of a failure; its libraries talk there, too. What is not printable is not repeated.
 * Pure, any thread.
 */
#include <stdbool.h>

#define DV_SAID_MAX 400

/* The next line of its own, from *text on, which moves behind it. False: there is none. */
bool dv_said_next(const char **text, char line[DV_SAID_MAX]);
/* The last of them. */
void dv_said_reason(const char *text, char reason[DV_SAID_MAX]);
