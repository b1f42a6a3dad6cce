/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of a fake machine, shared by its driver and exit source. Everything here is used between
 * dv_fake_lock() and dv_fake_unlock().
 */
#include "base/arena.h"
#include "runtime/fake/machine.h"

#include <pthread.h>
#include <sys/queue.h>

#define DV_FAKE_BUCKETS  4096U
#define DV_FAKE_NEVER    INT64_MAX
#define DV_FAKE_GRACE_NS 500000000LL /* an end without a record is held back so long */

struct dv_fake_container {
    LIST_ENTRY(dv_fake_container) bucket;
    LIST_ENTRY(dv_fake_container) all;
    char *id;
    char *name;
    char *image_ref;
    enum dv_status status; /* UNKNOWN: there is a writable layer only */
    bool has_layer;
    bool is_code_known;
    bool ignores_signals;
    bool end_oom;
    uint8_t end_code;     /* of the end due at ends_at_ns, later of the end that happened */
    uint8_t held_signal;  /* comes when the container is thawed */
    int32_t pid;          /* of the latest init process, also after its end */
    uint32_t network;     /* number of its connection, 0: none */
    uint32_t reported_by; /* serial of the source that reported the end of `pid`; 0: none */
    int64_t start_ticks;
    int64_t started_ns;  /* wall clock */
    int64_t finished_ns; /* wall clock */
    int64_t ends_at_ns;  /* monotonic */
    int64_t signal_delay_ns;
    int64_t memory; /* limit, -1: none */
};

struct dv_fake_record {
    TAILQ_ENTRY(dv_fake_record) link;
    int64_t number;
    int64_t finished_ns; /* wall clock */
    int64_t ended_ns;    /* monotonic */
    int32_t pid;
    uint8_t exit_code;
    bool is_oom_killed;
    char id[];
};

/* A process that a source watches. */
struct dv_fake_watch {
    LIST_ENTRY(dv_fake_watch) link;
    int32_t pid;
    int64_t report_at_ns; /* monotonic; it ended without a record */
    char id[];
};

/* The machine's side of an exit source. */
struct dv_fake_listener {
    LIST_ENTRY(dv_fake_listener) link;
    LIST_HEAD(, dv_fake_watch) watches;
    uint32_t serial;
    int fd;         /* event descriptor */
    int64_t cursor; /* number of the record delivered last */
};

struct dv_fake_script {
    LIST_ENTRY(dv_fake_script) link;
    struct dv_fake_behaviour behaviour;
    char who[]; /* empty: the default */
};

struct dv_fake_fault {
    LIST_ENTRY(dv_fake_fault) link;
    enum dv_fake_call call;
    enum dv_error_class class;
    unsigned times;
    char *text;
    char who[]; /* empty: any */
};

struct dv_fake_machine {
    pthread_mutex_t mutex;
    const struct dv_clock *clock;
    void (*delay)(void *ctx, int64_t ns);
    void *delay_ctx;
    LIST_HEAD(dv_fake_bucket, dv_fake_container) buckets[DV_FAKE_BUCKETS];
    LIST_HEAD(, dv_fake_container) containers;
    size_t container_count;
    TAILQ_HEAD(, dv_fake_record) records; /* by number */
    LIST_HEAD(, dv_fake_listener) listeners;
    LIST_HEAD(, dv_fake_script) scripts;
    size_t script_count;
    LIST_HEAD(, dv_fake_fault) faults;
    size_t fault_count;
    bool is_monitor_alive;
    int32_t last_pid;
    int64_t last_ticks;
    int64_t last_record;
    uint32_t last_serial;
    uint32_t last_network;
    int64_t next_end_ns; /* no end is due before */
    int64_t now_ns;      /* monotonic time of the latest lock */
    uint64_t calls[DV_FAKE_CALLS];
};

/* Takes the lock and makes happen what is due. */
void dv_fake_lock(struct dv_fake_machine *machine);
void dv_fake_unlock(struct dv_fake_machine *machine);

/* Ids of all entries. */
int dv_fake_list(const struct dv_fake_machine *machine,
                 struct dv_arena *arena,
                 struct dv_texts *ret,
                 struct dv_error *err);
struct dv_fake_container *dv_fake_find(struct dv_fake_machine *machine, const char *id);
/* The entry of that id, made if there is none. */
int dv_fake_enter(struct dv_fake_machine *machine,
                  const struct dv_container_record *record,
                  struct dv_fake_container **ret,
                  struct dv_error *err);
void dv_fake_forget(struct dv_fake_machine *machine, struct dv_fake_container *container);

/* Counts the call and fails it if that is scripted. */
int dv_fake_enter_call(struct dv_fake_machine *machine,
                       enum dv_fake_call call,
                       const char *id,
                       const struct dv_container_record *record,
                       struct dv_error *err);
const struct dv_fake_behaviour *dv_fake_behaviour_of(struct dv_fake_machine *machine,
                                                     const char *id,
                                                     const char *name,
                                                     const char *image);

bool dv_fake_is_alive(const struct dv_fake_container *container);
/* Lets the container end at a time; the earliest of several counts. */
void dv_fake_end_at(struct dv_fake_machine *machine,
                    struct dv_fake_container *container,
                    int64_t at_ns,
                    int code,
                    bool is_oom_killed);
/* Ends it now. */
void dv_fake_end_now(struct dv_fake_machine *machine,
                     struct dv_fake_container *container,
                     int code,
                     bool is_oom_killed);
void dv_fake_signal(struct dv_fake_machine *machine,
                    struct dv_fake_container *container,
                    int number);

/* Makes the descriptors of all exit sources readable. */
void dv_fake_wake(struct dv_fake_machine *machine);
