/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The container driver on an OCI runtime (crun or runc), see runtime/runtime.h for the contract.
 *
 * Paths: the writable layer is <home>/containers/<id>/{upper,work}, the image's configuration a
 * blob below <home>/images, layers below <home>/layers. What lives as long as a run is below
 * <run_dir>/containers/<id>/: bundle, FIFOs, files for /etc, `init` (pid and start time of the
 * process), `started` (wall clock of the start). The root file system appears at
 * <mount root of the launcher>/<id>.
 */
#include "base/clock.h"
#include "base/error.h"
#include "runtime/launcher.h"
#include "runtime/runtime.h"

#include <stdint.h>

#define DV_OCI_DIR_MAX 3500U /* bytes of a folder below which a path is made */

struct dv_oci_options {
    const char *home_dir;
    const char *run_dir;
    const char *runtime;     /* absolute path of crun or runc */
    const char *description; /* of it, for davit status */
    const char *cgroup_parent;
    int64_t pids_limit; /* 0: none */
    bool has_ip6;       /* containers reach name servers of IPv6 */
    const struct dv_clock *clock;
};

/* Copies the texts; takes *launcher on success. LIMIT if a folder is too long. */
__attribute__((warn_unused_result)) int dv_oci_new(const struct dv_oci_options *options,
                                                   struct dv_launcher **launcher,
                                                   struct dv_runtime **ret,
                                                   struct dv_error *err);
