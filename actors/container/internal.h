/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The state of a container cell and the steps that its files share.
 *
 * Work is done by tasks: a command, an automatic restart, a clean-up. One task runs at a time, the
 * rest waits in order; a task is a chain of asks whose outcome functions end in task_done() or
 * task_failed(). An exit of the process is no task: it changes the state at once, whatever runs.
 */
#include "actors/addresses.h"
#include "actors/container/actor.h"
#include "actors/container/ends.h"
#include "actors/container/restart.h"
#include "actors/container/states.h"
#include "actors/env.h"
#include "base/arena.h"
#include "base/buf.h"

#define CONTAINER_PROGRESS_MAX 1200

struct container;
struct task;

typedef void task_fn(struct container *c, struct task *task);

struct task {
    struct task *next;
    task_fn *run;
    struct dv_request *request; /* NULL: nobody waits for an answer */
    char *args;                 /* JSON value of the command or NULL */
    struct dv_buf loaded;       /* restore: the record as the store has it, encoded */
    int64_t sequence;           /* journal number of the command, 0: none */
    int signal;                 /* stop: what is sent first */
    int64_t timeout_ms;         /* stop: how long each signal may take */
    int64_t began_ns;           /* monotonic */
    bool is_force;              /* stop: SIGKILL at the end of the time; remove: stop first */
    bool is_killing;            /* stop: SIGKILL was sent */
    bool is_thawed;             /* stop: it was paused */
    bool is_automatic;          /* start: by the restart policy */
    bool is_removing;           /* stop: a step of a remove */
    bool is_halting;            /* stop: not by hand, the restart policy goes on at the next boot */
    bool is_repaired;           /* start: its image was made whole */
    bool answers_create;        /* start: answered with the id, also when it fails */
};

struct container {
    struct dv_cell *cell;
    const struct dv_actor_settings *settings;
    struct dv_arena *arena; /* of the record */
    struct dv_container_record *record;
    char *name;                     /* owns record->name */
    char *error_text;               /* owns record->state->error */
    struct dv_arena *network_arena; /* holds record->network as it was told last */

    struct task *current;
    struct task *queue;
    unsigned queued;

    int64_t start_ticks; /* of the init process */
    int64_t ran_ms;      /* length of the last run; -1: not known */
    int64_t created_pid; /* between create and start in the runtime, else 0 */
    int stop_signal;     /* of the image */
    bool has_early_exit; /* the created process ended before it was reported as running */
    struct dv_container_exited early_exit;
    struct dv_request *early_request; /* who waits until it is durable; NULL: nobody */

    uint64_t restart_timer; /* 0: no restart pending */
    bool is_turn_wanted;    /* the restart is due and waits for its turn */
    bool is_turn_asked;     /* the roster has not answered */
    bool has_turn;
    bool is_boot_start; /* the next start by policy is the first of this boot */
    uint64_t stop_timer;
    int64_t stop_due_ns; /* when it fires */
    uint64_t look_timer;
    uint64_t disconnect_timer; /* the last disconnect failed */
    struct dv_ends ends;
    char progress[CONTAINER_PROGRESS_MAX]; /* of the image, for people */
    bool is_restored; /* what the machine has of it was seen since the start of davitd */
    bool is_gone;     /* removed: the cell ends */
    bool same_boot;   /* restore: the observed state is of this boot */
    bool is_removing; /* restore: goes on with the remove that a crash interrupted */
};

/* record.c */
int container_adopt_record(struct container *c,
                           const struct dv_container_record *record,
                           struct dv_error *err);
void container_set_error(struct container *c, const char *text);
int container_set_name(struct container *c, const char *name, struct dv_error *err);
void container_publish(struct container *c, enum dv_container_change change, const char *note);
/* Makes the record durable; `fn` learns how it went. NULL: a failure is only logged. */
void container_commit(struct container *c, int64_t sequence, dv_outcome_fn *fn, void *ctx);
/* The first commit: the create is over only when it is answered. */
void container_commit_created(struct container *c, int64_t sequence, dv_outcome_fn *fn, void *ctx);
/* The only way to change the state. */
void container_move(struct container *c, enum dv_edge edge);
/* EXITED or STOPPED, with what is known of the end. */
void container_set_ended(struct container *c,
                         enum dv_edge edge,
                         const struct dv_container_exited *exit);
/* What a record that is restored says of its last end. */
void container_note_last_end(struct container *c);

