/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/signals.h"

#include "base/str.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SIGNAL_MAX 64

static const struct {
    const char *name;
    int number;
} names[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT},     {"ILL", SIGILL},
    {"TRAP", SIGTRAP},     {"ABRT", SIGABRT}, {"IOT", SIGABRT},      {"BUS", SIGBUS},
    {"FPE", SIGFPE},       {"KILL", SIGKILL}, {"USR1", SIGUSR1},     {"SEGV", SIGSEGV},
    {"USR2", SIGUSR2},     {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},     {"TERM", SIGTERM},
    {"STKFLT", SIGSTKFLT}, {"CHLD", SIGCHLD}, {"CONT", SIGCONT},     {"STOP", SIGSTOP},
    {"TSTP", SIGTSTP},     {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},     {"URG", SIGURG},
    {"XCPU", SIGXCPU},     {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF},
    {"WINCH", SIGWINCH},   {"IO", SIGIO},     {"POLL", SIGIO},       {"PWR", SIGPWR},
    {"SYS", SIGSYS},
};

/* RTMIN+n and RTMAX-n in containers mean the kernel's range as the C library shows it: 34..64. */
static bool parse_realtime(const char *text, int *ret)
{
    int64_t offset = 0;
    if (strncasecmp(text, "RTMIN", 5) == 0) {
        if (text[5] &&
            (text[5] != '+' || dv_str_to_i64(dv_str_of(text + 6), 0, 30, &offset, NULL) < 0))
            return false;
        *ret = 34 + (int)offset;
        return true;
    }
    if (strncasecmp(text, "RTMAX", 5) != 0)
        return false;
    if (text[5] && (text[5] != '-' || dv_str_to_i64(dv_str_of(text + 6), 0, 30, &offset, NULL) < 0))
        return false;
    *ret = SIGNAL_MAX - (int)offset;
    return true;
}

bool dv_signal_parse(const char *text, int *ret)
{
    int64_t number;
    if (dv_str_to_i64(dv_str_of(text), 1, SIGNAL_MAX, &number, NULL) == 0) {
        *ret = (int)number;
        return true;
    }
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(text, names[i].name) != 0)
            continue;
        *ret = names[i].number;
        return true;
    }
    return parse_realtime(text, ret);
}

const char *dv_signal_name(int number, char text[DV_SIGNAL_TEXT_SIZE])
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].number == number) {
            snprintf(text, DV_SIGNAL_TEXT_SIZE, "SIG%s", names[i].name);
            return text;
        }
    }
    snprintf(text, DV_SIGNAL_TEXT_SIZE, "signal %d", number);
    return text;
}
