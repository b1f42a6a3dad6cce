/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/driver.h"

#include "base/durable.h"
#include "base/spawn.h"
#include "base/str.h"
#include "runtime/cgroup/memory.h"
#include "runtime/oci/capability.h"
#include "runtime/oci/state.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THAW_MS 1000

/* One that waits to be reaped runs no more. */
static bool is_alive(const struct dv_oci_run *run)
{
    int status;
    if (dv_process_zombie_status((pid_t)run->pid, run->start_ticks, &status))
        return false;
    dv_autoclose int fd = dv_pidfd_open((pid_t)run->pid, run->start_ticks);
    return fd >= 0 && dv_pidfd_signal(fd, 0) == 0;
}

static int cgroup_of(const struct dv_oci_driver *driver,
                     const char *id,
                     char path[DV_CGROUP_PATH_MAX],
                     struct dv_error *err)
{
    return dv_cgroup_path(driver->cgroup_parent, id, path, err);
}

static const char *describe(struct dv_runtime *runtime)
{
    return ((struct dv_oci_driver *)runtime)->description;
}

static int
start(struct dv_runtime *runtime, const struct dv_runtime_start_job *job, struct dv_error *err)
{
    struct dv_oci_driver *driver = (struct dv_oci_driver *)runtime;
    struct dv_oci_place place;
    struct dv_oci_run run;
    int r = dv_oci_place_of(driver->home_dir, driver->run_dir, job->id, &place, err);
    if (r < 0)
        return r;
    if (!dv_oci_place_read_run(&place, &run))
        return dv_error_set(err, DV_ERR_STATE, "container '%s' is not created", job->id);
    if (run.started_ns)
        return 0;
    struct dv_launch what = {.timeout_ms = (int)job->timeout_ms};
    const char *const arguments[] = {"start", job->id, NULL};
    struct dv_oci_call call = {driver->launcher, &driver->result, driver->runtime, driver->root,
                               NULL};
    r = dv_oci_call_runtime(&call, &what, arguments, err);
    return r < 0 ? r : dv_oci_place_write_started(&place, dv_clock_wall_ns(driver->clock), err);
}

static int signal_one(const struct dv_runtime_signal_job *job, struct dv_error *err)
{
    dv_autoclose int fd = dv_pidfd_open((pid_t)job->pid, job->start_ticks);
    if (fd < 0 && errno == ESRCH)
        return 0;
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "open process %lld", (long long)job->pid);
    if (dv_pidfd_signal(fd, (int)job->signal) < 0 && errno != ESRCH)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "send signal %lld to process %lld",
                            (long long)job->signal, (long long)job->pid);
    return 0;
}

static int send_signal(struct dv_runtime *runtime,
                       const struct dv_runtime_signal_job *job,
                       struct dv_error *err)
{
    struct dv_oci_driver *driver = (struct dv_oci_driver *)runtime;
    char path[DV_CGROUP_PATH_MAX];
    int r = cgroup_of(driver, job->id, path, err);
    if (r == 0)
        r = signal_one(job, err);
    if (r == 0 && job->to_all)
        r = dv_cgroup_signal(driver->cgroup, path, (int)job->signal, err);
    if (r < 0 || job->signal != SIGKILL || !dv_cgroup_is_frozen(driver->cgroup, path))
        return r;
    /* A frozen process dies only once it runs again. The group may be gone by now. */
    struct dv_error thaw = DV_ERROR_INIT;
    r = dv_cgroup_freeze(driver->cgroup, path, false, THAW_MS, &thaw);
    if (r == 0 || r == -DV_ERR_NOT_FOUND)
        return 0;
    if (err)
        *err = thaw;
    return r;
}

static int pause_or_resume(struct dv_runtime *runtime,
                           const struct dv_runtime_pause_job *job,
                           struct dv_error *err)
{
    struct dv_oci_driver *driver = (struct dv_oci_driver *)runtime;
    char path[DV_CGROUP_PATH_MAX];
    struct dv_oci_place place;
    struct dv_oci_run run;
    int r = cgroup_of(driver, job->id, path, err);
    if (r == 0)
        r = dv_oci_place_of(driver->home_dir, driver->run_dir, job->id, &place, err);
    if (r < 0)
        return r;
    if (!dv_oci_place_read_run(&place, &run) || !run.started_ns || !is_alive(&run))
        return dv_error_set(err, DV_ERR_STATE, "%s '%s': it is not running",
                            job->is_resume ? "resume" : "pause", job->id);
    return dv_cgroup_freeze(driver->cgroup, path, !job->is_resume, (int)job->timeout_ms, err);
}

