/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/downloader/artifact.h"

#include "messages/codec.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NS_PER_MS   1000000
#define PROGRESS_NS (500LL * NS_PER_MS)

static int64_t now_ns(const struct transfer *t)
{
    return dv_clock_monotonic_ns(dv_cell_clock(t->cell));
}

static bool is_http(const struct transfer *t)
{
    enum dv_artifact_protocol protocol = t->artifact->link->protocol;
    return protocol == DV_ARTIFACT_HTTP || protocol == DV_ARTIFACT_HTTPS;
}

static long status_of(const struct transfer *t)
{
    long status = 0;
    if (is_http(t))
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* Protocols without a status say by curl's code alone how it went. */
static bool is_good(const struct transfer *t, long status)
{
    return !is_http(t) || (status >= 200 && status <= 299);
}

static const char *header(const struct transfer *t, const char *name)
{
    for (size_t i = 0; i < t->header_count; i++)
        if (strcasecmp(t->headers[i].name, name) == 0)
            return t->headers[i].value;
    return NULL;
}

/* -- making it ready ------------------------------------------------------------------------ */

static void set_options(struct transfer *t)
{
    const struct dv_artifact_cmd *c = t->artifact;
    switch (c->link->protocol) {
    case DV_ARTIFACT_HTTPS:
    case DV_ARTIFACT_HTTP:
        break; /* as for blobs */
    case DV_ARTIFACT_SFTP:
        /* Without a known_hosts file curl would trust any host. */
        curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "sftp");
        curl_easy_setopt(t->easy, CURLOPT_SSH_KNOWNHOSTS, c->known_hosts);
        curl_easy_setopt(t->easy, CURLOPT_SSH_AUTH_TYPES,
                         (long)(CURLSSH_AUTH_PASSWORD | CURLSSH_AUTH_KEYBOARD));
        break;
    case DV_ARTIFACT_FTP:
        curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "ftp");
        break;
    }
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)c->total_ms);
}

int artifact_new(struct dv_cell *cell,
                 const struct dv_artifact_cmd *command,
                 struct transfer **ret,
                 struct dv_error *err)
{
    char url[2049];
    if (command->link->protocol == DV_ARTIFACT_SFTP && !command->known_hosts)
        return dv_error_set(err, DV_ERR_DENIED,
                            "%s: SFTP needs davit.software.known_hosts, to know the host by",
                            command->job);
    snprintf(url, sizeof(url), "%.*s", (int)command->link->url.len,
             (const char *)command->link->url.data);
    struct dv_download_cmd plain = {
        .url = url,
        .size = command->expected->size,
        .max_bytes = command->max_bytes,
        .root_ca = command->root_ca,
        .client_cert = command->client_cert,
        .client_key = command->client_key,
        .stall_ms = command->stall_ms,
        .job = command->job,
    };
    struct transfer *t = NULL;
    void *copy = NULL;
    int r = transfer_new(&plain, &t, err);
    if (r == 0)
        r = dv_copy(&dv_schema_artifact_cmd, command, t->arena, &copy, err);
    if (r < 0) {
        transfer_free(t);
        return r;
    }
    t->artifact = copy;
    t->cell = cell;
    t->deadline_ns = now_ns(t) + command->total_ms * NS_PER_MS;
    t->told_ns = now_ns(t); /* what is quick is not told of */
    set_options(t);
    *ret = t;
    return 0;
}

/* -- bytes ---------------------------------------------------------------------------------- */

static void tell_progress(struct transfer *t)
{
    int64_t now = now_ns(t);
    curl_off_t total = 0;
    if (now - t->told_ns < PROGRESS_NS || !t->request)
        return;
    t->told_ns = now;
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
    struct dv_artifact_progress progress = {
        .job = t->command->job,
        .bytes = (int64_t)t->body.len,
        .total = t->command->size ? t->command->size
                 : total > 0      ? t->asked_from + total
                                  : 0,
    };
    dv_post(t->cell, dv_request_reply_to(t->request), DV_KIND_artifact_progress, &progress);
}

/* Whether what comes is the rest that was asked for. */
static bool is_rest(const struct transfer *t, long status)
{
    long long first = -1;
    if (!is_http(t))
        return true;
    const char *range = header(t, "content-range");
    return status == 206 && range && sscanf(range, "bytes %lld-", &first) == 1 &&
           first == t->asked_from;
}

static size_t give_up(struct transfer *t, enum dv_error_class class, const char *text)
{
    if (t->error.class == DV_ERR_NONE)
        dv_error_set(&t->error, class, "%s: %s", t->command->job, text);
    return 0;
}

/* What If-Range needs to go on with the same content only; a weak tag does not say so much. */
static void note_tag(struct transfer *t)
{
    const char *tag = header(t, "etag");
    t->etag[0] = '\0';
    if (tag && tag[0] == '"' && strlen(tag) < sizeof(t->etag))
        snprintf(t->etag, sizeof(t->etag), "%s", tag);
}

