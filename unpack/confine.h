/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Shuts the process in before it reads a byte from outside: own mount, network and IPC namespaces
 * with the given directory as root, everything else unmounted; Landlock where the kernel has it;
 * capabilities cut to those that unpacking needs; resource limits; a seccomp filter that kills the
 * process on any other system call. Main thread of a process with one thread, once. Needs root.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Address space: decompressors, libarchive and the deferred time stamps fit with room to spare. */
#define DV_UNPACK_MEMORY_BYTES_MAX (512ULL << 20)
#define DV_UNPACK_DESCRIPTORS_MAX  32

struct dv_unpack_confine_options {
    const char *directory; /* existing and empty */
    int blob_fd;           /* becomes descriptor 0; every other above 2 is closed, but for those of
                              /dev/random and /dev/urandom */
    uint64_t file_bytes_max;
    bool may_make_threads; /* no processes: a library wants them for its arithmetic */
};

/* *ret_root_fd is the new root, the only directory open. After a failure the process may be half
 * confined and must end. INVALID if the directory is not empty. */
__attribute__((warn_unused_result)) int dv_unpack_confine(
    const struct dv_unpack_confine_options *options, int *ret_root_fd, struct dv_error *err);
