/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The input of a fuzz target as a file, for what reads by path. One thread. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char fuzz_path[64];

static void fuzz_remove(void)
{
    (void)unlink(fuzz_path);
}

/* Valid until the next call. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    if (!fuzz_path[0]) {
        snprintf(fuzz_path, sizeof(fuzz_path), "/tmp/davit-fuzz-XXXXXX");
        int fd = mkostemp(fuzz_path, O_CLOEXEC);
        if (fd < 0 || atexit(fuzz_remove) != 0)
            abort();
        close(fd);
    }
    int fd = open(fuzz_path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
    return fuzz_path;
}
