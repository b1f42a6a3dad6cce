/* SPDX-License-Identifier: Apache-2.0 */
/* A system library that another module uses. */
void *archive_read_new(void);
void *probe(void);

void *probe(void)
{
    return archive_read_new();
}
