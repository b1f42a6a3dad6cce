/* SPDX-License-Identifier: Apache-2.0 */
#include "messages/scan.h"

#include <stdint.h>

struct reader {
    const uint8_t *at;
    size_t left;
};

static bool skip(struct reader *in, uint64_t len)
{
    if (len > in->left)
        return false;
    in->at += len;
    in->left -= (size_t)len;
    return true;
}

static bool take_be(struct reader *in, unsigned bytes, uint64_t *ret)
{
    if (bytes > in->left)
        return false;
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | in->at[i];
    *ret = value;
    return skip(in, bytes);
}

/* What follows a type byte: `payload` bytes, or `children` values. */
struct shape {
    uint64_t payload;
    uint64_t children;
};

static bool sized(struct reader *in, unsigned length_bytes, uint64_t extra, struct shape *ret)
{
    uint64_t len;
    if (!take_be(in, length_bytes, &len))
        return false;
    ret->payload = len + extra;
    return true;
}

static bool counted(struct reader *in, unsigned length_bytes, uint64_t per_item, struct shape *ret)
{
    uint64_t count;
    if (!take_be(in, length_bytes, &count))
        return false;
    ret->children = count * per_item;
    return true;
}

/* The msgpack specification's table of first bytes. */
static bool shape_of(struct reader *in, uint8_t type, struct shape *ret)
{
    *ret = (struct shape){0, 0};
    if (type <= 0x7F || type >= 0xE0)
        return true;
    if (type <= 0x8F) {
        ret->children = 2U * (type & 0x0FU);
        return true;
    }
    if (type <= 0x9F) {
        ret->children = type & 0x0FU;
        return true;
    }
    if (type <= 0xBF) {
        ret->payload = type & 0x1FU;
        return true;
    }
    switch (type) {
    case 0xC0: /* nil */
    case 0xC2: /* false */
    case 0xC3: /* true */
        return true;
    case 0xC4: /* bin 8, 16, 32 */
    case 0xC5:
    case 0xC6:
        return sized(in, 1U << (type - 0xC4), 0, ret);
    case 0xC7: /* ext 8, 16, 32: a type byte more */
    case 0xC8:
    case 0xC9:
        return sized(in, 1U << (type - 0xC7), 1, ret);
    case 0xCA: /* float */
        ret->payload = 4;
        return true;
    case 0xCB: /* double */
        ret->payload = 8;
        return true;
    case 0xCC: /* uint 8 to 64 */
    case 0xCD:
    case 0xCE:
    case 0xCF:
        ret->payload = 1ULL << (type - 0xCC);
        return true;
    case 0xD0: /* int 8 to 64 */
    case 0xD1:
    case 0xD2:
    case 0xD3:
        ret->payload = 1ULL << (type - 0xD0);
        return true;
    case 0xD4: /* fixext 1 to 16 */
    case 0xD5:
    case 0xD6:
    case 0xD7:
    case 0xD8:
        ret->payload = 1 + (1ULL << (type - 0xD4));
        return true;
    case 0xD9: /* str 8, 16, 32 */
    case 0xDA:
    case 0xDB:
        return sized(in, 1U << (type - 0xD9), 0, ret);
    case 0xDC: /* array 16, 32 */
    case 0xDD:
        return counted(in, type == 0xDC ? 2 : 4, 1, ret);
    case 0xDE: /* map 16, 32 */
    case 0xDF:
        return counted(in, type == 0xDE ? 2 : 4, 2, ret);
    default: /* 0xC1 is never used */
        return false;
    }
}

bool dv_scan(const void *bytes, size_t len)
{
    struct reader in = {bytes, len};
    uint64_t open[DV_SCAN_DEPTH_MAX + 1]; /* values still missing per level */
    unsigned depth = 0;
    open[0] = 1;
    for (;;) {
        while (open[depth] == 0) {
            if (depth == 0)
                return in.left == 0;
            depth--;
        }
        open[depth]--;
        uint64_t type;
        struct shape shape;
        if (!take_be(&in, 1, &type) || !shape_of(&in, (uint8_t)type, &shape) ||
            !skip(&in, shape.payload) || shape.children > in.left)
            return false;
        if (shape.children) {
            if (depth == DV_SCAN_DEPTH_MAX)
                return false;
            open[++depth] = shape.children;
        }
    }
}
