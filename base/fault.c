/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#ifdef DAVIT_FAULT_POINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {
#define FAULT(id, name, text) [DV_FAULT_##id] = (name),
#include "base/fault.def"
#undef FAULT
};

void dv_fault_reach(enum dv_fault point)
{
    static atomic_flag was_reached = ATOMIC_FLAG_INIT;
    const char *wanted = getenv("DAVIT_FAULT");
    size_t len = strlen(names[point]);
    if (!wanted || strncmp(wanted, names[point], len) != 0 || wanted[len] != ':' ||
        atomic_flag_test_and_set(&was_reached))
        return;
    (void)kill(getpid(), strcmp(wanted + len + 1, "stop") == 0 ? SIGSTOP : SIGKILL);
}
#else
/* A translation unit may not be empty. */
extern int dv_fault_unused;
#endif
