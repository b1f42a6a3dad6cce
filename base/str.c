/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <ctype.h>
#include <stdlib.h>

/* Longer texts are no typing errors of a key. */
#define NEAREST_TEXT_MAX 64

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool dv_str_eq(struct dv_str a, const char *b)
{
    return strlen(b) == a.len && (a.len == 0 || memcmp(a.data, b, a.len) == 0);
}

bool dv_str_ieq(struct dv_str a, const char *b)
{
    if (strlen(b) != a.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.data[i]) != lower(b[i]))
            return false;
    return true;
}

bool dv_str_starts_with(struct dv_str a, const char *prefix)
{
    size_t len = strlen(prefix);
    return a.len >= len && (len == 0 || memcmp(a.data, prefix, len) == 0);
}

/* Length of the well-formed sequence at p (Unicode 15, table 3-7), 0 if malformed. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t need = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (p[0] >= 0xC2 && p[0] <= 0xDF) {
        need = 2;
    } else if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        need = 3;
        if (p[0] == 0xE0)
            low = 0xA0;
        if (p[0] == 0xED)
            high = 0x9F;
    } else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        need = 4;
        if (p[0] == 0xF0)
            low = 0x90;
        if (p[0] == 0xF4)
            high = 0x8F;
    }
    if (need == 0 || left < need || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if (p[i] < 0x80 || p[i] > 0xBF)
            return 0;
    return need;
}

bool dv_str_is_utf8(struct dv_str a)
{
    const unsigned char *p = (const unsigned char *)a.data;
    size_t at = 0;
    while (at < a.len) {
        size_t step = utf8_sequence(p + at, a.len - at);
        if (!step)
            return false;
        at += step;
    }
    return true;
}

char *dv_str_mend(char *text)
{
    size_t len = text ? strlen(text) : 0;
    size_t to = 0;
    for (size_t at = 0; at < len;) {
        const unsigned char *p = (const unsigned char *)text + at;
        size_t step = utf8_sequence(p, len - at);
        bool is_lead = !step && p[0] >= 0xC2 && p[0] <= 0xF4;
        if (step) {
            memmove(text + to, text + at, step);
            to += step;
        } else if (!is_lead) {
            text[to++] = '?';
        }
        at += step ? step : 1;
        while (is_lead && at < len && ((unsigned char)text[at] & 0xC0U) == 0x80U)
            at++;
    }
    if (text)
        text[to] = '\0';
    return text;
}

bool dv_str_cut(struct dv_str text, char separator, struct dv_str *head, struct dv_str *tail)
{
    const char *at = text.len ? memchr(text.data, separator, text.len) : NULL;
    if (!at) {
        *head = text;
        *tail = (struct dv_str){NULL, 0};
        return false;
    }
    *head = (struct dv_str){text.data, (size_t)(at - text.data)};
    *tail = (struct dv_str){at + 1, text.len - head->len - 1};
    return true;
}

char *dv_str_dup(struct dv_str text)
{
    char *copy = malloc(text.len + 1);
    if (!copy)
        return NULL;
    if (text.len)
        memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return copy;
}

int dv_str_to_i64(struct dv_str text, int64_t min, int64_t max, int64_t *ret, struct dv_error *err)
{
    size_t at = 0;
    bool is_negative = text.len && text.data[0] == '-';
    if (is_negative)
        at++;
    bool is_valid = at < text.len;
    int64_t value = 0;
    for (; is_valid && at < text.len; at++) {
        char c = text.data[at];
        /* Built up negatively: INT64_MIN has no positive counterpart. */
        is_valid = c >= '0' && c <= '9' && !__builtin_mul_overflow(value, 10, &value) &&
                   !__builtin_sub_overflow(value, c - '0', &value);
    }
    if (is_valid && !is_negative)
        is_valid = !__builtin_sub_overflow((int64_t)0, value, &value);
    if (!is_valid || value < min || value > max)
        return dv_error_set(err, DV_ERR_INVALID, "'%.*s' is not a whole number (%lld..%lld)",
                            DV_STR_ARG(text), (long long)min, (long long)max);
    *ret = value;
    return 0;
}

/* A decimal number with optional fraction at text[*at]; the fraction as value/scale. */
struct decimal {
    uint64_t whole;
    uint64_t fraction;
    uint64_t scale;
};

static bool take_decimal(struct dv_str text, size_t *at, struct decimal *ret)
{
    size_t digits = 0;
    *ret = (struct decimal){0, 0, 1};
    for (; *at < text.len && isdigit((unsigned char)text.data[*at]); (*at)++, digits++) {
        uint64_t digit = (uint64_t)(text.data[*at] - '0');
        if (__builtin_mul_overflow(ret->whole, 10U, &ret->whole) ||
            __builtin_add_overflow(ret->whole, digit, &ret->whole))
            return false;
    }
    if (*at < text.len && text.data[*at] == '.') {
        (*at)++;
        for (; *at < text.len && isdigit((unsigned char)text.data[*at]); (*at)++, digits++) {
            if (ret->scale >= 1000000000000000U)
                continue; /* digits beyond a femto unit cannot change the result */
            ret->fraction = ret->fraction * 10 + (uint64_t)(text.data[*at] - '0');
            ret->scale *= 10;
        }
    }
    return digits > 0;
}

