/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where the files of one container are, and the small ones among them. Private to runtime/oci; any
 * thread.
 */
#include "base/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct dv_oci_place {
    char run[PATH_MAX];    /* <run_dir>/containers/<id> */
    char bundle[PATH_MAX]; /* <run>/bundle */
    char data[PATH_MAX];   /* <home>/containers/<id> */
    char state[PATH_MAX];  /* <run_dir>/runtime/<id>: the runtime's own */
};

/* The process of a run, as <run>/init and <run>/started remember it. */
struct dv_oci_run {
    int64_t pid;
    int64_t start_ticks;
    int64_t started_ns; /* 0: created, not started */
};

/* INVALID if the id is none: it becomes part of paths. */
int dv_oci_place_of(const char *home_dir,
                    const char *run_dir,
                    const char *id,
                    struct dv_oci_place *ret,
                    struct dv_error *err);

/* `name` below `folder` into `path`; returns it. Cut texts lead to a path that does not exist. */
char *dv_oci_place_join(char path[PATH_MAX], const char *folder, const char *name);

/* The mode does not depend on the umask: users of the container read some of these files. */
int dv_oci_place_write(const char *folder,
                       const char *name,
                       mode_t mode,
                       const void *bytes,
                       size_t len,
                       struct dv_error *err);

/* False if there is no run that is known. */
bool dv_oci_place_read_run(const struct dv_oci_place *place, struct dv_oci_run *ret);
int dv_oci_place_write_init(const struct dv_oci_place *place,
                            int64_t pid,
                            int64_t ticks,
                            struct dv_error *err);
int dv_oci_place_write_started(const struct dv_oci_place *place,
                               int64_t wall_ns,
                               struct dv_error *err);
