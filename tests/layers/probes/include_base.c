/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

int probe(void);

int probe(void)
{
    return (int)sizeof(struct dv_buf);
}
