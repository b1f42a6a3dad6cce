/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/decryption.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "messages/messages.h"
#include "spec/decryption.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PASSWORD_SIZE 1024
#define WAIT_NS       5000000000LL
#define NS_PER_MS     1000000
#define ARENA_BYTES   (1U << 20)

/* What is left open for us has no close-on-exec flag; what we open has. */
static bool is_inherited(int64_t fd)
{
    int flags = fd > STDERR_FILENO && fd <= INT32_MAX ? fcntl((int)fd, F_GETFD) : -1;
    return flags >= 0 && !(flags & FD_CLOEXEC);
}

/* The first line; more than there is room for is none. */
static bool read_line(int fd, char line[static PASSWORD_SIZE])
{
    int64_t until = dv_clock_monotonic_ns(dv_clock_real()) + WAIT_NS;
    size_t used = 0;
    while (used < PASSWORD_SIZE) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int64_t left = until - dv_clock_monotonic_ns(dv_clock_real());
        if (left <= 0)
            return false;
        if (poll(&ready, 1, (int)(left / NS_PER_MS) + 1) <= 0)
            continue;
        ssize_t got = read(fd, line + used, 1);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return false;
        if (got == 0 || line[used] == '\n' || line[used] == '\r') {
            line[used] = '\0';
            return true;
        }
        used++;
    }
    return false;
}

static int take_descriptor(
    const char *key, size_t path_len, struct dv_arena *arena, char **ret, struct dv_error *err)
{
    const char *number = key + path_len + sizeof(":fd=") - 1;
    int64_t value = -1;
    char line[PASSWORD_SIZE];
    if (dv_str_to_i64(dv_str_of(number), 0, INT32_MAX, &value, NULL) < 0 || !is_inherited(value))
        return dv_error_set(err, DV_ERR_INVALID,
                            "'%.*s:fd=%.20s': davitd was started without a descriptor of that "
                            "number; open it in who starts davitd, or use file=",
                            (int)path_len, key, number);
    dv_autoclose int fd = (int)value;
    bool is_read = read_line(fd, line);
    if (is_read)
        *ret = dv_arena_printf(arena, "%.*s:pass=%s", (int)path_len, key, line);
    explicit_bzero(line, sizeof(line));
    if (!is_read)
        return dv_error_set(err, DV_ERR_INVALID,
                            "'%.*s:fd=%lld': no line of at most %d bytes came from there within "
                            "%lld s",
                            (int)path_len, key, (long long)value, PASSWORD_SIZE - 1,
                            WAIT_NS / 1000000000);
    return *ret ? 0 : dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for keys");
}

static int take_all(const struct dv_config *config,
                    struct dv_arena *arena,
                    struct dv_texts *keys,
                    struct dv_error *err)
{
    keys->items = dv_arena_array(arena, config->image_dec_keys.count + 1, sizeof(char *));
    if (!keys->items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for keys");
    for (size_t i = 0; i < config->image_dec_keys.count; i++) {
        char *key = (char *)(uintptr_t)config->image_dec_keys.items[i];
        size_t path_len = strcspn(key, ":");
        int r = 0;
        if (strncmp(key + path_len, ":fd=", 4) == 0)
            r = take_descriptor(key, path_len, arena, &key, err);
        if (r < 0)
            return r;
        keys->items[keys->count++] = key;
    }
    return 0;
}

int daemon_decryption(const struct dv_config *config, struct dv_buf *out, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_BYTES);
    struct dv_decryption decryption = {
        .recipients = {(char **)(uintptr_t)config->image_dec_recipients.items,
                       config->image_dec_recipients.count},
    };
    int r = arena ? take_all(config, arena, &decryption.keys, err)
                  : dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for keys");
    if (r == 0)
        r = dv_decryption_write(&decryption, out, err);
    for (size_t i = 0; i < decryption.keys.count; i++)
        if (decryption.keys.items[i] != config->image_dec_keys.items[i])
            explicit_bzero(decryption.keys.items[i], strlen(decryption.keys.items[i]));
    return r < 0 ? dv_error_prefix(err, "containers.image_dec_keys: ") : 0;
}
