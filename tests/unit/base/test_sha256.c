/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#include <criterion/criterion.h>
#include <string.h>

static char *hex_of(const void *bytes, size_t len, size_t step, char text[DV_SHA256_HEX_SIZE])
{
    struct dv_sha256 sha;
    dv_sha256_init(&sha);
    for (size_t at = 0; at < len; at += step)
        dv_sha256_add(&sha, (const char *)bytes + at, len - at < step ? len - at : step);
    return dv_sha256_finish_hex(&sha, text);
}

Test(sha256, sums_the_published_vectors)
{
    char text[DV_SHA256_HEX_SIZE];
    cr_assert_str_eq(hex_of("", 0, 1, text),
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    cr_assert_str_eq(hex_of("abc", 3, 3, text),
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    cr_assert_str_eq(hex_of(two, strlen(two), 7, text),
                     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

Test(sha256, does_not_depend_on_how_the_bytes_are_cut)
{
    char bytes[300], whole[DV_SHA256_HEX_SIZE], cut[DV_SHA256_HEX_SIZE];
    memset(bytes, 'x', sizeof(bytes));
    for (size_t len = 50; len < 140; len++) {
        hex_of(bytes, len, len, whole);
        for (size_t step = 1; step < 70; step += 11)
            cr_assert_str_eq(hex_of(bytes, len, step, cut), whole);
    }
}

Test(sha256, parts_do_not_run_into_each_other)
{
    char a[DV_SHA256_HEX_SIZE], b[DV_SHA256_HEX_SIZE];
    struct dv_sha256 sha;
    dv_sha256_init(&sha);
    dv_sha256_add_part(&sha, "ab", 2);
    dv_sha256_add_part(&sha, "c", 1);
    dv_sha256_finish_hex(&sha, a);
    dv_sha256_init(&sha);
    dv_sha256_add_part(&sha, "a", 1);
    dv_sha256_add_part(&sha, "bc", 2);
    dv_sha256_finish_hex(&sha, b);
    cr_assert_str_neq(a, b);
}
