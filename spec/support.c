/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that are documented and not enforced yet: refused by name, never ignored. */
#include "spec/rules.h"

#include <string.h>

int dv_spec_check_support(const struct dv_container_record *record, struct dv_error *err)
{
    const struct dv_container_spec *spec = record->spec;
    const struct {
        const char *key;
        bool is_used;
    } fields[] = {
        {"decryption", spec->decryption != NULL},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (fields[i].is_used)
            return dv_error_set(err, DV_ERR_UNSUPPORTED, "config.%s is not supported yet",
                                fields[i].key);
    for (size_t i = 0; i < spec->port_mappings.count; i++)
        if (strchr(spec->port_mappings.items[i].host_ip, ':'))
            return dv_error_set(err, DV_ERR_UNSUPPORTED,
                                "config.portMappings[%zu].hostIP: IPv6 is not supported yet", i);
    return 0;
}
