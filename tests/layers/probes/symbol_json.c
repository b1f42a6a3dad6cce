/* SPDX-License-Identifier: Apache-2.0 */
/* A prototype typed by hand. */
void dv_json_free(void *root);
void probe(void *root);

void probe(void *root)
{
    dv_json_free(root);
}
