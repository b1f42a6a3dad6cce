/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/downloader/transfer.h"

#include "actors/downloader/artifact.h"
#include "base/clock.h"
#include "messages/codec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_MAX         (4U << 20)
#define MEMORY_BODY_MAX   (1U << 20)
#define REDIRECTS_MAX     10L
#define OPEN_TRIES        100 /* of a file that others lock or take away */
#define CONNECT_TIMEOUT_S 30L
#define RECEIVE_BYTES     (256L << 10)
#define PROGRESS_NS       1000000000LL
#define PROGRESS_LEAST    65536 /* bytes that make a try count as one that went well */
#define SLOWEST_RATE      64L   /* bytes a second, over the time of a stall */
#define DOCUMENT_STALLS   2     /* a document must be here within so many of these times */

/* Ends the transfer from a callback of curl. */
static size_t give_up(struct transfer *t, enum dv_error_class class, const char *text)
{
    t->is_kept = false;
    if (t->error.class == DV_ERR_NONE)
        dv_error_set(&t->error, class, "%s: %s", t->command->job, text);
    return 0;
}

/* -- what curl hands over ------------------------------------------------------------------- */

static bool is_success(long status)
{
    return status >= 200 && status <= 299;
}

const char *transfer_header(const struct transfer *t, const char *name)
{
    for (size_t i = 0; i < t->header_count; i++)
        if (strcasecmp(t->headers[i].name, name) == 0)
            return t->headers[i].value;
    return NULL;
}

/* Whether what comes is the rest that was asked for. */
static bool is_rest(const struct transfer *t)
{
    long long first = -1;
    const char *range = transfer_header(t, "content-range");
    return range && sscanf(range, "bytes %lld-", &first) == 1 && first == t->asked_from;
}

/* From the first byte. */
static bool empty_file(struct transfer *t)
{
    if (ftruncate(t->fd, 0) < 0 || lseek(t->fd, 0, SEEK_SET) < 0)
        return false;
    t->stored = 0;
    t->is_resumed = false;
    dv_digest_sum_free(t->sum);
    t->sum = NULL;
    return !t->command->digest || dv_digest_sum_new(t->command->digest, &t->sum, &t->error) == 0;
}

/* A server that ignores the range sends everything again. */
static bool begin_anew(struct transfer *t, long status)
{
    if (status == 206)
        return is_rest(t);
    return t->asked_from == 0 || empty_file(t);
}

static bool judge(struct transfer *t)
{
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    t->is_judged = true;
    t->is_to_file = t->command->file && is_success(status);
    return !t->is_to_file || begin_anew(t, status);
}

static void tell_progress(struct transfer *t)
{
    if (!t->cell || !t->request || !t->command->digest)
        return;
    int64_t now_ns = dv_clock_monotonic_ns(dv_cell_clock(t->cell));
    if (now_ns - t->told_ns < PROGRESS_NS)
        return;
    t->told_ns = now_ns;
    struct dv_download_progress progress = {.digest = t->command->digest, .bytes = t->stored};
    dv_post(t->cell, dv_request_reply_to(t->request), DV_KIND_download_progress, &progress);
}

