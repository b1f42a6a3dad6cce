/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

const char *probe(void);

const char *probe(void)
{
    return dv_error_name(DV_ERR_IO);
}