/* network.c */
/* Its network is davit's affair: one of its own that is connected to a bridge. */
bool container_has_bridge(const struct container *c);
/* Asks for the connection of its process, which may run already; the outcome is network_attached,
 * for container_set_network(). */
void container_connect(struct container *c, int64_t pid, dv_outcome_fn *fn, void *ctx);
/* Asks whether it could have its ports now. */
void container_check_ports(struct container *c, dv_outcome_fn *fn, void *ctx);
/* Asks how it is connected, after a restart of davitd. */
void container_ask_network(struct container *c, dv_outcome_fn *fn, void *ctx);
int container_set_network(struct container *c,
                          const struct dv_network_settings *settings,
                          struct dv_error *err);
/* The ports that were chosen become part of the description; true if its twin shows others now. */
bool container_take_ports(struct container *c);
/* It has no network any more; tried again until it is done. */
void container_disconnect(struct container *c);

/* tasks.c */
struct task *task_new(task_fn *run);
void task_free(struct task *task); /* NULL is fine; its request is answered or handed on */
/* Runs it now or queues it behind what runs; BUSY when too many wait. Takes *task on success. */
int container_submit(struct container *c, struct task **task, struct dv_error *err);
/* Queues an internal task, which the limit does not apply to. */
void container_submit_internal(struct container *c, task_fn *run, bool is_automatic);
void task_done(struct container *c, const char *json_value);
void task_failed(struct container *c, const struct dv_error *error);
void container_drop_tasks(struct container *c);
/* Takes automatic starts that have not begun out of the queue; true if there were any. */
bool container_drop_automatic(struct container *c);
bool container_has_automatic(const struct container *c);

/* Each begins one kind of task. */
void container_create(struct container *c, struct task *task);
/* A create that was interrupted behind its commit: the rest of it, and its answer. */
void container_create_again(struct container *c, struct task *task);
void container_restore(struct container *c, struct task *task);
void container_start(struct container *c, struct task *task);
void container_stop(struct container *c, struct task *task);
void container_halt(struct container *c, struct task *task);
/* Its image, pulled where it is missing, if its keys open it; `fn` gets image_ready. */
void container_ask_image(struct container *c, dv_outcome_fn *fn, void *ctx);
/* Whether its keys open the image that it was made of. */
void container_ask_authorization(struct container *c, dv_outcome_fn *fn, void *ctx);
void container_pause(struct container *c, struct task *task);
void container_resume(struct container *c, struct task *task);
void container_rename(struct container *c, struct task *task);
void container_update(struct container *c, struct task *task);
/* Gives the process the limits of the record once more. */
void container_limit(struct container *c, struct task *task);
void container_remove(struct container *c, struct task *task);
void container_release(struct container *c, struct task *task);
/* What the machine has and the record may differ: in a while the record follows the machine, and
 * leftovers are taken away. */
void container_look_later(struct container *c, const struct dv_error *why);
/* remove, after its stop has succeeded */
void container_remove_stopped(struct container *c, struct task *task);

/* exit.c */
dv_handler_fn container_on_exited;
void container_take_exit(struct container *c, const struct dv_container_exited *exit);
/* The start is over: what ended meanwhile is taken up and made durable. */
void container_settle_early_exit(struct container *c);
/* A failed start or an exit: arms the restart timer if the policy wants it. */
void container_consider_restart(struct container *c, bool is_failed_start);
/* The policy has changed: a pending restart that it does not want is canceled, and nothing else. */
void container_reconsider_restart(struct container *c);
struct dv_restart_limits container_restart_limits(const struct container *c);
void container_cancel_restart(struct container *c);
/* As that, but the next davitd goes on with it. */
void container_suspend_restart(struct container *c);
/* Starts it by policy as soon as it is its turn. */
void container_ask_turn(struct container *c);
/* The start by policy is over, or does not happen. */
void container_give_turn_back(struct container *c);
/* After a start of the daemon: the restart that was pending goes on waiting. */
void container_resume_restart(struct container *c);
/* Armed, or due and waiting for its turn or behind the current task. */
bool container_restart_is_pending(const struct container *c);
/* why.c */
dv_handler_fn container_on_why_query;
/* stop.c: the process that a stop waits for has ended. */
void container_stop_finished(struct container *c, const struct dv_container_exited *exit);

static inline bool container_is_up(const struct container *c)
{
    return c->record->state->status == DV_STATUS_RUNNING ||
           c->record->state->status == DV_STATUS_PAUSED;
}
