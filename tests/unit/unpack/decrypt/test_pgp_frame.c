/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "unpack/decrypt/pgp_frame.h"

#include <criterion/criterion.h>
#include <string.h>

#define KEY                                                                                        \
    "\xc1\x0a\x03"                                                                                 \
    "12345678"                                                                                     \
    "\x01"
#define ROW(bytes, result)                                                                         \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, result                                                           \
    }

Test(pgp_frame, only_protected_data_for_public_keys_is_taken)
{
    static const struct {
        const char *bytes;
        size_t len;
        int result;
    } table[] = {
        ROW(KEY "\xd2\x02\x01x", 0),
        ROW(KEY "\xd2\xe0\x01\x01x", 0),
        ROW("\x84\x0a\x03"
            "12345678"
            "\x01"
            "\xd2\x02\x01x",
            0),
        ROW("", -DV_ERR_INVALID),
        ROW("-----BEGIN PGP MESSAGE-----", -DV_ERR_INVALID),
        ROW(KEY, -DV_ERR_INVALID),
        ROW(KEY "\xd2\x03\x01x", -DV_ERR_INVALID),
        ROW(KEY "\xd2\xe0\x01", -DV_ERR_INVALID),
        ROW(KEY "\xd2\x02\x01xy", -DV_ERR_INVALID),
        ROW("\xc1\x09\x03"
            "12345678",
            -DV_ERR_INVALID),
        ROW("\x87\x03", -DV_ERR_INVALID),
        ROW("\xd2\xff\xff\xff\xff\xff\x01", -DV_ERR_INVALID),
        ROW("\xd2\x02\x01x", -DV_ERR_UNSUPPORTED),
        ROW(KEY "\xd2\x02\x02x", -DV_ERR_UNSUPPORTED),
        ROW(KEY "\xc9\x01x", -DV_ERR_UNSUPPORTED),
        ROW("\xc3\x01x", -DV_ERR_UNSUPPORTED),
        ROW("\xc1\x0a\x06"
            "12345678"
            "\x01",
            -DV_ERR_UNSUPPORTED),
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dv_error err = DV_ERROR_INIT;
        cr_expect_eq(dv_pgp_frame_check(table[i].bytes, table[i].len, &err), table[i].result,
                     "row %zu: %s", i, err.text);
    }
}

Test(pgp_frame, recipients_are_bounded)
{
    DV_AUTO_IN_PLACE(dv_buf) message = DV_BUF_INIT(100000);
    for (unsigned i = 0; i <= DV_PGP_RECIPIENTS_MAX; i++)
        cr_assert_eq(dv_buf_append(&message, KEY, sizeof(KEY) - 1, NULL), 0);
    struct dv_error err = DV_ERROR_INIT;
    cr_expect_eq(dv_pgp_frame_check(message.data, message.len, &err), -DV_ERR_INVALID);
    cr_expect(strstr(err.text, "recipients"), "%s", err.text);
}
