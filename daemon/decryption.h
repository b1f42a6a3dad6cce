/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The keys for encrypted images of containers without their own (containers.image_dec_keys), as
 * settings want them. FILE:fd=N takes the password from a descriptor that whoever started davitd
 * has left open for it (a shell's `N< file`, OpenFile= of systemd): its first line is read once and
 * the descriptor closed. Before davitd opens anything of its own that a child could inherit; waits
 * at most 5 s for each such descriptor.
 */
#include "base/buf.h"
#include "base/error.h"
#include "config/config.h"

/* Appends to `out`. INVALID names the key and never its password. */
__attribute__((warn_unused_result)) int
daemon_decryption(const struct dv_config *config, struct dv_buf *out, struct dv_error *err);
