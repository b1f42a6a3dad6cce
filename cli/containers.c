/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about containers that exist. */
#include "base/clock.h"
#include "base/str.h"
#include "cli/cli.h"
#include "messages/json/json_codec.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MAX (64U << 20)

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

int cli_list(struct cli *cli,
             struct dv_arena *arena,
             const struct dv_container_summaries **ret,
             struct dv_error *err)
{
    const char *value = NULL;
    void *body;
    int r = cli_ask(cli, "davit", "list", NULL, arena, &value, err);
    if (r == 0)
        r = read_value(value, &dv_schema_container_summaries, arena, &body, err);
    if (r == 0)
        *ret = body;
    return r;
}

int cli_find(struct cli *cli,
             const char *name,
             struct dv_arena *arena,
             const struct dv_container_summary **ret,
             struct dv_error *err)
{
    const struct dv_container_summaries *list;
    const struct dv_container_summary *found = NULL;
    unsigned matches = 0;
    int r = cli_list(cli, arena, &list, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < list->containers.count; i++) {
        const struct dv_container_summary *c = &list->containers.items[i];
        if (strcmp(c->id, name) == 0 || strcmp(c->name, name) == 0) {
            *ret = c;
            return 0;
        }
        if (name[0] && strncmp(c->id, name, strlen(name)) == 0) {
            found = c;
            matches++;
        }
    }
    if (matches == 0)
        return dv_error_set(err, DV_ERR_NOT_FOUND,
                            "there is no container '%s'; davit ps lists them", name);
    if (matches > 1)
        return dv_error_set(err, DV_ERR_INVALID, "'%s' is the beginning of %u ids; give more of it",
                            name, matches);
    *ret = found;
    return 0;
}

/* -- one operation on several ---------------------------------------------------------------- */

static int operate_on(struct cli *cli, const char *name, const char *operation, const char *args)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    struct dv_error err = DV_ERROR_INIT;
    const struct dv_container_summary *container;
    const char *value;
    char feature[160];
    if (!arena)
        return CLI_FAILED;
    int r = cli_find(cli, name, arena, &container, &err);
    if (r == 0) {
        snprintf(feature, sizeof(feature), "Container:%s", container->id);
        r = cli_ask(cli, feature, operation, args, arena, &value, &err);
    }
    if (r < 0)
        return cli_fail(&err);
    puts(name);
    return CLI_DONE;
}

/* All are tried; the first failure is the exit code. */
static int
operate(struct cli *cli, int count, char **names, const char *operation, const char *args)
{
    int code = CLI_DONE;
    for (int i = 0; i < count && code != CLI_UNREACHABLE; i++) {
        int one = operate_on(cli, names[i], operation, args);
        if (code == CLI_DONE || one == CLI_UNREACHABLE)
            code = one;
    }
    return code;
}

static int simple(struct cli *cli, int argc, char **argv, const char *operation)
{
    if (argc < 2 || argv[1][0] == '-')
        return cli_usage(argv[0]);
    return operate(cli, argc - 1, argv + 1, operation, NULL);
}

static int start_attached(struct cli *cli, const char *name, bool uses_input)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    struct dv_error err = DV_ERROR_INIT;
    const struct dv_container_summary *container;
    if (!arena)
        return CLI_FAILED;
    if (cli_find(cli, name, arena, &container, &err) < 0)
        return cli_fail(&err);
    return cli_start_attached(cli, container->id, uses_input);
}

int cli_start(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"attach", no_argument, NULL, 'a'},
                                            {"a", no_argument, NULL, 'a'},
                                            {"interactive", no_argument, NULL, 'i'},
                                            {"i", no_argument, NULL, 'i'},
                                            {NULL, 0, NULL, 0}};
    bool attaches = false;
    bool uses_input = false;
    int option;
    while ((option = getopt_long(argc, argv, "ai", options, NULL)) != -1) {
        if (option != 'a' && option != 'i')
            return cli_usage(argv[0]);
        attaches = true;
        uses_input |= option == 'i';
    }
    if (optind == argc || (attaches && optind + 1 != argc))
        return cli_usage(argv[0]);
    if (attaches)
        return start_attached(cli, argv[optind], uses_input);
    return operate(cli, argc - optind, argv + optind, "start", NULL);
}

