/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/process.h"

#include <czmq.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

#define STACK_BYTES (128U << 10)

void daemon_prepare_process(void)
{
    pthread_attr_t attributes;
    struct rlimit files;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
    mallopt(M_ARENA_MAX, 2);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    zsys_handler_set(NULL);
    zsys_set_max_sockets(0);
}
