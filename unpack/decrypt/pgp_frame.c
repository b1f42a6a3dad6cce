/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/decrypt/pgp_frame.h"

#include <stdbool.h>
#include <stdint.h>

#define IS_PACKET  0x80U
#define NEW_FORMAT 0x40U

/* Packet tags, RFC 4880, section 4.3. */
#define TAG_SESSION_KEY        1U
#define TAG_PASSWORD_KEY       3U
#define TAG_UNPROTECTED_DATA   9U
#define TAG_DATA               18U
#define DATA_VERSION           1U
#define SESSION_KEY_VERSION    3U
#define SESSION_KEY_BODY_LEAST 10U /* version, key ID, algorithm */

struct reader {
    const uint8_t *at;
    size_t left;
};

/* A body, or the first part of it. */
struct body {
    const uint8_t *bytes;
    size_t len;
    bool is_partial;
};

static int cut_off(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_INVALID, "OpenPGP: a packet ends before its length says");
}

static bool take(struct reader *reader, size_t len, const uint8_t **ret)
{
    if (reader->left < len)
        return false;
    *ret = reader->at;
    reader->at += len;
    reader->left -= len;
    return true;
}

static bool take_number(struct reader *reader, size_t octets, size_t *ret)
{
    const uint8_t *bytes;
    if (!take(reader, octets, &bytes))
        return false;
    *ret = 0;
    for (size_t i = 0; i < octets; i++)
        *ret = *ret << 8 | bytes[i];
    return true;
}

/* Section 4.2.2. */
static bool take_new_length(struct reader *reader, struct body *ret)
{
    size_t second;
    if (!take_number(reader, 1, &ret->len))
        return false;
    if (ret->len == 255)
        return take_number(reader, 4, &ret->len);
    if (ret->len >= 224) {
        ret->is_partial = true;
        ret->len = (size_t)1 << (ret->len & 0x1f);
    } else if (ret->len >= 192) {
        if (!take_number(reader, 1, &second))
            return false;
        ret->len = ((ret->len - 192) << 8) + second + 192;
    }
    return true;
}

static int take_part(struct reader *reader, struct body *ret, struct dv_error *err)
{
    *ret = (struct body){0};
    if (!take_new_length(reader, ret) || !take(reader, ret->len, &ret->bytes))
        return cut_off(err);
    return 0;
}

static int
take_packet(struct reader *reader, unsigned *ret_tag, struct body *ret, struct dv_error *err)
{
    size_t header;
    if (!take_number(reader, 1, &header))
        return dv_error_set(err, DV_ERR_INVALID, "OpenPGP: there is no encrypted data");
    if (!(header & IS_PACKET))
        return dv_error_set(err, DV_ERR_INVALID, "OpenPGP: this is no message in binary form");
    if (header & NEW_FORMAT) {
        *ret_tag = header & 0x3f;
        return take_part(reader, ret, err);
    }
    *ret_tag = header >> 2 & 0xf;
    *ret = (struct body){0};
    if ((header & 3) == 3)
        return dv_error_set(err, DV_ERR_INVALID, "OpenPGP: a packet without a length");
    if (!take_number(reader, (size_t)1 << (header & 3), &ret->len) ||
        !take(reader, ret->len, &ret->bytes))
        return cut_off(err);
    return 0;
}

static int check_session_key(const struct body *body, struct dv_error *err)
{
    if (body->is_partial || body->len < SESSION_KEY_BODY_LEAST)
        return dv_error_set(err, DV_ERR_INVALID, "OpenPGP: a session key is malformed");
    if (body->bytes[0] != SESSION_KEY_VERSION)
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "OpenPGP: a session key of version %u is not accepted, only %u",
                            body->bytes[0], SESSION_KEY_VERSION);
    return 0;
}

/* Its parts, to the end of the message. */
static int check_data(struct reader *reader, struct body body, struct dv_error *err)
{
    if (body.len == 0 || body.bytes[0] != DATA_VERSION)
        return dv_error_set(err, DV_ERR_UNSUPPORTED, "OpenPGP: encrypted data is not of version %u",
                            DATA_VERSION);
    while (body.is_partial) {
        int r = take_part(reader, &body, err);
        if (r < 0)
            return r;
    }
    if (reader->left)
        return dv_error_set(err, DV_ERR_INVALID, "OpenPGP: %zu bytes after the encrypted data",
                            reader->left);
    return 0;
}

static int refuse(unsigned tag, struct dv_error *err)
{
    if (tag == TAG_PASSWORD_KEY)
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "OpenPGP: messages for a password are not accepted");
    if (tag == TAG_UNPROTECTED_DATA)
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "OpenPGP: data without integrity protection is not accepted");
    return dv_error_set(err, DV_ERR_UNSUPPORTED,
                        "OpenPGP: a packet with tag %u has no place in an encrypted message", tag);
}

int dv_pgp_frame_check(const void *message, size_t len, struct dv_error *err)
{
    struct reader reader = {message, len};
    size_t recipients = 0;
    for (;;) {
        struct body body;
        unsigned tag = 0;
        int r = take_packet(&reader, &tag, &body, err);
        if (r < 0)
            return r;
        if (tag == TAG_DATA && recipients > 0)
            return check_data(&reader, body, err);
        if (tag != TAG_SESSION_KEY)
            return refuse(tag, err);
        if (++recipients > DV_PGP_RECIPIENTS_MAX)
            return dv_error_set(err, DV_ERR_INVALID, "OpenPGP: more than %d recipients",
                                DV_PGP_RECIPIENTS_MAX);
        r = check_session_key(&body, err);
        if (r < 0)
            return r;
    }
}
