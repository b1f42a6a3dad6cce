/* SPDX-License-Identifier: Apache-2.0 */
/* What davit-monitor hands over to its next program. The checksum is made right first: a fuzzer
 * does not find one, and a broken writer makes right ones. */
#include "base/crc32c.h"
#include "monitor/state.h"

#include <string.h>

#define HEADER_BYTES 12U
#define CRC_AT       8U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dv_autofree uint8_t *bytes = calloc(1, size + 1);
    if (!bytes)
        return 0;
    if (size)
        memcpy(bytes, data, size);
    (void)!mon_state_check(bytes, size, NULL);
    if (size < HEADER_BYTES)
        return 0;
    uint32_t crc = dv_crc32c(0, bytes + HEADER_BYTES, size - HEADER_BYTES);
    for (unsigned i = 0; i < 4; i++)
        bytes[CRC_AT + i] = (uint8_t)(crc >> (8 * i));
    (void)!mon_state_check(bytes, size, NULL);
    return 0;
}