static int
update(struct dv_runtime *runtime, const struct dv_runtime_update_job *job, struct dv_error *err)
{
    struct dv_oci_driver *driver = (struct dv_oci_driver *)runtime;
    const struct dv_cgroup_memory limits = {job->memory, job->reservation, job->swap};
    char path[DV_CGROUP_PATH_MAX];
    int r = cgroup_of(driver, job->id, path, err);
    return r < 0 ? r : dv_cgroup_memory_set(driver->cgroup, path, &limits, err);
}

/* -- the end -------------------------------------------------------------------------------- */

/* The runtime's own idea of the container, with its hooks; what it leaves is taken away after. */
static int delete_in_runtime(struct dv_oci_driver *driver,
                             const struct dv_oci_place *place,
                             const char *id,
                             int timeout_ms,
                             struct dv_error *err)
{
    if (access(place->state, F_OK) < 0)
        return 0;
    struct dv_launch what = {.timeout_ms = timeout_ms};
    const char *const arguments[] = {"delete", "--force", id, NULL};
    struct dv_oci_call call = {driver->launcher, &driver->result, driver->runtime, driver->root,
                               NULL};
    int r = dv_oci_call_runtime(&call, &what, arguments, err);
    if (r == -DV_ERR_FAILED || r == -DV_ERR_TIMED_OUT) {
        /* A state that a crash left half written cannot be deleted by the runtime itself, nor one
         * whose hook never ends. Its processes are dead: what is left is this folder. */
        dv_error_clear(err);
        r = dv_tree_remove(place->state, err);
    }
    return r;
}

int dv_oci_driver_release_id(struct dv_oci_driver *driver,
                             const char *id,
                             int timeout_ms,
                             struct dv_error *err)
{
    struct dv_oci_place place;
    char cgroup[DV_CGROUP_PATH_MAX];
    char target[PATH_MAX];
    int r = dv_oci_place_of(driver->home_dir, driver->run_dir, id, &place, err);
    if (r == 0)
        r = cgroup_of(driver, id, cgroup, err);
    if (r == 0)
        r = dv_cgroup_kill(driver->cgroup, cgroup, timeout_ms, err);
    if (r == 0)
        r = delete_in_runtime(driver, &place, id, timeout_ms, err);
    if (r == 0)
        r = dv_cgroup_remove(driver->cgroup, cgroup, err);
    if (r == 0)
        r = dv_tree_remove(place.run, err);
    if (r < 0)
        return r;
    dv_oci_place_join(target, driver->launcher->mount_root(driver->launcher), id);
    if (rmdir(target) < 0 && errno != ENOENT)
        return dv_error_sys(err, DV_ERR_IO, errno, "remove mount point '%s'", target);
    return 0;
}

static int
release(struct dv_runtime *runtime, const struct dv_runtime_release_job *job, struct dv_error *err)
{
    struct dv_oci_driver *driver = (struct dv_oci_driver *)runtime;
    struct dv_oci_place place;
    struct dv_oci_run run;
    int r = dv_oci_place_of(driver->home_dir, driver->run_dir, job->id, &place, err);
    if (r < 0)
        return r;
    if (dv_oci_place_read_run(&place, &run) && run.started_ns && is_alive(&run))
        return dv_error_set(err, DV_ERR_STATE, "container '%s' is running as process %lld", job->id,
                            (long long)run.pid);
    return dv_oci_driver_release_id(driver, job->id, (int)job->timeout_ms, err);
}

static int remove_all(struct dv_runtime *runtime,
                      const struct dv_runtime_remove_job *job,
                      struct dv_error *err)
{
    struct dv_oci_driver *driver = (struct dv_oci_driver *)runtime;
    struct dv_runtime_release_job first = {.id = job->record->id, .timeout_ms = job->timeout_ms};
    struct dv_oci_place place;
    char path[PATH_MAX];
    int r = release(runtime, &first, err);
    if (r == 0)
        r = dv_oci_place_of(driver->home_dir, driver->run_dir, job->record->id, &place, err);
    if (r == 0)
        r = dv_tree_remove(dv_oci_place_join(path, place.data, "upper"), err);
    if (r == 0)
        r = dv_tree_remove(dv_oci_place_join(path, place.data, "work"), err);
    if (r == 0 && !dv_oci_has_record(&place))
        r = dv_tree_remove(place.data, err);
    return r;
}

