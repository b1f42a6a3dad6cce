/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/state.h"

#include <arpa/inet.h>
#include <stdlib.h>

static bool next_line(struct dv_str *rest, struct dv_str *ret)
{
    if (rest->len == 0)
        return false;
    struct dv_str tail = {NULL, 0};
    dv_str_cut(*rest, '\n', ret, &tail);
    *rest = tail;
    return true;
}

static struct dv_str next_word(struct dv_str *line)
{
    size_t skip = 0;
    while (skip < line->len && (line->data[skip] == ' ' || line->data[skip] == '\t'))
        skip++;
    struct dv_str word = {line->data + skip, 0};
    while (skip + word.len < line->len && word.data[word.len] != ' ' && word.data[word.len] != '\t')
        word.len++;
    line->data += skip + word.len;
    line->len -= skip + word.len;
    return word;
}

/* Eight hexadecimal digits of a number in network byte order, read as one of this machine. */
static bool read_hex(struct dv_str word, uint32_t *ret)
{
    char text[9];
    char *end;
    if (word.len != 8)
        return false;
    memcpy(text, word.data, 8);
    text[8] = '\0';
    unsigned long value = strtoul(text, &end, 16);
    if (*end)
        return false;
    *ret = ntohl((uint32_t)value);
    return true;
}

static bool is_bridge_of(const char *own, struct dv_str interface)
{
    size_t len = strlen(own);
    return dv_str_starts_with(interface, own) && interface.len > len &&
           interface.data[len] >= '0' && interface.data[len] <= '9';
}

size_t busy_of_routes(struct dv_str text, const char *own, struct dv_cidr *ret, size_t max)
{
    size_t count = 0;
    struct dv_str line;
    while (count < max && next_line(&text, &line)) {
        struct dv_str words[8]; /* interface, destination, gateway, flags ... mask */
        for (size_t i = 0; i < 8; i++)
            words[i] = next_word(&line);
        uint32_t network;
        uint32_t mask;
        if (is_bridge_of(own, words[0]) || !read_hex(words[1], &network) ||
            !read_hex(words[7], &mask) || mask == 0)
            continue; /* the heading, our own, and default routes */
        ret[count++] = (struct dv_cidr){network, (unsigned)__builtin_popcount(mask)};
    }
    return count;
}

size_t busy_of_resolvers(struct dv_str text, struct dv_cidr *ret, size_t max)
{
    size_t count = 0;
    struct dv_str line;
    while (count < max && next_line(&text, &line)) {
        struct dv_str key = next_word(&line);
        struct dv_str value = next_word(&line);
        uint32_t address;
        if (dv_str_eq(key, "nameserver") && dv_ip4_parse(value, &address, NULL) == 0)
            ret[count++] = (struct dv_cidr){address, 32};
    }
    return count;
}
