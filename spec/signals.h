/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Signal names of Linux. Pure, any thread. */
#include <stdbool.h>

/* A name with or without SIG in any case, RTMIN+n, or a number 1..64. */
bool dv_signal_parse(const char *text, int *ret);
/* "SIGTERM", or "signal 42" in `text` for one without a name. */
#define DV_SIGNAL_TEXT_SIZE 16
const char *dv_signal_name(int number, char text[DV_SIGNAL_TEXT_SIZE]);