static bool scale_decimal(struct decimal number, uint64_t unit, uint64_t *ret)
{
    __extension__ typedef unsigned __int128 wide;
    wide value = (wide)number.whole * unit + (wide)number.fraction * unit / number.scale;
    if (value > (wide)1 << 63)
        return false;
    *ret = (uint64_t)value;
    return true;
}

static bool take_duration_unit(struct dv_str text, size_t *at, uint64_t *ret_ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        /* Longer names first: "m" is a prefix of "ms". */
        {"ns", 1},       {"us", 1000},      {"\u00b5s", 1000},  {"\u03bcs", 1000},
        {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000},
    };
    struct dv_str rest = {text.data + *at, text.len - *at};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!dv_str_starts_with(rest, units[i].name))
            continue;
        *at += strlen(units[i].name);
        *ret_ns = units[i].ns;
        return true;
    }
    return false;
}

static bool parse_duration(struct dv_str text, int64_t *ret_ns)
{
    size_t at = 0;
    bool is_negative = text.len && text.data[0] == '-';
    if (text.len && (text.data[0] == '-' || text.data[0] == '+'))
        at++;
    if (text.len == at + 1 && text.data[at] == '0') {
        *ret_ns = 0;
        return true;
    }
    if (at >= text.len)
        return false;
    uint64_t total = 0;
    while (at < text.len) {
        struct decimal number;
        uint64_t unit;
        uint64_t part;
        if (!take_decimal(text, &at, &number) || !take_duration_unit(text, &at, &unit) ||
            !scale_decimal(number, unit, &part) || __builtin_add_overflow(total, part, &total))
            return false;
    }
    if (total > (uint64_t)INT64_MAX)
        return false;
    *ret_ns = is_negative ? -(int64_t)total : (int64_t)total;
    return true;
}

int dv_str_to_duration_ns(struct dv_str text, int64_t *ret_ns, struct dv_error *err)
{
    int64_t value;
    if (!parse_duration(text, &value))
        return dv_error_set(err, DV_ERR_INVALID,
                            "'%.*s' is not a duration (like 1m30s, 1.5s or 250ms)",
                            DV_STR_ARG(text));
    *ret_ns = value;
    return 0;
}

static bool parse_size(struct dv_str text, int64_t *ret)
{
    size_t at = 0;
    struct decimal number;
    if (!text.len || !isdigit((unsigned char)text.data[0]) || !take_decimal(text, &at, &number) ||
        text.data[at - 1] == '.')
        return false;
    if (at + 1 < text.len && text.data[at] == ' ')
        at++;
    uint64_t unit = 1;
    if (at < text.len) {
        switch (lower(text.data[at])) {
        case 'b':
            break;
        case 'k':
            unit = 1ULL << 10;
            break;
        case 'm':
            unit = 1ULL << 20;
            break;
        case 'g':
            unit = 1ULL << 30;
            break;
        default:
            return false;
        }
        at++;
    }
    uint64_t bytes;
    if (at != text.len || !scale_decimal(number, unit, &bytes) || bytes > (uint64_t)INT64_MAX)
        return false;
    *ret = (int64_t)bytes;
    return true;
}

int dv_str_to_size(struct dv_str text, int64_t *ret_bytes, struct dv_error *err)
{
    if (!parse_size(text, ret_bytes))
        return dv_error_set(err, DV_ERR_INVALID,
                            "'%.*s' is not a size (a number with an optional unit B, K, M or G)",
                            DV_STR_ARG(text));
    return 0;
}

/* Levenshtein distance without regard to case; both texts are short. */
static size_t distance(struct dv_str a, struct dv_str b)
{
    size_t row[NEAREST_TEXT_MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 0; i < a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b.len; j++) {
            size_t change = diagonal + (lower(a.data[i]) != lower(b.data[j]));
            size_t best = row[j] < row[j + 1] ? row[j] + 1 : row[j + 1] + 1;
            diagonal = row[j + 1];
            row[j + 1] = change < best ? change : best;
        }
    }
    return row[b.len];
}

const char *
dv_str_nearest(struct dv_str text, const char *(*candidate)(size_t index, void *ctx), void *ctx)
{
    if (text.len > NEAREST_TEXT_MAX)
        return NULL;
    const char *best = NULL;
    size_t best_distance = text.len / 3 + 2;
    const char *name;
    for (size_t i = 0; (name = candidate(i, ctx)) != NULL; i++) {
        struct dv_str other = dv_str_of(name);
        if (other.len > NEAREST_TEXT_MAX)
            continue;
        size_t d = distance(text, other);
        if (d < best_distance) {
            best_distance = d;
            best = name;
        }
    }
    return best;
}
