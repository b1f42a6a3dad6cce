/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The port through which ends of containers are learned. The real one (monitor/client.h) has the
 * event connection to davit-monitor and a pidfd per watched process; the fake one belongs to
 * runtime/fake. One thread owns an object; nothing blocks.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stdint.h>

struct dv_exit_source {
    /* Readable when next() has something; stays the same for the life of the object. */
    int (*fd)(struct dv_exit_source *source);
    /* Watch a process. One that has ended already is reported by next() like any other. */
    int (*watch)(struct dv_exit_source *source,
                 const struct dv_exit_watch_cmd *cmd,
                 struct dv_error *err);
    /* 1 and an exit with its texts in `arena`, or 0 when there is none now. Each exit comes once;
     * while the monitor is away, an exit seen through a pidfd is held back for a short grace time,
     * then reported with is_code_known false. */
    int (*next)(struct dv_exit_source *source,
                struct dv_arena *arena,
                struct dv_container_exited *ret,
                struct dv_error *err);
    /* The exit was taken over: its record may be removed. */
    void (*acknowledge)(struct dv_exit_source *source, const struct dv_container_exited *exit);
    /* Monotonic time when next() wants to be called though fd is silent; INT64_MAX: never. */
    int64_t (*deadline_ns)(struct dv_exit_source *source);
    /* Whether the monitor can be reached now, for davit status. */
    bool (*is_connected)(struct dv_exit_source *source);
    /* Version of the monitor, NULL while there is none or it does not say. Borrowed until the next
     * call. */
    const char *(*program)(struct dv_exit_source *source);
    void (*free)(struct dv_exit_source *source);
};
