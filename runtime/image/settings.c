/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/settings.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

const struct dv_registry *dv_registry_find(const struct dv_registry_settings *settings,
                                           const char *host)
{
    for (size_t i = 0; i < settings->registry_count; i++)
        if (strcasecmp(settings->registries[i].host, host) == 0)
            return &settings->registries[i];
    return NULL;
}

const char *dv_registry_mirror(const struct dv_registry_settings *settings, const char *host)
{
    for (size_t i = 0; i < settings->mirror_count; i++)
        if (dv_str_ieq(settings->mirrors[i].host, host))
            return settings->mirrors[i].mirror;
    return NULL;
}

int dv_registry_mirror_add(struct dv_registry_settings *settings,
                           const char *text,
                           struct dv_error *err)
{
    struct dv_str host, mirror;
    if (!dv_str_cut(dv_str_of(text), '=', &host, &mirror) || host.len == 0 || mirror.len == 0 ||
        memchr(text, '/', strlen(text)))
        return dv_error_set(err, DV_ERR_INVALID,
                            "mirror '%.200s': host[:port]=host[:port] is expected", text);
    if (settings->mirror_count == DV_MIRRORS_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "mirror '%.200s': more than %d", text,
                            DV_MIRRORS_MAX);
    settings->mirrors[settings->mirror_count++] = (struct dv_mirror){host, mirror.data};
    return 0;
}

bool dv_registry_is_insecure(const struct dv_registry_settings *settings, const char *host)
{
    for (size_t i = 0; i < settings->insecure_count; i++)
        if (strcasecmp(settings->insecure[i], host) == 0)
            return true;
    return false;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static bool file_is_usable(const struct dv_registry *registry,
                           const char *key,
                           const char *path,
                           bool is_certificate,
                           struct dv_error *err)
{
    if (!path)
        return true;
    struct stat info;
    if (path[0] != '/')
        (void)dv_error_set(err, DV_ERR_INVALID, "registry '%s': %s '%s' is not an absolute path",
                           registry->host, key, path);
    else if (is_certificate ? !ends_with(path, ".crt") && !ends_with(path, ".cert")
                            : !ends_with(path, ".key"))
        (void)dv_error_set(err, DV_ERR_INVALID, "registry '%s': %s '%s' does not end in %s",
                           registry->host, key, path, is_certificate ? ".crt or .cert" : ".key");
    else if (stat(path, &info) < 0)
        (void)dv_error_sys(err, DV_ERR_IO, errno, "registry '%s': %s '%s'", registry->host, key,
                           path);
    else if (!S_ISREG(info.st_mode) || info.st_size == 0)
        (void)dv_error_set(err, DV_ERR_INVALID, "registry '%s': %s '%s' is empty or no file",
                           registry->host, key, path);
    else
        return true;
    return false;
}

bool dv_registry_tls_is_usable(const struct dv_registry *registry, struct dv_error *err)
{
    if (!registry->client_cert != !registry->client_key) {
        (void)dv_error_set(err, DV_ERR_INVALID,
                           "registry '%s': client_cert and client_key are needed both or not at "
                           "all",
                           registry->host);
        return false;
    }
    return file_is_usable(registry, "root_ca", registry->root_ca, true, err) &&
           file_is_usable(registry, "client_cert", registry->client_cert, true, err) &&
           file_is_usable(registry, "client_key", registry->client_key, false, err);
}
