/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/names.h"

#include "base/sha256.h"
#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CUT_MAX      63
#define DIGEST_CHARS 8

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool all_of(const char *text, const char *more)
{
    for (; *text; text++)
        if (!is_word(*text) && !strchr(more, *text))
            return false;
    return true;
}

bool dv_name_is_valid(const char *name)
{
    return (is_word(name[0]) || name[0] == '_') && strlen(name) <= DV_NAME_MAX &&
           all_of(name, "_.-");
}

bool dv_id_is_valid(const char *id)
{
    return is_word(id[0]) && strlen(id) <= 128 && all_of(id, "_.-");
}

bool dv_host_name_is_valid(const char *name)
{
    return name[0] && all_of(name, "-._");
}

bool dv_env_is_valid(const char *entry)
{
    if (!is_word(entry[0]) && entry[0] != '_')
        return false;
    if (entry[0] >= '0' && entry[0] <= '9')
        return false;
    size_t name = strcspn(entry, "=");
    for (size_t i = 0; i < name; i++)
        if (!is_word(entry[i]) && entry[i] != '_')
            return false;
    return !strpbrk(entry, "\r\n");
}

bool dv_image_ref_is_complete(const char *ref)
{
    const char *path = strchr(ref, '/');
    if (!path || path == ref || !path[1])
        return false;
    if (strchr(path, '@'))
        return true;
    const char *last = strrchr(path, '/');
    const char *tag = strchr(last, ':');
    return tag && tag[1];
}

char *dv_host_name_make(struct dv_arena *arena, const char *name, const char *suffix)
{
    size_t len = strlen(name);
    size_t room = CUT_MAX - strlen(suffix);
    if (len <= room)
        return dv_arena_printf(arena, "%s%s", name, suffix);
    char hex[DV_SHA256_HEX_SIZE];
    struct dv_sha256 sha;
    dv_sha256_init(&sha);
    dv_sha256_add(&sha, name, len);
    dv_sha256_finish_hex(&sha, hex);
    return dv_arena_printf(arena, "%.*s-%.*s%s", (int)(room - DIGEST_CHARS - 1), name, DIGEST_CHARS,
                           hex, suffix);
}

/* capabilities(7) of Linux 6.1, in the kernel's order. */
static const char *const capabilities[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

#define CAPABILITY_COUNT (sizeof(capabilities) / sizeof(capabilities[0]))

static const char *capability_at(size_t index, void *ctx)
{
    (void)ctx;
    return index < CAPABILITY_COUNT ? capabilities[index] : NULL;
}

const char *dv_capability_canonical(const char *text, const char **ret_nearest)
{
    const char *bare = strncasecmp(text, "CAP_", 4) == 0 ? text + 4 : text;
    for (size_t i = 0; i < CAPABILITY_COUNT; i++)
        if (strcasecmp(bare, capabilities[i] + 4) == 0)
            return capabilities[i];
    char full[80];
    snprintf(full, sizeof(full), "CAP_%s", bare);
    *ret_nearest = dv_str_nearest(dv_str_of(full), capability_at, NULL);
    return NULL;
}
