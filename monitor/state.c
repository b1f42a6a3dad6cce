/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/state.h"

#include "base/arena.h"
#include "base/crc32c.h"
#include "messages/catalog.h"
#include "messages/codec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC        "dvmstate"
#define MAGIC_BYTES  8U
#define HEADER_BYTES (MAGIC_BYTES + 4U)
#define FRAME_HEADER 6U
#define FRAME_MEMORY (8U << 20)
#define FDS_STEP     256U

static void put_u32(unsigned char *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get_u32(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* -- writing -------------------------------------------------------------------------------- */

void mon_state_begin(struct mon_state_writer *writer, struct dv_error *err)
{
    *writer = (struct mon_state_writer){.frames = DV_BUF_INIT(MON_STATE_BYTES), .err = err};
}

void mon_state_done(struct mon_state_writer *writer)
{
    dv_buf_done(&writer->frames);
    free(writer->fds);
    writer->fds = NULL;
}

static int put_frame(struct dv_buf *out,
                     const struct dv_schema *schema,
                     const void *body,
                     struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    unsigned char header[FRAME_HEADER];
    int r = dv_encode(schema, body, &bytes, err);
    if (r < 0)
        return r;
    put_u32(header, (uint32_t)bytes.len);
    header[4] = (unsigned char)(schema->kind & 0xFFU);
    header[5] = (unsigned char)(schema->kind >> 8);
    r = dv_buf_append(out, header, sizeof(header), err);
    return r < 0 ? r : dv_buf_append(out, bytes.data, bytes.len, err);
}

void mon_state_put(struct mon_state_writer *writer,
                   const struct dv_schema *schema,
                   const void *body)
{
    if (writer->err->class == DV_ERR_NONE &&
        put_frame(&writer->frames, schema, body, writer->err) == 0)
        writer->frame_count++;
}

int64_t mon_state_fd(struct mon_state_writer *writer, int fd)
{
    if (fd < 0 || writer->err->class != DV_ERR_NONE)
        return 0;
    if (fd <= STDERR_FILENO || fd > MON_FD_MAX) {
        dv_error_set(writer->err, DV_ERR_STATE, "descriptor %d cannot be handed over", fd);
        return 0;
    }
    if (writer->fd_count == writer->fd_room) {
        int *more = realloc(writer->fds, (writer->fd_room + FDS_STEP) * sizeof(*more));
        if (!more) {
            dv_error_set(writer->err, DV_ERR_NO_MEMORY, "no memory for the list of descriptors");
            return 0;
        }
        writer->fds = more;
        writer->fd_room += FDS_STEP;
    }
    writer->fds[writer->fd_count++] = fd;
    return fd;
}

int mon_state_encode(struct mon_state_writer *writer,
                     struct dv_monitor_state *head,
                     struct dv_buf *out,
                     struct dv_error *err)
{
    unsigned char header[HEADER_BYTES] = {0};
    size_t from = out->len;
    if (writer->err->class != DV_ERR_NONE) {
        if (err != writer->err)
            *err = *writer->err;
        return -(int)err->class;
    }
    head->version = MON_STATE_VERSION;
    head->oldest = MON_STATE_OLDEST;
    head->frames = writer->frame_count;
    int r = dv_buf_append(out, header, sizeof(header), err);
    if (r == 0)
        r = put_frame(out, &dv_schema_monitor_state, head, err);
    if (r == 0 && writer->frames.len)
        r = dv_buf_append(out, writer->frames.data, writer->frames.len, err);
    if (r < 0)
        return r;
    memcpy(out->data + from, MAGIC, MAGIC_BYTES);
    put_u32((unsigned char *)out->data + from + MAGIC_BYTES,
            dv_crc32c(0, out->data + from + HEADER_BYTES, out->len - from - HEADER_BYTES));
    return 0;
}

int mon_state_seal(const struct dv_buf *bytes, int *ret_fd, struct dv_error *err)
{
    dv_autoclose int fd = memfd_create("davit-monitor-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make a memory file for the state");
    for (size_t at = 0; at < bytes->len;) {
        ssize_t wrote = write(fd, bytes->data + at, bytes->len - at);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "write the state to a memory file");
        at += (size_t)wrote;
    }
    (void)lseek(fd, 0, SEEK_SET);
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "seal the state");
    *ret_fd = dv_steal_fd(&fd);
    return 0;
}

