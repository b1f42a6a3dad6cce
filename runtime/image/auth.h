/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How registries ask who is there: WWW-Authenticate challenges, token answers, and which host may
 * see a password. Pure functions on hostile bytes, any thread; results live in the arena.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_REALM_MAX        2048
#define DV_TOKEN_MAX        (15U << 10)
#define DV_TOKEN_ANSWER_MAX (64U << 10)

struct dv_challenge {
    bool is_bearer; /* else basic */
    char *realm;    /* bearer: an http or https URL; NULL for basic */
    char *service;  /* NULL if not given */
    char *scope;    /* NULL if not given */
};

/* The strongest challenge of a 401 answer that davit can meet: bearer, else basic. FAILED when
 * there is none or the realm of a bearer challenge is no usable URL. */
__attribute__((warn_unused_result)) int
dv_challenge_parse(const struct dv_http_header_list *headers,
                   struct dv_arena *arena,
                   struct dv_challenge *ret,
                   struct dv_error *err);

/* The address to fetch a token from; `scope` is used when the challenge names none. */
__attribute__((warn_unused_result)) int dv_token_url(const struct dv_challenge *challenge,
                                                     const char *scope,
                                                     struct dv_arena *arena,
                                                     char **ret,
                                                     struct dv_error *err);

/* What to post to the realm instead, with an identity token (OAuth 2 refresh token). */
__attribute__((warn_unused_result)) int dv_token_form(const struct dv_challenge *challenge,
                                                      const char *scope,
                                                      const char *identity,
                                                      struct dv_arena *arena,
                                                      char **ret,
                                                      struct dv_error *err);

struct dv_token {
    char *text;
    int64_t expires_s; /* 60, as the protocol says, when the answer is silent */
};

/* CORRUPT for anything but an object with a token of printable characters. */
__attribute__((warn_unused_result)) int dv_token_parse(const char *bytes,
                                                       size_t len,
                                                       struct dv_arena *arena,
                                                       struct dv_token *ret,
                                                       struct dv_error *err);

/* Header values; NULL when memory is short. */
char *dv_auth_basic(struct dv_arena *arena, const char *user, const char *password);
char *dv_auth_bearer(struct dv_arena *arena, const char *token);

/* Scheme and host[:port] of an http or https URL; false for any other text, for user names in it,
 * and for characters that do not belong there. */
bool dv_url_origin(const char *url, bool *ret_is_https, struct dv_str *ret_host);

/* Whether the password for `host` may be sent to `realm`: to the host itself, over a transport that
 * is no weaker; or, when both are reached by https, to a host of the same domain (its last two
 * names), which is how auth.docker.io serves registry-1.docker.io. Never to another one. */
bool dv_auth_may_send(const char *host, bool host_is_https, const char *realm);
