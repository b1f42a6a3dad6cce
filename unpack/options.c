/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/options.h"

#include "base/str.h"
#include "unpack/name.h"

#include <stddef.h>
#include <string.h>

#define LAYER_MAX 1023

const char dv_unpack_usage[] =
    "usage: davit-unpack --blob FILE --digest DIGEST --media-type TYPE --diff-id DIGEST --dir DIR\n"
    "                    [--max-bytes N] [--max-entries N] [--max-name N] [--absolute-names]\n"
    "                    [--manifest FILE --layer N]\n"
    "       davit-unpack --archive FILE --dir DIR [--max-...]\n"
    "       davit-unpack --check --manifest FILE --dir DIR\n"
    "Unpacks one image layer into DIR, an empty directory given by its absolute path, and "
    "verifies\n"
    "it; with --archive a tar of which nothing is promised. DIGEST is sha256: or sha512: with hex\n"
    "digits. An encrypted layer is layer N (from 0) of the manifest and needs keys "
    "in\n" DV_UNPACK_KEY_VARIABLE "0, ..., recipients in " DV_UNPACK_RECIPIENT_VARIABLE
    "0, ...; --check only\n"
    "tries them. Needs root. Prints "
    "{\"entries\":N,\"bytes\":N}.\n"
    "Exit code: 0 unpacked; 1 failed, with the reason in one line on standard error, DIR is then\n"
    "for the caller to remove; 2 wrong use.\n";

struct flag {
    const char *name;
    size_t text_at;  /* offset of a text member */
    bool is_promise; /* about a layer */
};

static const struct flag flags[] = {
    {"--blob", offsetof(struct dv_unpack_options, blob), false},
    {"--digest", offsetof(struct dv_unpack_options, digest), true},
    {"--media-type", offsetof(struct dv_unpack_options, media_type), true},
    {"--diff-id", offsetof(struct dv_unpack_options, diff_id), true},
    {"--dir", offsetof(struct dv_unpack_options, directory), false},
};

#define FLAGS_COUNT (sizeof(flags) / sizeof(flags[0]))

static const char **text_of(struct dv_unpack_options *options, const struct flag *flag)
{
    return (const char **)(void *)((char *)options + flag->text_at);
}

static int take_limit(struct dv_unpack_limits *limits,
                      const char *name,
                      const char *value,
                      struct dv_error *err)
{
    int64_t number = 0;
    int64_t max = strcmp(name, "--max-name") == 0 ? DV_UNPACK_NAME_MAX : INT64_MAX;
    int r = dv_str_to_i64(dv_str_of(value), 1, max, &number, err);
    if (r < 0) {
        if (err)
            (void)dv_error_prefix(err, "%s: ", name);
        return r;
    }
    if (strcmp(name, "--max-bytes") == 0)
        limits->bytes_max = (uint64_t)number;
    else if (strcmp(name, "--max-entries") == 0)
        limits->entries_max = (uint64_t)number;
    else
        limits->name_max = (size_t)number;
    return 0;
}

static int take_flag(struct dv_unpack_options *options,
                     const char *name,
                     const char *value,
                     struct dv_error *err)
{
    if (strcmp(name, "--archive") == 0) {
        options->blob = value;
        options->is_archive = true;
        return 0;
    }
    for (size_t i = 0; i < FLAGS_COUNT; i++)
        if (strcmp(name, flags[i].name) == 0) {
            *text_of(options, &flags[i]) = value;
            return 0;
        }
    if (strcmp(name, "--manifest") == 0) {
        options->manifest = value;
        return 0;
    }
    if (strcmp(name, "--max-bytes") != 0 && strcmp(name, "--layer") != 0 &&
        strcmp(name, "--max-entries") != 0 && strcmp(name, "--max-name") != 0)
        return dv_error_set(err, DV_ERR_INVALID, "unknown argument '%.128s'", name);
    if (strcmp(name, "--layer") != 0)
        return take_limit(&options->limits, name, value, err);
    int64_t number = 0;
    int r = dv_str_to_i64(dv_str_of(value), 0, LAYER_MAX, &number, err);
    if (r < 0)
        return dv_error_prefix(err, "--layer: ");
    options->layer = (size_t)number;
    return 0;
}

int dv_unpack_options_parse(int argc,
                            char *const argv[],
                            struct dv_unpack_options *ret,
                            struct dv_error *err)
{
    struct dv_unpack_options options = {.limits = {.bytes_max = DV_UNPACK_BYTES_MAX_DEFAULT,
                                                   .entries_max = DV_UNPACK_ENTRIES_MAX_DEFAULT,
                                                   .name_max = DV_UNPACK_NAME_MAX}};
    for (int i = 1; i < argc; i += 2) {
        bool is_check = strcmp(argv[i], "--check") == 0;
        if (is_check || strcmp(argv[i], "--absolute-names") == 0) {
            options.is_check |= is_check;
            options.limits.takes_absolute_names |= !is_check;
            i--; /* it has no value */
            continue;
        }
        if (strcmp(argv[i], "--help") == 0) {
            options.is_help = true;
            *ret = options;
            return 0;
        }
        if (i + 1 == argc)
            return dv_error_set(err, DV_ERR_INVALID, "'%.128s' needs a value", argv[i]);
        int r = take_flag(&options, argv[i], argv[i + 1], err);
        if (r < 0)
            return r;
    }
    if (options.is_check && (!options.manifest || options.blob))
        return dv_error_set(err, DV_ERR_INVALID, "--check goes with --manifest and --dir only");
    if (options.is_archive && (options.digest || options.diff_id || options.media_type))
        return dv_error_set(err, DV_ERR_INVALID,
                            "--archive goes with --dir and limits only: nothing is promised");
    if (options.is_archive)
        options.media_type = DV_UNPACK_ARCHIVE_TYPE;
    for (size_t i = 0; i < FLAGS_COUNT; i++)
        if (!(options.is_archive && flags[i].is_promise) &&
            !(options.is_check &&
              flags[i].text_at != offsetof(struct dv_unpack_options, directory)) &&
            !*text_of(&options, &flags[i]))
            return dv_error_set(err, DV_ERR_INVALID, "%s is missing", flags[i].name);
    if (options.directory[0] != '/')
        return dv_error_set(err, DV_ERR_INVALID, "--dir '%.256s' is not absolute",
                            options.directory);
    *ret = options;
    return 0;
}
