/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A machine without a kernel: the containers that "run" on it, their writable layers and the exit
 * records of its monitor. It stands behind the fake container driver (driver.h) and the fake exit
 * source (exits.h) in simulation, unit tests and the benchmark harness. Drivers and exit sources
 * come and go like daemons do; the machine and what runs on it stay.
 *
 * A container ends by itself, by a signal, or when a test says so. What it does is scripted by
 * behaviours; a call that must fail is scripted by dv_fake_machine_fail(). Time is the clock that
 * the machine was made with and moves only through it: an end that is due is noticed by the next
 * call of any driver or exit source. A fake clock belongs to the one thread that uses the machine;
 * with the real one every function may be called by any thread. Nothing blocks, except that a
 * scripted slow call passes its time through `delay`.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_FAKE_CONTAINERS_MAX 65536U
#define DV_FAKE_SCRIPTS_MAX    4096U

struct dv_fake_machine;

struct dv_fake_machine_options {
    const struct dv_clock *clock; /* NULL: the real one */
    /* How a slow call passes its time; NULL: it sleeps. */
    void (*delay)(void *ctx, int64_t ns);
    void *delay_ctx;
};

/* `options` may be NULL. Free it after all drivers and exit sources made on it. */
__attribute__((warn_unused_result)) int
dv_fake_machine_new(const struct dv_fake_machine_options *options,
                    struct dv_fake_machine **ret,
                    struct dv_error *err);

/* What a container does. A zeroed behaviour runs until a signal ends it. */
struct dv_fake_behaviour {
    bool ends_by_itself;
    int64_t runs_ns;         /* ends_by_itself: how long after its start */
    int exit_code;           /* ends_by_itself: 0..255 */
    bool is_oom_killed;      /* ends_by_itself */
    bool ignores_signals;    /* only SIGKILL ends it */
    int64_t signal_delay_ns; /* from a signal other than SIGKILL to the end */
    int64_t call_ns;         /* each create and start takes so long */
    char stop_signal[32];    /* of the image; empty: none */
};

/* Applies to containers whose id, name or image reference is `who`, from their next start on (the
 * stop signal from their next create on); NULL: to all that no other script matches. Set again, it
 * replaces. */
__attribute__((warn_unused_result)) int
dv_fake_machine_script(struct dv_fake_machine *machine,
                       const char *who,
                       const struct dv_fake_behaviour *behaviour,
                       struct dv_error *err);

enum dv_fake_call {
    DV_FAKE_CREATE,
    DV_FAKE_START,
    DV_FAKE_SIGNAL,
    DV_FAKE_PAUSE,
    DV_FAKE_UPDATE,
    DV_FAKE_RELEASE,
    DV_FAKE_REMOVE,
    DV_FAKE_STATE,
    DV_FAKE_ATTACH,
    DV_FAKE_DETACH,
    DV_FAKE_CHECK_PORTS,
    DV_FAKE_CALLS, /* how many there are */
};

/* The next `times` calls of that sort for `who` (as above, NULL: any container) fail with this
 * error and change nothing. Set again for the same call and `who`, it replaces; 0 times takes it
 * back. */
__attribute__((warn_unused_result)) int dv_fake_machine_fail(struct dv_fake_machine *machine,
                                                             enum dv_fake_call call,
                                                             const char *who,
                                                             unsigned times,
                                                             enum dv_error_class class,
                                                             const char *text,
                                                             struct dv_error *err);

/* Ends a running container now. NOT_FOUND if none of that id is running. */
__attribute__((warn_unused_result)) int dv_fake_machine_end(struct dv_fake_machine *machine,
                                                            const char *id,
                                                            int exit_code,
                                                            bool is_oom_killed,
                                                            struct dv_error *err);

/* Whether the monitor lives (it does at first). While it is dead creates and starts fail with
 * UNAVAILABLE and a container that ends leaves no exit record: a source that watches it sees the
 * end without the code. Records made before are kept and delivered when it lives again. */
void dv_fake_machine_set_monitor(struct dv_fake_machine *machine, bool is_alive);

/* Power loss: nothing runs, runtime state and exit records are gone, writable layers stay. */
void dv_fake_machine_reboot(struct dv_fake_machine *machine);

struct dv_fake_counts {
    size_t containers; /* with runtime state: created, running, paused or ended but not released */
    size_t running;    /* paused ones included */
    size_t layers;     /* writable layers */
    size_t records;    /* exits that nobody acknowledged */
    size_t networks;   /* connected, also those that ended and were not detached */
    uint64_t calls[DV_FAKE_CALLS];
};
void dv_fake_machine_count(struct dv_fake_machine *machine, struct dv_fake_counts *ret);
/* CREATED, RUNNING, PAUSED, EXITED or UNKNOWN. */
enum dv_status dv_fake_machine_status(struct dv_fake_machine *machine, const char *id);
/* The limit in force, -1: none; 0 if nothing of that id runs. */
int64_t dv_fake_machine_memory(struct dv_fake_machine *machine, const char *id);

void dv_fake_machine_free(struct dv_fake_machine *machine);
DV_DEFINE_CLEANUP(dv_fake_machine, dv_fake_machine_free)
