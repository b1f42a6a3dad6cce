/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup/layout.h"

#include "runtime/cgroup/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTROLLERS_MAX 1024U
#define MOUNT_LINE_MAX  (64U << 10) /* an overlay line of another program may be long */

bool dv_cgroup_has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += len) {
        bool starts = at == list || at[-1] == ',' || at[-1] == ' ';
        char after = at[len];
        if (starts && (after == '\0' || after == ',' || after == ' ' || after == '\n'))
            return true;
    }
    return false;
}

/* The kernel writes blank, tab, line feed and backslash as three octal digits. */
static void unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in; out++) {
        if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' && in[2] <= '7' &&
            in[3] >= '0' && in[3] <= '7') {
            *out = (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0'));
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
}

static char *controllers_of_v2(const char *mount)
{
    char path[DV_CGROUP_PATH_MAX + 32];
    char text[CONTROLLERS_MAX];
    snprintf(path, sizeof(path), "%s/cgroup.controllers", mount);
    ssize_t n = dv_cgroup_read_file(AT_FDCWD, path, text, sizeof(text));
    return strdup(n < 0 ? "" : text);
}

/* Splits off the next word of a line; NULL at its end. */
static char *next_word(char **line)
{
    return strsep(line, " \n");
}

int dv_cgroup_read_mount(struct dv_cgroup *cgroup, char *line, struct dv_error *err)
{
    /* id parent major:minor root mount-point options [tags ...] - type source super-options */
    char *mount = NULL;
    for (int i = 0; i < 5; i++)
        mount = next_word(&line);
    char *word = mount;
    while (word && strcmp(word, "-") != 0)
        word = next_word(&line);
    const char *type = next_word(&line);
    (void)next_word(&line);
    const char *options = next_word(&line);
    if (!mount || !type || !options)
        return 0;
    bool is_v2 = strcmp(type, "cgroup2") == 0;
    if (!is_v2 && strcmp(type, "cgroup") != 0)
        return 0;
    unescape(mount);
    if (strlen(mount) >= DV_CGROUP_PATH_MAX)
        return 0;
    for (size_t i = 0; i < cgroup->count; i++)
        if (is_v2 ? cgroup->hierarchies[i].is_v2
                  : strcmp(cgroup->hierarchies[i].controllers, options) == 0)
            return 0;
    if (cgroup->count == DV_CGROUP_HIERARCHIES_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "more than %u control group hierarchies are mounted",
                            DV_CGROUP_HIERARCHIES_MAX);
    struct dv_cgroup_hierarchy *hierarchy = &cgroup->hierarchies[cgroup->count++];
    hierarchy->is_v2 = is_v2;
    hierarchy->mount = strdup(mount);
    hierarchy->controllers = is_v2 ? controllers_of_v2(mount) : strdup(options);
    if (!hierarchy->mount || !hierarchy->controllers)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot keep the control group hierarchies");
    return 0;
}

void dv_cgroup_set_layout(struct dv_cgroup *cgroup)
{
    bool has_v1 = false;
    bool has_v2 = false;
    for (size_t i = 0; i < cgroup->count; i++) {
        has_v1 |= !cgroup->hierarchies[i].is_v2;
        has_v2 |= cgroup->hierarchies[i].is_v2;
    }
    cgroup->layout = has_v1 && has_v2 ? DV_CGROUP_HYBRID
                     : has_v2         ? DV_CGROUP_V2
                     : has_v1         ? DV_CGROUP_V1
                                      : DV_CGROUP_NONE;
}

int dv_cgroup_new(const char *mountinfo_path, struct dv_cgroup **ret, struct dv_error *err)
{
    const char *path = mountinfo_path ? mountinfo_path : "/proc/self/mountinfo";
    DV_AUTO(dv_cgroup) cgroup = calloc(1, sizeof(*cgroup));
    dv_autofree char *line = malloc(MOUNT_LINE_MAX);
    if (!cgroup || !line)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot look for control groups");
    dv_autofclose FILE *file = fopen(path, "re");
    if (!file)
        return dv_error_sys(err, DV_ERR_IO, errno, "cannot open the mount table %s", path);
    while (fgets(line, MOUNT_LINE_MAX, file)) {
        int r = dv_cgroup_read_mount(cgroup, line, err);
        if (r < 0)
            return r;
    }
    dv_cgroup_set_layout(cgroup);
    *ret = dv_steal(&cgroup);
    return 0;
}

enum dv_cgroup_layout dv_cgroup_layout(const struct dv_cgroup *cgroup)
{
    return cgroup->layout;
}

const char *dv_cgroup_layout_name(enum dv_cgroup_layout layout)
{
    switch (layout) {
    case DV_CGROUP_V1:
        return "v1";
    case DV_CGROUP_V2:
        return "v2";
    case DV_CGROUP_HYBRID:
        return "hybrid";
    case DV_CGROUP_NONE:
        break;
    }
    return "none";
}

const char *dv_cgroup_mount_of(const struct dv_cgroup *cgroup, const char *controller)
{
    for (size_t i = 0; i < cgroup->count; i++) {
        const struct dv_cgroup_hierarchy *hierarchy = &cgroup->hierarchies[i];
        if (dv_cgroup_has_word(hierarchy->controllers, controller))
            return hierarchy->mount;
        /* Freezing and killing are no controllers of v2: every group has them. */
        if (hierarchy->is_v2 && cgroup->layout == DV_CGROUP_V2 &&
            strcmp(controller, "freezer") == 0)
            return hierarchy->mount;
    }
    return NULL;
}

void dv_cgroup_free(struct dv_cgroup *cgroup)
{
    if (!cgroup)
        return;
    for (size_t i = 0; i < cgroup->count; i++) {
        free(cgroup->hierarchies[i].mount);
        free(cgroup->hierarchies[i].controllers);
    }
    free(cgroup);
}
