/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Layers made byte by byte, so that they can hold what no tar writer would write, and runs of
 * davit-unpack on them. Every failure of a helper fails the test.
 */
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TEXT_SIZE 2048

/* A directory of the test's own: blob, dir (to unpack into), and a canary beside them. */
struct place {
    char base[64];
    char dir[80];
};
void place_init(struct place *place);
void place_done(struct place *place);
void place_renew(struct place *place); /* an empty dir again */
DV_DEFINE_CLEANUP_IN_PLACE(place, place_done)

struct header {
    const char *name; /* cut at 100 bytes */
    char type;        /* tar typeflag */
    const char *link;
    unsigned mode; /* 0 stands for 0644 */
    unsigned uid;
    unsigned gid;
    unsigned major;
    unsigned minor;
    long long mtime;
    const char *body;
    long long size; /* announced; 0 stands for the length of body */
};

/* An entry with header checksum and padded body. */
void tar_add(struct dv_buf *tar, const struct header *header);
/* A PAX extended header for the next entry. */
void tar_pax(struct dv_buf *tar, const char *key, const void *value, size_t len);
/* A GNU long name for the next entry; type 'L' name, 'K' link. */
void tar_gnu_long(struct dv_buf *tar, char type, const char *text);
void tar_end(struct dv_buf *tar);

void gzip_bytes(struct dv_buf *out, const void *bytes, size_t len);
void zstd_bytes(struct dv_buf *out, const void *bytes, size_t len);
void digest_of(const struct dv_buf *bytes, char ret[80]);

struct run {
    int code; /* exit code, 128 + signal if killed */
    char out[TEXT_SIZE];
    char err[TEXT_SIZE];
};

/* Writes the blob beside place->dir and runs the program with true digests; `extra` are more
 * arguments up to NULL, or NULL. */
struct run unpack_blob(const struct place *place,
                       const struct dv_buf *blob,
                       const struct dv_buf *tar,
                       const char *const extra[]);
/* The same with the tar as it is. */
struct run unpack_tar(const struct place *place, const struct dv_buf *tar);
struct run run_program(const char *const arguments[]);
struct run run_other_program(const char *path, const char *const arguments[]);

/* Below place->dir. */
struct stat;
bool lookup(const struct place *place, const char *name, struct stat *ret);
bool content_is(const struct place *place, const char *name, const char *expected);
bool has_xattr(const struct place *place, const char *name, const char *xattr, const char *value);
bool is_whiteout(const struct place *place, const char *name);
/* The canary and its neighbours are as they were made. */
bool is_outside_untouched(const struct place *place);
