/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Traffic of all network interfaces of this network namespace, in one dump of rtnetlink a pass.
 * What the interfaces are is asked once, and again when an unknown one shows. One thread owns an
 * object; the kernel answers at once.
 */
#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_METER_LINKS_MAX 16384U

struct dv_meter_link {
    int32_t index;
    bool is_known;  /* what it is was told */
    bool is_uplink; /* its traffic is the machine's: no loopback, bridge, or end of a container */
    char name[16];
    int64_t received;
    int64_t sent;
};

struct dv_meter_links;

__attribute__((warn_unused_result)) int dv_meter_links_new(struct dv_meter_links **ret,
                                                           struct dv_error *err);
void dv_meter_links_free(struct dv_meter_links *links);
DV_DEFINE_CLEANUP(dv_meter_links, dv_meter_links_free)

/* One dump: everything below is of it. */
__attribute__((warn_unused_result)) int dv_meter_links_read(struct dv_meter_links *links,
                                                            struct dv_error *err);
/* By index, and by name; NULL if there is none. Borrowed until the next read. */
const struct dv_meter_link *dv_meter_links_at(const struct dv_meter_links *links, int32_t index);
const struct dv_meter_link *dv_meter_links_named(const struct dv_meter_links *links,
                                                 const char *name);
/* What went through the uplinks together; false if there is none. */
bool dv_meter_links_uplinks(const struct dv_meter_links *links,
                            int64_t *ret_received,
                            int64_t *ret_sent);

/* Takes one answer of the kernel, a sequence of netlink messages; for the tests. True when it was
 * the last one of a dump. */
__attribute__((warn_unused_result)) int dv_meter_links_take(struct dv_meter_links *links,
                                                            const void *bytes,
                                                            size_t len,
                                                            bool *ret_done,
                                                            struct dv_error *err);
struct dv_meter_links *dv_meter_links_offline(void);
