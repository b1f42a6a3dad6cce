/* SPDX-License-Identifier: Apache-2.0 */
/*
 * davitd: reads the configuration, prepares the process, starts the actors and waits for signals.
 *
 * The order is contract: signals are blocked before the first thread; thread stacks and malloc
 * arenas are limited before any is made; descriptors are raised before czmq counts them; czmq's own
 * signal handling and socket limit are off before the first socket.
 */
#include "actors/addresses.h"
#include "actors/container/states_page.h"
#include "actors/kit/system.h"
#include "base/clock.h"
#include "base/journal.h"
#include "base/log.h"
#include "bridge/hono/hono.h"
#include "bridge/local/local.h"
#include "daemon/actors.h"
#include "daemon/decryption.h"
#include "daemon/deployment.h"
#include "daemon/logfile.h"
#include "daemon/place.h"
#include "daemon/ports.h"
#include "daemon/process.h"
#include "daemon/settings.h"
#include "daemon/streams.h"
#include "messages/markdown.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STOP_MS          20000
#define WATCHDOG_S       30
#define MONITOR_RETRY_MS 500
#define NS_PER_MS        1000000
#define DECRYPTION_MAX   (256U << 10)

/* -- the process ---------------------------------------------------------------------------- */

static int block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* For a service unit of Type=notify; without one there is nobody to tell. */
static void notify_ready(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    static const char ready[] = "READY=1";
    (void)!sendto(fd, ready, sizeof(ready) - 1, 0, (const struct sockaddr *)&address,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
    close(fd);
}

/* The signal that came within the time, 0 if none did. */
static int wait_signal(int fd, int timeout_ms)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    struct signalfd_siginfo info;
    while (poll(&wait, 1, timeout_ms) < 0 && errno == EINTR)
        ;
    return read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info) ? (int)info.ssi_signo : 0;
}

/* A shutdown that does not end is ended: containers are not touched by that. */
static void *watchdog(void *ctx)
{
    (void)ctx;
    const struct timespec patience = {.tv_sec = WATCHDOG_S};
    nanosleep(&patience, NULL);
    static const char text[] = "davitd: the shutdown is stuck, leaving at once\n";
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(1);
}

/* -- the daemon ----------------------------------------------------------------------------- */

struct daemon {
    const struct dv_config *config;
    int signals;
    int lock;
    struct daemon_ports ports;
    struct dv_journal *journal;
    struct dv_actor_settings settings;
    struct dv_buf decryption; /* the keys for containers without their own */
    struct dv_limit_refusals limits;
    struct dv_hono_config hono;
    struct dv_local_config local;
    struct dv_registry *registries;
    struct dv_registry_settings registry_settings;
    struct dv_artifact_settings artifacts;
    char local_socket[PATH_MAX];
    struct dv_bridge_setup bridges[3];
    struct daemon_deployment deployment;
    struct dv_actor_env env;
    struct dv_system *system;
};

/* davit-monitor has a unit of its own: davitd waits for it and says so. */
static int open_ports(struct daemon *d, struct dv_error *err)
{
    bool is_told = false;
    for (;;) {
        *err = DV_ERROR_INIT;
        int r = daemon_ports_open(&d->ports, d->config, err);
        if (r != -DV_ERR_UNAVAILABLE || !err->sys)
            return r;
        if (!is_told)
            dv_log(DV_LOG_WARN, "waiting for davit-monitor: %s", err->text);
        is_told = true;
        if (wait_signal(d->signals, MONITOR_RETRY_MS))
            return dv_error_prefix(err, "stopped while waiting for davit-monitor: ");
    }
}

static int open_journal(struct daemon *d, struct dv_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/journal", d->config->home_dir);
    return dv_journal_open(path, NULL, NULL, NULL, &d->journal, err);
}

static int twin_detail(const char *text, enum dv_twin_detail *ret, struct dv_error *err)
{
    static const char *const names[] = {
        [DV_TWIN_AUTO] = "auto", [DV_TWIN_FULL] = "full", [DV_TWIN_COMPACT] = "compact"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) != 0)
            continue;
        *ret = (enum dv_twin_detail)i;
        return 0;
    }
    return dv_error_set(err, DV_ERR_INVALID,
                        "davit.bridge.twin_detail is '%s' and must be auto, full or compact", text);
}

