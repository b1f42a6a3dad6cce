/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The three files that every container has below /etc: hosts, hostname, resolv.conf. Pure builders
 * of their text; any thread.
 */
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "messages/messages.h"

#include <stdbool.h>

/* The localhost block, the extra hosts ("name:address"), then the container's own line. `address`
 * NULL: it has none but loopback, its name leads to 127.0.1.1. */
__attribute__((warn_unused_result)) int dv_oci_etc_hosts(const char *host_name,
                                                         const char *domain_name,
                                                         const char *address,
                                                         const struct dv_texts *extra_hosts,
                                                         struct dv_buf *out,
                                                         struct dv_error *err);

/* A container in the host's network: the host's file, or the localhost block and the extra hosts.
 */
__attribute__((warn_unused_result)) int dv_oci_etc_hosts_of_host(struct dv_str host_file,
                                                                 const struct dv_texts *extra_hosts,
                                                                 struct dv_buf *out,
                                                                 struct dv_error *err);

__attribute__((warn_unused_result)) int
dv_oci_etc_hostname(const char *host_name, struct dv_buf *out, struct dv_error *err);

/* Its only name server is the stub of systemd-resolved. */
bool dv_oci_etc_is_stub(struct dv_str host_file);

/* The host's file without name servers on loopback or of one link, which a network of its own
 * cannot reach, and without `has_ip6` also without IPv6 ones; with public ones if none is left. */
__attribute__((warn_unused_result)) int
dv_oci_etc_resolv(struct dv_str host_file, bool has_ip6, struct dv_buf *out, struct dv_error *err);