static bool store(struct transfer *t, const char *bytes, size_t len)
{
    tell_progress(t);
    while (len) {
        ssize_t wrote = write(t->fd, bytes, len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            t->is_kept = false; /* a full disk wants the room back */
            if (t->error.class == DV_ERR_NONE)
                dv_error_sys(&t->error, DV_ERR_IO, errno, "write '%s'", t->command->file);
            return false;
        }
        if (t->sum)
            dv_digest_sum_add(t->sum, bytes, (size_t)wrote);
        t->stored += wrote;
        bytes += wrote;
        len -= (size_t)wrote;
    }
    return true;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    size_t len = size * count;
    if (t->artifact)
        return artifact_body(t, bytes, len);
    if (!t->is_judged && !judge(t))
        return give_up(t, DV_ERR_IO,
                       "the server sends another part than asked for, or the file "
                       "cannot be begun anew");
    if (t->is_to_file && t->budget && *t->budget <= 0) {
        t->is_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (t->is_to_file) {
        if (t->budget)
            *t->budget -= (int64_t)len;
        int64_t limit = t->command->size ? t->command->size : t->command->max_bytes;
        if ((int64_t)len > limit - t->stored)
            return give_up(t, DV_ERR_CORRUPT, "more bytes come than were promised");
        return store(t, bytes, len) ? len : 0;
    }
    if (t->body.len + len > (size_t)t->command->max_bytes || t->body.len + len > MEMORY_BODY_MAX)
        return give_up(t, DV_ERR_LIMIT, "the answer is larger than allowed");
    return dv_buf_append(&t->body, bytes, len, &t->error) < 0 ? 0 : len;
}

static void add_header(struct transfer *t, struct dv_str name, struct dv_str value)
{
    if (t->header_count == TRANSFER_HEADERS_MAX || name.len == 0 || name.len > 256 ||
        value.len > 16384 || !dv_str_is_utf8(name) || !dv_str_is_utf8(value))
        return;
    char *own_name = dv_arena_strndup(t->arena, name.data, name.len);
    char *own_value = dv_arena_strndup(t->arena, value.data, value.len);
    if (own_name && own_value)
        t->headers[t->header_count++] =
            (struct dv_http_header){.name = own_name, .value = own_value};
}

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    struct dv_str line = {bytes, size * count};
    while (line.len && strchr("\r\n", line.data[line.len - 1]))
        line.len--;
    if (dv_str_starts_with(line, "HTTP/")) {
        t->header_count = 0; /* those before were of an earlier response in a chain of redirects */
        t->is_judged = false;
        t->is_heard = true;
        return size * count;
    }
    struct dv_str name;
    struct dv_str value;
    if (dv_str_cut(line, ':', &name, &value)) {
        while (value.len && (value.data[0] == ' ' || value.data[0] == '\t')) {
            value.data++;
            value.len--;
        }
        add_header(t, name, value);
    }
    return size * count;
}

/* -- making it ready ------------------------------------------------------------------------ */

/* Only when the address begins with a scheme and exactly that host[:port]. */
static bool may_see_secret(const struct dv_download_cmd *command)
{
    const char *start = strstr(command->url, "://");
    if (!command->secret_host || !start)
        return false;
    start += 3;
    size_t len = strcspn(start, "/?#");
    return len == strlen(command->secret_host) &&
           strncasecmp(start, command->secret_host, len) == 0;
}

static int append_header(struct transfer *t, const char *name, const char *value)
{
    char line[17000];
    int used = snprintf(line, sizeof(line), "%s: %s", name, value);
    if (used < 0 || (size_t)used >= sizeof(line) || strpbrk(line, "\r\n"))
        return -DV_ERR_INVALID;
    struct curl_slist *more = curl_slist_append(t->request_headers, line);
    if (!more)
        return -DV_ERR_NO_MEMORY;
    t->request_headers = more;
    return 0;
}

static int set_headers(struct transfer *t, struct dv_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < t->command->headers.count; i++)
        r = append_header(t, t->command->headers.items[i].name, t->command->headers.items[i].value);
    if (r == 0 && t->command->authorization.len && may_see_secret(t->command)) {
        char *secret = dv_arena_strndup(t->arena, (const char *)t->command->authorization.data,
                                        t->command->authorization.len);
        r = secret ? append_header(t, "Authorization", secret) : -DV_ERR_NO_MEMORY;
    }
    if (r < 0)
        return dv_error_set(err, DV_ERR_INVALID, "%s: a header cannot be sent", t->command->job);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->request_headers);
    return 0;
}

static void set_options(struct transfer *t)
{
    const struct dv_download_cmd *c = t->command;
    bool is_https = strncasecmp(c->url, "https:", 6) == 0;
    curl_easy_setopt(t->easy, CURLOPT_URL, c->url);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->curl_text);
    curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "davit");
    curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(t->easy, CURLOPT_REDIR_PROTOCOLS_STR, is_https ? "https" : "http,https");
    curl_easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(t->easy, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(t->easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (c->form.len && may_see_secret(c)) {
        curl_easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION, 0L); /* the form is for this host only */
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->form.len);
        curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, (const char *)c->form.data);
    }
    if (c->stall_ms) {
        curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_LIMIT, c->file ? SLOWEST_RATE : 1L);
        curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_TIME, (long)((c->stall_ms + 999) / 1000));
    }
    /* One that drips must not hold a pull for ever. */
    if (c->stall_ms && !c->file)
        curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)(c->stall_ms * DOCUMENT_STALLS));
    if (c->is_unverified) {
        curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (c->client_cert && c->client_key) {
        curl_easy_setopt(t->easy, CURLOPT_SSLCERT, c->client_cert);
        curl_easy_setopt(t->easy, CURLOPT_SSLKEY, c->client_key);
    }
    /* The system's authorities stay in CURLOPT_CAPATH, so those of the file come on top. */
    if (c->root_ca)
        curl_easy_setopt(t->easy, CURLOPT_CAINFO, c->root_ca);
}

