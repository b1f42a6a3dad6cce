/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The state of the software cell and the steps that its files share. One operation is in work, and
 * in it one module or one dependency; every step is an ask whose outcome leads to the next one.
 */
#include "actors/addresses.h"
#include "actors/env.h"
#include "actors/software/known.h"
#include "base/arena.h"
#include "messages/messages.h"
#include "spec/software.h"

#include <stdbool.h>

#define SOFTWARE_QUEUE_MAX    16 /* operations accepted and not finished */
#define SOFTWARE_DONE_MAX     64 /* commands known to be over */
#define SOFTWARE_QUERIES_MAX  8
#define SOFTWARE_PARTS_MAX    DV_SOFTWARE_ARTIFACTS_MAX
#define SOFTWARE_TARGETS_MAX  64 /* containers that one dependency means */
#define SOFTWARE_ATTEMPTS_MAX 3  /* of one module, over restarts of davitd */
#define SOFTWARE_DAY_MS       (24LL * 3600 * 1000)
#define SOFTWARE_NAME_BYTES   254

struct operation {
    struct operation *next;
    struct dv_arena *arena;
    struct dv_software_operation *body;
    unsigned slot;              /* where the store keeps it */
    struct dv_request *request; /* of the command, until the operation is durable */
};

/* One container of the module in work. */
struct part {
    char id[129];
    char name[SOFTWARE_NAME_BYTES];     /* in the end */
    char *work_name;                    /* until the one it replaces is gone; in the arena */
    char replaces[129];                 /* "": none */
    bool was_running;                   /* that one */
    bool was_paused;                    /* that one */
    struct dv_container_record *record; /* NULL after a restart of davitd */
    bool is_unverified;
};

struct software {
    struct dv_cell *cell;
    const struct dv_actor_env *env;
    struct known_set *known;

    /* Start: values of the store and the list of containers that are still to come. */
    unsigned awaited;
    bool is_list_old;
    struct dv_software_progress *restored;
    struct dv_arena *restored_arena;
    struct dv_request *queries[SOFTWARE_QUERIES_MAX];
    size_t query_count;

    /* twin.c */
    char *last_operation;
    char *last_failed;
    uint64_t dependencies_timer;

    /* Operations. */
    struct operation *queue; /* the next one first */
    struct operation *current;
    bool slots[SOFTWARE_QUEUE_MAX]; /* in use */
    int64_t next_order;
    int64_t done[SOFTWARE_DONE_MAX]; /* the oldest first */
    size_t done_count;

    /* The module or dependency in work. */
    size_t index;
    unsigned attempts;
    enum dv_software_stage stage;
    struct dv_arena *arena;
    struct part parts[SOFTWARE_PARTS_MAX];
    size_t part_count;
    size_t at;   /* part of the current step */
    size_t link; /* of the artifact being fetched */
    char md5[33];
    char *job;
    enum dv_software_status told;    /* of the module, last */
    int64_t told_ns;                 /* since when it is that */
    int progress;                    /* percent of the whole module; never goes back */
    enum dv_software_status verdict; /* why it is undone */
    char reason[1024];
    bool is_again; /* it is undone to be done again */
    uint64_t gate_timer;
    unsigned tries; /* at the current step of putting things in order */
    void (*step)(struct software *s);
    uint64_t step_timer;

    /* remove.c */
    char **results; /* of each dependency: NULL not yet, "" removed, else why not */
    bool is_begun;  /* its containers were being removed when davitd ended */
    char *targets[SOFTWARE_TARGETS_MAX];
    size_t target_count;
};

/* software.c */
/* One of the things that a start waits for has come. */
void software_arrived(struct software *s);
void software_run(struct software *s);
/* The operation in work is over. */
void software_finish_operation(struct software *s);
/* A command to a container. */
void software_command(
    struct software *s, const char *id, const char *operation, const char *args, dv_outcome_fn *fn);
const struct dv_software_module *software_module(const struct software *s);

/* accept.c */
dv_handler_fn software_on_command;
void software_enqueue(struct software *s, struct operation *operation);
void software_free_operation(struct software *s, struct operation *operation);

/* keep.c: what lasts over a restart. */
void software_ask_kept(struct software *s);
/* Makes where it is durable; `fn` goes on. NULL: nobody waits. */
void software_keep(struct software *s, dv_outcome_fn *fn);
void software_keep_operation(struct software *s, struct operation *operation, dv_outcome_fn *fn);
void software_forget_operation(struct software *s, unsigned slot);
void software_note_done(struct software *s, int64_t number);
bool software_is_done(const struct software *s, int64_t number);

/* twin.c */
void software_report(struct software *s, enum dv_software_status status, const char *message);
void software_report_list(struct software *s,
                          enum dv_software_status status,
                          const struct dv_dependency *const *list,
                          size_t count,
                          const char *message);
void software_report_refusal(struct software *s,
                             const struct dv_software_operation *operation,
                             const char *message);
void software_dependencies_changed(struct software *s);
void software_answer_query(struct software *s, struct dv_request **request);

/* install.c: the module in work, from its start. */
void software_install(struct software *s);
/* The module is over. */
void software_end_module(struct software *s, enum dv_software_status status, const char *message);
void software_clear_module(struct software *s);

/* download.c: fetches all artifacts of the module; ends in software_make() or a failure. */
void software_download(struct software *s);
/* install.c */
void software_make(struct software *s);

/* progress.c: how far the module is. */
dv_handler_fn software_on_artifact_progress;
dv_handler_fn software_on_image_progress;

/* settle.c */
/* Undoes what was made of the module, then ends it with that status, or begins it again. */
void software_undo(struct software *s, enum dv_software_status status, const char *reason);
/* All are up: those that were replaced go. */
void software_settle(struct software *s);
/* Waits until those that replace others have proved themselves. */
void software_wait(struct software *s);
/* A container that may be one of them changed. */
void software_watch(struct software *s, const struct dv_container_record *record);

/* remove.c */
void software_remove(struct software *s);
