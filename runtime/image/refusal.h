/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a registry's refusal means, in words. Pure, any thread. */
#include "base/error.h"
#include "messages/messages.h"

/* Sets *err for an HTTP status that is no success and returns its class. `object` says what was
 * asked for ("manifest 1.36"). UNAVAILABLE for what may pass (429, 5xx), DENIED for 401 and 403,
 * FAILED for 404, PROTOCOL for anything else. The registry's own words are added, as far as they
 * are printable. */
int dv_registry_refusal(const struct dv_download_result *answer,
                        const char *object,
                        struct dv_error *err);

/* The value of the first header of that name, in any case; NULL without one. */
const char *dv_header_find(const struct dv_http_header_list *headers, const char *name);
