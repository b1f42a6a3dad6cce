/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Exit records: an end that was reaped and that davitd has not taken over. In memory in order of
 * their numbers, and as files <run_dir>/exits/<number> (one protocol frame of container_exited) for
 * the next monitor. Private to the control thread.
 */
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stdint.h>

struct mon_records;

/* Reads what an earlier monitor left. */
__attribute__((warn_unused_result)) int
mon_records_new(const char *run_dir, struct mon_records **ret, struct dv_error *err);
void mon_records_free(struct mon_records *records);

/* Gives exit->record its number and writes the file; kept in memory also when that fails. */
void mon_records_add(struct mon_records *records, struct dv_container_exited *exit);
/* One that a file may not have held; nothing happens if it is known. */
void mon_records_restore(struct mon_records *records, const struct dv_container_exited *exit);
void mon_records_remove(struct mon_records *records, int64_t number);
/* The oldest with a number above `after`, NULL if there is none. Borrowed until the next change. */
const struct dv_container_exited *mon_records_next(const struct mon_records *records,
                                                   int64_t after);
