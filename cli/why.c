/* SPDX-License-Identifier: Apache-2.0 */
/* davit why, in words. Pure. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS 1000000
#define TEXT_MAX  256
#define ENDS_MAX  4 /* that are printed */

/* "0.4 s", "32 s", "3 min", "5 h", "3 d". */
static const char *span(int64_t ms, char text[32])
{
    int64_t seconds = ms / 1000;
    if (ms < 0)
        snprintf(text, 32, "an unknown time");
    else if (ms < 10000)
        snprintf(text, 32, "%" PRId64 ".%" PRId64 " s", seconds, ms % 1000 / 100);
    else if (seconds < 120)
        snprintf(text, 32, "%" PRId64 " s", seconds);
    else if (seconds < 7200)
        snprintf(text, 32, "%" PRId64 " min", seconds / 60);
    else if (seconds < 2 * 86400)
        snprintf(text, 32, "%" PRId64 " h", seconds / 3600);
    else
        snprintf(text, 32, "%" PRId64 " d", seconds / 86400);
    return text;
}

/* Time since a stamp; the wall clock may have been set back since. */
static const char *ago(int64_t then_ns, int64_t now_ns, char text[48])
{
    char length[32];
    if (then_ns <= 0 || then_ns > now_ns)
        snprintf(text, 48, "at an unknown time");
    else
        snprintf(text, 48, "%s ago", span((now_ns - then_ns) / NS_PER_MS, length));
    return text;
}

static const char *policy_of(const struct dv_container_why *why)
{
    return dv_enum_record(&dv_enum_restart_type, (int64_t)why->policy->type);
}

static void headline(const struct dv_container_why *why, int64_t now_ns, struct dv_buf *out)
{
    char when[48];
    (void)ago(why->for_ms.is_set ? now_ns - why->for_ms.value * NS_PER_MS : why->since_ns, now_ns,
              when);
    switch (why->status) {
    case DV_STATUS_CREATING:
        cli_line(out, "%s is being created", why->name);
        return;
    case DV_STATUS_CREATED:
        cli_line(out, "%s was created %s and never started", why->name, when);
        return;
    case DV_STATUS_RUNNING:
        cli_line(out, "%s runs, started %s, as process %" PRId64, why->name, when, why->pid);
        return;
    case DV_STATUS_PAUSED:
        cli_line(out, "%s is paused: process %" PRId64 " is frozen", why->name, why->pid);
        return;
    case DV_STATUS_DEAD:
        cli_line(out, "%s is being removed", why->name);
        return;
    case DV_STATUS_UNKNOWN:
        cli_line(out, "%s: davitd has not looked at it yet", why->name);
        return;
    case DV_STATUS_STOPPED:
    case DV_STATUS_EXITED:
        break;
    }
    const struct dv_container_end *end = why->ends.count ? &why->ends.items[0] : NULL;
    bool is_starting = why->doing && strstr(why->doing, "start");
    const char *text = is_starting                       ? "is being started"
                       : why->restart_in_ms.is_set       ? "is waiting for a restart"
                       : end && end->is_failed_start     ? "could not be started"
                       : why->status == DV_STATUS_EXITED ? "has ended by itself"
                       : why->rest == DV_REST_STOPPED    ? "was stopped by a command"
                                                         : "is stopped";
    cli_line(out, "%s %s; it is down since %s", why->name, text, when);
}

/* ", 17 of 20 retries used" */
static void retries(const struct dv_container_why *why, char text[TEXT_MAX])
{
    text[0] = '\0';
    if (why->policy->type == DV_RESTART_ON_FAILURE && why->policy->max_retry_count > 0)
        snprintf(text, TEXT_MAX, ", %" PRId64 " of %" PRId64 " retries used", why->restart_count,
                 why->policy->max_retry_count);
}

static void next_when_down(const struct dv_container_why *why, struct dv_buf *out)
{
    char used[TEXT_MAX];
    retries(why, used);
    switch (why->rest) {
    case DV_REST_NEVER_STARTED:
        cli_line(out, "  next      nothing until davit start %s", why->name);
        break;
    case DV_REST_STOPPED:
        cli_line(out, "  next      nothing: a stop by a command is final until davit start %s",
                 why->name);
        break;
    case DV_REST_POLICY:
        cli_line(out, "  next      nothing: its restart policy is %s", policy_of(why));
        break;
    case DV_REST_SUCCEEDED:
        cli_line(out,
                 "  next      nothing: policy %s restarts after a failure only, and it "
                 "succeeded",
                 policy_of(why));
        break;
    case DV_REST_RETRIES_USED:
        cli_line(out, "  next      nothing: policy %s gives up%s; davit start %s begins anew",
                 policy_of(why), used, why->name);
        break;
    case DV_REST_START_FAILED:
        cli_line(out, "  next      nothing: a start by a command is not repeated; davit start %s",
                 why->name);
        break;
    case DV_REST_NONE:
        if (why->status == DV_STATUS_STOPPED)
            cli_line(out,
                     "  next      was stopped with all others (davit stop --all): the next boot "
                     "starts it, or davit start %s",
                     why->name);
        break;
    }
}

