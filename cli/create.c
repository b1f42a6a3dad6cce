/* SPDX-License-Identifier: Apache-2.0 */
/* run and create: options become the value of createWithConfig. */
#include "base/str.h"
#include "cli/cli.h"

#include "json/json.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define ARENA_MAX  (4U << 20)
#define REPEAT_MAX 256

enum {
    OPTION_NETWORK = 256,
    OPTION_HOST,
    OPTION_HOSTNAME,
    OPTION_RESTART,
    OPTION_RETRY_COUNT,
    OPTION_RETRY_TIMEOUT,
    OPTION_RESERVATION,
    OPTION_SWAP,
    OPTION_LOG_DRIVER,
    OPTION_LOG_FILES,
    OPTION_LOG_SIZE,
    OPTION_LOG_PATH,
    OPTION_LOG_MODE,
    OPTION_LOG_BUFFER,
};

struct wish {
    const char *name;
    const char *network;
    const char *hostname;
    const char *restart;
    const char *retry_count;
    const char *retry_timeout;
    const char *memory;
    const char *reservation;
    const char *swap;
    const char *log_driver;
    const char *log_files;
    const char *log_size;
    const char *log_path;
    const char *log_mode;
    const char *log_buffer;
    const char *env[REPEAT_MAX];
    size_t env_count;
    const char *mounts[REPEAT_MAX];
    size_t mount_count;
    const char *ports[REPEAT_MAX];
    size_t port_count;
    const char *hosts[REPEAT_MAX];
    size_t host_count;
    bool open_stdin;
    bool tty;
    bool detach;
};

static const struct option options[] = {
    {"name", required_argument, NULL, 'n'},
    {"env", required_argument, NULL, 'e'},
    {"e", required_argument, NULL, 'e'},
    {"volume", required_argument, NULL, 'v'},
    {"mp", required_argument, NULL, 'v'},
    {"publish", required_argument, NULL, 'p'},
    {"ports", required_argument, NULL, 'p'},
    {"add-host", required_argument, NULL, OPTION_HOST},
    {"hosts", required_argument, NULL, OPTION_HOST},
    {"detach", no_argument, NULL, 'd'},
    {"interactive", no_argument, NULL, 'i'},
    {"tty", no_argument, NULL, 't'},
    {"network", required_argument, NULL, OPTION_NETWORK},
    {"hostname", required_argument, NULL, OPTION_HOSTNAME},
    {"restart", required_argument, NULL, OPTION_RESTART},
    {"rp", required_argument, NULL, OPTION_RESTART},
    {"rp-cnt", required_argument, NULL, OPTION_RETRY_COUNT},
    {"rp-to", required_argument, NULL, OPTION_RETRY_TIMEOUT},
    {"retry-timeout", required_argument, NULL, OPTION_RETRY_TIMEOUT},
    {"memory", required_argument, NULL, 'm'},
    {"memory-reservation", required_argument, NULL, OPTION_RESERVATION},
    {"memory-swap", required_argument, NULL, OPTION_SWAP},
    {"log-driver", required_argument, NULL, OPTION_LOG_DRIVER},
    {"log-max-files", required_argument, NULL, OPTION_LOG_FILES},
    {"log-max-size", required_argument, NULL, OPTION_LOG_SIZE},
    {"log-path", required_argument, NULL, OPTION_LOG_PATH},
    {"log-mode", required_argument, NULL, OPTION_LOG_MODE},
    {"log-max-buffer-size", required_argument, NULL, OPTION_LOG_BUFFER},
    {NULL, 0, NULL, 0},
};

static bool take(struct wish *wish, int option)
{
    switch (option) {
    case 'n':
        wish->name = optarg;
        return true;
    case 'e':
        if (wish->env_count == REPEAT_MAX)
            return false;
        wish->env[wish->env_count++] = optarg;
        return true;
    case 'v':
        if (wish->mount_count == REPEAT_MAX)
            return false;
        wish->mounts[wish->mount_count++] = optarg;
        return true;
    case 'p':
        if (wish->port_count == REPEAT_MAX)
            return false;
        wish->ports[wish->port_count++] = optarg;
        return true;
    case OPTION_HOST:
        if (wish->host_count == REPEAT_MAX)
            return false;
        wish->hosts[wish->host_count++] = optarg;
        return true;
    case 'd':
        wish->detach = true;
        return true;
    case 'i':
        wish->open_stdin = true;
        return true;
    case 't':
        wish->tty = true;
        return true;
    case OPTION_NETWORK:
        wish->network = optarg;
        return true;
    case OPTION_HOSTNAME:
        wish->hostname = optarg;
        return true;
    case OPTION_RESTART:
        wish->restart = optarg;
        return true;
    case OPTION_RETRY_COUNT:
        wish->retry_count = optarg;
        return true;
    case OPTION_RETRY_TIMEOUT:
        wish->retry_timeout = optarg;
        return true;
    case 'm':
        wish->memory = optarg;
        return true;
    case OPTION_RESERVATION:
        wish->reservation = optarg;
        return true;
    case OPTION_SWAP:
        wish->swap = optarg;
        return true;
    case OPTION_LOG_DRIVER:
        wish->log_driver = optarg;
        return true;
    case OPTION_LOG_FILES:
        wish->log_files = optarg;
        return true;
    case OPTION_LOG_SIZE:
        wish->log_size = optarg;
        return true;
    case OPTION_LOG_PATH:
        wish->log_path = optarg;
        return true;
    case OPTION_LOG_MODE:
        wish->log_mode = optarg;
        return true;
    case OPTION_LOG_BUFFER:
        wish->log_buffer = optarg;
        return true;
    default:
        return false;
    }
}

