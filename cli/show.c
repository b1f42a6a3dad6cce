/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and sentences for people. Pure. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_S     1000000000LL
#define NS_PER_MS    1000000LL
#define NET_TEXT_MAX 128

/* "4 s", "3 min", "5 h", "3 d". */
static const char *age(int64_t seconds, char text[32])
{
    if (seconds < 0)
        seconds = 0;
    if (seconds < 120)
        snprintf(text, 32, "%lld s", (long long)seconds);
    else if (seconds < 7200)
        snprintf(text, 32, "%lld min", (long long)seconds / 60);
    else if (seconds < 2 * 86400)
        snprintf(text, 32, "%lld h", (long long)seconds / 3600);
    else
        snprintf(text, 32, "%lld d", (long long)seconds / 86400);
    return text;
}

static int64_t since(const struct dv_container_summary *c)
{
    if (c->status == DV_STATUS_RUNNING || c->status == DV_STATUS_PAUSED)
        return c->started_ns;
    return c->finished_ns ? c->finished_ns : c->created_ns;
}

static void state_of(const struct dv_container_summary *c, char text[64])
{
    const char *status = dv_enum_api(&dv_enum_status, (int64_t)c->status);
    if ((c->status == DV_STATUS_EXITED || c->status == DV_STATUS_STOPPED) && c->started_ns)
        snprintf(text, 64, "%s %lld", status, (long long)c->exit_code);
    else
        snprintf(text, 64, "%s", status);
}

/* "172.17.0.2 8080->80/tcp", cut if it is long. */
static const char *network_of(const struct dv_container_summary *c, char text[NET_TEXT_MAX])
{
    if (!c->network)
        return c->network_mode == DV_NETWORK_HOST ? "host" : "-";
    size_t len = (size_t)snprintf(text, NET_TEXT_MAX, "%.15s", c->network->address);
    for (size_t i = 0; i < c->network->ports.count && len < NET_TEXT_MAX; i++) {
        const struct dv_port_mapping *port = &c->network->ports.items[i];
        bool is_any = strcmp(port->host_ip, "0.0.0.0") == 0;
        bool is_ip6 = strchr(port->host_ip, ':');
        len += (size_t)snprintf(text + len, NET_TEXT_MAX - len, "%s%s%.45s%s%lld->%lld/%.8s",
                                i ? "," : " ", is_ip6 ? "[" : "", is_any ? "" : port->host_ip,
                                is_any   ? ""
                                : is_ip6 ? "]:"
                                         : ":",
                                (long long)port->chosen_port, (long long)port->container_port,
                                port->proto);
    }
    return text;
}

static void column(struct dv_buf *out, const char *text, int width)
{
    int blanks = width - cli_width(text);
    cli_text(out, text);
    (void)!dv_buf_printf(out, NULL, "%*s  ", blanks > 0 ? blanks : 0, "");
}

static void print_row(const struct dv_container_summary *c,
                      int name_width,
                      int image_width,
                      int net_width,
                      int64_t now_ns,
                      struct dv_buf *out)
{
    char id[13];
    char state[64];
    char time[32];
    char net[NET_TEXT_MAX];
    /* The difference of stamps where nothing better is known: after a boot. */
    int64_t since_ns = c->for_ms.is_set ? now_ns - c->for_ms.value * NS_PER_MS : since(c);
    snprintf(id, sizeof(id), "%s", c->id);
    state_of(c, state);
    column(out, id, 12);
    column(out, c->name, name_width);
    column(out, c->image, image_width);
    column(out, state, 12);
    column(out, since_ns && since_ns <= now_ns ? age((now_ns - since_ns) / NS_PER_S, time) : "-",
           7);
    (void)!dv_buf_printf(out, NULL, "%-8lld  ", (long long)c->restart_count);
    column(out, network_of(c, net), net_width);
    cli_line(out, "%s", c->error ? c->error : "");
}

