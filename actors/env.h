/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the composition root (daemon/, simulation, harness) gives to the actors: numbers and ports.
 * Read-only while cells run; the objects behind the pointers outlive the system. Ports appear as
 * opaque types: an actor can call only those whose headers its module may include.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dv_bridge_ops;
struct dv_counter_source;
struct dv_deployment;
struct dv_exit_source;
struct dv_image_files;
struct dv_journal;
struct dv_limit_refusals;
struct dv_network;
struct dv_record_files;
struct dv_registry_settings;
struct dv_runtime;

/* Numbers from the configuration; all times in milliseconds. */
struct dv_actor_settings {
    int64_t stop_timeout_ms;    /* manager.default_ctrs_stop_timeout */
    int64_t command_timeout_ms; /* other commands */
    int64_t job_timeout_ms;     /* one call of the OCI runtime */
    int64_t pull_stall_ms;      /* a pull without a byte for so long fails */
    int64_t restart_first_ms;   /* first wait of the back-off */
    int64_t restart_max_ms;     /* its ceiling */
    int64_t restart_stable_ms;  /* a run this long starts the back-off anew */
    unsigned launches_max;      /* starts by policy at the same time */
    int64_t unpack_timeout_ms;  /* one layer */
    int64_t pull_rate_max;      /* bytes a second of all pulls together, 0: no limit */
    int64_t image_expiry_ms;    /* unused images are removed after so long; -1: never */
    int64_t repeat_window_ms;   /* how long answers are remembered */
    int64_t checkpoint_ms;      /* records are written beside the journal this often */
    int64_t rotate_bytes;       /* the journal is written anew beyond that, 0: 16 MB */
    int64_t artifact_ms;        /* one artifact may take so long, with all its tries */
    int64_t replace_wait_ms;    /* a container that replaces another must stay up so long */
    const char *decryption;     /* keys for containers without their own, a line each; NULL: none */
    unsigned workers;           /* size of the pool */
    unsigned commands_max;      /* admission: commands in progress per bridge */
    unsigned repeats_max;       /* answers remembered per bridge */
    unsigned twin_in_flight_max; /* twin changes sent and not acknowledged, per bridge */
    unsigned outbox_max;         /* twin changes waiting, per bridge */
    size_t message_bytes_max;    /* of one live message */
    bool metrics_in_seconds;     /* their time stamp; else milliseconds */
    bool has_ip6;                /* containers have IPv6 */
    bool same_boot;              /* what run_dir says is about this boot of the machine */
    int64_t boot;                /* tells this boot from others: of the kernel's boot_id */
    const char *version;
    const struct dv_limit_refusals *limits; /* that this machine cannot hold; NULL: it holds all */
};

/* How artifacts are fetched. Files; NULL: none. */
struct dv_artifact_settings {
    const char *root_ca; /* authorities that are trusted beside the system's */
    const char *client_cert;
    const char *client_key;
    const char *known_hosts; /* of SFTP */
};

/* One bridge of the daemon: session/<name> and bridge/<name>. */
enum dv_twin_detail {
    DV_TWIN_AUTO, /* full as long as it fits */
    DV_TWIN_FULL,
    DV_TWIN_COMPACT, /* without the configuration of containers */
};

#define DV_THINGS_MAX 64

struct dv_bridge_setup {
    const char *name;
    const struct dv_bridge_ops *ops;
    const void *config;
    enum dv_twin_detail twin_detail;
    unsigned things;        /* over which the containers are spread; 0 and 1: one */
    size_t thing_bytes_max; /* what the other side takes of one thing, 0: no limit */
    int64_t twin_check_ms;  /* quiet before the other side is asked what it holds, 0: never */
    /* Which of the features beside ContainerFactory and the containers it shows; none named: all.
     */
    const char *const *features;
    size_t feature_count;
};

struct dv_actor_env {
    const struct dv_actor_settings *settings;
    struct dv_journal *journal;
    const char *home_dir;
    const struct dv_record_files *record_files; /* NULL: the real ones, below home_dir */
    const struct dv_registry_settings *registries;
    const struct dv_artifact_settings *artifacts; /* NULL: none of them */
    const char *ingest_dir; /* where the downloader puts blobs before the store adopts them */
    const struct dv_bridge_setup *bridges;  /* ends with a NULL name */
    const struct dv_deployment *deployment; /* NULL: there is none */
    void *ports;                            /* first argument of the two below */
    /* A driver for one worker; freed by the worker. */
    int (*runtime_open)(void *ports,
                        unsigned worker,
                        struct dv_runtime **ret,
                        struct dv_error *err);
    /* Images on disk for one worker; freed by the worker. */
    int (*image_files_open)(void *ports,
                            unsigned worker,
                            struct dv_image_files **ret,
                            struct dv_error *err);
    int (*exits_open)(void *ports, struct dv_exit_source **ret, struct dv_error *err);
    int (*network_open)(void *ports, struct dv_network **ret, struct dv_error *err);
    /* Opened while somebody wants to know what containers use; freed by the sampler. */
    int (*counters_open)(void *ports, struct dv_counter_source **ret, struct dv_error *err);
};
