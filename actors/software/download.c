/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Artifacts of a module, one after the other, each from its safest link that answers. Another link
 * is tried only when one is out of reach, and one that anybody on the way could forge only when
 * there is a checksum.
 */
#include "actors/software/internal.h"
#include "base/log.h"
#include "spec/names.h"
#include "spec/resources.h"
#include "spec/rules.h"

#include <stdlib.h>
#include <string.h>

#define MD5_FILE_BYTES 4096
#define GRACE_MS       120000

static void fetch(struct software *s);

static const struct dv_artifact *artifact_of(const struct software *s)
{
    return &software_module(s)->artifacts.items[s->at];
}

static bool has_checksum(const struct dv_artifact *artifact)
{
    return artifact->md5 || artifact->sha1 || artifact->sha256;
}

static bool is_safe(enum dv_artifact_protocol protocol)
{
    return protocol == DV_ARTIFACT_HTTPS || protocol == DV_ARTIFACT_SFTP;
}

static const struct dv_artifact_settings *settings_of(const struct software *s)
{
    static const struct dv_artifact_settings none;
    return s->env->artifacts ? s->env->artifacts : &none;
}

/* -- what came ------------------------------------------------------------------------------ */

/* While it is made it has a name of its own, so that the one it replaces keeps its. */
static int set_names(struct software *s, struct part *part, struct dv_error *err)
{
    const char *name = part->record->name;
    snprintf(part->name, sizeof(part->name), "%s", name);
    part->work_name = part->replaces[0]
                          ? dv_arena_printf(s->arena, "%.230s.new-%.8s", name, part->record->id)
                          : dv_arena_strdup(s->arena, name);
    return part->work_name ? 0 : dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a module");
}

static int check_part(struct software *s, struct part *part, struct dv_error *err)
{
    bool is_ambiguous = false;
    const struct known *same = known_by_id(s->known, part->id);
    const struct known *old = known_by_name(s->known, part->record->name, &is_ambiguous);
    for (size_t i = 0; i < s->part_count; i++)
        if (strcmp(s->parts[i].name, part->record->name) == 0 ||
            strcmp(s->parts[i].id, part->id) == 0)
            return dv_error_set(err, DV_ERR_INVALID,
                                "two artifacts of the module describe container '%s'",
                                part->record->name);
    /* Nothing is wrong with these descriptions: here and now they cannot be done. */
    if (same)
        return dv_error_set(err, DV_ERR_STATE,
                            "container_id: '%s' is that of a container that exists; leave it out%s",
                            part->id, same == old ? " to replace that container" : "");
    if (is_ambiguous)
        return dv_error_set(err, DV_ERR_STATE,
                            "container_name: '%s' is the name of several containers",
                            part->record->name);
    if (old) {
        snprintf(part->replaces, sizeof(part->replaces), "%s", old->id);
        part->was_paused = old->status == DV_STATUS_PAUSED;
        part->was_running = part->was_paused || old->status == DV_STATUS_RUNNING || old->comes_back;
    }
    return 0;
}

static int describe(struct software *s,
                    const struct dv_artifact_result *result,
                    struct part *part,
                    struct dv_error *err)
{
    const struct dv_software_module *module = software_module(s);
    char id[DV_ID_MADE_SIZE];
    uint64_t high = dv_cell_random(s->cell);
    dv_id_make(high, dv_cell_random(s->cell), id);
    int r = dv_software_description((const char *)result->body.data, result->body.len, id, s->arena,
                                    &part->record, err);
    if (r == 0)
        r = dv_spec_check_support(part->record, s->env->settings->has_ip6, err);
    if (r == 0)
        r = dv_resources_fit_machine(part->record->spec->resources, s->env->settings->limits, err);
    if (r < 0)
        return r;
    part->is_unverified = result->is_unverified;
    snprintf(part->id, sizeof(part->id), "%s", part->record->id);
    r = check_part(s, part, err);
    if (r == 0)
        r = set_names(s, part, err);
    if (r < 0)
        return r;
    part->record->module_name = module->name;
    part->record->module_version = module->version;
    part->record->artifact_digest = dv_arena_strdup(s->arena, result->sha256);
    for (size_t i = 0; i < part->record->warnings.count; i++)
        dv_log(DV_LOG_WARN, "software: %s: %s", s->job, part->record->warnings.items[i]);
    return part->record->artifact_digest
               ? 0
               : dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a module");
}

/* Lies, and what a create would refuse, are rejected; the rest failed. */
static enum dv_software_status verdict_of(enum dv_error_class class)
{
    switch (class) {
    case DV_ERR_CORRUPT:
    case DV_ERR_INVALID:
    case DV_ERR_LIMIT:
    case DV_ERR_EXISTS:
    case DV_ERR_UNSUPPORTED:
        return DV_SOFTWARE_FINISHED_REJECTED;
    default:
        return DV_SOFTWARE_FINISHED_ERROR;
    }
}

