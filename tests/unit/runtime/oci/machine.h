/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A place for tests of the driver with a real runtime: mount namespace of its own, folders on disk,
 * an image of one layer made from busybox, a control group parent of its own. Needs root, runc or
 * crun, busybox-static. Failures end the test.
 */
#include "base/arena.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/launcher.h"
#include "runtime/oci/driver.h"

#include <limits.h>

#define MACHINE_TIMEOUT_MS 20000

struct machine {
    char folder[64];
    char home[PATH_MAX];
    char run[PATH_MAX];
    char mounts[PATH_MAX];
    char parent[64]; /* of control groups */
    char image_id[72];
    struct dv_cgroup *cgroup;
    struct dv_launcher *launcher; /* borrowed from the driver once there is one */
    struct dv_runtime *driver;
    struct dv_arena *arena;

    /* A container for a test to change: "web", id "c1", runs `cmd`. */
    struct dv_restart_policy policy;
    struct dv_log_config log;
    struct dv_container_spec spec;
    struct dv_container_state state;
    struct dv_container_record record;
    char *layers[1];
};

/* `runtime` is the program's path. crun gets a machine without the v2 mount beside v1. */
void machine_init(struct machine *machine, const char *runtime);
/* Ends the test if anything is left: process, group, mount, file. */
void machine_done(struct machine *machine);

/* Writes the image's configuration: the text of the member "config". */
void machine_image(struct machine *machine, const char *config);
/* The container runs this by sh -c. */
void machine_runs(struct machine *machine, const char *script);

int machine_create(struct machine *machine, struct dv_runtime_created *ret, struct dv_error *err);
void machine_start(struct machine *machine);
/* Creates and starts; returns the init process. */
pid_t machine_run(struct machine *machine);
/* As machine_run, and waits until the program has written `line` to its standard output. */
pid_t machine_run_until(struct machine *machine, const char *line);
enum dv_status machine_status(struct machine *machine);
int machine_signal(struct machine *machine, pid_t pid, int number);
int machine_release(struct machine *machine, struct dv_error *err);
int machine_remove(struct machine *machine);

/* Runs the container to its end, with what it wrote to its standard output in *ret
 * (NUL-terminated); the exit code. */
int machine_output(struct machine *machine, char *ret, size_t size);