void cli_print_ps(const struct dv_container_summaries *list,
                  bool quiet,
                  int64_t now_ns,
                  struct dv_buf *out)
{
    int name_width = 4;
    int image_width = 5;
    int net_width = 15;
    for (size_t i = 0; i < list->containers.count; i++) {
        int name = cli_width(list->containers.items[i].name);
        int image = cli_width(list->containers.items[i].image);
        name_width = name > name_width ? name : name_width;
        image_width = image > image_width ? image : image_width;
        char text[NET_TEXT_MAX];
        int net = cli_width(network_of(&list->containers.items[i], text));
        net_width = net > net_width ? net : net_width;
    }
    if (!quiet)
        cli_line(out, "%-12s  %-*s  %-*s  %-12s  %-7s  %-8s  %-*s  %s", "ID", name_width, "NAME",
                 image_width, "IMAGE", "STATE", "FOR", "RESTARTS", net_width, "NET", "NOTE");
    for (size_t i = 0; i < list->containers.count; i++) {
        const struct dv_container_summary *c = &list->containers.items[i];
        if (quiet)
            cli_line(out, "%s", c->id);
        else
            print_row(c, name_width, image_width, net_width, now_ns, out);
    }
}

static void print_thing(const struct dv_bridge_note *bridge,
                        const struct dv_bridge_thing *thing,
                        const char *which,
                        struct dv_buf *out)
{
    char limit[32] = "";
    if (bridge->thing_bytes_max)
        snprintf(limit, sizeof(limit), " of %lld", (long long)bridge->thing_bytes_max / 1024);
    cli_line(out, "              twin%s about %lld KB%s%s", which, (long long)thing->bytes / 1024,
             limit, thing->is_compact ? ", without the configuration of containers" : "");
}

static void print_bridge(const struct dv_bridge_note *bridge, struct dv_buf *out)
{
    cli_line(out, "bridge %-5s  %s%s%s%s%s", bridge->bridge,
             dv_enum_api(&dv_enum_link_status, (int64_t)bridge->status),
             bridge->identity && bridge->identity[0] ? " as " : "",
             bridge->identity ? bridge->identity : "", bridge->note && bridge->note[0] ? ", " : "",
             bridge->note ? bridge->note : "");
    cli_line(out,
             "              %lld commands, %lld repeats, %lld refused; %lld twin changes "
             "waiting",
             (long long)bridge->commands, (long long)bridge->repeats, (long long)bridge->refused,
             (long long)bridge->outbox);
    const struct dv_bridge_thing one = {.bytes = bridge->thing_bytes,
                                        .is_compact = bridge->is_compact};
    if (bridge->things.count == 0 && bridge->thing_bytes_max)
        print_thing(bridge, &one, "", out);
    for (size_t i = 0; i < bridge->things.count; i++) {
        char which[32];
        snprintf(which, sizeof(which), " of thing %zu", i + 1);
        print_thing(bridge, &bridge->things.items[i], which, out);
    }
}

static void print_figures(const struct dv_kit_figures *figures, struct dv_buf *out)
{
    int64_t handled = 0;
    int64_t open = 0;
    const struct dv_cell_figures *slowest = NULL;
    for (size_t i = 0; i < figures->cells.count; i++) {
        const struct dv_cell_figures *cell = &figures->cells.items[i];
        handled += cell->handled;
        open += cell->asks_open;
        if (!slowest || cell->slowest_ns > slowest->slowest_ns)
            slowest = cell;
    }
    cli_line(out, "actors        %zu on %lld threads, %lld messages, %lld asks open",
             figures->cells.count, (long long)figures->hosts, (long long)handled, (long long)open);
    cli_line(out, "              %lld undeliverable, %lld busy, %lld events missed, %lld held",
             (long long)figures->undeliverable, (long long)figures->busy,
             (long long)figures->missed, (long long)figures->held);
    if (slowest)
        cli_line(out, "              slowest handler %.1f ms in %s",
                 (double)slowest->slowest_ns / 1e6, slowest->address);
}

void cli_print_status(const struct dv_daemon_status *s, struct dv_buf *out)
{
    char time[32];
    cli_line(out, "davitd        %s, pid %lld, up %s, home %s", s->version, (long long)s->pid,
             age(s->uptime_s, time), s->home_dir ? s->home_dir : "?");
    cli_line(out, "runtime       %s", s->runtime ? s->runtime : "does not answer");
    if (s->monitor && s->monitor_version)
        cli_line(out, "monitor       %s, connected", s->monitor_version);
    else
        cli_line(out, "monitor       %s",
                 s->monitor ? "connected" : "cannot be reached: start davit-monitor");
    cli_line(out, "containers    %lld, %lld running", (long long)s->containers,
             (long long)s->running);
    if (s->network)
        cli_line(out, "network       %s", s->network);
    for (size_t i = 0; i < s->bridges.count; i++)
        print_bridge(&s->bridges.items[i], out);
    if (s->figures)
        print_figures(s->figures, out);
}
