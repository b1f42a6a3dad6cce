/* SPDX-License-Identifier: Apache-2.0 */
/* The scenarios of the port, with a client of the socket on the other side. */
#include "bridge/local/local.h"
#include "tests/support/bridge_scenarios.h"
#include "tests/support/line_peer.h"

#include "json/json.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct client {
    struct dv_local_config config;
    char folder[64];
    char path[96];
    struct dv_line_peer *peer;
};

static const void *config(void *ctx, unsigned max_waiting)
{
    struct client *client = ctx;
    (void)max_waiting;
    client->config = DV_LOCAL_CONFIG_INIT;
    client->config.socket_path = client->path;
    return &client->config;
}

static void cut(void *ctx)
{
    struct client *client = ctx;
    dv_line_peer_free(client->peer);
    client->peer = NULL;
}

static void restore(void *ctx)
{
    struct client *client = ctx;
    cut(ctx);
    client->peer = dv_line_peer_new(client->path);
    dv_line_peer_send(client->peer, "{\"kind\":\"local_watch\",\"twin\":true}");
}

static void send_command(void *ctx, const struct dv_scenario_command *command)
{
    struct client *client = ctx;
    DV_AUTO_IN_PLACE(dv_buf) line = DV_BUF_INIT(4096);
    struct dv_json_writer w;
    dv_jw_init(&w, &line);
    dv_jw_object(&w);
    dv_jw_member_text(&w, "kind", "local_request");
    dv_jw_member_text(&w, "id", command->id);
    dv_jw_member_text(&w, "feature", command->feature);
    dv_jw_member_text(&w, "operation", command->operation);
    if (command->args)
        dv_jw_member_text(&w, "args", command->args);
    dv_jw_object_end(&w);
    cr_assert_eq(dv_jw_done(&w, NULL), 0);
    dv_line_peer_send(client->peer, line.data);
}

static void send_malformed(void *ctx, const char *id)
{
    char line[256];
    snprintf(line, sizeof(line), "{\"kind\":\"local_request\",\"id\":\"%s\",\"feature\":\"F\"}",
             id);
    dv_line_peer_send(((struct client *)ctx)->peer, line);
}

static void send_noise(void *ctx)
{
    struct client *client = ctx;
    dv_line_peer_send(client->peer, "");
    dv_line_peer_send(client->peer, " \t\r");
    dv_line_peer_send(client->peer, "{\"kind\":\"local_watch\",\"twin\":false}");
    dv_line_peer_send(client->peer, "{\"twin\":true,\"kind\":\"local_watch\"}");
    /* Somebody who says nothing, and somebody who leaves in the middle of a line. */
    dv_line_peer_free(dv_line_peer_new(client->path));
    struct dv_line_peer *other = dv_line_peer_new(client->path);
    (void)dv_line_peer_write(other, "{\"kind\":\"local_req", 18);
    dv_line_peer_free(other);
}

static void copy_text(char *to, size_t size, const struct dv_json *from)
{
    const char *text = dv_json_text(from);
    snprintf(to, size, "%s", text ? text : "");
}

static const char *code_of(const char *class)
{
    for (int number = 1; number < 64; number++)
        if (strcmp(dv_error_name(dv_error_class_of(number)), class) == 0)
            return dv_error_ditto_code(dv_error_class_of(number));
    return "no such class";
}

static bool take(void *ctx, int timeout_ms, struct dv_scenario_seen *ret)
{
    struct client *client = ctx;
    DV_AUTO(dv_json) line = client->peer ? dv_line_peer_take(client->peer, timeout_ms) : NULL;
    if (!line)
        return false;
    const char *kind = dv_json_text(dv_json_get(line, "kind"));
    const char *class = dv_json_text(dv_json_get(line, "class"));
    *ret = (struct dv_scenario_seen){.type = DV_SEEN_REPLY};
    copy_text(ret->value, sizeof(ret->value), dv_json_get(line, "value"));
    if (strcmp(kind, "local_reply") == 0) {
        copy_text(ret->id, sizeof(ret->id), dv_json_get(line, "id"));
        ret->status = (int)dv_json_number(dv_json_get(line, "status"));
        if (class)
            snprintf(ret->error, sizeof(ret->error), "%s", code_of(class));
        cr_assert_eq(class != NULL, dv_json_text(dv_json_get(line, "error")) != NULL);
        return true;
    }
    cr_assert_str_eq(kind, "local_twin");
    ret->type = DV_SEEN_TWIN;
    copy_text(ret->feature, sizeof(ret->feature), dv_json_get(line, "feature"));
    copy_text(ret->path, sizeof(ret->path), dv_json_get(line, "path"));
    return true;
}

static int side_fd(void *ctx)
{
    const struct client *client = ctx;
    return client->peer && !dv_line_peer_is_over(client->peer) ? dv_line_peer_fd(client->peer) : -1;
}

/* Everything is done when it is taken. */
static void work(void *ctx)
{
    (void)ctx;
}

static void run_on(void (*scenario)(const struct dv_scenario_side *side))
{
    struct client client = {.folder = "/tmp/davit-local-XXXXXX"};
    cr_assert_not_null(mkdtemp(client.folder));
    snprintf(client.path, sizeof(client.path), "%s/davit.sock", client.folder);
    struct dv_scenario_side side = {
        .ctx = &client,
        .ops = &dv_local_ops,
        .is_direct = true,
        .config = config,
        .restore = restore,
        .cut = cut,
        .send = send_command,
        .send_malformed = send_malformed,
        .send_noise = send_noise,
        .fd = side_fd,
        .work = work,
        .take = take,
    };
    scenario(&side);
    cut(&client);
    cr_assert_eq(access(client.path, F_OK), -1, "the socket file goes with the bridge");
    cr_assert_eq(rmdir(client.folder), 0);
}

#define SCENARIO(name)                                                                             \
    Test(local_scenario, name, .timeout = 60)                                                      \
    {                                                                                              \
        run_on(dv_scenario_##name);                                                                \
    }
DV_BRIDGE_SCENARIOS(SCENARIO)
