/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of the store share. */
#include "actors/env.h"
#include "actors/kit/cell.h"
#include "actors/store/memory.h"
#include "actors/store/record_files.h"
#include "base/journal.h"

#define WAITERS_MAX 4096

struct waiter {
    struct dv_request *request;
    uint64_t sequence;
};

struct state {
    struct dv_cell *cell;
    const struct dv_actor_env *env;
    struct dv_journal *journal;
    struct dv_record_files files;
    struct dv_store_memory *memory;
    struct waiter waiters[WAITERS_MAX];
    size_t waiter_count;
    uint64_t sync_timer;
    uint64_t checkpoint_timer;
    bool is_loading;  /* the roster reads the records page by page */
    uint64_t applied; /* newest entry that `memory` knows */
    bool has_removed; /* a container is gone whose folder is still there */
    int64_t mend_after_ns;
};

/* queries.c */
dv_handler_fn store_on_load;
dv_handler_fn store_on_open_query;
dv_handler_fn store_on_repeats_query;
dv_handler_fn store_on_gone_query;
dv_handler_fn store_on_value_query;
