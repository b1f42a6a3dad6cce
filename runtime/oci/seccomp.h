/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The default system call filter, written as `linux.seccomp` of a runtime-spec configuration. What
 * is allowed is in seccomp.def; what a capability allows is allowed to a container that has it. The
 * same text does for runc and crun, which pass over calls that their libseccomp does not know.
 */
#include "json/json.h"
#include <stdbool.h>
#include <stdint.h>

/* Writes one JSON object. */
void dv_oci_seccomp_write(struct dv_json_writer *writer, uint64_t capabilities);

/* Whether this kernel has filters. Reads the file system. */
bool dv_oci_seccomp_is_known(void);
