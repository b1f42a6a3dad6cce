/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The runtime-spec configuration (config.json of a bundle) of a container. A pure function: what it
 * needs of the machine is looked up by others and handed in, so golden files hold it. A new field
 * of the description becomes one line here. Any thread.
 */
#include "base/buf.h"
#include "base/error.h"
#include "messages/messages.h"
#include "runtime/oci/device.h"
#include "runtime/oci/image_config.h"
#include "runtime/oci/user.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_OCI_SPEC_BYTES_MAX (4U << 20)

struct dv_oci_spec_input {
    const struct dv_container_record *record;
    const struct dv_oci_image *image;
    const struct dv_oci_user *user;
    const struct dv_oci_devices *devices;
    const char *host_name;   /* that it gets */
    const char *rootfs;      /* absolute path of its mounted root file system */
    const char *etc_dir;     /* holds hosts, hostname, resolv.conf; NULL: the image's are used */
    const char *cgroup_path; /* "/davit/<id>" */
    bool is_cgroup_v2;       /* unified only: it gets a namespace of control groups */
    bool with_seccomp;       /* the kernel has filters; a privileged container gets none anyway */
    uint64_t capabilities;   /* that there are to give */
    int64_t pids_limit;      /* 0: none */
    bool with_oom_group;     /* the kernel (v2 only) can end all of its processes at once */
};

/* INVALID names what of the description or image is wrong. */
__attribute__((warn_unused_result)) int
dv_oci_spec_write(const struct dv_oci_spec_input *input, struct dv_buf *out, struct dv_error *err);
