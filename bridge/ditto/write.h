/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the writers of envelopes share; private to bridge/ditto.
 */
#include "json/json.h"

/* Writes the member "topic" of an envelope about `thing` (namespace:name): what comes behind
 * "things/" is `tail`. */
void dv_ditto_write_topic(struct dv_json_writer *w, const char *thing, const char *tail);
