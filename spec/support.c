/* SPDX-License-Identifier: Apache-2.0 */
/* Values that are documented and not enforced: refused by name, never ignored. */
#include "spec/rules.h"

#include <string.h>

int dv_spec_check_support(const struct dv_container_record *record, struct dv_error *err)
{
    const struct dv_container_spec *spec = record->spec;
    for (size_t i = 0; i < spec->port_mappings.count; i++)
        if (strchr(spec->port_mappings.items[i].host_ip, ':'))
            return dv_error_set(err, DV_ERR_UNSUPPORTED,
                                "config.portMappings[%zu].hostIP: IPv6 is not supported yet", i);
    return 0;
}
