/* SPDX-License-Identifier: Apache-2.0 */
#include "json/scan.h"

#include "base/str.h"

#include "json/json.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct scanner {
    const char *bytes;
    size_t len;
    size_t at;
    struct dv_error *err;
};

static int bad(struct scanner *s, const char *what)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < s->at && i < s->len; i++) {
        column++;
        if (s->bytes[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return dv_error_set(s->err, DV_ERR_INVALID, "JSON line %zu, column %zu: %s", line, column,
                        what);
}

static int peek(const struct scanner *s)
{
    return s->at < s->len ? (unsigned char)s->bytes[s->at] : -1;
}

static void skip_space(struct scanner *s)
{
    while (s->at < s->len && strchr(" \t\r\n", s->bytes[s->at]) && s->bytes[s->at])
        s->at++;
}

static bool take(struct scanner *s, char c)
{
    if (peek(s) != (unsigned char)c)
        return false;
    s->at++;
    return true;
}

static bool take_word(struct scanner *s, const char *word)
{
    size_t len = strlen(word);
    if (s->len - s->at < len || memcmp(s->bytes + s->at, word, len) != 0)
        return false;
    s->at += len;
    return true;
}

static int scan_hex4(struct scanner *s, unsigned *ret)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        int c = peek(s);
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (unsigned)(c - 'A') + 10;
        else
            return bad(s, "\\u needs four hexadecimal digits");
        value = value << 4 | digit;
    }
    *ret = value;
    return 0;
}

static int scan_unicode(struct scanner *s)
{
    unsigned unit;
    int r = scan_hex4(s, &unit);
    if (r < 0)
        return r;
    if (unit == 0)
        return bad(s, "a NUL character is not allowed in a string");
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return bad(s, "a surrogate without its pair");
    if (unit < 0xD800 || unit > 0xDBFF)
        return 0;
    if (!take_word(s, "\\u"))
        return bad(s, "a surrogate without its pair");
    r = scan_hex4(s, &unit);
    if (r == 0 && (unit < 0xDC00 || unit > 0xDFFF))
        r = bad(s, "a surrogate without its pair");
    return r;
}

static int scan_string(struct scanner *s)
{
    s->at++; /* the opening quote */
    size_t start = s->at;
    for (;;) {
        int c = peek(s);
        if (c < 0)
            return bad(s, "a string does not end");
        if (c == '"')
            break;
        if (c < 0x20)
            return bad(s, "a control character inside a string");
        s->at++;
        if (c != '\\')
            continue;
        c = peek(s);
        s->at++;
        if (c == 'u') {
            int r = scan_unicode(s);
            if (r < 0)
                return r;
        } else if (c <= 0 || !strchr("\"\\/bfnrt", c)) {
            s->at--;
            return bad(s, "an unknown escape in a string");
        }
    }
    if (!dv_str_is_utf8((struct dv_str){s->bytes + start, s->at - start}))
        return bad(s, "a string that is not valid UTF-8");
    s->at++;
    return 0;
}

static size_t take_digits(struct scanner *s)
{
    size_t start = s->at;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    return s->at - start;
}

static int scan_number(struct scanner *s)
{
    (void)take(s, '-');
    if (!take(s, '0') && take_digits(s) == 0)
        return bad(s, "a value is expected");
    if (peek(s) >= '0' && peek(s) <= '9')
        return bad(s, "a number with a leading zero");
    if (take(s, '.') && take_digits(s) == 0)
        return bad(s, "a number without digits behind the point");
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '+'))
            (void)take(s, '-');
        if (take_digits(s) == 0)
            return bad(s, "a number without digits in the exponent");
    }
    return 0;
}

static int scan_scalar(struct scanner *s)
{
    int c = peek(s);
    if (c == '"')
        return scan_string(s);
    if (c == '-' || (c >= '0' && c <= '9'))
        return scan_number(s);
    if (take_word(s, "true") || take_word(s, "false") || take_word(s, "null"))
        return 0;
    return bad(s, c < 0 ? "a value is missing" : "a value is expected");
}

static int scan_key(struct scanner *s)
{
    skip_space(s);
    if (peek(s) != '"')
        return bad(s, "a key in double quotes is expected");
    int r = scan_string(s);
    if (r < 0)
        return r;
    skip_space(s);
    return take(s, ':') ? 0 : bad(s, "':' is expected behind a key");
}

/* What comes behind a value: the end of containers, or a comma and the next place for a value. */
static int scan_behind_value(struct scanner *s, const char *open, unsigned *depth, bool *ret_over)
{
    *ret_over = false;
    for (;;) {
        skip_space(s);
        if (*depth == 0) {
            *ret_over = true;
            return s->at == s->len ? 0 : bad(s, "something behind the end of the value");
        }
        bool is_object = open[*depth - 1] == '{';
        if (take(s, is_object ? '}' : ']')) {
            --*depth;
            continue;
        }
        if (!take(s, ','))
            return bad(s, is_object ? "',' or '}' is expected" : "',' or ']' is expected");
        return is_object ? scan_key(s) : 0;
    }
}

static int scan_value(struct scanner *s, char *open, unsigned *depth, bool *ret_over)
{
    skip_space(s);
    int c = peek(s);
    if (c != '{' && c != '[') {
        int r = scan_scalar(s);
        return r < 0 ? r : scan_behind_value(s, open, depth, ret_over);
    }
    if (*depth == DV_JSON_DEPTH_MAX)
        return bad(s, "nesting is deeper than 32");
    open[(*depth)++] = (char)c;
    s->at++;
    skip_space(s);
    if (take(s, c == '{' ? '}' : ']')) {
        --*depth;
        return scan_behind_value(s, open, depth, ret_over);
    }
    *ret_over = false;
    return c == '{' ? scan_key(s) : 0;
}

int dv_json_scan(const char *bytes, size_t len, struct dv_error *err)
{
    struct scanner s = {bytes, len, 0, err};
    char open[DV_JSON_DEPTH_MAX];
    unsigned depth = 0;
    bool is_over = false;
    while (!is_over) {
        int r = scan_value(&s, open, &depth, &is_over);
        if (r < 0)
            return r;
    }
    return 0;
}
