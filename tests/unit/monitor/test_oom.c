/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/oom.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool looks(const char *text)
{
    char path[] = "/tmp/davit-oom-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    bool has = mon_has_oom_kills(path);
    close(fd);
    unlink(path);
    return has;
}

Test(oom, kills_are_found_in_the_files_of_both_kernels)
{
    cr_expect(looks("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"));
    cr_expect(looks("low 0\nhigh 0\nmax 120\noom 3\noom_kill 12\noom_group_kill 0\n"));
}

Test(oom, what_counts_none_or_nothing_is_no_kill)
{
    cr_expect_not(looks("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"));
    cr_expect_not(looks("low 0\nmax 120\noom 3\noom_kill 0\noom_group_kill 4\n"));
    cr_expect_not(looks("oom_kill_disable 1\nunder_oom 1\n"), "older than the count");
    cr_expect_not(looks("oom_kill many\n"));
    cr_expect_not(looks(""));
    cr_expect_not(mon_has_oom_kills("/no/such/file"));
    cr_expect_not(mon_has_oom_kills(NULL));
}
