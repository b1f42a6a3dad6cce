/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Credentials that other tools keep: auth.json of podman and skopeo, config.json of docker. Only
 * `auths` entries with a user name and a password, or an identity token, are used; credential
 * helpers are programs, and davitd starts none. Any thread; results live in the arena.
 * dv_auth_file_find blocks for the disk, the other is pure.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"

#include <stddef.h>

#define DV_AUTH_FILE_MAX (256U << 10)

/* Fills `ret` for the image `reference` (any form that dv_reference_parse takes): `user` with
 * `password` or `identity` of the most specific entry (host/repository before host), `note` when
 * there is one that cannot be used; all absent when the file says nothing about the image. Entries
 * are matched as docker and podman write them, also "https://index.docker.io/v1/". CORRUPT for what
 * is no such file. */
__attribute__((warn_unused_result)) int dv_auth_file_parse(const char *bytes,
                                                           size_t len,
                                                           const char *reference,
                                                           struct dv_arena *arena,
                                                           struct dv_registry_login *ret,
                                                           struct dv_error *err);

/* The same from a file, which is read anew each time: a login takes effect at the next pull. A file
 * that is absent says nothing; one that cannot be used is told in `note`. */
__attribute__((warn_unused_result)) int dv_auth_file_find(const char *path,
                                                          const char *reference,
                                                          struct dv_arena *arena,
                                                          struct dv_registry_login *ret,
                                                          struct dv_error *err);
