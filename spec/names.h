/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Rules for texts that name something: containers, hosts, images, variables. Pure,
 * any thread. Errors are INVALID with the rule; the caller puts the field in front.
 */
#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_NAME_MAX      253
#define DV_HOST_NAME_MAX 64

bool dv_name_is_valid(const char *name);      /* [A-Za-z0-9_][A-Za-z0-9_.-]*, at most DV_NAME_MAX */
bool dv_id_is_valid(const char *id);          /* [A-Za-z0-9][A-Za-z0-9_.-]{0,127} */
bool dv_host_name_is_valid(const char *name); /* letters, digits, '-', '.', '_' */
bool dv_env_is_valid(const char *entry);      /* NAME or NAME=value without line breaks */
bool dv_image_ref_is_complete(const char *ref); /* host/path with a tag or a digest */

/* `name` + `suffix`, cut to 63 bytes; what is cut is made good by a digest, so that two long names
 * do not become one. NULL when memory is short. */
char *dv_host_name_make(struct dv_arena *arena, const char *name, const char *suffix);

#define DV_ID_MADE_SIZE 37 /* of an id that is made, with its end */

/* A UUID of version 4 (RFC 4122) from random bits. */
void dv_id_make(uint64_t high, uint64_t low, char ret[DV_ID_MADE_SIZE]);
