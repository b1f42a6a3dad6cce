/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/containers.h"

#include "base/durable.h"
#include "base/log.h"
#include "messages/codec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUCKETS       4096
#define FILE_BYTES    (64U << 10)
#define RECORD_MEMORY (256U << 10)

struct mon_containers {
    char folder[PATH_MAX - 160];
    struct mon_container *buckets[BUCKETS];
};

struct mon_containers *mon_containers_new(const char *run_dir)
{
    struct mon_containers *containers = calloc(1, sizeof(*containers));
    if (containers)
        snprintf(containers->folder, sizeof(containers->folder), "%s/containers", run_dir);
    return containers;
}

static struct mon_container **bucket_of(struct mon_containers *containers, pid_t pid)
{
    return &containers->buckets[(unsigned)pid % BUCKETS];
}

static void free_container(struct mon_container *container)
{
    dv_close(&container->pidfd);
    dv_close(&container->console);
    free(container->oom_path);
    free(container);
}

void mon_containers_free(struct mon_containers *containers)
{
    if (!containers)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (containers->buckets[i]) {
            struct mon_container *container = containers->buckets[i];
            containers->buckets[i] = container->next;
            free_container(container);
        }
    }
    free(containers);
}

struct mon_container *mon_containers_find(struct mon_containers *containers, pid_t pid)
{
    struct mon_container *container = *bucket_of(containers, pid);
    while (container && container->pid != pid)
        container = container->next;
    return container;
}

void mon_containers_forget(struct mon_containers *containers, struct mon_container *container)
{
    struct mon_container **at = bucket_of(containers, container->pid);
    while (*at != container)
        at = &(*at)->next;
    *at = container->next;
    free_container(container);
}

struct mon_container *mon_containers_find_id(struct mon_containers *containers, const char *id)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct mon_container *c = containers->buckets[i]; c; c = c->next)
            if (strcmp(c->id, id) == 0)
                return c;
    return NULL;
}

/* On a tmpfs: no sync, but never half a file under the final name. */
static int write_file(const struct mon_containers *containers,
                      const struct dv_monitor_container *what,
                      struct dv_error *err)
{
    char path[PATH_MAX];
    char aside[PATH_MAX + 8];
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(FILE_BYTES);
    int r = dv_encode(&dv_schema_monitor_container, what, &bytes, err);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "%s/%s/log", containers->folder, what->id);
    snprintf(aside, sizeof(aside), "%s.new", path);
    dv_autoclose int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes.data, bytes.len) != (ssize_t)bytes.len || rename(aside, path) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "write '%s'", path);
    return 0;
}

struct mon_container *mon_containers_restore(struct mon_containers *containers,
                                             const struct dv_monitor_container *what,
                                             int pidfd)
{
    struct mon_container *container = calloc(1, sizeof(*container));
    if (!container)
        return NULL;
    snprintf(container->id, sizeof(container->id), "%s", what->id);
    container->pid = (pid_t)what->pid;
    container->start_ticks = what->start_ticks;
    container->pidfd = pidfd;
    container->console = -1;
    container->is_tty = what->is_tty;
    container->takes_input = what->takes_input;
    /* Without it the end is told all the same. */
    container->oom_path = what->oom_path ? strdup(what->oom_path) : NULL;
    struct mon_container **bucket = bucket_of(containers, container->pid);
    container->next = *bucket;
    *bucket = container;
    return container;
}

int mon_containers_add(struct mon_containers *containers,
                       const struct dv_monitor_container *what,
                       int pidfd,
                       struct dv_error *err)
{
    if (!mon_containers_restore(containers, what, pidfd))
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for container '%s'", what->id);
    return write_file(containers, what, err);
}

void mon_containers_load_one(const struct mon_containers *containers,
                             const char *id,
                             void (*fn)(void *ctx, const struct dv_monitor_container *what),
                             void *ctx)
{
    char path[PATH_MAX];
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(FILE_BYTES);
    DV_AUTO(dv_arena) arena = dv_arena_new(RECORD_MEMORY);
    struct dv_error err = DV_ERROR_INIT;
    void *what;
    snprintf(path, sizeof(path), "%s/%s/log", containers->folder, id);
    int r = dv_file_read(path, &bytes, &err);
    if (r == -DV_ERR_NOT_FOUND || !arena)
        return; /* created and never launched */
    if (r == 0)
        r = dv_decode(&dv_schema_monitor_container, bytes.data, bytes.len, arena, &what, &err);
    if (r < 0)
        dv_log(DV_LOG_ERROR, "container '%s' goes on without its log: %s", id, err.text);
    else
        fn(ctx, what);
}

void mon_containers_load(struct mon_containers *containers,
                         void (*fn)(void *ctx, const struct dv_monitor_container *what),
                         void *ctx)
{
    dv_autoclosedir DIR *dir = opendir(containers->folder);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            mon_containers_load_one(containers, entry->d_name, fn, ctx);
}

void mon_containers_each(const struct mon_containers *containers,
                         void (*fn)(void *ctx, const struct mon_container *container),
                         void *ctx)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (const struct mon_container *c = containers->buckets[i]; c; c = c->next)
            fn(ctx, c);
}
