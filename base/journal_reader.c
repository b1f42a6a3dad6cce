/* SPDX-License-Identifier: Apache-2.0 */
#include "base/journal_reader.h"

#include "base/crc32c.h"

#include <stdlib.h>

size_t dv_journal_entry_size(size_t len)
{
    return sizeof(struct dv_journal_entry_header) + (len + 7) / 8 * 8;
}

uint32_t dv_journal_entry_crc(const struct dv_journal_entry_header *header, const void *payload)
{
    const char *start = (const char *)header + sizeof(header->crc);
    uint32_t crc = dv_crc32c(0, start, sizeof(*header) - sizeof(header->crc));
    return dv_crc32c(crc, payload, header->len);
}

enum reading {
    READING_END,
    READING_ENTRY,
    READING_DAMAGE,
};

static int make_room(struct dv_journal_reader *reader, size_t len, struct dv_error *err)
{
    if (len <= reader->room)
        return 0;
    void *grown = realloc(reader->payload, len);
    if (!grown)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a journal entry of %zu bytes",
                            len);
    reader->payload = grown;
    reader->room = len;
    return 0;
}

int dv_journal_read_failed(int r, struct dv_error *err)
{
    return dv_error_sys(err, DV_ERR_IO, -r, "read the journal");
}

/* The entry at reader->at, which stays there. */
static int read_entry(struct dv_journal_reader *reader,
                      struct dv_journal_entry_header *ret,
                      enum reading *ret_reading,
                      struct dv_error *err)
{
    *ret_reading = READING_END;
    if (reader->at + sizeof(*ret) > reader->end)
        return 0;
    int r = reader->files->read(reader->files->ctx, reader->fd, reader->at, ret, sizeof(*ret));
    if (r < 0)
        return dv_journal_read_failed(r, err);
    if ((size_t)r < sizeof(*ret) || (ret->len == 0 && ret->crc == 0 && ret->sequence == 0))
        return 0;
    *ret_reading = READING_DAMAGE;
    if (ret->len > DV_JOURNAL_ENTRY_MAX || ret->sequence <= reader->last ||
        dv_journal_entry_size(ret->len) > reader->end - reader->at)
        return 0;
    r = make_room(reader, ret->len ? ret->len : 1, err);
    if (r < 0)
        return r;
    r = reader->files->read(reader->files->ctx, reader->fd, reader->at + sizeof(*ret),
                            reader->payload, ret->len);
    if (r < 0)
        return dv_journal_read_failed(r, err);
    if ((size_t)r == ret->len && dv_journal_entry_crc(ret, reader->payload) == ret->crc)
        *ret_reading = reader->until && ret->sequence > reader->until ? READING_END : READING_ENTRY;
    return 0;
}

/* Moves to the next readable entry behind damage; to the end if there is none. */
static int skip_damage(struct dv_journal_reader *reader, struct dv_error *err)
{
    for (reader->at += 8; reader->at < reader->end; reader->at += 8) {
        struct dv_journal_entry_header header;
        enum reading reading;
        int r = read_entry(reader, &header, &reading, err);
        if (r < 0 || reading == READING_ENTRY)
            return r;
    }
    return 0;
}

int dv_journal_read(struct dv_journal_reader *reader,
                    uint64_t after,
                    dv_journal_fn *fn,
                    void *ctx,
                    uint64_t *ret_end,
                    uint64_t *ret_damaged,
                    struct dv_error *err)
{
    *ret_end = reader->at;
    *ret_damaged = 0;
    for (;;) {
        struct dv_journal_entry_header header;
        enum reading reading;
        int r = read_entry(reader, &header, &reading, err);
        if (r < 0)
            return r;
        if (reading == READING_END)
            return 0;
        if (reading == READING_DAMAGE) {
            uint64_t start = reader->at;
            r = skip_damage(reader, err);
            if (r < 0)
                return r;
            if (reader->at >= reader->end)
                return 0; /* a torn tail */
            *ret_damaged += reader->at - start;
            continue;
        }
        reader->at += dv_journal_entry_size(header.len);
        reader->last = header.sequence;
        *ret_end = reader->at;
        if (header.sequence <= after || !fn)
            continue;
        struct dv_journal_entry entry = {header.sequence, header.kind, reader->payload, header.len};
        r = fn(ctx, &entry, err);
        if (r < 0)
            return r;
    }
}
