/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The command line of davit-unpack. Texts are borrowed from argv. */
#include "base/error.h"
#include "unpack/tar.h"

#include <stdbool.h>

/* What an archive is unpacked as; its compression is seen. */
#define DV_UNPACK_ARCHIVE_TYPE "application/vnd.oci.image.layer.v1.tar"

#define DV_UNPACK_BYTES_MAX_DEFAULT   (64ULL << 30)
#define DV_UNPACK_ENTRIES_MAX_DEFAULT 1000000ULL

struct dv_unpack_options {
    const char *blob;
    const char *digest; /* NULL: an archive, nothing is promised about it */
    const char *media_type;
    const char *diff_id;
    const char *directory; /* absolute */
    const char *manifest;  /* file of an encrypted image; NULL: its layers are in clear */
    size_t layer;          /* number of the blob in it */
    bool is_check;         /* nothing is unpacked: do the keys open the manifest's layers? */
    struct dv_unpack_limits limits;
    bool is_archive;
    bool is_help;
};

extern const char dv_unpack_usage[];

/* Names of environment variables, followed by a number from 0: keys and recipients as
 * unpack/decrypt/keys.h reads them. The environment of a process is for root alone, its command
 * line is not. */
#define DV_UNPACK_KEY_VARIABLE       "DAVIT_UNPACK_KEY_"
#define DV_UNPACK_RECIPIENT_VARIABLE "DAVIT_UNPACK_RECIPIENT_"

/* INVALID names the flag. With --help nothing else is checked. */
__attribute__((warn_unused_result)) int dv_unpack_options_parse(int argc,
                                                                char *const argv[],
                                                                struct dv_unpack_options *ret,
                                                                struct dv_error *err);
