/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/exec.h"

#include <criterion/criterion.h>
#include <string.h>

#define BUNDLE                                                                                     \
    "{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":false,\"user\":{\"uid\":7,\"gid\":8},"    \
    "\"args\":[\"sleep\"],\"env\":[\"PATH=/bin\",\"A=1\",\"AB=2\"],\"cwd\":\"/srv\","              \
    "\"noNewPrivileges\":true}}"

static int write_process(const char *bundle, char **args, char **env, bool tty, struct dv_buf *out)
{
    struct dv_local_exec what = {
        .args = {args, 0}, .env = {env, 0}, .tty = tty, .rows = 24, .columns = 80};
    struct dv_error err = DV_ERROR_INIT;
    while (args[what.args.count])
        what.args.count++;
    while (env[what.env.count])
        what.env.count++;
    int r = dv_oci_exec_write(dv_str_of(bundle), &what, out, &err);
    cr_expect_eq(r < 0, err.text[0] != '\0');
    return r;
}

Test(oci_exec, everything_but_program_and_terminal_is_the_containers)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    char *args[] = {(char *)"ls", (char *)"-l", NULL};
    char *env[] = {(char *)"A=9", (char *)"TERM=xterm", NULL};
    cr_assert_eq(write_process(BUNDLE, args, env, true, &out), 0);
    cr_expect_str_eq(out.data,
                     "{\"terminal\":true,\"consoleSize\":{\"height\":24,\"width\":80},\"args\":["
                     "\"ls\",\"-l\"],\"env\":[\"PATH=/bin\",\"AB=2\","
                     "\"A=9\",\"TERM=xterm\"],\"user\":{\"uid\":7,\"gid\":8},\"cwd\":\"/srv\","
                     "\"noNewPrivileges\":true}");
}

Test(oci_exec, what_cannot_be_is_refused)
{
    static char none[] = "";
    char *args[] = {(char *)"ls", NULL};
    char *nothing[] = {NULL};
    char *empty[] = {none, NULL};
    char *bare[] = {(char *)"A", NULL};
    char *nameless[] = {(char *)"=1", NULL};
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    cr_expect_eq(write_process(BUNDLE, nothing, nothing, false, &out), -DV_ERR_INVALID);
    cr_expect_eq(write_process(BUNDLE, empty, nothing, false, &out), -DV_ERR_INVALID);
    cr_expect_eq(write_process(BUNDLE, args, bare, false, &out), -DV_ERR_INVALID);
    cr_expect_eq(write_process(BUNDLE, args, nameless, false, &out), -DV_ERR_INVALID);
    cr_expect_lt(write_process("{", args, nothing, false, &out), 0);
    cr_expect_eq(write_process("{\"process\":[]}", args, nothing, false, &out), -DV_ERR_CORRUPT);
}