static int fill_bridges(struct daemon *d, struct dv_error *err)
{
    size_t count = 0;
    if (d->config->socket[0])
        snprintf(d->local_socket, sizeof(d->local_socket), "%s", d->config->socket);
    else
        snprintf(d->local_socket, sizeof(d->local_socket), "%s/davit.sock", d->config->run_dir);
    d->local = DV_LOCAL_CONFIG_INIT;
    d->local.socket_path = d->local_socket;
    daemon_streams(&d->ports, &d->local.streams);
    daemon_hono_config(d->config, &d->hono);
    d->bridges[count++] = (struct dv_bridge_setup){
        .name = "local",
        .ops = &dv_local_ops,
        .config = &d->local,
        .twin_detail = DV_TWIN_FULL,
    };
    if (!d->config->things_enable)
        return 0;
    enum dv_twin_detail detail = DV_TWIN_AUTO;
    int r = twin_detail(d->config->twin_detail, &detail, err);
    if (r == 0)
        d->bridges[count] = (struct dv_bridge_setup){
            .name = "hono",
            .ops = &dv_hono_ops,
            .config = &d->hono,
            .twin_detail = detail,
            .things = (unsigned)d->config->bridge_things,
            .thing_bytes_max = (size_t)d->config->thing_max_bytes,
            .twin_check_ms = d->config->twin_check_ns / NS_PER_MS,
            .features = d->config->things_features.items,
            .feature_count = d->config->things_features.count,
        };
    return r;
}

/* Freed with the process: it lives as long as the last container. */
static int take_decryption(struct daemon *d, struct dv_error *err)
{
    d->decryption = DV_BUF_INIT(DECRYPTION_MAX);
    int r = daemon_decryption(d->config, &d->decryption, err);
    d->settings.decryption = d->decryption.data;
    return r;
}

static int prepare(struct daemon *d, struct dv_error *err)
{
    int r = daemon_check_settings(d->config, err);
    if (r == 0)
        r = daemon_take_place(d->config, &d->lock, err);
    daemon_settings(d->config, &d->settings);
    if (r == 0)
        r = take_decryption(d, err);
    if (r == 0)
        r = daemon_check_boot(d->config, &d->settings.same_boot, &d->settings.boot, err);
    if (r == 0)
        r = open_ports(d, err);
    if (r == 0)
        r = open_journal(d, err);
    if (r < 0)
        return r;
    d->limits = dv_oci_limit_refusals(d->ports.runtime.missing);
    d->settings.limits = &d->limits;
    d->registries = calloc(d->config->registry_count + 1, sizeof(*d->registries));
    if (!d->registries)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the registries");
    daemon_registries(d->config, d->registries, &d->registry_settings);
    daemon_artifacts(d->config, &d->artifacts);
    if (r == 0)
        r = fill_bridges(d, err);
    bool has_deployment = false;
    if (r == 0)
        r = daemon_deployment_open(d->config, &d->deployment, &has_deployment, err);
    d->env = (struct dv_actor_env){
        .settings = &d->settings,
        .journal = d->journal,
        .home_dir = d->config->home_dir,
        .registries = &d->registry_settings,
        .artifacts = &d->artifacts,
        .ingest_dir = dv_image_store_ingest_dir(d->ports.images),
        .bridges = d->bridges,
        .deployment = has_deployment ? &d->deployment.base : NULL,
        .ports = &d->ports,
        .runtime_open = daemon_runtime_open,
        .image_files_open = daemon_image_files_open,
        .exits_open = daemon_exits_open,
        .network_open = daemon_network_open,
        .counters_open = daemon_counters_open,
    };
    return r;
}

static int start_actors(struct daemon *d, struct dv_error *err)
{
    struct dv_system_options options = {
        .types = daemon_actor_types,
        .env = &d->env,
        .shared_hosts_max = (unsigned)d->config->container_hosts,
    };
    int r = dv_system_new(&options, &d->system, err);
    return r < 0 ? r : daemon_actors_start(d->system, &d->env, err);
}

/* Actors that have started take back what nobody uses, a bridge without containers for one. */
static void give_up(struct daemon *d)
{
    struct dv_error err = DV_ERROR_INIT;
    pthread_t thread;
    if (!d->system)
        return;
    (void)pthread_create(&thread, NULL, watchdog, NULL);
    if (dv_system_stop(d->system, DV_ADDRESSES_THAT_COMMAND, STOP_MS, &err) < 0)
        dv_log(DV_LOG_ERROR, "%s", err.text);
    dv_system_free(d->system);
    d->system = NULL;
}

static int run(struct daemon *d, struct dv_error *err)
{
    int64_t start_ns = dv_clock_monotonic_ns(dv_clock_real());
    int r = prepare(d, err);
    if (r == 0)
        r = start_actors(d, err);
    if (r < 0) {
        give_up(d);
        return r;
    }
    dv_log(DV_LOG_INFO, "davitd %s ready in %lld ms: %s; davit command on %s", DAEMON_VERSION,
           (long long)((dv_clock_monotonic_ns(dv_clock_real()) - start_ns) / NS_PER_MS),
           d->ports.runtime.description, d->local_socket);
    notify_ready();
    int number = 0;
    while (!number)
        number = wait_signal(d->signals, -1);
    dv_log(DV_LOG_INFO, "signal %d: davitd stops, containers go on running", number);
    pthread_t thread;
    (void)pthread_create(&thread, NULL, watchdog, NULL);
    r = dv_system_stop(d->system, DV_ADDRESSES_THAT_COMMAND, STOP_MS, err);
    dv_system_free(d->system);
    d->system = NULL;
    dv_journal_close(d->journal);
    daemon_ports_close(&d->ports);
    return r;
}