int cli_pause(struct cli *cli, int argc, char **argv)
{
    return simple(cli, argc, argv, "pause");
}

int cli_resume(struct cli *cli, int argc, char **argv)
{
    return simple(cli, argc, argv, "resume");
}

/* All at once. They are not stopped for good: the next boot starts them as their policies say. */
static int stop_all(struct cli *cli, int64_t seconds)
{
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    DV_AUTO_IN_PLACE(dv_buf) args = DV_BUF_INIT(256);
    const char *value = NULL;
    void *body = NULL;
    int r = dv_buf_printf(&args, &err, "{\"timeout\":%lld}", (long long)seconds);
    if (r == 0)
        r = cli_ask(cli, "davit", "halt", args.data, arena, &value, &err);
    if (r == 0)
        r = read_value(value, &dv_schema_daemon_halted, arena, &body, &err);
    if (r < 0)
        return cli_fail(&err);
    const struct dv_daemon_halted *halted = body;
    if (cli->is_json)
        puts(value);
    else
        printf("%lld stopped\n", (long long)halted->halted);
    for (size_t i = 0; i < halted->failures.count && !cli->is_json; i++) {
        DV_AUTO_IN_PLACE(dv_buf) line = DV_BUF_INIT(ARENA_MAX);
        cli_line(&line, "davit: %s", halted->failures.items[i]);
        fputs(line.data ? line.data : "", stderr);
    }
    return halted->failures.count ? CLI_FAILED : CLI_DONE;
}

int cli_stop(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"all", no_argument, NULL, 'a'},
                                            {"time", required_argument, NULL, 't'},
                                            {"signal", required_argument, NULL, 's'},
                                            {"force", no_argument, NULL, 'f'},
                                            {NULL, 0, NULL, 0}};
    const char *signal = NULL;
    int64_t seconds = 0;
    bool is_force = false;
    bool has_options = false;
    bool is_all = false;
    int option;
    while ((option = getopt_long(argc, argv, "at:s:f", options, NULL)) != -1) {
        has_options = true;
        if (option == 'a')
            is_all = true;
        else if (option == 's')
            signal = optarg;
        else if (option == 'f')
            is_force = true;
        else if (option != 't' || dv_str_to_i64(dv_str_of(optarg), 0, 86400, &seconds, NULL) < 0)
            return cli_usage(argv[0]);
    }
    if (is_all == (optind < argc) || (is_all && (signal || is_force)))
        return cli_usage(argv[0]);
    if (is_all)
        return stop_all(cli, seconds);
    if (!has_options)
        return operate(cli, argc - optind, argv + optind, "stop", NULL);
    DV_AUTO_IN_PLACE(dv_buf) args = DV_BUF_INIT(4096);
    struct dv_json_writer w;
    dv_jw_init(&w, &args);
    dv_jw_object(&w);
    if (signal)
        dv_jw_member_text(&w, "signal", signal);
    if (seconds)
        dv_jw_member_i64(&w, "timeout", seconds);
    dv_jw_member_bool(&w, "force", is_force);
    dv_jw_object_end(&w);
    if (dv_jw_done(&w, NULL) < 0)
        return cli_usage(argv[0]);
    return operate(cli, argc - optind, argv + optind, "stopWithOptions", args.data);
}

int cli_rm(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"force", no_argument, NULL, 'f'}, {NULL, 0, NULL, 0}};
    bool is_force = false;
    int option;
    while ((option = getopt_long(argc, argv, "f", options, NULL)) != -1) {
        if (option != 'f')
            return cli_usage(argv[0]);
        is_force = true;
    }
    if (optind == argc)
        return cli_usage(argv[0]);
    return operate(cli, argc - optind, argv + optind, "remove", is_force ? "true" : "false");
}

static int with_text(struct cli *cli, const char *name, const char *operation, const char *text)
{
    DV_AUTO_IN_PLACE(dv_buf) args = DV_BUF_INIT(4096);
    struct dv_json_writer w;
    struct dv_error err = DV_ERROR_INIT;
    dv_jw_init(&w, &args);
    dv_jw_text(&w, text);
    return dv_jw_done(&w, &err) < 0 ? cli_fail(&err) : operate_on(cli, name, operation, args.data);
}

