/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The capabilities of capabilities(7), Linux 6.1. Pure, any thread; all texts are static.
 */
#include <stdbool.h>

#define DV_CAPABILITIES 41 /* CAP_CHOWN 0 .. CAP_CHECKPOINT_RESTORE 40 */

const char *dv_capability_name(unsigned number); /* "CAP_CHOWN"; NULL beyond the last */

/* With or without CAP_, any case. False if there is none of that name; then *ret_nearest (NULL
 * allowed) is a similar name or NULL. */
bool dv_capability_parse(const char *text, unsigned *ret_number, const char **ret_nearest);
