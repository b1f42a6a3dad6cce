/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Ownership by scope. Declare, initialise and attach in one statement; declare what is depended on
 * first, because destruction runs in reverse order. Take the value out with dv_steal() on the
 * success line. Never jump into or out of a scope that holds one. Any thread.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Defines what DV_AUTO(type) does at the end of the scope: `fn(value)` for `struct type *`, called
 * only when it is not NULL. */
#define DV_DEFINE_CLEANUP(type, fn)                                                                \
    static inline void type##_cleanup(struct type **value)                                         \
    {                                                                                              \
        if (*value)                                                                                \
            fn(*value);                                                                            \
    }

/* As above for a `struct type` held in place; fn takes its address and accepts a zeroed one. */
#define DV_DEFINE_CLEANUP_IN_PLACE(type, fn)                                                       \
    static inline void type##_in_place_cleanup(struct type *value)                                 \
    {                                                                                              \
        fn(value);                                                                                 \
    }

#define DV_AUTO(type)          __attribute__((cleanup(type##_cleanup), unused)) struct type *
#define DV_AUTO_IN_PLACE(type) __attribute__((cleanup(type##_in_place_cleanup), unused)) struct type

#define dv_autofree     __attribute__((cleanup(dv_cleanup_free)))
#define dv_autoclose    __attribute__((cleanup(dv_cleanup_close)))
#define dv_autofclose   __attribute__((cleanup(dv_cleanup_fclose)))
#define dv_autoclosedir __attribute__((cleanup(dv_cleanup_closedir)))

/* Takes the value out of a variable that owns it, leaving its empty value. */
#define dv_steal(pointer)                                                                          \
    __extension__({                                                                                \
        __typeof__(*(pointer)) *dv_steal_from_ = (pointer);                                        \
        __typeof__(*(pointer)) dv_stolen_ = *dv_steal_from_;                                       \
        *dv_steal_from_ = NULL;                                                                    \
        dv_stolen_;                                                                                \
    })

static inline int dv_steal_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Closes a descriptor and keeps errno; -1 is allowed and the variable becomes -1. */
static inline void dv_close(int *fd)
{
    if (*fd < 0)
        return;
    int saved = errno;
    close(*fd);
    errno = saved;
    *fd = -1;
}

static inline void dv_cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void dv_cleanup_close(int *fd)
{
    dv_close(fd);
}

static inline void dv_cleanup_fclose(FILE **file)
{
    if (*file)
        fclose(*file);
}

static inline void dv_cleanup_closedir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}