static void next(const struct dv_container_why *why, struct dv_buf *out)
{
    char used[TEXT_MAX];
    char length[32];
    bool is_up = why->status == DV_STATUS_RUNNING || why->status == DV_STATUS_PAUSED;
    retries(why, used);
    if (why->restart_in_ms.is_set && why->restart_in_ms.value > 0)
        cli_line(out, "  next      restart %" PRId64 " in %s (policy %s%s)", why->restart_count + 1,
                 span(why->restart_in_ms.value, length), policy_of(why), used);
    else if (why->restart_in_ms.is_set)
        cli_line(out, "  next      restart %" PRId64 " as soon as it is its turn (policy %s%s)",
                 why->restart_count + 1, policy_of(why), used);
    else if (is_up && why->next_wait_ms.is_set)
        cli_line(out, "  next      runs on; after a failure it is restarted in %s (policy %s%s)",
                 span(why->next_wait_ms.value, length), policy_of(why), used);
    else if (is_up)
        cli_line(out, "  next      runs on; it stays down when it ends (policy %s%s)",
                 policy_of(why), used);
    else
        next_when_down(why, out);
    if (!is_up && !why->restart_in_ms.is_set && why->is_started_at_boot)
        cli_line(out, "            a boot of the machine starts it (policy %s)", policy_of(why));
}

static void describe_end(const struct dv_container_why *why,
                         const struct dv_container_end *end,
                         char text[TEXT_MAX])
{
    char length[32];
    char code[64];
    (void)span(end->ran_ms, length);
    if (end->is_failed_start) {
        snprintf(text, TEXT_MAX, "did not start");
        return;
    }
    if (end->is_code_known)
        snprintf(code, sizeof(code), "code %" PRId64, end->exit_code);
    else
        snprintf(code, sizeof(code), "code not known");
    snprintf(text, TEXT_MAX, "%s after %s%s%s", code, length,
             end->is_oom_killed ? ", killed for its memory" : "",
             end->was_stopped && why->status != DV_STATUS_UNKNOWN ? ", stopped by a command" : "");
}

static void ends(const struct dv_container_why *why, int64_t now_ns, struct dv_buf *out)
{
    for (size_t i = 0; i < why->ends.count && i < ENDS_MAX; i++) {
        char text[TEXT_MAX];
        char when[48];
        describe_end(why, &why->ends.items[i], text);
        cli_line(out, "  %-8s  %s, %s", i == 0 ? "last end" : "before", text,
                 ago(why->ends.items[i].finished_ns, now_ns, when));
    }
}

static void pattern(const struct dv_container_why *why, struct dv_buf *out)
{
    char shortest[32];
    char longest[32];
    long long count = (long long)why->pattern_count;
    long long code = why->ends.count ? (long long)why->ends.items[0].exit_code : 0;
    (void)span(why->shortest_ms, shortest);
    (void)span(why->longest_ms, longest);
    switch (why->pattern) {
    case DV_PATTERN_NONE:
        return;
    case DV_PATTERN_AT_ONCE:
        cli_line(out,
                 "  pattern   %lld ends, all code %lld within a second: likely its configuration, "
                 "not load",
                 count, code);
        return;
    case DV_PATTERN_LATER:
        cli_line(out,
                 "  pattern   %lld ends, all code %lld, after %s to %s: it works at first; likely "
                 "load or something it needs",
                 count, code, shortest, longest);
        return;
    case DV_PATTERN_SAME_CODE:
        cli_line(out, "  pattern   %lld ends, all code %lld, after %s to %s", count, code, shortest,
                 longest);
        return;
    case DV_PATTERN_NOT_STARTED:
        cli_line(out, "  pattern   %lld starts failed: the OCI runtime cannot start it", count);
        return;
    case DV_PATTERN_OUT_OF_MEMORY:
        cli_line(out, "  pattern   %lld ends, each for want of memory, after %s to %s", count,
                 shortest, longest);
        return;
    case DV_PATTERN_SUCCEEDS:
        cli_line(out, "  pattern   %lld ends, all with success: it does its work and ends", count);
        return;
    }
}

static void under_way(const struct dv_container_why *why, struct dv_buf *out)
{
    char length[32];
    char left[32];
    if (!why->doing)
        return;
    (void)span(why->doing_ms, length);
    if (why->limit_ms.is_set)
        cli_line(out, "  now       %s since %s, %s in %s", why->doing, length,
                 why->is_kill_next ? "SIGKILL" : "given up", span(why->limit_ms.value, left));
    else
        cli_line(out, "  now       %s since %s%s%s", why->doing, length, why->step ? ": " : "",
                 why->step ? why->step : "");
    if (why->waiting)
        cli_line(out, "            %lld more operations wait", (long long)why->waiting);
}

static void network(const struct dv_container_why *why, struct dv_buf *out)
{
    if (!why->network)
        return;
    const char *address6 = why->network->address6;
    cli_line(out, "  network   %s%s%s on %s", why->network->address, address6 ? " and " : "",
             address6 ? address6 : "", why->network->bridge);
    for (size_t i = 0; i < why->network->ports.count; i++) {
        const struct dv_port_mapping *port = &why->network->ports.items[i];
        cli_line(out, "            port %lld/%s of %s leads to its port %lld",
                 (long long)port->chosen_port, port->proto, port->host_ip,
                 (long long)port->container_port);
    }
}

void cli_print_why(const struct dv_container_why *why, int64_t now_ns, struct dv_buf *out)
{
    headline(why, now_ns, out);
    under_way(why, out);
    if (why->error && why->error[0])
        cli_line(out, "  error     %s", why->error);
    next(why, out);
    ends(why, now_ns, out);
    pattern(why, out);
    network(why, out);
    for (size_t i = 0; i < why->warnings.count; i++)
        cli_line(out, "  warning   %s", why->warnings.items[i]);
    if (why->has_log && why->ends.count && !why->ends.items[0].is_failed_start)
        cli_line(out, "  output    davit logs --last-run %s", why->name);
}