int cli_rename(struct cli *cli, int argc, char **argv)
{
    if (argc != 3 || argv[1][0] == '-')
        return cli_usage(argv[0]);
    return with_text(cli, argv[1], "rename", argv[2]);
}

/* "-1" takes a limit away, as in Kanto's command; the daemon wants an empty text for that. */
static void member_limit(struct dv_json_writer *w, const char *key, const char *text)
{
    if (text)
        dv_jw_member_text(w, key, strcmp(text, "-1") == 0 ? "" : text);
}

struct change {
    const char *policy; /* TYPE[:COUNT] */
    const char *memory;
    const char *reservation;
    const char *swap;
};

static bool read_change(int argc, char **argv, struct change *ret)
{
    static const struct option options[] = {
        {"restart", required_argument, NULL, 'r'},
        {"rp", required_argument, NULL, 'r'},
        {"memory", required_argument, NULL, 'm'},
        {"memory-reservation", required_argument, NULL, 'R'},
        {"memory-swap", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    struct change change = {NULL, NULL, NULL, NULL};
    int option;
    while ((option = getopt_long(argc, argv, "+m:", options, NULL)) != -1) {
        if (option == 'r')
            change.policy = optarg;
        else if (option == 'm')
            change.memory = optarg;
        else if (option == 'R')
            change.reservation = optarg;
        else if (option == 's')
            change.swap = optarg;
        else
            return false;
    }
    *ret = change;
    return optind + 1 == argc &&
           (change.policy || change.memory || change.reservation || change.swap);
}

static bool write_policy(struct dv_json_writer *w, const char *policy)
{
    struct dv_str type;
    struct dv_str count;
    int64_t number = 0;
    bool has_count = dv_str_cut(dv_str_of(policy), ':', &type, &count);
    if (has_count && dv_str_to_i64(count, 0, INT32_MAX, &number, NULL) < 0)
        return false;
    dv_jw_key(w, "restartPolicy");
    dv_jw_object(w);
    dv_jw_key(w, "type");
    dv_jw_text_len(w, type.data, type.len);
    if (has_count)
        dv_jw_member_i64(w, "maxRetryCount", number);
    dv_jw_object_end(w);
    return true;
}

int cli_update(struct cli *cli, int argc, char **argv)
{
    DV_AUTO_IN_PLACE(dv_buf) args = DV_BUF_INIT(4096);
    struct dv_json_writer w;
    struct change change;
    if (!read_change(argc, argv, &change))
        return cli_usage(argv[0]);
    dv_jw_init(&w, &args);
    dv_jw_object(&w);
    if (change.policy && !write_policy(&w, change.policy))
        return cli_usage(argv[0]);
    if (change.memory || change.reservation || change.swap) {
        dv_jw_key(&w, "resources");
        dv_jw_object(&w);
        member_limit(&w, "memory", change.memory);
        member_limit(&w, "memoryReservation", change.reservation);
        member_limit(&w, "memorySwap", change.swap);
        dv_jw_object_end(&w);
    }
    dv_jw_object_end(&w);
    return dv_jw_done(&w, NULL) < 0 ? CLI_FAILED
                                    : operate_on(cli, argv[optind], "update", args.data);
}

/* -- looking --------------------------------------------------------------------------------- */

static int print_json(const char *json, const char *behind)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(ARENA_MAX);
    cli_json(&out, json ? json : "{}");
    printf("%s%s", out.data ? out.data : "", behind);
    return CLI_DONE;
}

int cli_ps(struct cli *cli, int argc, char **argv)
{
    bool is_quiet = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-q") == 0 || strcmp(argv[i], "--quiet") == 0)
            is_quiet = true;
        else if (strcmp(argv[i], "--json") == 0)
            cli->is_json = true;
        else if (strcmp(argv[i], "-a") != 0 && strcmp(argv[i], "--all") != 0)
            return cli_usage(argv[0]);
    }
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(ARENA_MAX);
    struct dv_error err = DV_ERROR_INIT;
    const struct dv_container_summaries *list;
    const char *value;
    if (!arena)
        return CLI_FAILED;
    if (cli->is_json) {
        if (cli_ask(cli, "davit", "list", NULL, arena, &value, &err) < 0)
            return cli_fail(&err);
        DV_AUTO(dv_json) object = NULL;
        DV_AUTO_IN_PLACE(dv_buf) json = DV_BUF_INIT(ARENA_MAX);
        struct dv_json_writer w;
        dv_jw_init(&w, &json);
        /* A list also when it is empty. */
        if (value && dv_json_parse(value, strlen(value), &object, &err) == 0 &&
            dv_json_get(object, "containers"))
            dv_jw_node(&w, dv_json_get(object, "containers"));
        else
            dv_jw_raw(&w, "[]", 2);
        return print_json(json.data, "\n");
    }
    if (cli_list(cli, arena, &list, &err) < 0)
        return cli_fail(&err);
    cli_print_ps(list, is_quiet, dv_clock_wall_ns(dv_clock_real()), &out);
    if (!is_quiet)
        cli_add_pulls(cli, &out);
    fputs(out.data ? out.data : "", stdout);
    return CLI_DONE;
}

