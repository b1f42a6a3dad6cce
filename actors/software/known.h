/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The containers there are, as software: by id, by module, by name. Not thread-safe: the software
 * cell owns one.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stddef.h>

struct known {
    char *id;
    char *name;
    char *image_ref;
    char *module; /* NULL: not installed as software */
    char *version;
    char *artifact;
    enum dv_status status;
    bool comes_back; /* it is down, and its policy wants it up */
};

struct known_set;

struct known_set *known_new(void);
void known_free(struct known_set *set);
DV_DEFINE_CLEANUP(known_set, known_free)

/* Copies what is of interest. Returns 1 if the dependencies look different now, 0 if not. */
__attribute__((warn_unused_result)) int
known_put(struct known_set *set, const struct dv_container_record *record, struct dv_error *err);
/* True if it was there. */
bool known_drop(struct known_set *set, const char *id);

size_t known_count(const struct known_set *set);
/* In the order of ids; NULL behind the last. Valid until the next change. */
const struct known *known_at(const struct known_set *set, size_t index);
const struct known *known_by_id(const struct known_set *set, const char *id);
/* NULL if there is none; *ret_is_ambiguous if there are several. */
const struct known *
known_by_name(const struct known_set *set, const char *name, bool *ret_is_ambiguous);

/* The containers that `remove` means: by id, else of the module of that name, else the one of that
 * name; group, version and type must match where they are given. At most `max` ids, copied; 0 with
 * NOT_FOUND in *err, which says why. The caller frees the texts. */
size_t known_resolve(const struct known_set *set,
                     const struct dv_dependency *item,
                     char **ret_ids,
                     size_t max,
                     struct dv_error *err);
