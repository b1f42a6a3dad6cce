/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is to be told of a value that is accepted: keys that are not known, with the nearest one
 * that is. The texts live in the arena of what was read; more than fit are left out.
 */
#include <stddef.h>

#define DV_SPEC_NOTES_MAX 32

struct dv_spec_notes {
    char *texts[DV_SPEC_NOTES_MAX];
    size_t count;
};