/* A number where it is one; else as it was typed, so that the daemon can name what is wrong. */
static void member_number(struct dv_json_writer *w, const char *key, struct dv_str text)
{
    int64_t number;
    dv_jw_key(w, key);
    if (dv_str_to_i64(text, INT64_MIN, INT64_MAX, &number, NULL) == 0)
        dv_jw_i64(w, number);
    else
        dv_jw_text_len(w, text.len ? text.data : "", text.len);
}

static void member_if(struct dv_json_writer *w, const char *key, const char *text)
{
    if (text)
        dv_jw_member_text(w, key, text);
}

static void write_mount(struct dv_json_writer *w, const char *text)
{
    struct dv_str source;
    struct dv_str rest;
    struct dv_str destination;
    struct dv_str mode;
    dv_str_cut(dv_str_of(text), ':', &source, &rest);
    dv_str_cut(rest, ':', &destination, &mode);
    dv_jw_object(w);
    dv_jw_key(w, "source");
    dv_jw_text_len(w, source.data, source.len);
    dv_jw_key(w, "destination");
    dv_jw_text_len(w, destination.len ? destination.data : "", destination.len);
    if (mode.len) {
        dv_jw_key(w, "propagationMode");
        dv_jw_text_len(w, mode.data, mode.len);
    }
    dv_jw_object_end(w);
}

/* "[ip:]host[-end]:container[/proto]"; a port alone is one of the container, led to by any free one
 * of the host. */
static void write_port(struct dv_json_writer *w, const char *text)
{
    struct dv_str ports;
    struct dv_str proto = {NULL, 0};
    struct dv_str first;
    struct dv_str rest;
    struct dv_str second;
    struct dv_str third;
    struct dv_str host;
    struct dv_str end;
    dv_str_cut(dv_str_of(text), '/', &ports, &proto);
    bool is_pair = dv_str_cut(ports, ':', &first, &rest);
    bool has_ip = is_pair && dv_str_cut(rest, ':', &second, &third);
    struct dv_str container = has_ip ? third : is_pair ? rest : first;
    dv_jw_object(w);
    if (proto.len) {
        dv_jw_key(w, "proto");
        dv_jw_text_len(w, proto.data, proto.len);
    }
    member_number(w, "containerPort", container);
    if (has_ip) {
        dv_jw_key(w, "hostIP");
        dv_jw_text_len(w, first.data, first.len);
    }
    if (is_pair) {
        bool is_range = dv_str_cut(has_ip ? second : first, '-', &host, &end);
        member_number(w, "hostPort", host);
        if (is_range)
            member_number(w, "hostPortEnd", end);
    }
    dv_jw_object_end(w);
}

static void write_policy(struct dv_json_writer *w, const struct wish *wish)
{
    struct dv_str type;
    struct dv_str count;
    if (!wish->restart)
        return;
    bool has_count = dv_str_cut(dv_str_of(wish->restart), ':', &type, &count);
    dv_jw_key(w, "restartPolicy");
    dv_jw_object(w);
    dv_jw_key(w, "type");
    dv_jw_text_len(w, type.data, type.len);
    if (has_count || wish->retry_count)
        member_number(w, "maxRetryCount", has_count ? count : dv_str_of(wish->retry_count));
    if (wish->retry_timeout)
        member_number(w, "retryTimeout", dv_str_of(wish->retry_timeout));
    dv_jw_object_end(w);
}

