/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/url.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_url(const char *text, const char *uri, bool is_tls)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_hono_url url;
    cr_assert_eq(dv_hono_url_parse(text, &url, &err), 0, "%s", err.text);
    cr_expect_str_eq(url.uri, uri);
    cr_expect_eq(url.is_tls, is_tls);
}

static void expect_refused(const char *text, const char *why)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_hono_url url;
    cr_assert_eq(dv_hono_url_parse(text, &url, &err), -DV_ERR_INVALID, "%s", text);
    cr_expect_not_null(strstr(err.text, why), "'%s' does not say '%s'", err.text, why);
}

Test(hono_url, has_a_default_port_for_each_scheme)
{
    expect_url("localhost", "tcp://localhost:1883", false);
    expect_url("tcp://localhost:1884", "tcp://localhost:1884", false);
    expect_url("MQTT://broker/", "tcp://broker:1883", false);
    expect_url("ssl://broker", "ssl://broker:8883", true);
    expect_url("tls://broker", "ssl://broker:8883", true);
    expect_url("mqtts://broker:1", "ssl://broker:1", true);
    expect_url("mqtt+ssl://broker", "ssl://broker:8883", true);
    expect_url("tcps://broker", "ssl://broker:8883", true);
    expect_url("ws://broker/mqtt", "ws://broker:80/mqtt", false);
    expect_url("wss://broker/a/b", "wss://broker:443/a/b", true);
}

Test(hono_url, keeps_the_brackets_of_an_ipv6_address)
{
    expect_url("tcp://[::1]", "tcp://[::1]:1883", false);
    expect_url("[fe80::1]:99", "tcp://[fe80::1]:99", false);
}

Test(hono_url, of_another_form_is_refused)
{
    expect_refused("", "host");
    expect_refused("tcp://", "host");
    expect_refused("tcp://:1883", "host");
    expect_refused("tcp://a:", "host");
    expect_refused("tcp://[::1", "host");
    expect_refused("tcp://[::1]x", "host");
    expect_refused("http://a", "unknown scheme 'http'");
    expect_refused("tcp://a:0", "port");
    expect_refused("tcp://a:65536", "port");
    expect_refused("tcp://a:1x", "port");
    expect_refused("tcp://a/path", "path");
    expect_refused("tcp://me:secret@a", "credentials");
}