/* -- reading -------------------------------------------------------------------------------- */

int mon_state_take_fd(int64_t number)
{
    if (number <= STDERR_FILENO || number > MON_FD_MAX ||
        fcntl((int)number, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    return (int)number;
}

static bool is_of_a_state(uint16_t kind)
{
    return (kind >= DV_KIND_monitor_state && kind <= DV_KIND_monitor_state_output) ||
           kind == DV_KIND_container_exited;
}

static int check_head(const struct dv_monitor_state *head, struct dv_error *err)
{
    if (head->oldest <= MON_STATE_VERSION && head->version >= MON_STATE_OLDEST)
        return 0;
    return dv_error_set(err, DV_ERR_UNSUPPORTED,
                        "the state is of version %lld, readable from version %lld on; this "
                        "davit-monitor reads %d to %d",
                        (long long)head->version, (long long)head->oldest, MON_STATE_OLDEST,
                        MON_STATE_VERSION);
}

/* One frame; its length without header, or negative. */
static int64_t read_frame(const unsigned char *at,
                          size_t left,
                          struct dv_arena *arena,
                          const struct dv_schema **ret_schema,
                          void **ret,
                          struct dv_error *err)
{
    if (left < FRAME_HEADER || get_u32(at) > left - FRAME_HEADER)
        return dv_error_set(err, DV_ERR_PROTOCOL, "the state ends within a frame");
    uint32_t len = get_u32(at);
    uint16_t kind = (uint16_t)(at[4] | at[5] << 8);
    *ret_schema = is_of_a_state(kind) ? dv_schema_of_kind(kind) : NULL;
    if (!*ret_schema)
        return len;
    int r = dv_decode(*ret_schema, at + FRAME_HEADER, len, arena, ret, err);
    return r < 0 ? r : (int64_t)len;
}

static int read_frames(
    const unsigned char *bytes, size_t len, mon_state_fn *fn, void *ctx, struct dv_error *err)
{
    int64_t expected = 0;
    int64_t count = 0;
    for (size_t at = 0; at < len; count++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(FRAME_MEMORY);
        const struct dv_schema *schema = NULL;
        void *body = NULL;
        if (!arena)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a frame of the state");
        int64_t used = read_frame(bytes + at, len - at, arena, &schema, &body, err);
        if (used < 0)
            return (int)used;
        bool is_head = schema == &dv_schema_monitor_state;
        if (is_head != (count == 0))
            return dv_error_set(err, DV_ERR_PROTOCOL, "the state does not begin with its head");
        int r = is_head ? check_head(body, err) : 0;
        if (is_head)
            expected = ((const struct dv_monitor_state *)body)->frames;
        if (r == 0 && schema)
            r = fn(ctx, schema->kind, body, err);
        if (r < 0)
            return r;
        at += FRAME_HEADER + (size_t)used;
    }
    if (count != expected + 1)
        return dv_error_set(err, DV_ERR_PROTOCOL, "the state has %lld frames instead of %lld",
                            (long long)count, (long long)expected + 1);
    return 0;
}

int mon_state_read(const void *bytes, size_t len, mon_state_fn *fn, void *ctx, struct dv_error *err)
{
    const unsigned char *at = bytes;
    if (len < HEADER_BYTES || len > MON_STATE_BYTES || memcmp(at, MAGIC, MAGIC_BYTES) != 0)
        return dv_error_set(err, DV_ERR_PROTOCOL, "these %zu bytes are no state of a davit-monitor",
                            len);
    at += HEADER_BYTES;
    len -= HEADER_BYTES;
    if (get_u32(at - 4) != dv_crc32c(0, at, len))
        return dv_error_set(err, DV_ERR_PROTOCOL, "the state is damaged: its checksum is wrong");
    return read_frames(at, len, fn, ctx, err);
}

/* -- checking ------------------------------------------------------------------------------- */

struct checking {
    uint8_t *taken; /* a bit per descriptor */
    int64_t clients;
    int64_t sources;
    int64_t attached;
};

static int take_number(struct checking *c, const char *name, int64_t number, struct dv_error *err)
{
    if (number == 0)
        return 0;
    if (number <= STDERR_FILENO)
        return dv_error_set(err, DV_ERR_PROTOCOL, "%s %lld cannot be handed over", name,
                            (long long)number);
    uint8_t *byte = &c->taken[number / 8];
    uint8_t bit = (uint8_t)(1U << (number % 8));
    if (*byte & bit)
        return dv_error_set(err, DV_ERR_PROTOCOL, "%s %lld is something else already", name,
                            (long long)number);
    *byte |= bit;
    return 0;
}

static bool names_descriptor(const struct dv_field *field)
{
    size_t len = strlen(field->name);
    return field->kind == DV_FIELD_INT && len > 3 && strcmp(field->name + len - 3, "_fd") == 0;
}

static int check_descriptors(struct checking *c,
                             const struct dv_schema *schema,
                             const void *body,
                             struct dv_error *err)
{
    int r = 0;
    for (size_t i = 0; i < schema->count && r == 0; i++) {
        const struct dv_field *field = &schema->fields[i];
        const void *member = (const char *)body + field->offset;
        if (names_descriptor(field))
            r = take_number(c, field->name, *(const int64_t *)member, err);
        else if (field->kind == DV_FIELD_STRUCT && *(const void *const *)member)
            r = check_descriptors(c, field->schema, *(const void *const *)member, err);
    }
    return r;
}

static int check_frame(void *ctx, uint16_t kind, const void *body, struct dv_error *err)
{
    struct checking *c = ctx;
    int64_t named = 0;
    int64_t known = 0;
    switch (kind) {
    case DV_KIND_monitor_state_client:
        c->clients++;
        break;
    case DV_KIND_monitor_state_launch:
        named = ((const struct dv_monitor_state_launch *)body)->client;
        known = c->clients;
        break;
    case DV_KIND_monitor_state_source:
        c->sources++;
        break;
    case DV_KIND_monitor_state_attached:
        named = ((const struct dv_monitor_state_attached *)body)->source;
        known = c->sources;
        c->attached++;
        break;
    case DV_KIND_monitor_state_output:
        if (!c->attached)
            return dv_error_set(err, DV_ERR_PROTOCOL,
                                "output waits for a client that is not there");
        break;
    default:
        break;
    }
    const struct dv_schema *schema = dv_schema_of_kind(kind);
    if (named > known)
        return dv_error_set(err, DV_ERR_PROTOCOL, "%s names number %lld of %lld", schema->name,
                            (long long)named, (long long)known);
    return check_descriptors(c, schema, body, err);
}

int mon_state_check(const void *bytes, size_t len, struct dv_error *err)
{
    dv_autofree uint8_t *taken = calloc(1, MON_FD_MAX / 8 + 1);
    struct checking checking = {.taken = taken};
    if (!taken)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to check the state");
    return mon_state_read(bytes, len, check_frame, &checking, err);
}

/* -- files ---------------------------------------------------------------------------------- */

int mon_state_map(int fd, const void **ret, size_t *ret_len, struct dv_error *err)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "read the state from descriptor %d", fd);
    if (info.st_size < (off_t)HEADER_BYTES || info.st_size > (off_t)MON_STATE_BYTES)
        return dv_error_set(err, DV_ERR_PROTOCOL, "%lld bytes in descriptor %d are no state",
                            (long long)info.st_size, fd);
    void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return dv_error_sys(err, DV_ERR_IO, errno, "read the state from descriptor %d", fd);
    *ret = bytes;
    *ret_len = (size_t)info.st_size;
    return 0;
}

void mon_state_unmap(const void *bytes, size_t len)
{
    (void)munmap((void *)bytes, len);
}
