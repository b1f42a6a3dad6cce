/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "base/durable.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* -- files ---------------------------------------------------------------------------------- */

const char *below(const char *base, const char *format, ...)
{
    static char texts[8][4096];
    static unsigned next;
    char *text = texts[next++ % 8];
    int used = snprintf(text, sizeof(texts[0]), "%s/", base);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + used, sizeof(texts[0]) - (size_t)used, format, args);
    va_end(args);
    return text;
}

static void make_folder(const char *path)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_dir_make(path, 0755, &err), 0, "%s", err.text);
}

void scratch_init(struct scratch *scratch)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(scratch->base, PLACE_MAX, "%s/davit-oci-XXXXXX", base ? base : "/tmp");
    cr_assert_not_null(mkdtemp(scratch->base));
    (void)snprintf(scratch->home, PLACE_MAX, "%.200s/home", scratch->base);
    (void)snprintf(scratch->run, PLACE_MAX, "%.200s/run", scratch->base);
    (void)snprintf(scratch->mounts, PLACE_MAX, "%.200s/mounts", scratch->base);
    make_folder(scratch->home);
    make_folder(scratch->run);
    make_folder(scratch->mounts);
}

void scratch_done(struct scratch *scratch)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_expect_eq(dv_tree_remove(scratch->base, &err), 0, "%s", err.text);
}

bool is_there(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

void file_write(const char *path, const char *text)
{
    char folder[4096];
    (void)snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = '\0';
    make_folder(folder);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file, "%s", path);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

char *file_text(const char *path)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(8U << 20);
    struct dv_error err = DV_ERROR_INIT;
    size_t len;
    cr_assert_eq(dv_file_read(path, &text, &err), 0, "%s", err.text);
    char *taken = dv_buf_take(&text, &len);
    return taken ? taken : calloc(1, 1);
}

/* -- JSON ----------------------------------------------------------------------------------- */

static const struct dv_json *item(const struct dv_json *list, size_t index)
{
    const struct dv_json *node = dv_json_first(list);
    while (node && index-- > 0)
        node = dv_json_next(node);
    return node;
}

const struct dv_json *at(const struct dv_json *root, const char *path)
{
    const struct dv_json *node = root;
    while (*path && node) {
        if (*path == '[') {
            char *end;
            node = item(node, (size_t)strtoul(path + 1, &end, 10));
            path = end + 1;
        } else {
            char key[64];
            path += *path == '.';
            size_t len = strcspn(path, ".[");
            (void)snprintf(key, sizeof(key), "%.*s", (int)len, path);
            node = dv_json_get(node, key);
            path += len;
        }
    }
    return node;
}

const char *text_at(const struct dv_json *root, const char *path)
{
    const char *text = dv_json_text(at(root, path));
    return text ? text : "";
}

int64_t number_at(const struct dv_json *root, const char *path)
{
    int64_t value;
    return dv_json_to_i64(at(root, path), &value) ? value : -1000;
}

char *list_at(const struct dv_json *root, const char *path)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1U << 20);
    size_t len;
    for (const struct dv_json *n = dv_json_first(at(root, path)); n; n = dv_json_next(n)) {
        const char *text = dv_json_text(n);
        cr_assert_eq(dv_buf_printf(&out, NULL, "%s%s", out.len ? " " : "", text ? text : "?"), 0);
    }
    char *taken = dv_buf_take(&out, &len);
    return taken ? taken : calloc(1, 1);
}

bool has_item(const struct dv_json *list, const char *text)
{
    for (const struct dv_json *n = dv_json_first(list); n; n = dv_json_next(n))
        if (dv_json_text(n) && strcmp(dv_json_text(n), text) == 0)
            return true;
    return false;
}

/* -- a container ---------------------------------------------------------------------------- */

void made_record_init(struct made_record *made)
{
    *made = (struct made_record){
        .layers = {(char *)"l1"},
        .log = {.max_files = 2, .max_size = (char *)"1M"},
    };
    made->spec = (struct dv_container_spec){
        .image_ref = (char *)"registry.example/test:1",
        .host_name = (char *)"c1-host",
        .restart_policy = &made->restart,
        .log = &made->log,
    };
    made->record = (struct dv_container_record){
        .id = (char *)"c1",
        .name = (char *)"web",
        .spec = &made->spec,
        .state = &made->state,
        .layers = {made->layers, 1},
        .image_id = (char *)"sha256:" IMAGE_HEX,
    };
}

void image_write(const struct scratch *scratch, const char *config)
{
    char text[8192];
    int used = snprintf(text, sizeof(text),
                        "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":%s,"
                        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" IMAGE_HEX "\"]}}",
                        config);
    cr_assert_lt((size_t)used, sizeof(text));
    file_write(below(scratch->home, "images/blobs/sha256/" IMAGE_HEX), text);
    file_write(below(scratch->home, "layers/l1/etc/passwd"),
               "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\n");
    file_write(below(scratch->home, "layers/l1/etc/group"),
               "root:x:0:\napp:x:1001:\nvideo:x:44:app\n");
}

