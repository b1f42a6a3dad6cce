/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/call.h"

#include "base/str.h"

#include "json/json.h"
#include <stdio.h>
#include <string.h>

#define ARGUMENTS_MAX 16
#define REASON_MAX    512

static const char no_reason[] = "it gave no reason";

/* A line of the log is {"level":"error","msg":"...","time":"..."}. */
static bool take_line(struct dv_str line, char *text, size_t size)
{
    DV_AUTO(dv_json) entry = NULL;
    if (!line.len || line.data[0] != '{' || dv_json_parse(line.data, line.len, &entry, NULL) < 0)
        return false;
    const char *level = dv_json_text(dv_json_get(entry, "level"));
    const char *message = dv_json_text(dv_json_get(entry, "msg"));
    if (!message || !message[0] ||
        (level && strcmp(level, "error") != 0 && strcmp(level, "fatal") != 0))
        return false;
    snprintf(text, size, "%s", message);
    return true;
}

/* What a runtime puts in front of every reason and says nothing. */
static void drop_preamble(char *text)
{
    static const char *const preambles[] = {
        "runc create failed: ", "runc start failed: ", "unable to start container process: ",
        "error during container init: "};
    for (size_t i = 0; i < sizeof(preambles) / sizeof(preambles[0]); i++) {
        size_t len = strlen(preambles[i]);
        if (strncmp(text, preambles[i], len) == 0 && text[len])
            memmove(text, text + len, strlen(text + len) + 1);
    }
}

/* The text goes into messages and terminals: valid UTF-8, one line, even if it was cut. */
static void make_presentable(char *text)
{
    for (char *c = dv_str_mend(text); *c; c++)
        if ((*c > 0 && *c < ' ') || *c == 0x7f)
            *c = ' ';
}

char *dv_oci_call_reason(const char *output, char *text, size_t size)
{
    struct dv_str rest = dv_str_of(output);
    struct dv_str line;
    struct dv_str last = {NULL, 0};
    bool has_message = false;
    snprintf(text, size, "%s", no_reason);
    while (rest.len) {
        dv_str_cut(rest, '\n', &line, &rest);
        if (line.len)
            last = line;
        has_message |= take_line(line, text, size);
    }
    if (!has_message && last.len)
        snprintf(text, size, "%.*s", DV_STR_ARG(last));
    drop_preamble(text);
    make_presentable(text);
    if (!text[0])
        snprintf(text, size, "%s", no_reason);
    return text;
}

int dv_oci_call_runtime(struct dv_oci_call *call,
                        struct dv_launch *launch,
                        const char *const *arguments,
                        struct dv_error *err)
{
    static const char *const environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    const char *argv[ARGUMENTS_MAX];
    size_t count = 0;
    argv[count++] = call->runtime;
    argv[count++] = "--root";
    argv[count++] = call->root;
    if (call->log) {
        argv[count++] = "--log";
        argv[count++] = call->log;
        argv[count++] = "--log-format";
        argv[count++] = "json";
    }
    for (; *arguments && count + 1 < ARGUMENTS_MAX; arguments++)
        argv[count++] = *arguments;
    argv[count] = NULL;
    launch->argv = argv;
    launch->envp = environment;
    launch->runtime_log = call->log;
    int r = call->launcher->launch(call->launcher, launch, call->result, err);
    if (r < 0 || call->result->exit_code == 0)
        return r;
    const char *name = strrchr(call->runtime, '/');
    char reason[REASON_MAX];
    return dv_error_set(err, DV_ERR_FAILED, "%s: %s", name ? name + 1 : call->runtime,
                        dv_oci_call_reason(call->result->stderr_text, reason, sizeof(reason)));
}
