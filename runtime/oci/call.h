/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One call of the OCI runtime and what it said when it failed. Private to runtime/oci.
 */
#include "base/error.h"
#include "runtime/launcher.h"

struct dv_oci_call {
    struct dv_launcher *launcher;
    struct dv_launch_result *result; /* about 64 KiB, kept by the caller */
    const char *runtime;             /* absolute path */
    const char *root;                /* --root */
    const char *log;                 /* --log, NULL: none */
};

/* Runs `<runtime> --root ... <arguments>`; `launch` brings everything but argv and envp. FAILED
 * with the runtime's reason when it exits with another code than 0. */
int dv_oci_call_runtime(struct dv_oci_call *call,
                        struct dv_launch *launch,
                        const char *const *arguments,
                        struct dv_error *err);

/* The reason in the runtime's log or standard error, in one line: the last message of level error,
 * without the chain of "caused by" that runc writes. Cuts to `size`; returns `text`. */
char *dv_oci_call_reason(const char *output, char *text, size_t size);
