/* SPDX-License-Identifier: Apache-2.0 */
/* What a container asks the actor `image`, with its keys or those of the daemon. */
#include "actors/container/internal.h"
#include "base/log.h"
#include "spec/decryption.h"

#include <string.h>

#define DAY_MS   (24LL * 3600 * 1000)
#define KEYS_MAX (300U << 10)

/* Its own keys replace those of the daemon. A text without end is cut short by the rules already.
 */
static bool take_keys(const struct container *c, struct dv_buf *buf, struct dv_bytes *ret)
{
    const char *common = c->settings->decryption;
    bool is_own = c->record->spec->decryption != NULL;
    struct dv_error err = DV_ERROR_INIT;
    if (dv_decryption_write(c->record->spec->decryption, buf, &err) < 0)
        dv_log(DV_LOG_ERROR, "container '%s': decryption keys: %s", c->name, err.text);
    const char *text = is_own ? buf->data : common;
    *ret = (struct dv_bytes){(uint8_t *)(uintptr_t)text, text ? strlen(text) : 0};
    return is_own;
}

void container_ask_image(struct container *c, dv_outcome_fn *fn, void *ctx)
{
    struct dv_buf buf = DV_BUF_INIT(KEYS_MAX);
    struct dv_image_ensure_cmd body = {.ref = c->record->spec->image_ref, .owner = c->record->id};
    body.is_own = take_keys(c, &buf, &body.keys);
    /* The image cell ends a pull that stalls; a slow one may take as long as it likes. */
    dv_ask(c->cell, DV_ADDRESS_IMAGE, DV_KIND_image_ensure_cmd, &body, DAY_MS, fn, ctx);
    dv_buf_wipe(&buf);
}

void container_ask_authorization(struct container *c, dv_outcome_fn *fn, void *ctx)
{
    struct dv_buf buf = DV_BUF_INIT(KEYS_MAX);
    struct dv_image_authorize_cmd body = {.ref = c->record->spec->image_ref,
                                          .image_id = c->record->image_id};
    (void)take_keys(c, &buf, &body.keys);
    dv_ask(c->cell, DV_ADDRESS_IMAGE, DV_KIND_image_authorize_cmd, &body,
           c->settings->job_timeout_ms * 3, fn, ctx);
    dv_buf_wipe(&buf);
}
