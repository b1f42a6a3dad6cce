/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A pull is a handful of tasks: the document the reference leads to (an index is replaced by its
 * chosen manifest), the configuration, a token when the registry wants one, and each distinct
 * layer. A task walks through stages; a stage is one message and its answer:
 *
 *   document, configuration   GET -> STORE -> DONE
 *   layer                     ASK -> DONE, or ASK -> GET -> ADOPT -> DONE
 *   room                      IDLE -> ASK -> DONE, before the first layer
 *   token                     IDLE -> GET -> IDLE, again when it has expired
 *
 * A 401 puts a task back to GET, waiting for the token if one is being fetched.
 */
#include "base/arena.h"
#include "runtime/image/auth.h"
#include "runtime/image/registry.h"

#include <stdbool.h>
#include <string.h>

enum task_kind { TASK_DOCUMENT, TASK_CONFIG, TASK_TOKEN, TASK_ROOM, TASK_LAYER };
enum stage { STAGE_IDLE, STAGE_ASK, STAGE_GET, STAGE_STORE, STAGE_ADOPT, STAGE_DONE };

#define FIXED_TASKS 4 /* the first kinds, at the index of their kind */
#define TASKS_MAX   (FIXED_TASKS + DV_LAYERS_MAX)

struct task {
    enum task_kind kind;
    enum stage stage;
    bool is_sent;
    bool waits_for_token;
    bool is_unverified;        /* a layer that goes on an earlier download: adopting it compares */
    bool is_fresh;             /* it did not compare: this is the second try, from the first byte */
    unsigned number;           /* of the step that is under way */
    unsigned login;            /* which login the request carried */
    unsigned login_tries;      /* 401 answers to it, without a byte in between */
    int64_t seen_bytes;        /* of a layer, at the last 401 */
    struct dv_descriptor what; /* digest NULL and size -1 while unknown */
    struct dv_bytes content;   /* STORE */
    struct dv_http_header accept;
    union {
        struct dv_download_cmd download;
        struct dv_blob_store_job store;
        struct dv_blob_adopt_job adopt;
        struct dv_image_room_job room;
    } body;
};

struct dv_pull {
    struct dv_arena *arena;
    struct dv_reference reference;
    const struct dv_registry_settings *settings;
    const char *host;                   /* that is asked: a mirror first, then the registry */
    const struct dv_registry *registry; /* NULL: nothing is configured for the host */
    bool is_mirror;
    struct dv_error mirror_failure; /* why the mirror did not do */
    struct dv_platform platform;
    const char *ingest_dir;
    int64_t stall_ms;
    unsigned downloads_max;

    bool is_insecure;
    bool is_https;              /* how the registry is spoken to */
    bool is_transport_settled;  /* it has answered that way */
    struct dv_error plain_http; /* why plain HTTP did not do */

    const char *user; /* NULL: no credentials */
    const char *password;
    const char *found_user; /* of the login that the caller brought: for the registry only */
    const char *found_password;
    const char *found_identity;
    const char *identity;   /* stands for the password at a token server; NULL: none */
    const char *login_note; /* why those of the credentials file are not used */
    char *authorization;    /* NULL: none */
    bool is_basic;
    unsigned login; /* grows with each new authorization */
    struct dv_challenge challenge;
    bool is_secret_withheld; /* the token came from a host that may not see the password */

    struct task tasks[TASKS_MAX];
    size_t task_count;
    unsigned last_number;
    unsigned depth;
    bool is_dead;
    struct dv_pull_result result;
};

/* A failure. If only a mirror was asked so far, the registry is asked now and this returns 0; else
 * it kills the pull and moves `cause` to *err with the image and the registry in front. */
int dv_pull_die(struct dv_pull *pull, const struct dv_error *cause, struct dv_error *err);
/* Kills it, mirror or not. */
int dv_pull_die_for_good(struct dv_pull *pull, const struct dv_error *cause, struct dv_error *err);
int dv_pull_no_memory(struct dv_pull *pull, struct dv_error *err);

static inline struct dv_bytes dv_pull_secret(char *text)
{
    return (struct dv_bytes){(uint8_t *)text, text ? strlen(text) : 0};
}

#define DV_PULL_OBJECT_SIZE 256
/* "manifest 1.36", "layer sha256:..." into `text`; returns it. */
const char *
dv_pull_object(const struct dv_pull *pull, const struct task *task, char text[DV_PULL_OBJECT_SIZE]);

/* A 401 to a request for the registry itself: `task` is to be sent again, perhaps after a token. */
int dv_pull_login_wanted(struct dv_pull *pull,
                         struct task *task,
                         const struct dv_download_result *answer,
                         struct dv_error *err);
/* Access was refused for good: dies, and says what is the matter with the credentials. */
int dv_pull_deny(struct dv_pull *pull,
                 const struct task *task,
                 const struct dv_download_result *answer,
                 struct dv_error *err);
int dv_pull_fill_token(struct dv_pull *pull, struct task *task, struct dv_error *err);
int dv_pull_token_came(struct dv_pull *pull,
                       struct task *task,
                       const struct dv_download_result *answer,
                       struct dv_error *err);
