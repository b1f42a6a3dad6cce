/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Thread stacks and malloc arenas are limited before any is made, descriptors are raised before
 * czmq counts them, czmq's signal handling and socket limit are off before its first socket. Called
 * once, by a process with one thread, before anything of actors/kit.
 */
void daemon_prepare_process(void);
