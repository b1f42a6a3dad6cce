/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers that do not want the bridge, answer wrongly or not at all, TLS, and configurations that
 * cannot work. */
#include "base/spawn.h"
#include "stage.h"
#include "tests/support/needs.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

Test(hono_connection, says_what_the_broker_has_against_it, .timeout = 60)
{
    stage_prepare("allow_anonymous false");
    stage_begin();
    const struct dv_link_changed *link = dv_test_session_expect_link(&stage.session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "does not allow"), "%s", link->note);
    stage_finish();
}

Test(hono_connection, says_that_nobody_listens_or_that_there_is_no_such_host, .timeout = 60)
{
    stage_prepare(NULL);
    dv_mosquitto_kill(stage.broker);
    stage_begin();
    const struct dv_link_changed *link = dv_test_session_expect_link(&stage.session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "refused"), "%s", link->note);
    cr_expect_not_null(strstr(link->note, "next try in"), "%s", link->note);
    dv_test_session_end(&stage.session);

    stage.session = (struct dv_test_session){0};
    stage.config.broker_url = "no-such-host.invalid";
    stage_begin();
    link = dv_test_session_expect_link(&stage.session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "name known"), "%s", link->note);
    stage_finish();
}

Test(hono_connection, configuration_that_cannot_work_is_refused_at_once)
{
    static const struct {
        const char *url, *cert, *client_id, *device;
        bool is_persistent;
        const char *why;
    } cases[] = {
        {"http://x", NULL, NULL, NULL, false, "scheme"},
        {"ssl://x", NULL, NULL, NULL, false, "root_ca"},
        {"tcp://x", "a.pem", NULL, NULL, false, "client_key"},
        {"tcp://x", NULL, NULL, NULL, true, "client_id"},
        {"tcp://x", NULL, NULL, "nonamespace", false, "fixed identity"},
        {"tcp://x", NULL,
         "a-client-id-that-is-longer-than-any-broker-and-any-person-would-want-it-to-be", NULL,
         false, "client_id"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dv_hono_config bad = DV_HONO_CONFIG_INIT;
        bad.broker_url = cases[i].url;
        bad.client_cert = cases[i].cert;
        bad.client_id = cases[i].client_id;
        bad.device_id = cases[i].device;
        bad.tenant_id = cases[i].device ? "t" : NULL;
        bad.is_session_persistent = cases[i].is_persistent;
        struct dv_bridge_env env = {.clock = dv_clock_real(), .sink = NULL, .config = &bad};
        struct dv_bridge *bridge;
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(dv_hono_ops.open(&env, &bridge, &err), -DV_ERR_INVALID);
        cr_expect_not_null(strstr(err.text, cases[i].why), "'%s' does not say '%s'", err.text,
                           cases[i].why);
    }
}

/* ---- a broker of bytes ---- */

static int listen_anywhere(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 8), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* Waits for the descriptor while the bridge goes on working. */
static void wait_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    for (int waited_ms = 0; waited_ms < DV_TEST_PATIENCE_MS; waited_ms += 10) {
        if (poll(&wait, 1, 10) == 1)
            return;
        dv_test_session_next(&stage.session, 0);
    }
    cr_assert_fail("the bridge sends nothing");
}

/* Accepts a connection and answers its CONNECT; *ret_level is the protocol version. */
static int accept_connect(int listener, int *ret_level, unsigned char code)
{
    unsigned char packet[256];
    const unsigned char answer[] = {0x20, 2, 0, code};
    wait_readable(listener);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(fd, 0);
    wait_readable(fd);
    ssize_t got = recv(fd, packet, sizeof(packet), 0);
    cr_assert_gt(got, 12);
    cr_assert_eq(packet[0], 0x10);
    *ret_level = packet[4 + packet[3]];
    cr_assert_eq(send(fd, answer, sizeof(answer), MSG_NOSIGNAL), (ssize_t)sizeof(answer));
    return fd;
}

