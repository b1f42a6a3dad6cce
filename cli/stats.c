/* SPDX-License-Identifier: Apache-2.0 */
/* davit stats: what containers use, from two looks a second apart. */
#include "base/str.h"
#include "cli/cli.h"
#include "messages/json/json_codec.h"

#include "json/json.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ARENA_MAX     (64U << 20)
#define OUTPUT_MAX    (16U << 20)
#define LOOK_MS       1000 /* between the two */
#define PERCENT_ALL   100.0
#define GATEWAY       "(gateway)"
#define SIZE_TEXT_MAX 32

/* One look, all its pages. */
struct look {
    int64_t cpu_total_ns;
    const struct dv_sample *host;
    struct dv_sample *samples; /* in order of id */
    size_t count;
};

static int read_page(struct cli *cli,
                     int64_t pass,
                     int64_t from,
                     struct dv_arena *arena,
                     const struct dv_samples **ret,
                     struct dv_error *err)
{
    char args[96];
    const char *value = NULL;
    void *body = NULL;
    DV_AUTO(dv_json) object = NULL;
    snprintf(args, sizeof(args), "{\"pass\":%lld,\"from\":%lld}", (long long)pass, (long long)from);
    int r = cli_ask(cli, "davit", "samples", args, arena, &value, err);
    if (r == 0 && !value)
        r = dv_error_set(err, DV_ERR_PROTOCOL, "the daemon answers without a value");
    if (r == 0)
        r = dv_json_parse(value, strlen(value), &object, err);
    if (r == 0)
        r = dv_message_read_json(&dv_schema_samples, object, NULL, arena, &body, err);
    if (r == 0)
        *ret = body;
    return r;
}

static int add_page(struct look *look, const struct dv_samples *page, struct dv_error *err)
{
    size_t count = page->containers.count;
    struct dv_sample *grown =
        reallocarray(look->samples, look->count + count + 1, sizeof(*look->samples));
    if (!grown)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "out of memory");
    look->samples = grown;
    if (count)
        memcpy(look->samples + look->count, page->containers.items, count * sizeof(*grown));
    look->count += count;
    return 0;
}

static int
take_look(struct cli *cli, struct dv_arena *arena, struct look *look, struct dv_error *err)
{
    const struct dv_samples *page = NULL;
    int64_t pass = 0;
    int64_t from = 0;
    do {
        int r = read_page(cli, pass, from, arena, &page, err);
        if (r == 0)
            r = add_page(look, page, err);
        if (r < 0)
            return r;
        if (page->host) {
            look->host = page->host;
            look->cpu_total_ns = page->cpu_total_ns;
        }
        pass = page->pass;
        from = page->next;
    } while (page->more);
    return 0;
}

