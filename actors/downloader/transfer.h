/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One download: the curl handle, where the bytes go and what they must be. Private to the
 * downloader; one thread.
 */
#include "actors/kit/cell.h"
#include "base/buf.h"
#include "messages/messages.h"
#include "runtime/image/digest.h"

#include <curl/curl.h>
#include <limits.h>
#include <stdbool.h>

#define TRANSFER_TRIES_MAX   5
#define TRANSFER_HEADERS_MAX 128

#define TRANSFER_SHARERS_MAX 32

struct transfer {
    struct transfer *next;
    struct dv_request *request;
    struct dv_request *sharers[TRANSFER_SHARERS_MAX]; /* others that want the same file */
    unsigned sharer_count;
    struct dv_arena *arena; /* of the command and the answer's headers */
    const struct dv_download_cmd *command;
    CURL *easy;
    struct curl_slist *request_headers;
    struct dv_http_header headers[TRANSFER_HEADERS_MAX];
    size_t header_count;
    struct dv_buf body;   /* without a file, or when the status is not 2xx */
    int fd;               /* of `aside`, -1: none */
    char aside[PATH_MAX]; /* written to, becomes the file when it is whole and right */
    bool is_kept;         /* what came so far is of use to a later transfer */
    bool is_resumed;      /* an earlier one began the file: the sum does not cover it */
    struct dv_digest_sum *sum;
    int64_t stored;     /* bytes in the file */
    int64_t asked_from; /* offset of the current request */
    bool is_judged;     /* the status of the final response was looked at */
    bool is_to_file;
    struct host *host; /* NULL: nothing is remembered about the server */
    int64_t *budget;   /* bytes that may come now, shared by all; NULL: no limit */
    bool is_paused;    /* until there is some again */
    bool is_probe;
    bool is_waiting; /* for the server's host; not with curl */
    bool is_heard;   /* the server has answered something */
    long status;     /* of the last response */
    unsigned tries;
    uint64_t retry_timer;
    struct dv_error error; /* set by a callback: why it ended the transfer */
    char curl_text[CURL_ERROR_SIZE];

    struct dv_cell *cell;
    int64_t told_ns;    /* when progress was told */
    int64_t tried_from; /* bytes in the file when the try began */

    /* artifact.c; NULL: a blob, and what follows is unused. */
    const struct dv_artifact_cmd *artifact;
    int64_t deadline_ns; /* of all tries together */
    char etag[256];      /* of what is in the body */
    char sha256[DV_DIGEST_SIZE];
};

/* Copies the command; the handle is ready for curl_multi_add_handle and gives the transfer back as
 * CURLINFO_PRIVATE. */
__attribute__((warn_unused_result)) int
transfer_new(const struct dv_download_cmd *command, struct transfer **ret, struct dv_error *err);
void transfer_free(struct transfer *transfer);

/* Before another try: goes on where the file ends. */
void transfer_rewind(struct transfer *transfer);

/* What curl says, about `what`; a certificate that is refused is told with the time of this
 * machine, by which it was judged. */
__attribute__((warn_unused_result)) int transfer_fail(const struct transfer *transfer,
                                                      CURLcode code,
                                                      enum dv_error_class class,
                                                      const char *what,
                                                      struct dv_error *err);

/* After curl is done: 0 with the answer in *ret (borrowed from the transfer), or why it failed. */
__attribute__((warn_unused_result)) int transfer_finish(struct transfer *transfer,
                                                        CURLcode code,
                                                        struct dv_download_result *ret,
                                                        struct dv_error *err);
/* Whether this failure may go away by trying again. */
bool transfer_may_retry(struct transfer *transfer, CURLcode code);
/* Whether the server could not be reached, or asks to be left alone. */
bool transfer_is_unreachable(const struct transfer *transfer, CURLcode code);
bool transfer_is_put_off(const struct transfer *transfer, CURLcode code);
/* Value of a header of the last response; NULL without it. */
const char *transfer_header(const struct transfer *transfer, const char *name);