static void take(struct software *s, const struct dv_artifact_result *result)
{
    struct dv_error err = DV_ERROR_INIT;
    struct part *part = &s->parts[s->part_count];
    *part = (struct part){0};
    int r = describe(s, result, part, &err);
    if (r < 0) {
        /* What is no JSON at all is not even a description to be rejected. */
        enum dv_software_status verdict =
            r == -DV_ERR_CORRUPT ? DV_SOFTWARE_FINISHED_ERROR : verdict_of(err.class);
        dv_error_prefix(&err, "%s: ", s->job);
        software_end_module(s, verdict, err.text);
        return;
    }
    s->part_count++;
    s->at++;
    s->link = 0;
    s->md5[0] = '\0';
    if (s->at < software_module(s)->artifacts.count)
        fetch(s);
    else
        software_make(s);
}

/* -- from where ----------------------------------------------------------------------------- */

static bool may_try_next(const struct software *s, enum dv_error_class class)
{
    const struct dv_artifact *artifact = artifact_of(s);
    if (class != DV_ERR_UNAVAILABLE && class != DV_ERR_TIMED_OUT && class != DV_ERR_NOT_FOUND &&
        class != DV_ERR_FAILED)
        return false;
    return s->link + 1 < artifact->links.count &&
           (has_checksum(artifact) || is_safe(artifact->links.items[s->link + 1].protocol));
}

static void fail(struct software *s, const struct dv_error *error)
{
    if (may_try_next(s, error->class)) {
        dv_log(DV_LOG_WARN, "software: the next link is tried: %s", error->text);
        s->link++;
        s->md5[0] = '\0';
        fetch(s);
        return;
    }
    software_end_module(s, verdict_of(error->class), error->text);
}

static void on_artifact(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    if (outcome->error)
        fail(s, outcome->error);
    else
        take(s, outcome->body);
}

static void on_md5(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    if (outcome->error) {
        fail(s, outcome->error);
        return;
    }
    const struct dv_artifact_result *result = outcome->body;
    struct dv_error err = DV_ERROR_INIT;
    if (!dv_software_md5_of((const char *)result->body.data, result->body.len, s->md5)) {
        dv_error_set(&err, DV_ERR_CORRUPT, "%s: an MD5 sum is expected there", s->job);
        s->md5[0] = '\0';
        fail(s, &err);
        return;
    }
    fetch(s);
}

static void ask(struct software *s,
                struct dv_artifact_link *link,
                struct dv_artifact *expected,
                int64_t max_bytes,
                dv_outcome_fn *fn)
{
    const struct dv_artifact_settings *settings = settings_of(s);
    char *place = dv_software_place(link->url, s->arena);
    free(s->job);
    s->job = place ? strndup(place, 500) : NULL;
    expected->links.count = 0;
    struct dv_artifact_cmd command = {
        .link = link,
        .expected = expected,
        .max_bytes = max_bytes,
        .root_ca = (char *)settings->root_ca,
        .client_cert = (char *)settings->client_cert,
        .client_key = (char *)settings->client_key,
        .known_hosts = (char *)settings->known_hosts,
        .stall_ms = s->env->settings->pull_stall_ms,
        .total_ms = s->env->settings->artifact_ms,
        .job = s->job ? s->job : (char *)"artifact",
    };
    dv_ask(s->cell, DV_ADDRESS_DOWNLOADER, DV_KIND_artifact_cmd, &command,
           s->env->settings->artifact_ms + GRACE_MS, fn, NULL);
}

/* SFTP without known hosts cannot be used: it is no reason to fail while there is another link. */
static void skip_unusable(struct software *s, const struct dv_artifact *artifact)
{
    if (artifact->links.items[s->link].protocol == DV_ARTIFACT_SFTP &&
        !settings_of(s)->known_hosts && s->link + 1 < artifact->links.count &&
        has_checksum(artifact))
        s->link++;
}

static void fetch(struct software *s)
{
    const struct dv_artifact *artifact = artifact_of(s);
    skip_unusable(s, artifact);
    struct dv_artifact_link link = artifact->links.items[s->link];
    struct dv_artifact expected = *artifact;
    if (!has_checksum(artifact) && link.md5url.len && !s->md5[0]) {
        struct dv_artifact_link md5 = {.protocol = link.md5_protocol, .url = link.md5url};
        struct dv_artifact unknown = {0};
        ask(s, &md5, &unknown, MD5_FILE_BYTES, on_md5);
        return;
    }
    if (s->md5[0])
        expected.md5 = s->md5;
    ask(s, &link, &expected, DV_ARTIFACT_BYTES_MAX, on_artifact);
}

void software_download(struct software *s)
{
    s->at = 0;
    s->link = 0;
    s->md5[0] = '\0';
    s->progress = 0;
    software_report(s, DV_SOFTWARE_DOWNLOADING, NULL);
    fetch(s);
}
