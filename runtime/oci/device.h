/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Devices of the host for a container. A path may be a device, a link to one, or a directory: then
 * all devices below it. Any thread; reads the file system.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DV_OCI_DEVICES_MAX 4096U /* of one container, directories counted out */

struct dv_oci_device {
    const char *path; /* in the container */
    char type;        /* 'c' or 'b' */
    unsigned major;
    unsigned minor;
    mode_t mode; /* permission bits */
    uid_t uid;
    gid_t gid;
    const char *permissions; /* letters of r, w, m for the control group */
};

struct dv_oci_devices {
    struct dv_oci_device *items;
    size_t count;
};

/* What the list asks for. FAILED names a path that is missing or no device. */
__attribute__((warn_unused_result)) int dv_oci_devices_resolve(const struct dv_device_list *wanted,
                                                               struct dv_arena *arena,
                                                               struct dv_oci_devices *ret,
                                                               struct dv_error *err);

/* All devices below /dev, for a privileged container. */
__attribute__((warn_unused_result)) int
dv_oci_devices_all(struct dv_arena *arena, struct dv_oci_devices *ret, struct dv_error *err);
