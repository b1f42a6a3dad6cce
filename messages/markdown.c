/* SPDX-License-Identifier: Apache-2.0 */
#include "messages/markdown.h"

#include "messages/catalog.h"

static const char head[] =
    "# Messages\n\n"
    "Everything that actors say to each other, and what is journaled, is a message of this page. "
    "It is\n"
    "written by `davitd --message-reference` from the rows in `messages/schema/*.def`; the same "
    "rows\n"
    "make the C types, the codec, the JSON form and the printer. On the bus a message is two "
    "frames:\n"
    "the receiver's address, then envelope and body. A body is a msgpack map from the keys below; "
    "in\n"
    "JSON the field names are used. Optional fields that are empty are not sent; unknown keys are\n"
    "skipped. A key is never used again for something else.\n\n"
    "Limits: of a number its value, of a text or bytes its length, of a list its items.\n";

static const char *type_name(const struct dv_field *field)
{
    switch (field->kind) {
    case DV_FIELD_BOOL:
        return "flag";
    case DV_FIELD_INT:
        return "number";
    case DV_FIELD_MAYBE:
        return "number or absent";
    case DV_FIELD_ENUM:
        return field->enums->name;
    case DV_FIELD_TEXT:
        return "text";
    case DV_FIELD_BYTES:
        return "bytes";
    case DV_FIELD_TEXTS:
        return "list of texts";
    case DV_FIELD_STRUCT:
    case DV_FIELD_LIST:
        return field->schema->name;
    }
    return "?";
}

static int write_limits(const struct dv_field *field, struct dv_buf *out, struct dv_error *err)
{
    bool has_limits = field->kind != DV_FIELD_BOOL && field->kind != DV_FIELD_ENUM &&
                      field->kind != DV_FIELD_STRUCT;
    if (!has_limits)
        return 0;
    if (field->max == INT64_MAX)
        return dv_buf_printf(out, err, "%lld..", (long long)field->min);
    return dv_buf_printf(out, err, "%lld..%lld", (long long)field->min, (long long)field->max);
}

static int write_field(const struct dv_field *field, struct dv_buf *out, struct dv_error *err)
{
    int r = dv_buf_printf(out, err, "| %u | `%s` | %s%s | %s | ", (unsigned)field->key, field->name,
                          field->kind == DV_FIELD_LIST ? "list of " : "", type_name(field),
                          field->is_required ? "yes" : "");
    if (r == 0)
        r = write_limits(field, out, err);
    return r < 0 ? r : dv_buf_printf(out, err, " | %s |\n", field->doc);
}

static int write_schema(const struct dv_schema *schema, struct dv_buf *out, struct dv_error *err)
{
    int r = schema->kind
                ? dv_buf_printf(out, err, "\n### %s (%u)\n\n", schema->name, (unsigned)schema->kind)
                : dv_buf_printf(out, err, "\n### %s\n\n", schema->name);
    if (r == 0 && schema->doc[0])
        r = dv_buf_printf(out, err, "%s.\n", schema->doc);
    if (r == 0 && schema->count)
        r = dv_buf_append_str(
            out,
            "\n| Key | Field | Type | Required | Limits | Meaning |\n|---|---|---|---|---|---|\n",
            err);
    for (size_t i = 0; r == 0 && i < schema->count; i++)
        r = write_field(&schema->fields[i], out, err);
    return r;
}

static int write_enum(const struct dv_enum_table *table, struct dv_buf *out, struct dv_error *err)
{
    int r = dv_buf_printf(out, err, "| %s | %s | ", table->name, table->doc);
    for (size_t i = 0; r == 0 && i < table->count; i++)
        r = dv_buf_printf(out, err, "%s%lld %s", i ? ", " : "", (long long)table->values[i].number,
                          table->values[i].api);
    return r < 0 ? r : dv_buf_append_str(out, " |\n", err);
}

int dv_messages_markdown(struct dv_buf *out, struct dv_error *err)
{
    const struct dv_schema *schema;
    const struct dv_enum_table *table;
    int r = dv_buf_append_str(out, head, err);
    if (r == 0)
        r = dv_buf_append_str(
            out, "\n## Enumerations\n\n| Name | Classifies | Values |\n|---|---|---|\n", err);
    for (size_t i = 0; r == 0 && (table = dv_enum_at(i)) != NULL; i++)
        r = write_enum(table, out, err);
    if (r == 0)
        r = dv_buf_append_str(out, "\n## Messages, by kind, and the parts they are made of\n", err);
    for (size_t i = 0; r == 0 && (schema = dv_schema_at(i)) != NULL; i++)
        r = write_schema(schema, out, err);
    return r;
}
