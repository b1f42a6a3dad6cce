/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/image_config.h"

#include "runtime/image/config.h"

int dv_oci_image_parse(const char *bytes,
                       size_t len,
                       struct dv_arena *arena,
                       struct dv_oci_image *ret,
                       struct dv_error *err)
{
    struct dv_image_config config;
    int r = dv_image_config_parse(bytes, len, arena, &config, err);
    if (r < 0)
        return r;
    *ret = (struct dv_oci_image){
        .user = config.user,
        .working_dir = config.working_dir,
        .stop_signal = config.stop_signal,
        .env = {config.env, config.env_count},
        .entrypoint = {config.entrypoint, config.entrypoint_count},
        .cmd = {config.cmd, config.cmd_count},
    };
    return 0;
}
