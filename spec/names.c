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

void dv_id_make(uint64_t high, uint64_t low, char ret[DV_ID_MADE_SIZE])
{
    high = (high & ~0xF000ULL) | 0x4000ULL;
    low = (low & ~(3ULL << 62)) | 2ULL << 62;
    snprintf(ret, DV_ID_MADE_SIZE, "%08llx-%04llx-%04llx-%04llx-%012llx",
             (unsigned long long)(high >> 32), (unsigned long long)(high >> 16 & 0xFFFF),
             (unsigned long long)(high & 0xFFFF), (unsigned long long)(low >> 48),
             (unsigned long long)(low & 0xFFFFFFFFFFFFULL));
}