static int state(struct dv_runtime *runtime,
                 const struct dv_runtime_state_query *query,
                 struct dv_runtime_state *ret,
                 struct dv_error *err)
{
    struct dv_oci_driver *driver = (struct dv_oci_driver *)runtime;
    struct dv_oci_place place;
    struct dv_oci_run run;
    char path[DV_CGROUP_PATH_MAX];
    int r = dv_oci_place_of(driver->home_dir, driver->run_dir, query->id, &place, err);
    if (r == 0)
        r = cgroup_of(driver, query->id, path, err);
    if (r < 0)
        return r;
    *ret = (struct dv_runtime_state){.status = DV_STATUS_UNKNOWN};
    if (!dv_oci_place_read_run(&place, &run)) {
        if (access(place.run, F_OK) == 0 || access(place.state, F_OK) == 0)
            ret->status = DV_STATUS_CREATED; /* a create that did not get to its end */
        return 0;
    }
    ret->pid = run.pid;
    ret->start_ticks = run.start_ticks;
    ret->started_ns = run.started_ns;
    if (!is_alive(&run))
        ret->status = DV_STATUS_EXITED;
    else if (!run.started_ns)
        ret->status = DV_STATUS_CREATED;
    else
        ret->status =
            dv_cgroup_is_frozen(driver->cgroup, path) ? DV_STATUS_PAUSED : DV_STATUS_RUNNING;
    return 0;
}

static void free_driver(struct dv_runtime *runtime)
{
    struct dv_oci_driver *driver = (struct dv_oci_driver *)runtime;
    dv_cgroup_free(driver->cgroup);
    driver->launcher->free(driver->launcher);
    free(driver);
}

static const struct dv_runtime_ops ops = {
    .describe = describe,
    .create = dv_oci_driver_create,
    .start = start,
    .signal = send_signal,
    .pause = pause_or_resume,
    .update = update,
    .release = release,
    .remove = remove_all,
    .state = state,
    .leftovers = dv_oci_driver_leftovers,
    .free = free_driver,
};

int dv_oci_new(const struct dv_oci_options *options,
               struct dv_launcher **launcher,
               struct dv_runtime **ret,
               struct dv_error *err)
{
    const char *const folders[] = {options->home_dir, options->run_dir,
                                   (*launcher)->mount_root(*launcher)};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        if (strlen(folders[i]) > DV_OCI_DIR_MAX)
            return dv_error_set(err, DV_ERR_LIMIT, "'%.64s...' has more than %u characters",
                                folders[i], DV_OCI_DIR_MAX);
    struct dv_oci_driver *driver = calloc(1, sizeof(*driver));
    if (!driver)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a container driver");
    driver->base.ops = &ops;
    driver->clock = options->clock;
    driver->capabilities = dv_oci_capabilities_available();
    snprintf(driver->home_dir, sizeof(driver->home_dir), "%s", options->home_dir);
    snprintf(driver->run_dir, sizeof(driver->run_dir), "%s", options->run_dir);
    snprintf(driver->runtime, sizeof(driver->runtime), "%s", options->runtime);
    snprintf(driver->root, sizeof(driver->root), "%s/runtime", options->run_dir);
    snprintf(driver->description, sizeof(driver->description), "%s", options->description);
    snprintf(driver->cgroup_parent, sizeof(driver->cgroup_parent), "%s", options->cgroup_parent);
    int r = dv_cgroup_new(NULL, &driver->cgroup, err);
    if (r == 0)
        r = dv_dir_make(driver->root, 0700, err);
    if (r < 0) {
        dv_cgroup_free(driver->cgroup);
        free(driver);
        return r;
    }
    driver->has_ip6 = options->has_ip6;
    driver->pids_limit = dv_cgroup_mount_of(driver->cgroup, "pids") ? options->pids_limit : 0;
    driver->launcher = dv_steal(launcher);
    *ret = &driver->base;
    return 0;
}
