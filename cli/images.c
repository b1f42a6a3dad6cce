/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about images. */
#include "base/clock.h"
#include "base/str.h"
#include "cli/cli.h"
#include "messages/json/json_codec.h"

#include "json/json.h"
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARENA_MAX   (64U << 20)
#define LOOK_MS     500 /* between two looks at a pull */
#define NS_PER_S    1000000000LL
#define OUTPUT_MAX  (64U << 20)
#define ID_SHOWN    12
#define PERCENT_ALL 100

static int read_value(const char *value,
                      const struct dv_schema *schema,
                      struct dv_arena *arena,
                      void **ret,
                      struct dv_error *err)
{
    DV_AUTO(dv_json) object = NULL;
    if (!value)
        return dv_error_set(err, DV_ERR_PROTOCOL, "the daemon answers without a value");
    int r = dv_json_parse(value, strlen(value), &object, err);
    return r < 0 ? r : dv_message_read_json(schema, object, NULL, arena, ret, err);
}

static void print_buf(const struct dv_buf *out)
{
    if (out->data)
        fputs(out->data, stdout);
}

static void print_json(const char *value)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(OUTPUT_MAX);
    cli_json(&out, value);
    print_buf(&out);
    putchar('\n');
}

/* {"key": "text", ...}; NULL texts are left out. */
static int arguments(struct dv_buf *out, const char *const pairs[][2], struct dv_error *err)
{
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    for (size_t i = 0; pairs[i][0]; i++)
        if (pairs[i][1])
            dv_jw_member_text(&w, pairs[i][0], pairs[i][1]);
    dv_jw_object_end(&w);
    return dv_jw_done(&w, err);
}

/* One question with texts as arguments, its value read as `schema`. */
static int ask(struct cli *cli,
               const char *operation,
               const char *const pairs[][2],
               const struct dv_schema *schema,
               struct dv_arena *arena,
               const void **ret,
               const char **ret_value,
               struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) args = DV_BUF_INIT(1U << 20);
    const char *value = NULL;
    void *body = NULL;
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "out of memory");
    int r = arguments(&args, pairs, err);
    if (r == 0)
        r = cli_ask(cli, "davit", operation, args.data, arena, &value, err);
    if (r == 0)
        r = read_value(value, schema, arena, &body, err);
    if (r == 0) {
        *ret = body;
        *ret_value = value;
    }
    return r;
}

/* ---- images ---- */

/* "12.3 MB", decimal units as registries count. */
static const char *size_text(int64_t bytes, char text[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit < 4) {
        value /= 1000;
        unit++;
    }
    snprintf(text, 32, unit && value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

static const char *age_text(int64_t since_ns, int64_t now_ns, char text[32])
{
    int64_t s = since_ns ? (now_ns - since_ns) / NS_PER_S : -1;
    if (s < 0)
        return "-";
    if (s < 120)
        snprintf(text, 32, "%lld s", (long long)s);
    else if (s < 7200)
        snprintf(text, 32, "%lld min", (long long)s / 60);
    else if (s < 2 * 86400)
        snprintf(text, 32, "%lld h", (long long)s / 3600);
    else
        snprintf(text, 32, "%lld d", (long long)s / 86400);
    return text;
}

static void short_id(const char *digest, char text[ID_SHOWN + 1])
{
    const char *colon = digest ? strchr(digest, ':') : NULL;
    snprintf(text, ID_SHOWN + 1, "%s", colon ? colon + 1 : "-");
}

void cli_print_images(const struct dv_image_list *list, int64_t now_ns, struct dv_buf *out)
{
    int width = 5;
    for (size_t i = 0; i < list->images.count; i++) {
        int one = cli_width(list->images.items[i].ref);
        width = one > width ? one : width;
    }
    cli_line(out, "%-*s  %-12s  %-8s  %-6s  %-7s  %-4s  %s", width, "IMAGE", "ID", "SIZE", "LAYERS",
             "STORED", "USED", "NOTE");
    for (size_t i = 0; i < list->images.count; i++) {
        const struct dv_image_summary *image = &list->images.items[i];
        char id[ID_SHOWN + 1], size[32], age[32];
        short_id(image->image_id, id);
        cli_text(out, image->ref);
        cli_line(out, "%*s  %-12s  %-8s  %-6lld  %-7s  %-4lld  %s", width - cli_width(image->ref),
                 "", id, size_text(image->bytes, size), (long long)image->layers,
                 age_text(image->stored_ns, now_ns, age), (long long)image->containers,
                 image->note ? image->note : "");
    }
}

int cli_images(struct cli *cli, int argc, char **argv)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(OUTPUT_MAX);
    static const char *const none[][2] = {{NULL, NULL}};
    struct dv_error err = DV_ERROR_INIT;
    const char *value;
    const void *body;
    if (argc > 1)
        return cli_usage(argv[0]);
    if (ask(cli, "images", none, &dv_schema_image_list, arena, &body, &value, &err) < 0)
        return cli_fail(&err);
    if (cli->is_json) {
        print_json(value);
        return CLI_DONE;
    }
    cli_print_images(body, dv_clock_wall_ns(dv_clock_real()), &out);
    cli_add_pulls(cli, &out);
    print_buf(&out);
    return CLI_DONE;
}

/* ---- pull ---- */

/* "downloading: 3.1 MB of 6.0 MB (51 %)" */
static void pull_text(const struct dv_image_pull_note *note, char *line, size_t size)
{
    char done[32], total[32];
    if (note->total)
        snprintf(line, size, "%s: %s of %s (%lld %%)%s", note->phase, size_text(note->bytes, done),
                 size_text(note->total, total),
                 (long long)(note->bytes * PERCENT_ALL / note->total),
                 note->layers_left ? ", layers to unpack" : "");
    else
        snprintf(line, size, "%s", note->phase);
}

static int read_pulls(struct cli *cli,
                      struct dv_arena *arena,
                      const struct dv_image_pulls **ret,
                      struct dv_error *err)
{
    static const char *const none[][2] = {{NULL, NULL}};
    const char *value;
    const void *body = NULL;
    int r = ask(cli, "pulls", none, &dv_schema_image_pulls, arena, &body, &value, err);
    if (r == 0)
        *ret = body;
    return r;
}

void cli_add_pulls(struct cli *cli, struct dv_buf *out)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    const struct dv_image_pulls *pulls = NULL;
    if (read_pulls(cli, arena, &pulls, NULL) < 0)
        return;
    for (size_t i = 0; i < pulls->pulls.count; i++) {
        char line[256];
        pull_text(&pulls->pulls.items[i], line, sizeof(line));
        if (i == 0)
            cli_line(out, "%s", "");
        cli_line(out, "pulling %s  %s", pulls->pulls.items[i].ref, line);
    }
}