Test(hono_connection, speaks_the_older_version_to_an_older_broker, .timeout = 60)
{
    int port, level;
    unsigned char subscribe[256];
    dv_autoclose int listener = listen_anywhere(&port);
    snprintf(stage.url, sizeof(stage.url), "127.0.0.1:%d", port);
    stage.config = DV_HONO_CONFIG_INIT;
    stage.config.broker_url = stage.url;
    stage_begin();
    dv_autoclose int first = accept_connect(listener, &level, 1);
    cr_expect_geq(first, 0);
    cr_expect_eq(level, 4);
    dv_autoclose int second = accept_connect(listener, &level, 0);
    cr_expect_eq(level, 3);
    wait_readable(second);
    cr_assert_gt(recv(second, subscribe, sizeof(subscribe), 0), 4);
    const unsigned char refusal[] = {0x90, 3, subscribe[2], subscribe[3], 0x80};
    cr_assert_eq(send(second, refusal, sizeof(refusal), MSG_NOSIGNAL), (ssize_t)sizeof(refusal));
    const struct dv_link_changed *link = dv_test_session_expect_link(&stage.session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "refuses a subscription"), "%s", link->note);
    dv_test_session_end(&stage.session);
}

Test(hono_connection, leaves_a_broker_that_does_not_answer_a_subscription, .timeout = 60)
{
    int port, level;
    dv_autoclose int listener = listen_anywhere(&port);
    snprintf(stage.url, sizeof(stage.url), "127.0.0.1:%d", port);
    stage.config = DV_HONO_CONFIG_INIT;
    stage.config.broker_url = stage.url;
    stage.config.subscribe_timeout_ns = DV_HONO_SECOND_NS / 4;
    stage_begin();
    dv_autoclose int fd = accept_connect(listener, &level, 0);
    cr_expect_geq(fd, 0);
    const struct dv_link_changed *link = dv_test_session_expect_link(&stage.session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "not acknowledged in time"), "%s", link->note);
    dv_test_session_end(&stage.session);
}

/* ---- TLS ---- */

#define OPENSSL "/usr/bin/openssl"

static void make_certificate(const char *folder, const char *name)
{
    char key[128], cert[128];
    pid_t pid;
    int status;
    snprintf(key, sizeof(key), "%s/%s.key", folder, name);
    snprintf(cert, sizeof(cert), "%s/%s.pem", folder, name);
    const char *argv[] = {"openssl",
                          "req",
                          "-x509",
                          "-newkey",
                          "ec",
                          "-pkeyopt",
                          "ec_paramgen_curve:prime256v1",
                          "-nodes",
                          "-keyout",
                          key,
                          "-out",
                          cert,
                          "-days",
                          "2",
                          "-subj",
                          "/CN=test",
                          "-addext",
                          "subjectAltName=IP:127.0.0.1",
                          NULL};
    struct dv_spawn spawn = {.path = OPENSSL, .argv = argv};
    cr_assert_eq(dv_spawn_start(&spawn, &pid, NULL), 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
}

static void remove_certificate(const char *folder, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s.key", folder, name);
    unlink(path);
    snprintf(path, sizeof(path), "%s/%s.pem", folder, name);
    unlink(path);
}

Test(hono_connection, trusts_only_the_given_authority, .timeout = 60)
{
    char folder[] = "/tmp/davit-tls-XXXXXX", lines[512], tls_url[64], ca[128], other[128];
    dv_need_program("/usr/bin/openssl");
    cr_assert_not_null(mkdtemp(folder));
    make_certificate(folder, "broker");
    make_certificate(folder, "other");
    snprintf(lines, sizeof(lines),
             "cafile %s/broker.pem\ncertfile %s/broker.pem\nkeyfile %s/broker.key", folder, folder,
             folder);
    snprintf(ca, sizeof(ca), "%s/broker.pem", folder);
    snprintf(other, sizeof(other), "%s/other.pem", folder);
    stage_prepare(lines);
    snprintf(tls_url, sizeof(tls_url), "mqtts://127.0.0.1:%d", dv_mosquitto_port(stage.broker));
    stage.config.broker_url = tls_url;
    stage.config.device_id = "org.example:gw1";
    stage.config.tenant_id = "t1";

    stage.config.root_ca = other;
    stage_begin();
    const struct dv_link_changed *link = dv_test_session_expect_link(&stage.session, DV_LINK_DOWN);
    cr_expect_not_null(strstr(link->note, "TLS"), "%s", link->note);
    dv_test_session_end(&stage.session);

    stage.session = (struct dv_test_session){0};
    stage.config.root_ca = ca;
    stage_begin();
    stage_expect_up(GW1);
    stage_finish();
    remove_certificate(folder, "broker");
    remove_certificate(folder, "other");
    rmdir(folder);
}
