/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/meter/figures.h"

#define SECTOR_BYTES 512
#define KB_BYTES     1024
#define CPU_FIELDS   8U /* user nice system idle iowait irq softirq steal */
#define CPU_IDLE     3U
#define CPU_IOWAIT   4U

/* Splits off the next word. False at the end. */
static bool next_word(struct dv_str *text, struct dv_str *ret)
{
    size_t start = 0;
    while (start < text->len && (text->data[start] == ' ' || text->data[start] == '\t'))
        start++;
    size_t end = start;
    while (end < text->len && text->data[end] != ' ' && text->data[end] != '\t' &&
           text->data[end] != '\n')
        end++;
    *ret = (struct dv_str){text->data + start, end - start};
    *text = (struct dv_str){text->data + end, text->len - end};
    return ret->len > 0;
}

static bool next_number(struct dv_str *text, int64_t *ret)
{
    struct dv_str word;
    return next_word(text, &word) && dv_str_to_i64(word, 0, INT64_MAX, ret, NULL) == 0;
}

static bool skip_words(struct dv_str *text, unsigned count)
{
    struct dv_str word;
    while (count-- > 0)
        if (!next_word(text, &word))
            return false;
    return true;
}

static void add(int64_t *sum, int64_t value)
{
    if (__builtin_add_overflow(*sum, value, sum))
        *sum = INT64_MAX;
}

static bool scale(int64_t value, int64_t unit, int64_t *ret)
{
    int64_t bytes;
    if (__builtin_mul_overflow(value, unit, &bytes))
        return false;
    *ret = bytes;
    return true;
}

bool dv_meter_cpu(struct dv_str text, int64_t *ret_busy, int64_t *ret_total)
{
    struct dv_str line;
    struct dv_str rest;
    struct dv_str word;
    int64_t total = 0;
    int64_t busy = 0;
    (void)dv_str_cut(text, '\n', &line, &rest);
    if (!next_word(&line, &word) || !dv_str_eq(word, "cpu"))
        return false;
    for (unsigned i = 0; i < CPU_FIELDS; i++) {
        int64_t ticks;
        if (!next_number(&line, &ticks))
            return false;
        add(&total, ticks);
        if (i != CPU_IDLE && i != CPU_IOWAIT)
            add(&busy, ticks);
    }
    *ret_busy = busy;
    *ret_total = total;
    return true;
}

static bool memory_of(struct dv_str text, const char *key, int64_t *ret)
{
    struct dv_str line;
    while (text.len) {
        struct dv_str word;
        int64_t kb;
        (void)dv_str_cut(text, '\n', &line, &text);
        if (next_word(&line, &word) && dv_str_eq(word, key))
            return next_number(&line, &kb) && scale(kb, KB_BYTES, ret);
    }
    return false;
}

bool dv_meter_memory(struct dv_str text, int64_t *ret_used, int64_t *ret_total)
{
    int64_t total;
    int64_t available;
    if (!memory_of(text, "MemTotal:", &total) || !memory_of(text, "MemAvailable:", &available))
        return false;
    *ret_used = total > available ? total - available : 0;
    *ret_total = total;
    return true;
}

bool dv_meter_tasks(struct dv_str text, int64_t *ret)
{
    struct dv_str running;
    struct dv_str all;
    struct dv_str word;
    return skip_words(&text, 3) && next_word(&text, &word) &&
           dv_str_cut(word, '/', &running, &all) &&
           dv_str_to_i64(all, 0, INT64_MAX, ret, NULL) == 0;
}

bool dv_meter_disk(struct dv_str line,
                   struct dv_str *ret_name,
                   int64_t *ret_read,
                   int64_t *ret_write)
{
    struct dv_str name;
    int64_t read;
    int64_t write;
    /* major minor name, reads merged SECTORS ms, writes merged SECTORS ms ... */
    if (!skip_words(&line, 2) || !next_word(&line, &name) || !skip_words(&line, 2) ||
        !next_number(&line, &read) || !skip_words(&line, 3) || !next_number(&line, &write) ||
        !scale(read, SECTOR_BYTES, &read) || !scale(write, SECTOR_BYTES, &write))
        return false;
    *ret_name = name;
    *ret_read = read;
    *ret_write = write;
    return true;
}

void dv_meter_add_net(struct dv_str line, int64_t *received, int64_t *sent)
{
    struct dv_str head;
    struct dv_str counts;
    struct dv_str name;
    int64_t in;
    int64_t out;
    if (!dv_str_cut(line, ':', &head, &counts) || !next_word(&head, &name) ||
        dv_str_eq(name, "lo") || !next_number(&counts, &in) || !skip_words(&counts, 7) ||
        !next_number(&counts, &out))
        return;
    add(received, in);
    add(sent, out);
}