/* A second connection looks on while the first one waits for its answer. */
static void show_progress(struct cli *looker, const char *ref, char *shown, size_t shown_size)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    const struct dv_image_pulls *pulls = NULL;
    if (read_pulls(looker, arena, &pulls, NULL) < 0)
        return;
    for (size_t i = 0; i < pulls->pulls.count; i++) {
        const struct dv_image_pull_note *note = &pulls->pulls.items[i];
        char line[256];
        if (!cli_same_image(note->ref, ref))
            continue;
        pull_text(note, line, sizeof(line));
        if (strcmp(line, shown) != 0)
            fprintf(stderr, "%s\n", line);
        snprintf(shown, shown_size, "%s", line);
    }
}

/* Docker Hub's names have a short form, all others are given as they are kept. */
bool cli_same_image(const char *kept, const char *given)
{
    static const char hub[] = "docker.io/", library[] = "docker.io/library/";
    if (strcmp(kept, given) == 0)
        return true;
    return strncmp(kept, library, strlen(library)) == 0 && strncmp(given, hub, strlen(hub)) == 0 &&
           strcmp(kept + strlen(library), given + strlen(hub)) == 0;
}

static volatile sig_atomic_t is_stopped;

static void on_stop(int number)
{
    (void)number;
    is_stopped = 1;
}

/* Ctrl-C ends the pull, not only the waiting for it. */
static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = on_stop}; /* without SA_RESTART: poll must end */
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static int cancel_pull(struct cli *looker, const char *args)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    struct dv_error err = DV_ERROR_INIT;
    const char *value;
    if (arena && cli_ask(looker, "davit", "cancelPull", args, arena, &value, &err) < 0)
        return cli_fail(&err);
    fputs("davit: the pull was canceled\n", stderr);
    return CLI_FAILED;
}