/* -- the command line ----------------------------------------------------------------------- */

static const char usage[] =
    "davitd: container manager for IoT gateways\n"
    "\n"
    "  davitd [--cfg-file FILE] [options]\n"
    "  davitd --print-config [--cfg-file FILE] [options]   what is in force, and where it comes "
    "from\n"
    "  davitd --config-reference                           docs/configuration.md\n"
    "  davitd --message-reference                          docs/messages.md\n"
    "  davitd --state-reference                            docs/states.md\n"
    "  davitd --version | --help\n"
    "\n"
    "Every key of the configuration is an option: --cm-home-dir=DIR, --davit.run_dir=DIR.\n";

static int print_config(const struct dv_config_file *file, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(1U << 20);
    int r = dv_config_print(file, &text, err);
    if (r == 0)
        fputs(text.data, stdout);
    for (size_t i = 0; r == 0 && dv_config_warning(file, i); i++)
        fprintf(stderr, "warning: %s\n", dv_config_warning(file, i));
    return r;
}

static int print_reference(int (*write)(struct dv_buf *out, struct dv_error *err),
                           struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(1U << 20);
    int r = write(&text, err);
    if (r == 0)
        fputs(text.data, stdout);
    return r;
}

/* Takes an option that is davitd's own out of the list. */
static bool take_flag(int *argc, char **argv, const char *name, const char **ret_value)
{
    size_t len = strlen(name);
    for (int i = 1; i < *argc; i++) {
        bool has_value = strncmp(argv[i], name, len) == 0 && argv[i][len] == '=';
        bool is_same = strcmp(argv[i], name) == 0;
        if (!has_value && !is_same)
            continue;
        int used = 1;
        if (ret_value && has_value) {
            *ret_value = argv[i] + len + 1;
        } else if (ret_value) {
            if (i + 1 >= *argc)
                return false;
            *ret_value = argv[i + 1];
            used = 2;
        }
        memmove(argv + i, argv + i + used, (size_t)(*argc - i - used + 1) * sizeof(*argv));
        *argc -= used;
        return true;
    }
    return false;
}

static int start(int argc, char **argv, struct dv_error *err)
{
    const char *path = NULL;
    bool is_print = take_flag(&argc, argv, "--print-config", NULL);
    if (take_flag(&argc, argv, "--help", NULL)) {
        fputs(usage, stdout);
        return 0;
    }
    if (take_flag(&argc, argv, "--version", NULL)) {
        puts("davitd " DAEMON_VERSION);
        return 0;
    }
    if (take_flag(&argc, argv, "--config-reference", NULL))
        return print_reference(dv_config_markdown, err);
    if (take_flag(&argc, argv, "--message-reference", NULL))
        return print_reference(dv_messages_markdown, err);
    if (take_flag(&argc, argv, "--state-reference", NULL))
        return print_reference(dv_states_markdown, err);
    (void)take_flag(&argc, argv, "--cfg-file", &path);
    struct dv_config_options options = {
        .path = path, .argc = argc, .argv = argv, .is_strict = is_print};
    DV_AUTO(dv_config_file) file = NULL;
    int r = dv_config_load(&options, &file, err);
    if (r < 0)
        return r;
    if (is_print)
        return print_config(file, err);
    static struct daemon d;
    d.config = dv_config_of(file);
    d.lock = -1;
    r = daemon_log_open(d.config, err);
    if (r < 0)
        return r;
    d.signals = block_signals();
    if (d.signals < 0)
        return dv_error_sys(err, DV_ERR_INTERNAL, errno, "make a signal descriptor");
    for (size_t i = 0; dv_config_warning(file, i); i++)
        dv_log(DV_LOG_WARN, "%s", dv_config_warning(file, i));
    daemon_prepare_process();
    r = run(&d, err);
    if (r < 0)
        dv_log(DV_LOG_ERROR, "%s", err->text);
    /* czmq's exit handler hangs with an open socket: leave without it. */
    fflush(stdout);
    _exit(r < 0 ? 1 : 0);
}

int main(int argc, char **argv)
{
    struct dv_error err = DV_ERROR_INIT;
    if (start(argc, argv, &err) == 0)
        return 0;
    fprintf(stderr, "davitd: %s\n", err.text);
    return 1;
}
