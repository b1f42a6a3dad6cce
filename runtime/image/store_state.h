/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What store.c and layers.c share. */
#include "runtime/image/store.h"

#include <pthread.h>

#define DV_UNPACKS_MAX 64 /* layers being unpacked at one time */

struct dv_image_store {
    char *images_dir;
    char *ingest_dir;
    char *index_path;
    char *layers_dir;
    char *ids_dir;     /* layer id -> diff id, one small file each */
    char *staging_dir; /* layers on their way in or out */
    char *unpack_program;
    int64_t layer_bytes_max;
    int64_t layer_entries_max;
    bool takes_absolute_names;
    const struct dv_clock *clock;
    char *note;

    pthread_mutex_t blobs_lock;  /* writing a small blob: its file aside has a fixed name */
    pthread_mutex_t index_lock;  /* changes of index.json */
    pthread_mutex_t layers_lock; /* below */
    pthread_cond_t layers_cond;  /* an unpack has ended */
    const char *unpacking[DV_UNPACKS_MAX]; /* diff ids; NULL: free */
    unsigned long staged;                  /* number for names in staging */
};

/* Makes layers/ and empties staging/; part of opening the store. */
int dv_layers_prepare(struct dv_image_store *store, struct dv_error *err);
