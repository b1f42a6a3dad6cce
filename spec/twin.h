/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the digital twin shows of a container: JSON values appended to *out. Pure, any thread.
 * Shapes: docs/twin.md.
 */
#include "base/buf.h"
#include "base/error.h"
#include "messages/messages.h"

#define DV_TWIN_FACTORY_DEFINITION   "com.bosch.iot.suite.edge.containers:ContainerFactory:1.3.0"
#define DV_TWIN_CONTAINER_DEFINITION "com.bosch.iot.suite.edge.containers:Container:1.5.0"

/* {"status":{name, imageRef, config, createdAt, state}}: properties of the whole feature. */
__attribute__((warn_unused_result)) int dv_twin_container_properties(
    const struct dv_container_record *record, struct dv_buf *out, struct dv_error *err);
/* The same without config. */
__attribute__((warn_unused_result)) int dv_twin_container_outline(
    const struct dv_container_record *record, struct dv_buf *out, struct dv_error *err);
/* Properties status/state, status/name, status/config. */
__attribute__((warn_unused_result)) int dv_twin_container_state(
    const struct dv_container_record *record, struct dv_buf *out, struct dv_error *err);
__attribute__((warn_unused_result)) int dv_twin_container_name(
    const struct dv_container_record *record, struct dv_buf *out, struct dv_error *err);
__attribute__((warn_unused_result)) int dv_twin_container_config(
    const struct dv_container_record *record, struct dv_buf *out, struct dv_error *err);
