/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/golden.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN_MAX (4U << 20)

static FILE *open_golden(const char *folder, const char *name, const char *mode)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/tests/golden/%s/%s", DV_SOURCE_DIR, folder, name);
    return fopen(path, mode);
}

char *dv_golden_read(const char *folder, const char *name, size_t *ret_len)
{
    dv_autofclose FILE *file = open_golden(folder, name, "re");
    cr_assert_not_null(file, "no golden file %s/%s", folder, name);
    DV_AUTO_IN_PLACE(dv_buf) content = DV_BUF_INIT(GOLDEN_MAX);
    char piece[4096];
    size_t got;
    cr_assert_eq(dv_buf_append(&content, "", 0, NULL), 0);
    while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
        cr_assert_eq(dv_buf_append(&content, piece, got, NULL), 0);
    return dv_buf_take(&content, ret_len);
}

void dv_golden_expect(const char *folder, const char *name, const char *bytes, size_t len)
{
    if (getenv("DAVIT_GOLDEN_UPDATE")) {
        dv_autofclose FILE *file = open_golden(folder, name, "we");
        cr_assert_not_null(file);
        cr_assert_eq(fwrite(bytes, 1, len, file), len);
        return;
    }
    size_t want_len;
    dv_autofree char *want = dv_golden_read(folder, name, &want_len);
    cr_expect(want_len == len && memcmp(want, bytes, len) == 0,
              "%s/%s differs\n expected: %s\n      got: %.*s", folder, name, want, (int)len, bytes);
}

size_t dv_golden_each(const char *folder, const char *suffix, void (*each)(const char *name))
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/tests/golden/%s", DV_SOURCE_DIR, folder);
    struct dirent **entries;
    size_t count = 0;
    int found = scandir(path, &entries, NULL, alphasort);
    cr_assert_geq(found, 0, "no golden folder %s", path);
    for (int i = 0; i < found; i++) {
        char *end = strstr(entries[i]->d_name, suffix);
        if (end && strcmp(end, suffix) == 0) {
            *end = '\0';
            each(entries[i]->d_name);
            count++;
        }
        free(entries[i]);
    }
    free(entries);
    return count;
}
