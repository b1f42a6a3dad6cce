/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Software updates in a scenario: containers s0, s1, ... are installed, replaced and removed
 * through SoftwareUpdatable only. One thread.
 */
#include "world.h"

/* Sends an install or a remove. */
void world_software_act(struct world *world);
/* At a quiet point: every operation is over, a container that was there is there unless its remove
 * was sent, and nothing that a failed update made is left. */
void world_software_check(struct world *world, const struct dv_container_list *all);
