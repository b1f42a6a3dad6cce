/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which OCI runtime works here, found by really creating and deleting a tiny container: versions
 * and file systems tell too little (crun 1.8.1 refuses hosts whose cgroup v2 mount owns a
 * controller beside v1). Blocks for some calls of the runtimes.
 */
#include "base/error.h"
#include "runtime/launcher.h"

#include <limits.h>

struct dv_oci_choice {
    char path[PATH_MAX];   /* absolute */
    char description[256]; /* "runc 1.1.5, cgroup hybrid (crun: its reason)" */
};

/* `wanted`: "auto" (crun, then runc), "crun", "runc", or an absolute path. `run_dir` and
 * `cgroup_parent` as for the driver; nothing is left there. UNAVAILABLE names each candidate with
 * its reason. */
__attribute__((warn_unused_result)) int dv_oci_probe(const char *wanted,
                                                     const char *run_dir,
                                                     const char *cgroup_parent,
                                                     struct dv_launcher *launcher,
                                                     struct dv_oci_choice *ret,
                                                     struct dv_error *err);
