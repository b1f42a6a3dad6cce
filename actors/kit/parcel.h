/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A message in transit: three frames, the address, the encoded envelope, the encoded body. Only
 * bytes cross from one host to another, also in a simulation. Frames are reference counted by
 * libzmq, so a copy for another subscriber shares the body. One owner at a time, any thread.
 * Private to the kit.
 */
#include "actors/kit/cell.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "messages/schema.h"

#include <zmq.h>

/* Version of the vocabulary that this kit speaks; see `envelope` in messages/schema/kit.def. */
#define DV_VOCABULARY_VERSION 1

/* Ceiling for the memory of one decoded message; a body of many small list items grows. */
#define DV_PARCEL_ARENA_MAX ((size_t)64 << 20)

struct dv_parcel {
    zmq_msg_t to;
    zmq_msg_t envelope;
    zmq_msg_t body;
};

/* Encoding buffers of a host, used again for every message; a large one is given back. */
struct dv_packer {
    struct dv_buf envelope;
    struct dv_buf body;
};

void dv_packer_init(struct dv_packer *packer);
void dv_packer_done(struct dv_packer *packer);

/* Makes a parcel; `body` NULL stands for an empty one of that schema. The version and kind of
 * *envelope are set here. `parcel` is written on success only. */
__attribute__((warn_unused_result)) int dv_parcel_pack(struct dv_packer *packer,
                                                       const char *to,
                                                       struct dv_envelope *envelope,
                                                       const struct dv_schema *schema,
                                                       const void *body,
                                                       struct dv_parcel *ret,
                                                       struct dv_error *err);

/* The same body for somebody else, with an envelope of its own. */
__attribute__((warn_unused_result)) int dv_parcel_address(struct dv_packer *packer,
                                                          const char *to,
                                                          const struct dv_envelope *envelope,
                                                          struct dv_parcel *body_of,
                                                          struct dv_parcel *ret,
                                                          struct dv_error *err);

/* Reads address and envelope; the body stays encoded. */
__attribute__((warn_unused_result)) int dv_parcel_open(struct dv_parcel *parcel,
                                                       struct dv_arena *arena,
                                                       char to[DV_ADDRESS_MAX + 1],
                                                       struct dv_envelope **ret,
                                                       struct dv_error *err);

/* Decodes the body by `schema`. */
__attribute__((warn_unused_result)) int dv_parcel_body(struct dv_parcel *parcel,
                                                       const struct dv_schema *schema,
                                                       struct dv_arena *arena,
                                                       void **ret,
                                                       struct dv_error *err);

void dv_parcel_init(struct dv_parcel *parcel);
void dv_parcel_done(struct dv_parcel *parcel);
/* `to` must be initialised; `from` is empty afterwards. */
void dv_parcel_move(struct dv_parcel *to, struct dv_parcel *from);

DV_DEFINE_CLEANUP_IN_PLACE(dv_parcel, dv_parcel_done)