int cli_pull(struct cli *cli, int argc, char **argv)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    struct dv_error err = DV_ERROR_INIT;
    bool is_shown = argc > 1 && strcmp(argv[1], "--progress") == 0;
    int at = is_shown ? 2 : 1;
    if (argc != at + 1 || argv[at][0] == '-')
        return cli_usage(argv[0]);
    const char *const pairs[][2] = {{"ref", argv[at]}, {NULL, NULL}};
    DV_AUTO_IN_PLACE(dv_buf) args = DV_BUF_INIT(64U << 10);
    struct cli looker = {.socket_path = cli->socket_path, .fd = -1, .in = DV_BUF_INIT(OUTPUT_MAX)};
    const char *value = NULL;
    char shown[256] = "";
    void *body = NULL;
    int r = arena ? arguments(&args, pairs, &err)
                  : dv_error_set(&err, DV_ERR_NO_MEMORY, "out of memory");
    if (r == 0)
        r = cli_send(cli, "davit", "pull", args.data, &err);
    watch_signals();
    while (r == 0 && !is_stopped && !cli_has_answer(cli, LOOK_MS))
        if (is_shown)
            show_progress(&looker, argv[at], shown, sizeof(shown));
    int code = is_stopped ? cancel_pull(&looker, args.data) : CLI_DONE;
    cli_close(&looker);
    if (is_stopped)
        return code;
    if (r == 0)
        r = cli_receive(cli, arena, &value, &err);
    if (r == 0)
        r = read_value(value, &dv_schema_image_ready, arena, &body, &err);
    if (r < 0)
        return cli_fail(&err);
    if (cli->is_json)
        print_json(value);
    else
        puts(((const struct dv_image_ready *)body)->image_id);
    return CLI_DONE;
}

/* ---- removal ---- */

static void print_collected(const struct dv_image_collected *collected)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(OUTPUT_MAX);
    char size[32];
    for (size_t i = 0; i < collected->images.count; i++)
        cli_line(&out, "%s", collected->images.items[i]);
    cli_line(&out, "removed: %zu images, %lld layers, %lld blobs of %s", collected->images.count,
             (long long)collected->layers, (long long)collected->blobs,
             size_text(collected->bytes, size));
    print_buf(&out);
}

static int remove_one(struct cli *cli, const char *ref)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    struct dv_error err = DV_ERROR_INIT;
    const char *const pairs[][2] = {{"ref", ref}, {NULL, NULL}};
    const char *value;
    const void *body;
    if (ask(cli, "rmi", pairs, &dv_schema_image_collected, arena, &body, &value, &err) < 0)
        return cli_fail(&err);
    if (cli->is_json)
        print_json(value);
    else
        print_collected(body);
    return CLI_DONE;
}

int cli_rmi(struct cli *cli, int argc, char **argv)
{
    int code = CLI_DONE;
    if (argc < 2 || argv[1][0] == '-')
        return cli_usage(argv[0]);
    for (int i = 1; i < argc && code != CLI_UNREACHABLE; i++) {
        int one = remove_one(cli, argv[i]);
        if (code == CLI_DONE || one == CLI_UNREACHABLE)
            code = one;
    }
    return code;
}

int cli_prune(struct cli *cli, int argc, char **argv)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    struct dv_error err = DV_ERROR_INIT;
    const char *value = NULL;
    void *body = NULL;
    bool is_all = argc == 2 && (strcmp(argv[1], "-a") == 0 || strcmp(argv[1], "--all") == 0);
    if (argc > 2 || (argc == 2 && !is_all))
        return cli_usage(argv[0]);
    int r = arena ? cli_ask(cli, "davit", "prune", is_all ? "{\"all\":true}" : "{}", arena, &value,
                            &err)
                  : dv_error_set(&err, DV_ERR_NO_MEMORY, "out of memory");
    if (r == 0)
        r = read_value(value, &dv_schema_image_collected, arena, &body, &err);
    if (r < 0)
        return cli_fail(&err);
    if (cli->is_json)
        print_json(value);
    else
        print_collected(body);
    return CLI_DONE;
}

/* ---- load ---- */

int cli_load(struct cli *cli, int argc, char **argv)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    struct dv_error err = DV_ERROR_INIT;
    const char *name = NULL;
    const char *value;
    const void *body;
    int at = 1;
    if (argc > 3 && (strcmp(argv[1], "-n") == 0 || strcmp(argv[1], "--name") == 0)) {
        name = argv[2];
        at = 3;
    }
    if (argc != at + 1 || argv[at][0] == '-')
        return cli_usage(argv[0]);
    dv_autofree char *path = realpath(argv[at], NULL);
    if (!path) {
        dv_error_sys(&err, DV_ERR_INVALID, errno, "'%s'", argv[at]);
        return cli_fail(&err);
    }
    const char *const pairs[][2] = {{"path", path}, {"name", name}, {NULL, NULL}};
    if (ask(cli, "load", pairs, &dv_schema_image_loaded, arena, &body, &value, &err) < 0)
        return cli_fail(&err);
    if (cli->is_json) {
        print_json(value);
        return CLI_DONE;
    }
    const struct dv_image_loaded *loaded = body;
    for (size_t i = 0; i < loaded->images.count; i++)
        puts(loaded->images.items[i]);
    return CLI_DONE;
}
