/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

/* Nibble by nibble: sixteen constants instead of a table made at start-up. */
static const uint32_t nibbles[16] = {
    0x00000000U, 0x105EC76FU, 0x20BD8EDEU, 0x30E349B1U, 0x417B1DBCU, 0x5125DAD3U,
    0x61C69362U, 0x7198540DU, 0x82F63B78U, 0x92A8FC17U, 0xA24BB5A6U, 0xB21572C9U,
    0xC38D26C4U, 0xD3D3E1ABU, 0xE330A81AU, 0xF36E6F75U,
};

uint32_t dv_crc32c(uint32_t crc, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    crc = ~crc;
    while (len--) {
        crc ^= *at++;
        crc = crc >> 4 ^ nibbles[crc & 15U];
        crc = crc >> 4 ^ nibbles[crc & 15U];
    }
    return ~crc;
}
