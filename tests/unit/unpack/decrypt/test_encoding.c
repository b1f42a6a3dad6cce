/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/decrypt/encoding.h"

#include <criterion/criterion.h>
#include <string.h>

static int decode(const char *text, enum dv_base64 alphabet, const char *bytes)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1000);
    int r = dv_base64_read(dv_str_of(text), alphabet, "it", &out, NULL);
    if (r == 0)
        cr_expect_str_eq(out.data ? out.data : "", bytes, "%s", text);
    return r;
}

Test(base64, decodes_both_alphabets)
{
    cr_expect_eq(decode("", DV_BASE64_STANDARD, ""), 0);
    cr_expect_eq(decode("Zg==", DV_BASE64_STANDARD, "f"), 0);
    cr_expect_eq(decode("Zm8=", DV_BASE64_STANDARD, "fo"), 0);
    cr_expect_eq(decode("Zm9vYmFy", DV_BASE64_STANDARD, "foobar"), 0);
    cr_expect_eq(decode("++//", DV_BASE64_STANDARD, "\xfb\xef\xff"), 0);
    cr_expect_eq(decode("Zg", DV_BASE64_URL, "f"), 0);
    cr_expect_eq(decode("Zm8", DV_BASE64_URL, "fo"), 0);
    cr_expect_eq(decode("--__", DV_BASE64_URL, "\xfb\xef\xff"), 0);
}

Test(base64, anything_else_is_refused)
{
    static const char *const standard[] = {"Z",    "Zg",   "Zg=",  "Zg===", "Z===", "====",
                                           "Zh==", "Zm9=", "Zm 8", "Zm8\n", "--__", "Zg==Zg=="};
    static const char *const url[] = {"Z", "Zg==", "Zh", "Zm9", "++//", "Zm 8"};
    for (size_t i = 0; i < sizeof(standard) / sizeof(standard[0]); i++)
        cr_expect_eq(decode(standard[i], DV_BASE64_STANDARD, ""), -DV_ERR_INVALID, "%s",
                     standard[i]);
    for (size_t i = 0; i < sizeof(url) / sizeof(url[0]); i++)
        cr_expect_eq(decode(url[i], DV_BASE64_URL, ""), -DV_ERR_INVALID, "%s", url[i]);
}
