/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For tests of the container driver: a scratch directory laid out like a home and a run directory,
 * a record with a small image, JSON by path, and a launcher that records what it is asked and
 * answers as told. Main thread of a test; failures end the test. Nothing is mounted.
 */
#include "messages/messages.h"
#include "runtime/launcher.h"

#include "json/json.h"
#include <stdbool.h>
#include <stddef.h>

#define PLACE_MAX 256U

struct scratch {
    char base[PLACE_MAX];
    char home[PLACE_MAX];
    char run[PLACE_MAX];
    char mounts[PLACE_MAX];
};

void scratch_init(struct scratch *scratch);
void scratch_done(struct scratch *scratch);

/* "%s/..." of these arguments below `base`; static, valid until the eighth next call. */
const char *below(const char *base, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool is_there(const char *path);
void file_write(const char *path, const char *text); /* makes its folders */
char *file_text(const char *path);                   /* owned by the caller; fails the test */

/* A node by "linux.resources.devices[2].allow"; NULL if there is none. */
const struct dv_json *at(const struct dv_json *root, const char *path);
const char *text_at(const struct dv_json *root, const char *path); /* "" if it is none */
int64_t number_at(const struct dv_json *root, const char *path);   /* -1000 if it is none */
char *list_at(const struct dv_json *root, const char *path);       /* "a b c", owned */
bool has_item(const struct dv_json *list, const char *text);

/* A record of container "c1" on one layer "l1" that runs /bin/sh; what it points to is static. */
#define IMAGE_HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
struct made_record {
    struct dv_container_record record;
    struct dv_container_spec spec;
    struct dv_container_state state;
    struct dv_restart_policy restart;
    struct dv_log_config log;
    char *layers[1];
};
void made_record_init(struct made_record *made);

/* The layer l1 and the image configuration that such a record names; `config` is the JSON of its
 * member "config". */
void image_write(const struct scratch *scratch, const char *config);

/* -- the launcher --------------------------------------------------------------------------- */

#define FAKE_CALLS_MAX 32U

struct fake_launcher;

/* What happens at the next call with that verb ("create", "start", "delete"). */
struct fake_answer {
    const char *verb;
    int r;   /* negative class: the launcher itself fails */
    int sys; /* errno of such a failure */
    int exit_code;
    const char *text; /* standard error or log of the runtime */
    int32_t pid;
    int64_t start_ticks;
    bool leaves_nothing; /* create: no state of the runtime */
    void (*act)(struct fake_launcher *launcher, const struct dv_launch *what);
};

struct fake_call {
    char verb[16];
    char command[4096]; /* arguments, with blanks between */
    char stdio[1024];
    char rootfs[1024]; /* "layers_dir lower... upper work target" */
    int timeout_ms;
    struct dv_launch_log log;
    char log_path[1024];
};

struct fake_launcher {
    struct dv_launcher base;
    const char *mount_root;
    const struct fake_answer *answers; /* ends with verb NULL; each is used once, in its order */
    size_t used;
    struct fake_call calls[FAKE_CALLS_MAX];
    size_t call_count;
    unsigned freed;
    void *ctx;
};

/* Calls without an answer succeed; a create then gives pid 0. Like a runtime, create makes
 * <root>/<id>/{state.json,exec.fifo} and the mount point, even when it fails; start takes the FIFO
 * away, delete all of the state, when they succeed. */
void fake_launcher_init(struct fake_launcher *launcher,
                        const char *mount_root,
                        const struct fake_answer *answers);
size_t fake_count(const struct fake_launcher *launcher, const char *verb);
