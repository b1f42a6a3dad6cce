/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a transfer does differently when it fetches an artifact: into memory, from four protocols,
 * tried again until its time is over, going on where it broke, held against size and checksums.
 * Private to the downloader; one thread.
 */
#include "actors/downloader/transfer.h"

/* As transfer_new(). `cell` hears the clock and tells progress to the one who asked. */
__attribute__((warn_unused_result)) int artifact_new(struct dv_cell *cell,
                                                     const struct dv_artifact_cmd *command,
                                                     struct transfer **ret,
                                                     struct dv_error *err);
/* The body of an artifact's transfer came in part: as a write function of curl. */
size_t artifact_body(struct transfer *transfer, const char *bytes, size_t len);
/* Before another try. */
void artifact_rewind(struct transfer *transfer);
/* Whether another try behind `wait_ms` makes sense. */
bool artifact_may_retry(struct transfer *transfer, CURLcode code, int64_t wait_ms);
/* CORRUPT: the bytes are others than promised. DENIED: who has them is not to be trusted, or does
 * not trust us. */
__attribute__((warn_unused_result)) int artifact_finish(struct transfer *transfer,
                                                        CURLcode code,
                                                        struct dv_artifact_result *ret,
                                                        struct dv_error *err);
