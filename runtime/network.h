/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The port through which containers get a network: an address, a default route, and what leads to
 * them. runtime/network is the machine's own (bridges, veth pairs, nftables), runtime/fake has no
 * kernel behind it. One thread owns an object; a call blocks for one change of the machine. Bodies
 * are the message types that the actor `network` gets, borrowed for the call.
 *
 * What is connected outlives the object: the next one finds it, and removes what belongs to
 * containers that are gone.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"

struct dv_network {
    /* "bridge davit0 172.17.0.1/24 ...", or why there is no network and what to do: for davit
     * status; borrowed until the next call. */
    const char *(*describe)(struct dv_network *network);

    /* Connects the network namespace of a process that does not run its program yet. `*ret` and
     * what it points to live in `arena`. Repeated for the same process it changes nothing; for
     * another process of that id the old connection is removed first. On failure nothing is left
     * behind. */
    int (*attach)(struct dv_network *network,
                  const struct dv_network_attach_cmd *cmd,
                  struct dv_arena *arena,
                  struct dv_network_settings *ret,
                  struct dv_error *err);
    /* Whether a container could have these ports now, as attach() would say; nothing is kept. 0
     * also if that cannot be known, since there is no network. */
    int (*check)(struct dv_network *network,
                 const struct dv_network_check_query *query,
                 struct dv_error *err);
    /* 0 if there is nothing. */
    int (*detach)(struct dv_network *network, const char *id, struct dv_error *err);
    /* NOT_FOUND if it is not connected. */
    int (*find)(struct dv_network *network,
                const char *id,
                struct dv_arena *arena,
                struct dv_network_settings *ret,
                struct dv_error *err);
    /* Takes bridges and rules away if nothing is connected. */
    void (*free)(struct dv_network *network);
};
