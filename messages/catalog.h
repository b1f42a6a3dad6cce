/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * All schemas by kind. Read-only tables, any thread.
 */
#include "messages/schema.h"

#include <stddef.h>
#include <stdint.h>

const struct dv_schema *dv_schema_of_kind(uint16_t kind);    /* NULL if unknown */
const struct dv_schema *dv_schema_of_name(const char *name); /* messages and types */
const struct dv_schema *dv_schema_at(size_t index);   /* all, in file order; NULL at the end */
const struct dv_enum_table *dv_enum_at(size_t index); /* all, in file order; NULL at the end */
