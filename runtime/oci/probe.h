/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which OCI runtime works here, found by really creating and deleting a tiny container: versions
 * and file systems tell too little (crun 1.8.1 refuses hosts whose cgroup v2 mount owns a
 * controller beside v1). Blocks for some calls of the runtimes.
 */
#include "base/error.h"
#include "runtime/launcher.h"
#include "spec/resources.h"

#include <limits.h>

enum dv_oci_missing {
    DV_OCI_NO_MEMORY = 1,
    DV_OCI_NO_RESERVATION = 2,
    DV_OCI_NO_SWAP = 4,
};

struct dv_oci_choice {
    char path[PATH_MAX];   /* absolute */
    char description[256]; /* "runc 1.1.5, cgroup hybrid (crun: its reason)" */
    unsigned missing;      /* limits that cannot be held here: bits of enum dv_oci_missing */
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

/* Why each of the limits in `missing` is refused, and what helps. */
struct dv_limit_refusals dv_oci_limit_refusals(unsigned missing);