size_t artifact_body(struct transfer *t, const char *bytes, size_t len)
{
    long status = status_of(t);
    if (!is_good(t, status))
        return len; /* an error's page: the status says enough */
    if (!t->is_judged) {
        t->is_judged = true;
        if (t->asked_from && !is_rest(t, status)) {
            dv_buf_clear(&t->body);
            t->asked_from = 0;
        }
        note_tag(t);
    }
    if (t->command->size && (int64_t)(t->body.len + len) > t->command->size)
        return give_up(t, DV_ERR_CORRUPT, "more bytes come than its size says");
    if ((int64_t)(t->body.len + len) > t->command->max_bytes)
        return give_up(t, DV_ERR_LIMIT, "it is larger than a container description may be");
    if (dv_buf_append(&t->body, bytes, len, &t->error) < 0)
        return 0;
    tell_progress(t);
    return len;
}

/* -- another try ---------------------------------------------------------------------------- */

void artifact_rewind(struct transfer *t)
{
    int64_t left_ms = (t->deadline_ns - now_ns(t)) / NS_PER_MS;
    char range[32];
    char if_range[sizeof(t->etag) + 16];
    t->header_count = 0;
    t->is_judged = false;
    t->asked_from = (int64_t)t->body.len;
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)(left_ms > 0 ? left_ms : 1));
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(t->request_headers);
    t->request_headers = NULL;
    if (!is_http(t)) {
        curl_easy_setopt(t->easy, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->asked_from);
        return;
    }
    /* Not as a resume of curl's, which fails when the server sends everything again. */
    snprintf(range, sizeof(range), "%lld-", (long long)t->asked_from);
    curl_easy_setopt(t->easy, CURLOPT_RANGE, t->asked_from ? range : NULL);
    if (t->asked_from && t->etag[0]) {
        snprintf(if_range, sizeof(if_range), "If-Range: %s", t->etag);
        t->request_headers = curl_slist_append(NULL, if_range);
    }
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->request_headers);
}

static bool is_passing_status(long status)
{
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
           status == 504;
}

static bool is_passing_code(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

bool artifact_may_retry(struct transfer *t, CURLcode code, int64_t wait_ms)
{
    if (t->error.class != DV_ERR_NONE || t->tries >= TRANSFER_TRIES_MAX ||
        now_ns(t) + wait_ms * NS_PER_MS >= t->deadline_ns)
        return false;
    if (code != CURLE_OK)
        return is_passing_code(code);
    long status = status_of(t);
    if (status == 416 && t->asked_from) {
        dv_buf_clear(&t->body); /* it became shorter meanwhile */
        return true;
    }
    return is_http(t) && is_passing_status(status);
}

/* -- the end -------------------------------------------------------------------------------- */

static enum dv_error_class class_of(CURLcode code)
{
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_LOGIN_DENIED:
    case CURLE_REMOTE_ACCESS_DENIED:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_TOO_MANY_REDIRECTS:
        return DV_ERR_DENIED;
    case CURLE_REMOTE_FILE_NOT_FOUND:
    case CURLE_FTP_COULDNT_RETR_FILE:
        return DV_ERR_NOT_FOUND;
    case CURLE_OPERATION_TIMEDOUT:
        return DV_ERR_TIMED_OUT;
    default:
        return DV_ERR_UNAVAILABLE;
    }
}

static int check_status(const struct transfer *t, struct dv_error *err)
{
    long status = status_of(t);
    if (is_good(t, status))
        return 0;
    enum dv_error_class class = status == 404 || status == 410   ? DV_ERR_NOT_FOUND
                                : status == 401 || status == 403 ? DV_ERR_DENIED
                                : is_passing_status(status)      ? DV_ERR_UNAVAILABLE
                                                                 : DV_ERR_FAILED;
    return dv_error_set(err, class, "%s: the server answers with status %ld", t->command->job,
                        status);
}

static int
check_sum(const struct transfer *t, const char *name, const char *expected, struct dv_error *err)
{
    char found[DV_DIGEST_SIZE];
    if (!expected)
        return 0;
    int r = dv_digest_hex_of(name, t->body.data, t->body.len, found, err);
    if (r == 0 && strcmp(found, expected) != 0)
        r = dv_error_set(err, DV_ERR_CORRUPT,
                         "%s checksum does not match: %s has %s, %s was promised", name,
                         t->command->job, found, expected);
    return r;
}

int artifact_finish(struct transfer *t,
                    CURLcode code,
                    struct dv_artifact_result *ret,
                    struct dv_error *err)
{
    const struct dv_artifact *expected = t->artifact->expected;
    if (t->error.class != DV_ERR_NONE) {
        *err = t->error;
        return -(int)t->error.class;
    }
    if (code != CURLE_OK)
        return transfer_fail(t, code, class_of(code), t->command->job, err);
    int r = check_status(t, err);
    if (r == 0 && expected->size && (int64_t)t->body.len != expected->size)
        r = dv_error_set(err, DV_ERR_CORRUPT, "%s: %zu bytes came, its size says %lld",
                         t->command->job, t->body.len, (long long)expected->size);
    if (r == 0)
        r = check_sum(t, "md5", expected->md5, err);
    if (r == 0)
        r = check_sum(t, "sha1", expected->sha1, err);
    if (r == 0)
        r = check_sum(t, "sha256", expected->sha256, err);
    if (r == 0)
        r = dv_digest_hex_of("sha256", t->body.data, t->body.len, t->sha256, err);
    if (r < 0)
        return r;
    *ret = (struct dv_artifact_result){
        .body = {(uint8_t *)t->body.data, t->body.len},
        .sha256 = t->sha256,
        .is_unverified = !expected->md5 && !expected->sha1 && !expected->sha256,
    };
    return 0;
}