static void write_log(struct dv_json_writer *w, const struct wish *wish)
{
    if (!wish->log_driver && !wish->log_files && !wish->log_size && !wish->log_path &&
        !wish->log_mode && !wish->log_buffer)
        return;
    dv_jw_key(w, "log");
    dv_jw_object(w);
    member_if(w, "type", wish->log_driver);
    if (wish->log_files)
        member_number(w, "maxFiles", dv_str_of(wish->log_files));
    member_if(w, "maxSize", wish->log_size);
    member_if(w, "rootDir", wish->log_path);
    member_if(w, "mode", wish->log_mode);
    member_if(w, "maxBufferSize", wish->log_buffer);
    dv_jw_object_end(w);
}

static void write_limits(struct dv_json_writer *w, const struct wish *wish)
{
    if (!wish->memory && !wish->reservation && !wish->swap)
        return;
    dv_jw_key(w, "resources");
    dv_jw_object(w);
    member_if(w, "memory", wish->memory);
    member_if(w, "memoryReservation", wish->reservation);
    member_if(w, "memorySwap", wish->swap);
    dv_jw_object_end(w);
}

static void
write_texts(struct dv_json_writer *w, const char *key, const char *const *items, size_t count)
{
    if (!count)
        return;
    dv_jw_key(w, key);
    dv_jw_array(w);
    for (size_t i = 0; i < count; i++)
        dv_jw_text(w, items[i]);
    dv_jw_array_end(w);
}

static void write_value(struct dv_json_writer *w,
                        const struct wish *wish,
                        const char *image,
                        int argc,
                        char **argv,
                        bool start)
{
    dv_jw_object(w);
    dv_jw_member_text(w, "imageRef", image);
    dv_jw_member_bool(w, "start", start);
    member_if(w, "name", wish->name);
    dv_jw_key(w, "config");
    dv_jw_object(w);
    write_texts(w, "env", wish->env, wish->env_count);
    write_texts(w, "cmd", (const char *const *)argv, (size_t)argc);
    member_if(w, "networkMode", wish->network);
    member_if(w, "hostName", wish->hostname);
    write_texts(w, "extraHosts", wish->hosts, wish->host_count);
    if (wish->port_count) {
        dv_jw_key(w, "portMappings");
        dv_jw_array(w);
        for (size_t i = 0; i < wish->port_count; i++)
            write_port(w, wish->ports[i]);
        dv_jw_array_end(w);
    }
    if (wish->open_stdin)
        dv_jw_member_bool(w, "openStdin", true);
    if (wish->tty)
        dv_jw_member_bool(w, "tty", true);
    write_policy(w, wish);
    write_limits(w, wish);
    write_log(w, wish);
    if (wish->mount_count) {
        dv_jw_key(w, "mountPoints");
        dv_jw_array(w);
        for (size_t i = 0; i < wish->mount_count; i++)
            write_mount(w, wish->mounts[i]);
        dv_jw_array_end(w);
    }
    dv_jw_object_end(w);
    dv_jw_object_end(w);
}

static int create(struct cli *cli, int argc, char **argv, bool start)
{
    struct wish wish = {0};
    int option;
    /* '+': what stands behind the image is the container's. */
    while ((option = getopt_long(argc, argv, "+n:e:v:m:p:dit", options, NULL)) != -1)
        if (!take(&wish, option))
            return cli_usage(argv[0]);
    if (optind >= argc)
        return cli_usage(argv[0]);
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    DV_AUTO_IN_PLACE(dv_buf) args = DV_BUF_INIT(1U << 20);
    struct dv_error err = DV_ERROR_INIT;
    struct dv_json_writer w;
    const char *value = NULL;
    dv_jw_init(&w, &args);
    /* Who is attached before the start misses nothing. */
    bool attaches = start && !wish.detach && (wish.open_stdin || wish.tty);
    write_value(&w, &wish, argv[optind], argc - optind - 1, argv + optind + 1, start && !attaches);
    if (!arena || dv_jw_done(&w, &err) < 0 ||
        cli_ask(cli, "ContainerFactory", "createWithConfig", args.data, arena, &value, &err) < 0)
        return cli_fail(&err);
    DV_AUTO(dv_json) id = NULL;
    if (value)
        (void)!dv_json_parse(value, strlen(value), &id, NULL);
    if (attaches && dv_json_text(id))
        return cli_start_attached(cli, dv_json_text(id), wish.open_stdin);
    if (dv_json_text(id)) {
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1U << 20);
        cli_text(&out, dv_json_text(id));
        puts(out.data ? out.data : "");
    }
    return CLI_DONE;
}

int cli_create(struct cli *cli, int argc, char **argv)
{
    return create(cli, argc, argv, false);
}

int cli_run(struct cli *cli, int argc, char **argv)
{
    return create(cli, argc, argv, true);
}
