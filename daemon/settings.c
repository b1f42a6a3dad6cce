/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/settings.h"

#include "base/log.h"

#include <strings.h>

#define NS_PER_MS 1000000

int daemon_check_settings(const struct dv_config *c, struct dv_error *err)
{
    if (c->image_verifier_type[0] && strcasecmp(c->image_verifier_type, "none") != 0)
        return dv_error_set(
            err, DV_ERR_UNSUPPORTED,
            "containers.image_verifier_type '%s': davit cannot verify signatures of "
            "images, and does not run unverified what should be verified; set it to "
            "none to do without",
            c->image_verifier_type);
    return 0;
}

void daemon_settings(const struct dv_config *c, struct dv_actor_settings *ret)
{
    *ret = (struct dv_actor_settings){
        .stop_timeout_ms = c->stop_timeout_ns / NS_PER_MS,
        .command_timeout_ms = c->command_ns / NS_PER_MS,
        .job_timeout_ms = c->job_ns / NS_PER_MS,
        .pull_stall_ms = c->pull_stall_ns / NS_PER_MS,
        .restart_first_ms = c->restart_first_ns / NS_PER_MS,
        .restart_max_ms = c->restart_max_ns / NS_PER_MS,
        .restart_stable_ms = c->restart_stable_ns / NS_PER_MS,
        .launches_max = (unsigned)c->launches_max,
        .unpack_timeout_ms = c->unpack_ns / NS_PER_MS,
        .pull_rate_max = c->pull_rate_kib * 1024,
        /* None at all is at once, not never. */
        .image_expiry_ms = c->image_expiry_disable ? -1 : c->image_expiry_ns / NS_PER_MS + 1,
        .repeat_window_ms = c->repeat_window_ns / NS_PER_MS,
        .checkpoint_ms = c->checkpoint_ns / NS_PER_MS,
        .artifact_ms = c->artifact_ns / NS_PER_MS,
        .replace_wait_ms = c->replace_wait_ns / NS_PER_MS,
        .workers = (unsigned)c->workers,
        .commands_max = (unsigned)c->commands_max,
        .repeats_max = (unsigned)c->repeats_max,
        .twin_in_flight_max = (unsigned)c->in_flight_max,
        .outbox_max = (unsigned)c->outbox_max,
        .message_bytes_max = (size_t)c->message_bytes_max,
        .metrics_in_seconds = c->metrics_in_seconds,
        .has_ip6 = c->bridge_enable_ip6,
        .version = DAEMON_VERSION,
    };
}

void daemon_network_options(const struct dv_config *c, struct dv_network_options *ret)
{
    *ret = (struct dv_network_options){
        .run_dir = c->run_dir,
        .name = c->network_name,
        .alt_name = c->bridge_name,
        .address = c->bridge_ip4,
        .range = c->bridge_fcidr4,
        .gateway = c->bridge_gwip4,
        .network6 = c->network_ip6,
        .mtu = (unsigned)c->bridge_mtu,
        .is_disabled = c->bridge_disable,
        .is_isolated = !c->bridge_icc,
        .has_rules = c->bridge_ip_tables,
        .is_forwarding = c->bridge_ip_forward,
        .is_masquerading = c->bridge_ip_masq,
        .has_ip6 = c->bridge_enable_ip6,
    };
}

static const char *given(const char *text)
{
    return text[0] ? text : NULL;
}

void daemon_artifacts(const struct dv_config *c, struct dv_artifact_settings *ret)
{
    *ret = (struct dv_artifact_settings){
        .root_ca = given(c->artifact_root_ca),
        .client_cert = given(c->artifact_client_cert),
        .client_key = given(c->artifact_client_key),
        .known_hosts = given(c->artifact_known_hosts),
    };
}

void daemon_hono_config(const struct dv_config *c, struct dv_hono_config *ret)
{
    *ret = DV_HONO_CONFIG_INIT;
    ret->broker_url = c->broker_url;
    ret->keep_alive_ns = c->keep_alive_ns;
    ret->connect_timeout_ns = c->connect_timeout_ns;
    ret->acknowledge_timeout_ns = c->acknowledge_timeout_ns;
    ret->subscribe_timeout_ns = c->subscribe_timeout_ns;
    ret->disconnect_timeout_ns = c->disconnect_timeout_ns;
    ret->retry_min_ns = c->connect_retry_min_ns;
    ret->retry_max_ns = c->connect_retry_max_ns;
    ret->username = c->client_username[0] ? c->client_username : NULL;
    ret->password = c->client_password[0] ? c->client_password : NULL;
    ret->root_ca = c->root_ca[0] ? c->root_ca : NULL;
    ret->client_cert = c->client_cert[0] ? c->client_cert : NULL;
    ret->client_key = c->client_key[0] ? c->client_key : NULL;
    ret->client_id = c->client_id[0] ? c->client_id : NULL;
    ret->is_session_persistent = !c->clean_session;
    ret->device_id = c->device_id[0] ? c->device_id : NULL;
    ret->tenant_id = c->tenant_id[0] ? c->tenant_id : NULL;
    ret->policy_id = c->policy_id[0] ? c->policy_id : NULL;
    ret->things = (unsigned)c->bridge_things;
}

void daemon_registries(const struct dv_config *c,
                       struct dv_registry *registries,
                       struct dv_registry_settings *ret)
{
    for (size_t i = 0; i < c->registry_count; i++) {
        const struct dv_config_registry *from = &c->registries[i];
        struct dv_error why = DV_ERROR_INIT;
        registries[i] = (struct dv_registry){
            .host = from->host,
            .user = from->user,
            .password = from->password,
            .root_ca = from->root_ca,
            .client_cert = from->client_cert,
            .client_key = from->client_key,
        };
        if (dv_registry_tls_is_usable(&registries[i], &why))
            continue;
        dv_log(DV_LOG_WARN, "registry %s: TLS files are not used, default TLS is: %s", from->host,
               why.text);
        registries[i].root_ca = NULL;
        registries[i].client_cert = NULL;
        registries[i].client_key = NULL;
    }
    *ret = (struct dv_registry_settings){
        .insecure = c->insecure_registries.items,
        .insecure_count = c->insecure_registries.count,
        .registries = registries,
        .registry_count = c->registry_count,
    };
    for (size_t i = 0; i < c->mirrors.count; i++) {
        struct dv_error why = DV_ERROR_INIT;
        if (c->mirrors.items[i][0] && dv_registry_mirror_add(ret, c->mirrors.items[i], &why) < 0)
            dv_log(DV_LOG_WARN, "davit.images.mirrors: %s; it is not used", why.text);
    }
}