/* Not as a resume of curl's, which fails when the server sends everything again. */
static void set_range(struct transfer *t)
{
    char range[32];
    t->asked_from = t->tried_from = t->stored;
    snprintf(range, sizeof(range), "%lld-", (long long)t->asked_from);
    curl_easy_setopt(t->easy, CURLOPT_RANGE, t->asked_from ? range : NULL);
}

/* The lock says that it is in use: a collection passes by. One that had the lock a moment ago may
 * have taken the file away, which shows in the number of its names. Negative with errno. */
static int open_locked(struct transfer *t, int flags)
{
    struct stat info;
    for (unsigned i = 0; i < OPEN_TRIES; i++) {
        t->fd = open(t->aside, flags, 0600);
        if (t->fd < 0)
            return -1;
        bool is_ours = flock(t->fd, LOCK_EX | LOCK_NB) == 0;
        int saved = is_ours ? ENOENT : errno;
        if (is_ours && fstat(t->fd, &info) == 0 && info.st_nlink > 0)
            return 0;
        dv_close(&t->fd);
        errno = saved;
        if (!is_ours)
            return -1;
    }
    return -1;
}

/* The one that others may go on with has the name <file>.part and a lock. */
static int open_aside(struct transfer *t, struct dv_error *err)
{
    static uint64_t serial; /* of the one thread that downloads */
    int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    int used = snprintf(t->aside, sizeof(t->aside), "%s.part", t->command->file);
    if (used < 0 || (size_t)used + 24 >= sizeof(t->aside))
        return dv_error_set(err, DV_ERR_LIMIT, "'%s' is too long", t->command->file);
    if (t->command->digest && open_locked(t, flags) == 0) {
        t->is_kept = true;
        return 0;
    }
    /* Two pulls of one layer from different hosts name one file; neither may wait for the other. */
    for (unsigned i = 0; i < OPEN_TRIES; i++) {
        snprintf(t->aside, sizeof(t->aside), "%s.%llu", t->command->file,
                 (unsigned long long)++serial);
        if (open_locked(t, flags | O_TRUNC) == 0)
            return 0;
    }
    return dv_error_sys(err, DV_ERR_IO, errno, "create '%s'", t->aside);
}

static int open_file(struct transfer *t, struct dv_error *err)
{
    struct stat info;
    int r = open_aside(t, err);
    if (r < 0)
        return r;
    if (fstat(t->fd, &info) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "'%s'", t->aside);
    if (t->is_kept && info.st_size > 0 && info.st_size < t->command->size &&
        lseek(t->fd, 0, SEEK_END) == info.st_size) {
        t->stored = info.st_size;
        t->is_resumed = true;
        return 0;
    }
    if (ftruncate(t->fd, 0) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "'%s'", t->aside);
    return t->command->digest ? dv_digest_sum_new(t->command->digest, &t->sum, err) : 0;
}

int transfer_new(const struct dv_download_cmd *command, struct transfer **ret, struct dv_error *err)
{
    struct transfer *t = calloc(1, sizeof(*t));
    if (!t)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a download");
    t->fd = -1;
    t->body = DV_BUF_INIT(MEMORY_BODY_MAX);
    t->arena = dv_arena_new(ARENA_MAX);
    t->easy = curl_easy_init();
    void *copy = NULL;
    int r = t->arena && t->easy ? dv_copy(&dv_schema_download_cmd, command, t->arena, &copy, err)
                                : dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a download");
    if (r == 0) {
        t->command = copy;
        r = set_headers(t, err);
    }
    if (r == 0 && t->command->file)
        r = open_file(t, err);
    if (r < 0) {
        transfer_free(t);
        return r;
    }
    set_options(t);
    if (t->command->file)
        set_range(t);
    *ret = t;
    return 0;
}

