/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The error object of every fallible function.
 *
 * A function that can fail returns 0 or a negative class (-DV_ERR_...) and takes a
 * `struct dv_error *err` last; NULL is allowed when the caller wants only the class. The place
 * that detects the failure sets the error once; callers add context in front with
 * dv_error_prefix(). Setting an error that is already set is a bug and asserts in debug builds.
 *
 * The object is a plain value of fixed size on the caller's stack: no allocation, so it works out
 * of memory and can be copied into a message. Initialise it with DV_ERROR_INIT. Any thread.
 */
#include <stdbool.h>
#include <stddef.h>

#define DV_ERROR_TEXT_MAX 768

enum dv_error_class {
    DV_ERR_NONE = 0,
#define X(name, number, status, retry, ditto, text) DV_ERR_##name = (number),
#include "base/error.def"
#undef X
};

struct dv_error {
    enum dv_error_class class;
    int sys;           /* errno of the failing call, 0 if none */
    const char *where; /* static text: the function that detected the failure */
    char text[DV_ERROR_TEXT_MAX];
};

#define DV_ERROR_INIT ((struct dv_error){.class = DV_ERR_NONE})

/* Sets *err and returns -class. The text says what failed, on which object, by which rule. Text
 * that does not fit is cut at a character boundary; what is no UTF-8 in it is mended. */
#define dv_error_set(err, class, ...) dv_error_set_at((err), (class), 0, __func__, __VA_ARGS__)

/* As dv_error_set, with the meaning of errno value `sys` appended after ": ". */
#define dv_error_sys(err, class, sys, ...)                                                         \
    dv_error_set_at((err), (class), (sys), __func__, __VA_ARGS__)

int dv_error_set_at(struct dv_error *err,
                    enum dv_error_class class,
                    int sys,
                    const char *where,
                    const char *format,
                    ...) __attribute__((format(printf, 5, 6)));

/* Puts context in front of an error that is set ("start 'web': "); returns -err->class. With a NULL
 * err it returns -DV_ERR_FAILED, so `return dv_error_prefix(err, ...)` needs the class only if a
 * caller may pass NULL: then keep the return value of the failing call instead. */
int dv_error_prefix(struct dv_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Empties *err, for a failure that was handled. */
void dv_error_clear(struct dv_error *err);

/* Facts of a class, from error.def. An unknown number (from a peer) reads as INTERNAL. */
const char *dv_error_name(enum dv_error_class class);
const char *dv_error_ditto_code(enum dv_error_class class);
const char *dv_error_summary(enum dv_error_class class);
int dv_error_status(enum dv_error_class class);
bool dv_error_is_retryable(enum dv_error_class class);
enum dv_error_class dv_error_class_of(long long number);
