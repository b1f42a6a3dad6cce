/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A network of a fake machine: containers are connected in its books only. One that ends loses its
 * connection with its namespace, as on a real machine; the books keep it until it is detached or a
 * new network is made.
 */
#include "runtime/fake/machine.h"
#include "runtime/network.h"

__attribute__((warn_unused_result)) int
dv_fake_network_new(struct dv_fake_machine *machine, struct dv_network **ret, struct dv_error *err);