void transfer_free(struct transfer *t)
{
    if (!t)
        return;
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->request_headers);
    dv_digest_sum_free(t->sum);
    if (t->fd >= 0 && !(t->is_kept && t->stored > 0))
        (void)unlink(t->aside); /* gone already when it has become the file */
    dv_close(&t->fd);
    dv_buf_done(&t->body);
    dv_arena_free(t->arena);
    free(t);
}

void transfer_rewind(struct transfer *t)
{
    t->header_count = 0;
    t->is_judged = false;
    dv_buf_clear(&t->body);
    t->error = DV_ERROR_INIT;
    t->is_heard = false;
    t->is_paused = false;
    if (t->command->file)
        set_range(t);
}

/* -- the end -------------------------------------------------------------------------------- */

bool transfer_is_unreachable(const struct transfer *t, CURLcode code)
{
    if (t->is_heard || t->error.class != DV_ERR_NONE)
        return false;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return true;
    default:
        return false;
    }
}

bool transfer_is_put_off(const struct transfer *t, CURLcode code)
{
    return code == CURLE_OK && t->tries < TRANSFER_TRIES_MAX &&
           (t->status == 429 || t->status == 500 || t->status == 502 || t->status == 503 ||
            t->status == 504);
}

bool transfer_may_retry(struct transfer *t, CURLcode code)
{
    /* A link that breaks every minute brings a large layer in many tries. */
    if (t->stored - t->tried_from >= PROGRESS_LEAST)
        t->tries = 0;
    if (t->error.class != DV_ERR_NONE || t->tries >= TRANSFER_TRIES_MAX)
        return false;
    if (code == CURLE_OK && t->status == 416 && t->asked_from > 0)
        return empty_file(t); /* what an earlier transfer left is not of this blob */
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        /* A connection that never worked is the asker's to judge: it may try another way. */
        return t->stored > 0;
    case CURLE_OPERATION_TIMEDOUT:
        return t->stored > t->tried_from; /* some connections die without a word */
    default:
        return false;
    }
}

static int check_file(struct transfer *t, struct dv_error *err)
{
    t->is_kept = false;
    if (t->command->size && t->stored != t->command->size)
        return dv_error_set(err, DV_ERR_CORRUPT, "%s: %lld bytes came, %lld were promised",
                            t->command->job, (long long)t->stored, (long long)t->command->size);
    int r = t->sum ? dv_digest_sum_check(t->sum, err) : 0;
    if (r < 0)
        return dv_error_prefix(err, "%s: ", t->command->job);
    if (rename(t->aside, t->command->file) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "rename '%s'", t->aside);
    return 0;
}

int transfer_fail(const struct transfer *t,
                  CURLcode code,
                  enum dv_error_class class,
                  const char *what,
                  struct dv_error *err)
{
    const char *text = t->curl_text[0] ? t->curl_text : curl_easy_strerror(code);
    char told[DV_TIME_TOLD_SIZE];
    if (code != CURLE_PEER_FAILED_VERIFICATION)
        return dv_error_set(err, class, "%s: %s", what, text);
    return dv_error_set(err, class, "%s: %s (%s)", what, text,
                        dv_time_tell(dv_clock_wall_ns(dv_cell_clock(t->cell)), told));
}

int transfer_finish(struct transfer *t,
                    CURLcode code,
                    struct dv_download_result *ret,
                    struct dv_error *err)
{
    if (t->error.class != DV_ERR_NONE) {
        *err = t->error;
        return -(int)t->error.class;
    }
    if (code != CURLE_OK)
        return transfer_fail(
            t, code, code == CURLE_OPERATION_TIMEDOUT ? DV_ERR_TIMED_OUT : DV_ERR_UNAVAILABLE,
            t->command->url, err);
    long status = 0;
    char *url = NULL;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
    bool is_file = t->command->file && is_success(status);
    int r = is_file ? check_file(t, err) : 0;
    if (r < 0)
        return r;
    *ret = (struct dv_download_result){
        .status = status,
        .headers = {t->headers, t->header_count},
        .body = {(uint8_t *)t->body.data, t->body.len},
        .bytes = t->command->file ? t->stored : 0,
        .is_unverified = is_file && t->is_resumed,
        .url = url && dv_str_is_utf8(dv_str_of(url)) ? url : NULL,
    };
    return 0;
}
