/* SPDX-License-Identifier: Apache-2.0 */
/* Every key of Kanto's config.json: known under its name and its option, with the same default. */
#include "base/durable.h"
#include "config/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *key;
    const char *value;  /* another one than the default, in JSON */
    const char *preset; /* the default, as --print-config shows it; NULL: not Kanto's */
    const char *option; /* NULL: there is none */
} keys[] = {
    {"log.log_file", "\"/x\"", NULL, "log-file"},
    {"log.log_level", "\"DEBUG\"", "\"INFO\"", "log-level"},
    {"log.log_file_size", "3", "2", "log-file-size"},
    {"log.log_file_count", "3", "5", "log-file-count"},
    {"log.log_file_max_age", "3", "28", "log-file-max-age"},
    {"log.syslog", "true", "false", "log-syslog"},
    {"manager.home_dir", "\"/x\"", "\"/var/lib/container-management\"", "cm-home-dir"},
    {"manager.exec_root_dir", "\"/x\"", "\"/var/run/container-management\"", "cm-exec-root-dir"},
    {"manager.container_client_sid", "\"x\"",
     "\"container-management.service.local.v1.service-containerd-client\"", "cm-cc-sid"},
    {"manager.network_manager_sid", "\"x\"",
     "\"container-management.service.local.v1.service-libnetwork-manager\"", "cm-net-sid"},
    {"manager.default_ctrs_stop_timeout", "45", "30s", "cm-deflt-ctrs-stop-timeout"},
    {"containers.default_ns", "\"x\"", "\"kanto-cm\"", "ccl-default-ns"},
    {"containers.address_path", "\"/x\"", "\"/run/containerd/containerd.sock\"", "ccl-ap"},
    {"containers.registry_configurations", "{\"r:1\":{\"credentials\":{\"user_id\":\"u\"}}}", NULL,
     NULL},
    {"containers.insecure_registries", "[\"x\"]", "[\"localhost\"]", "ccl-insecure-registries"},
    {"containers.exec_root_dir", "\"/x\"", "\"\"", "ccl-exec-root-dir"},
    {"containers.home_dir", "\"/x\"", "\"\"", "ccl-home-dir"},
    {"containers.image_dec_keys", "[\"x\"]", "[]", "ccl-image-dec-keys"},
    {"containers.image_dec_recipients", "[\"x\"]", "[]", "ccl-image-dec-recipients"},
    {"containers.runc_runtime", "\"io.containerd.runc.v1\"", "\"io.containerd.runc.v2\"",
     "ccl-runc-runtime"},
    {"containers.image_expiry", "\"1h\"", "744h", "ccl-image-expiry"},
    {"containers.image_expiry_disable", "true", "false", "ccl-image-expiry-disable"},
    {"containers.lease_id", "\"x\"", "\"kanto-cm.lease\"", "ccl-lease-id"},
    {"containers.image_verifier_type", "\"none\"", "\"none\"", "ccl-image-verifier-type"},
    {"containers.image_verifier_config", "{\"configDir\":\"/x\"}", NULL, NULL},
    {"network.type", "\"bridge\"", "\"bridge\"", "net-type"},
    {"network.home_dir", "\"/x\"", "\"\"", "net-home-dir"},
    {"network.exec_root_dir", "\"/x\"", "\"\"", "net-exec-root-dir"},
    {"network.default_bridge.disable", "true", "false", "net-tbr-disable"},
    {"network.default_bridge.name", "\"x\"", "\"kanto-cm0\"", "net-br-name"},
    {"network.default_bridge.ip4", "\"10.0.0.1/8\"", "\"\"", "net-br-ip4"},
    {"network.default_bridge.fcidr4", "\"10.0.0.0/8\"", "\"\"", "net-br-fcidr4"},
    {"network.default_bridge.gwip4", "\"10.0.0.1\"", "\"\"", "net-br-gwip4"},
    {"network.default_bridge.enable_ip6", "true", "false", "net-br-enable-ip6"},
    {"network.default_bridge.mtu", "1400", "1500", "net-br-mtu"},
    {"network.default_bridge.icc", "false", "true", "net-br-icc"},
    {"network.default_bridge.ip_tables", "false", "true", "net-br-ipt"},
    {"network.default_bridge.ip_forward", "false", "true", "net-br-ipfw"},
    {"network.default_bridge.ip_masq", "false", "true", "net-br-ipmasq"},
    {"network.default_bridge.userland_proxy", "true", "false", "net-br-ulp"},
    {"grpc_server.protocol", "\"tcp\"", "\"unix\"", "grpc-serv-netp"},
    {"grpc_server.address_path", "\"/x\"",
     "\"/run/container-management/container-management.sock\"", "grpc-serv-ap"},
    {"things.enable", "false", "true", "things-enable"},
    {"things.home_dir", "\"/x\"", "\"\"", "things-home-dir"},
    {"things.features", "[\"Metrics\"]", "[]", "things-features"}, /* none are named: all */
    {"deployment.enable", "false", "true", "deployment-enable"},
    {"deployment.mode", "\"init\"", "\"update\"", "deployment-mode"},
    {"deployment.home_dir", "\"/x\"", "\"\"", "deployment-home-dir"},
    {"deployment.ctr_dir", "\"/x\"", "\"/etc/container-management/containers\"",
     "deployment-ctr-dir"},
    {"update_agent.enable", "true", "false", "ua-enable"},
    {"update_agent.domain", "\"x\"", "\"containers\"", "ua-domain"},
    {"update_agent.system_containers", "[\"x\"]", "[]", "ua-system-containers"},
    {"update_agent.verbose_inventory_report", "true", "false", "ua-verbose-inventory-report"},
    {"connection.broker_url", "\"tcp://x:1\"", "\"tcp://localhost:1883\"", "conn-broker-url"},
    {"connection.keep_alive", "\"30s\"", "20s", "conn-keep-alive"},
    {"connection.disconnect_timeout", "\"1s\"", "250ms", "conn-disconnect-timeout"},
    {"connection.connect_timeout", "\"1s\"", "30s", "conn-connect-timeout"},
    {"connection.acknowledge_timeout", "\"1s\"", "15s", "conn-ack-timeout"},
    {"connection.subscribe_timeout", "\"1s\"", "15s", "conn-sub-timeout"},
    {"connection.unsubscribe_timeout", "\"1s\"", "5s", "conn-unsub-timeout"},
    {"connection.client_username", "\"x\"", "\"\"", "conn-client-username"},
    {"connection.client_password", "\"x\"", "\"\"", "conn-client-password"},
    {"connection.transport.root_ca", "\"/x\"", "\"\"", "conn-root-ca"},
    {"connection.transport.client_cert", "\"/x\"", "\"\"", "conn-client-cert"},
    {"connection.transport.client_key", "\"/x\"", "\"\"", "conn-client-key"},
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

static struct dv_error err;

static struct dv_config_file *load(const char *text, char *option)
{
    char path[] = "/tmp/davit-kanto-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_durable_replace(path, text, strlen(text), 0600, &err), 0);
    char *arguments[] = {(char *)"davitd", option, NULL};
    struct dv_config_options options = {
        .path = path, .argc = option ? 2 : 1, .argv = arguments, .is_strict = false};
    struct dv_config_file *file = NULL;
    int r = dv_config_load(&options, &file, &err);
    unlink(path);
    cr_expect_eq(r, 0, "%s %s: %s", text, option ? option : "", err.text);
    return file;
}

/* {"a":{"b":value}} of a.b */
static void nest(const char *key, const char *value, char *out, size_t size)
{
    char parts[128];
    char *rest = parts;
    char *part;
    int depth = 0;
    size_t len = 0;
    snprintf(parts, sizeof(parts), "%s", key);
    while ((part = strsep(&rest, "."))) {
        len += (size_t)snprintf(out + len, size - len, "{\"%s\":", part);
        depth++;
    }
    len += (size_t)snprintf(out + len, size - len, "%s", value);
    while (depth-- > 0)
        len += (size_t)snprintf(out + len, size - len, "}");
    cr_assert_lt(len, size);
}

/* shows: K47 */
Test(config_kanto, every_key_is_known)
{
    for (size_t i = 0; i < KEYS; i++) {
        char text[300];
        nest(keys[i].key, keys[i].value, text, sizeof(text));
        DV_AUTO(dv_config_file) file = load(text, NULL);
        const char *warning = file ? dv_config_warning(file, 0) : NULL;
        cr_expect(!warning || strstr(warning, "has no effect in davit"), "%s: %s", keys[i].key,
                  warning);
    }
}

/* shows: K47 */
Test(config_kanto, every_default_is_the_same)
{
    DV_AUTO(dv_config_file) file = load("", NULL);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(100000);
    cr_assert_eq(dv_config_print(file, &out, &err), 0);
    for (size_t i = 0; i < KEYS; i++) {
        char line[200];
        if (!keys[i].preset)
            continue;
        snprintf(line, sizeof(line), "%s = %s  (default", keys[i].key, keys[i].preset);
        cr_expect(strstr(out.data, line), "%s", line);
    }
}

/* shows: K47 */
Test(config_kanto, every_option_sets_its_key)
{
    for (size_t i = 0; i < KEYS; i++) {
        char option[200];
        char line[100];
        const char *value = keys[i].value;
        int len = (int)strlen(value);
        if (!keys[i].option)
            continue;
        while (len && strchr("[\"", *value)) {
            value++;
            len--;
        }
        while (len && strchr("]\"", value[len - 1]))
            len--;
        snprintf(option, sizeof(option), "--%s=%.*s", keys[i].option, len, value);
        DV_AUTO(dv_config_file) file = load("", option);
        if (!file)
            continue;
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(100000);
        cr_assert_eq(dv_config_print(file, &out, &err), 0);
        snprintf(line, sizeof(line), "\n%s = ", keys[i].key);
        const char *found =
            i == 0 ? out.data : strstr(out.data, line); /* the first line has none before it */
        cr_assert_not_null(found, "%s", line);
        const char *source = strstr(found, "  (");
        cr_expect_neq(strncmp(source, "  (default", 10), 0, "%s does not set %s", option,
                      keys[i].key);
    }
}