/* An operation of davit itself on one container. */
static int look_at(struct cli *cli,
                   const char *operation,
                   const char *name,
                   struct dv_arena *arena,
                   const char **ret_value,
                   struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) args = DV_BUF_INIT(4096);
    struct dv_json_writer w;
    dv_jw_init(&w, &args);
    dv_jw_object(&w);
    dv_jw_member_text(&w, "name", name);
    dv_jw_object_end(&w);
    int r = dv_jw_done(&w, err);
    return r < 0 ? r : cli_ask(cli, "davit", operation, args.data, arena, ret_value, err);
}

int cli_inspect(struct cli *cli, int argc, char **argv)
{
    if (argc != 2 || argv[1][0] == '-')
        return cli_usage(argv[0]);
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    struct dv_error err = DV_ERROR_INIT;
    const char *value = NULL;
    if (!arena || look_at(cli, "inspect", argv[1], arena, &value, &err) < 0)
        return cli_fail(&err);
    return print_json(value ? value : "", "");
}

int cli_why(struct cli *cli, int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--json") == 0) {
        cli->is_json = true;
        argv++;
        argc--;
    }
    if (argc != 2 || argv[1][0] == '-')
        return cli_usage("why");
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(ARENA_MAX);
    struct dv_error err = DV_ERROR_INIT;
    const char *value = NULL;
    void *body;
    if (!arena || look_at(cli, "why", argv[1], arena, &value, &err) < 0)
        return cli_fail(&err);
    if (cli->is_json)
        return print_json(value, "\n");
    if (read_value(value, &dv_schema_container_why, arena, &body, &err) < 0)
        return cli_fail(&err);
    cli_print_why(body, dv_clock_wall_ns(dv_clock_real()), &out);
    fputs(out.data ? out.data : "", stdout);
    return CLI_DONE;
}

int cli_status(struct cli *cli, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--json") == 0)
        cli->is_json = true;
    else if (argc != 1)
        return cli_usage(argv[0]);
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(ARENA_MAX);
    struct dv_error err = DV_ERROR_INIT;
    const char *value = NULL;
    void *body;
    if (!arena || cli_ask(cli, "davit", "status", NULL, arena, &value, &err) < 0)
        return cli_fail(&err);
    if (cli->is_json)
        return print_json(value, "\n");
    if (read_value(value, &dv_schema_daemon_status, arena, &body, &err) < 0)
        return cli_fail(&err);
    cli_print_status(body, &out);
    fputs(out.data ? out.data : "", stdout);
    return CLI_DONE;
}

int cli_trace(struct cli *cli, int argc, char **argv)
{
    if (argc != 1)
        return cli_usage(argv[0]);
    struct dv_error err = DV_ERROR_INIT;
    const char *value;
    {
        DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
        if (!arena || cli_ask(cli, "davit", "trace", "{\"on\":true}", arena, &value, &err) < 0)
            return cli_fail(&err);
    }
    for (;;) {
        DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
        void *body;
        if (!arena || cli_next(cli, &dv_schema_local_trace, arena, &body, &err) < 0)
            return cli_fail(&err);
        const struct dv_local_trace *line = body;
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1U << 20);
        if (line->dropped)
            cli_line(&out, "... %lld messages are not shown", (long long)line->dropped);
        cli_line(&out, "%-28s %s %-28s %s", line->from ? line->from : "",
                 line->is_answer ? "=>" : "->", line->to, line->message);
        fputs(out.data ? out.data : "", stdout);
        fflush(stdout);
    }
}
