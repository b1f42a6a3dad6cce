/* SPDX-License-Identifier: Apache-2.0 */
/* All scenarios with threads, several times: for ThreadSanitizer. */
#include "scenarios.h"

#include <czmq.h>
#include <stdio.h>

#define ROUNDS 3

int main(void)
{
    zsys_handler_set(NULL);
    zsys_set_max_sockets(0);
    for (int round = 0; round < ROUNDS; round++)
        for (const struct scenario *scenario = scenarios; scenario->name; scenario++)
            scenario_run_threads(scenario);
    printf("ok\n");
    zsys_shutdown();
    return 0;
}
