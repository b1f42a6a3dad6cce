/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/admission.h"

#include "base/cleanup.h"

#include <czmq.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

/* A host takes three; the rest is for what other threads open between the check and its use. */
#define DESCRIPTORS_PER_HOST 3
#define DESCRIPTORS_SPARE    29
#define PROBES               (DESCRIPTORS_PER_HOST + DESCRIPTORS_SPARE)

static void *probe_thread(void *unused)
{
    return unused;
}

static int check_thread(struct dv_error *err)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, probe_thread, NULL);
    if (error)
        return dv_error_sys(err, DV_ERR_LIMIT, error,
                            "no room for another thread (pids.max, RLIMIT_NPROC or memory)");
    pthread_join(thread, NULL);
    return 0;
}

static int check_descriptors(struct dv_error *err)
{
    int probes[PROBES];
    int count = 0;
    int error = 0;
    while (count < PROBES) {
        /* Any open file does; the root folder is always there. */
        int fd = count == 0 ? open("/", O_PATH | O_CLOEXEC) : fcntl(probes[0], F_DUPFD_CLOEXEC, 0);
        if (fd < 0) {
            error = errno;
            break;
        }
        probes[count++] = fd;
    }
    for (int i = 0; i < count; i++)
        dv_close(&probes[i]);
    if (!error)
        return 0;
    struct rlimit limit = {0};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return dv_error_sys(err, DV_ERR_LIMIT, error,
                        "no room for another %d descriptors below RLIMIT_NOFILE %llu", PROBES,
                        (unsigned long long)limit.rlim_cur);
}

int dv_admission_check(struct dv_error *err)
{
    int r = check_descriptors(err);
    return r < 0 ? r : check_thread(err);
}
