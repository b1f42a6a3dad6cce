/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/records.h"

#include "base/clock.h"
#include "base/durable.h"
#include "base/log.h"
#include "monitor/protocol.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAME_BYTES 4096

struct record {
    struct record *next;
    struct dv_container_exited exit;
    char id[129];
};

struct mon_records {
    char folder[PATH_MAX - 64];
    struct record *first; /* ascending numbers */
    struct record *last;
    int64_t newest;
};

static struct record *keep(struct mon_records *records, const struct dv_container_exited *exit)
{
    struct record *record = calloc(1, sizeof(*record));
    if (!record)
        return NULL;
    record->exit = *exit;
    snprintf(record->id, sizeof(record->id), "%s", exit->id);
    record->exit.id = record->id;
    struct record **at = &records->first;
    if (records->last && records->last->exit.record < exit->record)
        at = &records->last->next;
    while (*at && (*at)->exit.record < exit->record)
        at = &(*at)->next;
    record->next = *at;
    *at = record;
    if (!record->next)
        records->last = record;
    if (exit->record > records->newest)
        records->newest = exit->record;
    return record;
}

static void path_of(const struct mon_records *records, int64_t number, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%lld", records->folder, (long long)number);
}

static void load_one(struct mon_records *records, const char *name)
{
    char path[PATH_MAX];
    uint16_t kind;
    void *body;
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO_IN_PLACE(dv_buf) frame = DV_BUF_INIT(FRAME_BYTES);
    DV_AUTO(dv_arena) arena = dv_arena_new(FRAME_BYTES * 4);
    snprintf(path, sizeof(path), "%s/%s", records->folder, name);
    int r = dv_file_read(path, &frame, &err);
    if (r == 0 && arena)
        r = dv_monitor_decode(frame.data, frame.len, arena, &kind, &body, &err);
    if (r == 0 && arena && kind == DV_KIND_container_exited) {
        (void)keep(records, body);
        return;
    }
    dv_log(DV_LOG_WARN, "exit record '%s' is left out: %s", path, err.text);
    (void)unlink(path);
}

int mon_records_new(const char *run_dir, struct mon_records **ret, struct dv_error *err)
{
    struct mon_records *records = calloc(1, sizeof(*records));
    if (!records)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for exit records");
    snprintf(records->folder, sizeof(records->folder), "%s/" DV_MONITOR_EXITS, run_dir);
    int r = dv_dir_make(records->folder, 0700, err);
    dv_autoclosedir DIR *dir = r == 0 ? opendir(records->folder) : NULL;
    const struct dirent *entry;
    if (r < 0) {
        free(records);
        return r;
    }
    while (dir && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
            load_one(records, entry->d_name);
    *ret = records;
    return 0;
}

void mon_records_free(struct mon_records *records)
{
    if (!records)
        return;
    while (records->first) {
        struct record *record = records->first;
        records->first = record->next;
        free(record);
    }
    free(records);
}

static int write_file(const struct mon_records *records,
                      const struct dv_container_exited *exit,
                      struct dv_error *err)
{
    char path[PATH_MAX];
    char aside[PATH_MAX + 8];
    DV_AUTO_IN_PLACE(dv_buf) frame = DV_BUF_INIT(FRAME_BYTES);
    int r = dv_monitor_encode(&dv_schema_container_exited, exit, &frame, err);
    if (r < 0)
        return r;
    path_of(records, exit->record, path);
    snprintf(aside, sizeof(aside), "%s/.new", records->folder);
    dv_autoclose int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, frame.data, frame.len) != (ssize_t)frame.len || rename(aside, path) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "write exit record '%s'", path);
    return 0;
}

void mon_records_add(struct mon_records *records, struct dv_container_exited *exit)
{
    struct dv_error err = DV_ERROR_INIT;
    /* Time since boot: a new monitor never gives a number again that davitd has seen. */
    int64_t number = dv_clock_monotonic_ns(dv_clock_real());
    exit->record = number > records->newest ? number : records->newest + 1;
    if (write_file(records, exit, &err) < 0)
        dv_log(DV_LOG_ERROR, "container '%s': %s", exit->id, err.text);
    if (!keep(records, exit))
        dv_log(DV_LOG_ERROR, "container '%s': no memory for its end", exit->id);
}

void mon_records_restore(struct mon_records *records, const struct dv_container_exited *exit)
{
    for (const struct record *record = records->first; record; record = record->next)
        if (record->exit.record == exit->record)
            return;
    if (!keep(records, exit))
        dv_log(DV_LOG_ERROR, "container '%s': no memory for its end", exit->id);
}

void mon_records_remove(struct mon_records *records, int64_t number)
{
    char path[PATH_MAX];
    struct record *previous = NULL;
    for (struct record *record = records->first; record; record = record->next) {
        if (record->exit.record != number) {
            previous = record;
            continue;
        }
        *(previous ? &previous->next : &records->first) = record->next;
        if (records->last == record)
            records->last = previous;
        path_of(records, number, path);
        (void)unlink(path);
        free(record);
        return;
    }
}

const struct dv_container_exited *mon_records_next(const struct mon_records *records, int64_t after)
{
    if (records->last && records->last->exit.record <= after)
        return NULL;
    for (const struct record *record = records->first; record; record = record->next)
        if (record->exit.record > after)
            return &record->exit;
    return NULL;
}
