/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/parcel.h"

#include "actors/kit/memory.h"
#include "messages/codec.h"
#include "messages/messages.h"

#include <string.h>

/* A buffer that grew beyond this for one message is given back. */
#define KEEP_BYTES         ((size_t)16 << 10)
#define ENVELOPE_BYTES_MAX 1024U

void dv_packer_init(struct dv_packer *packer)
{
    packer->envelope = DV_BUF_INIT(ENVELOPE_BYTES_MAX);
    packer->body = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
}

void dv_packer_done(struct dv_packer *packer)
{
    dv_buf_done(&packer->envelope);
    dv_buf_done(&packer->body);
}

static void fill(zmq_msg_t *frame, const void *bytes, size_t len)
{
    if (zmq_msg_init_size(frame, len) != 0)
        dv_need(NULL);
    if (len)
        memcpy(zmq_msg_data(frame), bytes, len);
}

static int check_address(const char *to, const struct dv_schema *schema, struct dv_error *err)
{
    if (strlen(to) <= DV_ADDRESS_MAX)
        return 0;
    return dv_error_set(err, DV_ERR_INVALID, "send %s: the address '%.40s...' is over %d bytes",
                        schema ? schema->name : "event", to, DV_ADDRESS_MAX);
}

/* An empty body by the schema's defaults. */
static int encode_body(struct dv_packer *packer,
                       const struct dv_schema *schema,
                       const void *body,
                       struct dv_error *err)
{
    dv_buf_clear(&packer->body);
    if (body)
        return dv_encode(schema, body, &packer->body, err);
    dv_autofree void *empty = dv_need(calloc(1, schema->size ? schema->size : 1));
    return dv_encode(schema, empty, &packer->body, err);
}

int dv_parcel_pack(struct dv_packer *packer,
                   const char *to,
                   struct dv_envelope *envelope,
                   const struct dv_schema *schema,
                   const void *body,
                   struct dv_parcel *ret,
                   struct dv_error *err)
{
    envelope->version = DV_VOCABULARY_VERSION;
    envelope->kind = schema->kind;
    dv_buf_clear(&packer->envelope);
    int r = check_address(to, schema, err);
    if (r < 0)
        return r;
    r = dv_encode(&dv_schema_envelope, envelope, &packer->envelope, err);
    if (r < 0)
        return r;
    r = encode_body(packer, schema, body, err);
    if (r == 0) {
        fill(&ret->to, to, strlen(to));
        fill(&ret->envelope, packer->envelope.data, packer->envelope.len);
        fill(&ret->body, packer->body.data, packer->body.len);
    }
    if (packer->body.capacity > KEEP_BYTES)
        dv_buf_done(&packer->body);
    return r;
}

int dv_parcel_address(struct dv_packer *packer,
                      const char *to,
                      const struct dv_envelope *envelope,
                      struct dv_parcel *body_of,
                      struct dv_parcel *ret,
                      struct dv_error *err)
{
    dv_buf_clear(&packer->envelope);
    int r = check_address(to, NULL, err);
    if (r < 0)
        return r;
    r = dv_encode(&dv_schema_envelope, envelope, &packer->envelope, err);
    if (r < 0)
        return r;
    fill(&ret->to, to, strlen(to));
    fill(&ret->envelope, packer->envelope.data, packer->envelope.len);
    zmq_msg_init(&ret->body);
    zmq_msg_copy(&ret->body, &body_of->body);
    return 0;
}

int dv_parcel_open(struct dv_parcel *parcel,
                   struct dv_arena *arena,
                   char to[DV_ADDRESS_MAX + 1],
                   struct dv_envelope **ret,
                   struct dv_error *err)
{
    size_t len = zmq_msg_size(&parcel->to);
    if (len > DV_ADDRESS_MAX)
        return dv_error_set(err, DV_ERR_PROTOCOL, "message: the address has %zu bytes, at most %d",
                            len, DV_ADDRESS_MAX);
    void *envelope = NULL;
    int r = dv_decode(&dv_schema_envelope, zmq_msg_data(&parcel->envelope),
                      zmq_msg_size(&parcel->envelope), arena, &envelope, err);
    if (r < 0)
        return r;
    if (((struct dv_envelope *)envelope)->version != DV_VOCABULARY_VERSION)
        return dv_error_set(err, DV_ERR_UNSUPPORTED, "message: vocabulary version is not %d",
                            DV_VOCABULARY_VERSION);
    memcpy(to, zmq_msg_data(&parcel->to), len);
    to[len] = '\0';
    *ret = envelope;
    return 0;
}

int dv_parcel_body(struct dv_parcel *parcel,
                   const struct dv_schema *schema,
                   struct dv_arena *arena,
                   void **ret,
                   struct dv_error *err)
{
    return dv_decode(schema, zmq_msg_data(&parcel->body), zmq_msg_size(&parcel->body), arena, ret,
                     err);
}

void dv_parcel_init(struct dv_parcel *parcel)
{
    zmq_msg_init(&parcel->to);
    zmq_msg_init(&parcel->envelope);
    zmq_msg_init(&parcel->body);
}

void dv_parcel_done(struct dv_parcel *parcel)
{
    zmq_msg_close(&parcel->to);
    zmq_msg_close(&parcel->envelope);
    zmq_msg_close(&parcel->body);
}

void dv_parcel_move(struct dv_parcel *to, struct dv_parcel *from)
{
    zmq_msg_move(&to->to, &from->to);
    zmq_msg_move(&to->envelope, &from->envelope);
    zmq_msg_move(&to->body, &from->body);
}
