/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Expected bytes in files: tests/golden/FOLDER/NAME. With DAVIT_GOLDEN_UPDATE in the environment a
 * difference rewrites the file instead of failing, to be read in the diff of the commit. Main
 * thread of a test; failures end the test.
 */
#include <stddef.h>

/* The content, NUL-terminated, owned by the caller. */
char *dv_golden_read(const char *folder, const char *name, size_t *ret_len);

void dv_golden_expect(const char *folder, const char *name, const char *bytes, size_t len);

/* Calls `each` with the names of the folder that end in `suffix`, in order, without the suffix.
 * Returns how many there were. */
size_t dv_golden_each(const char *folder, const char *suffix, void (*each)(const char *name));