/* -- the launcher --------------------------------------------------------------------------- */

static const struct fake_answer *answer_for(struct fake_launcher *launcher, const char *verb)
{
    static const struct fake_answer success = {.verb = ""};
    if (!launcher->answers || !launcher->answers[launcher->used].verb ||
        strcmp(launcher->answers[launcher->used].verb, verb) != 0)
        return &success;
    return &launcher->answers[launcher->used++];
}

static void note(struct fake_call *call, const char *verb, const struct dv_launch *what)
{
    (void)snprintf(call->verb, sizeof(call->verb), "%s", verb);
    for (size_t i = 0, used = 0; what->argv[i]; i++)
        used += (size_t)snprintf(call->command + used, sizeof(call->command) - used, "%s%s",
                                 i ? " " : "", what->argv[i]);
    const struct dv_launch_stdio *io = &what->stdio;
    (void)snprintf(call->stdio, sizeof(call->stdio), "%s %s %s%s%s", io->in ? io->in : "-",
                   io->out ? io->out : "-", io->err ? io->err : "-",
                   io->takes_input ? " typed" : "", io->console ? " tty" : "");
    const struct dv_launch_rootfs *fs = &what->rootfs;
    if (fs->target) {
        int used = snprintf(call->rootfs, sizeof(call->rootfs), "%s", fs->layers_dir);
        for (size_t i = 0; fs->lower[i]; i++)
            used += snprintf(call->rootfs + used, sizeof(call->rootfs) - (size_t)used, " %s",
                             fs->lower[i]);
        (void)snprintf(call->rootfs + used, sizeof(call->rootfs) - (size_t)used, " %s %s %s",
                       fs->upper, fs->work, fs->target);
    }
    call->timeout_ms = what->timeout_ms;
    call->log = what->log;
    (void)snprintf(call->log_path, sizeof(call->log_path), "%s",
                   what->log.path ? what->log.path : "");
}

static int fake_launch(struct dv_launcher *base,
                       const struct dv_launch *what,
                       struct dv_launch_result *ret,
                       struct dv_error *err)
{
    struct fake_launcher *launcher = (struct fake_launcher *)base;
    const char *verb = "";
    const char *root = NULL;
    const char *id = NULL;
    for (size_t i = 0; what->argv[i]; i++) {
        if (strcmp(what->argv[i], "create") == 0 || strcmp(what->argv[i], "start") == 0 ||
            strcmp(what->argv[i], "delete") == 0)
            verb = what->argv[i];
        if (strcmp(what->argv[i], "--root") == 0)
            root = what->argv[i + 1];
        id = what->argv[i];
    }
    cr_assert_lt(launcher->call_count, FAKE_CALLS_MAX);
    note(&launcher->calls[launcher->call_count++], verb, what);
    const struct fake_answer *answer = answer_for(launcher, verb);
    bool is_good = answer->r == 0 && answer->exit_code == 0;
    if (strcmp(verb, "create") == 0 && !answer->leaves_nothing) {
        file_write(below(root, "%s/state.json", id), "{}");
        file_write(below(root, "%s/exec.fifo", id), "");
        if (what->rootfs.target)
            make_folder(what->rootfs.target);
    }
    if (strcmp(verb, "start") == 0 && is_good)
        cr_assert_eq(unlink(below(root, "%s/exec.fifo", id)), 0);
    if (strcmp(verb, "delete") == 0 && is_good)
        cr_assert_eq(dv_tree_remove(below(root, "%s", id), NULL), 0);
    if (answer->act)
        answer->act(launcher, what);
    if (answer->r < 0)
        return dv_error_set_at(err, (enum dv_error_class) - answer->r, answer->sys, "launch", "%s",
                               answer->text);
    ret->exit_code = answer->exit_code;
    ret->pid = answer->pid;
    ret->start_ticks = answer->start_ticks;
    ret->stderr_len = (size_t)snprintf(ret->stderr_text, sizeof(ret->stderr_text), "%s",
                                       answer->text ? answer->text : "");
    return 0;
}

static const char *fake_mount_root(struct dv_launcher *base)
{
    return ((struct fake_launcher *)base)->mount_root;
}

static void fake_free(struct dv_launcher *base)
{
    ((struct fake_launcher *)base)->freed++;
}

void fake_launcher_init(struct fake_launcher *launcher,
                        const char *mount_root,
                        const struct fake_answer *answers)
{
    *launcher = (struct fake_launcher){
        .base = {.launch = fake_launch, .mount_root = fake_mount_root, .free = fake_free},
        .mount_root = mount_root,
        .answers = answers,
    };
}

size_t fake_count(const struct fake_launcher *launcher, const char *verb)
{
    size_t count = 0;
    for (size_t i = 0; i < launcher->call_count; i++)
        count += strcmp(launcher->calls[i].verb, verb) == 0;
    return count;
}