static const struct dv_sample *find(const struct look *look, const struct dv_sample *sample)
{
    size_t low = 0;
    size_t high = look->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(look->samples[middle].id, sample->id);
        if (order == 0)
            return look->samples[middle].pid == sample->pid ? &look->samples[middle] : NULL;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* "1.5 MB", of at most four digits. */
static const char *size_of(struct dv_maybe bytes, char text[SIZE_TEXT_MAX])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes.value;
    size_t unit = 0;
    if (!bytes.is_set)
        return "-";
    while (value >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    snprintf(text, SIZE_TEXT_MAX, unit && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

static const char *
pair_of(struct dv_maybe first, struct dv_maybe second, char text[2 * SIZE_TEXT_MAX + 4])
{
    char a[SIZE_TEXT_MAX];
    char b[SIZE_TEXT_MAX];
    snprintf(text, 2 * SIZE_TEXT_MAX + 4, "%s / %s", size_of(first, a), size_of(second, b));
    return text;
}

static const char *share_of(double part, double whole, char text[SIZE_TEXT_MAX])
{
    if (whole <= 0)
        return "-";
    double percent = PERCENT_ALL * part / whole;
    snprintf(text, SIZE_TEXT_MAX, "%.1f %%",
             percent < 0             ? 0
             : percent > PERCENT_ALL ? PERCENT_ALL
                                     : percent);
    return text;
}

static void print_row(const char *name,
                      int name_width,
                      const struct dv_sample *before,
                      const struct dv_sample *now,
                      int64_t total_ns,
                      struct dv_buf *out)
{
    char cpu[SIZE_TEXT_MAX] = "-";
    char memory_share[SIZE_TEXT_MAX] = "-";
    char tasks[SIZE_TEXT_MAX] = "-";
    char memory[2 * SIZE_TEXT_MAX + 4];
    char net[2 * SIZE_TEXT_MAX + 4];
    char io[2 * SIZE_TEXT_MAX + 4];
    if (before && before->cpu_ns.is_set && now->cpu_ns.is_set)
        (void)share_of((double)(now->cpu_ns.value - before->cpu_ns.value), (double)total_ns, cpu);
    if (now->memory_used.is_set && now->memory_total.is_set)
        (void)share_of((double)now->memory_used.value, (double)now->memory_total.value,
                       memory_share);
    if (now->tasks.is_set)
        snprintf(tasks, sizeof(tasks), "%lld", (long long)now->tasks.value);
    cli_line(out, "%-*s  %8s  %-19s  %8s  %-19s  %-19s  %6s", name_width, name, cpu,
             pair_of(now->memory_used, now->memory_total, memory), memory_share,
             pair_of(now->net_read, now->net_write, net), pair_of(now->io_read, now->io_write, io),
             tasks);
}

void cli_print_stats(const struct dv_samples *before,
                     const struct dv_samples *now,
                     const char *id,
                     struct dv_buf *out)
{
    const struct look old = {.samples = before->containers.items,
                             .count = before->containers.count};
    int64_t total_ns = now->cpu_total_ns - before->cpu_total_ns;
    int name_width = (int)sizeof(GATEWAY) - 1;
    for (size_t i = 0; i < now->containers.count; i++) {
        int width = cli_width(now->containers.items[i].name);
        name_width = width > name_width ? width : name_width;
    }
    cli_line(out, "%-*s  %8s  %-19s  %8s  %-19s  %-19s  %6s", name_width, "NAME", "CPU",
             "MEMORY / LIMIT", "", "NET IN / OUT", "READ / WRITTEN", "TASKS");
    for (size_t i = 0; i < now->containers.count; i++) {
        const struct dv_sample *sample = &now->containers.items[i];
        if (!id || strcmp(id, sample->id) == 0)
            print_row(sample->name, name_width, find(&old, sample), sample, total_ns, out);
    }
    if (!id && now->host)
        print_row(GATEWAY, name_width, before->host, now->host, total_ns, out);
}

static void print_json(const struct dv_samples *now, const char *id)
{
    struct dv_samples shown = *now;
    for (size_t i = 0; id && i < now->containers.count; i++) {
        if (strcmp(now->containers.items[i].id, id) != 0)
            continue;
        shown.host = NULL;
        shown.containers = (struct dv_sample_list){&now->containers.items[i], 1};
        break;
    }
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(OUTPUT_MAX);
    struct dv_json_writer w;
    dv_jw_init(&w, &out);
    dv_message_write_json(&w, &dv_schema_samples, &shown);
    if (dv_jw_done(&w, NULL) == 0)
        printf("%s\n", out.data);
}

static int show(struct cli *cli, const char *id, struct dv_arena *arena, struct dv_error *err)
{
    struct look looks[2] = {{.samples = NULL}, {.samples = NULL}};
    const struct timespec pause = {.tv_sec = LOOK_MS / 1000, .tv_nsec = LOOK_MS % 1000 * 1000000L};
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(OUTPUT_MAX);
    int r = take_look(cli, arena, &looks[0], err);
    if (r == 0 && !cli->is_json) {
        (void)nanosleep(&pause, NULL);
        r = take_look(cli, arena, &looks[1], err);
    }
    struct dv_samples pages[2];
    for (size_t i = 0; i < 2; i++)
        pages[i] = (struct dv_samples){
            .pass = 1,
            .cpu_total_ns = looks[i].cpu_total_ns,
            .host = (struct dv_sample *)looks[i].host,
            .containers = {looks[i].samples, looks[i].count},
        };
    if (r == 0 && cli->is_json)
        print_json(&pages[0], id);
    else if (r == 0)
        cli_print_stats(&pages[0], &pages[1], id, &out);
    if (out.data)
        fputs(out.data, stdout);
    free(looks[0].samples);
    free(looks[1].samples);
    return r;
}

int cli_stats(struct cli *cli, int argc, char **argv)
{
    if (getopt(argc, argv, "+") != -1 || argc - optind > 1)
        return cli_usage("stats");
    const char *name = optind < argc ? argv[optind] : NULL;
    const struct dv_container_summary *found = NULL;
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    int r = arena ? 0 : dv_error_set(&err, DV_ERR_NO_MEMORY, "out of memory");
    if (r == 0 && name)
        r = cli_find(cli, name, arena, &found, &err);
    if (r == 0 && found && found->status != DV_STATUS_RUNNING && found->status != DV_STATUS_PAUSED)
        r = dv_error_set(&err, DV_ERR_STATE, "container '%s' does not run", found->name);
    if (r == 0)
        r = show(cli, found ? found->id : NULL, arena, &err);
    return r < 0 ? cli_fail(&err) : CLI_DONE;
}
