/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/digest.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/mman.h>

#define EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC   "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC512                                                                                     \
    "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"                      \
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

Test(digest, accepts_the_two_algorithms_only)
{
    cr_assert(dv_digest_is_valid(DV_STR(EMPTY)));
    cr_assert(dv_digest_is_valid(DV_STR(ABC512)));
    static const char *const wrong[] = {
        "",
        ":",
        "sha256",
        "sha256:",
        "sha256:e3",
        EMPTY "0",
        "sha384:00",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "sha256:../../../../../../../../../../../../../../../../../../../../../x",
        "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert_not(dv_digest_is_valid(dv_str_of(wrong[i])), "%s", wrong[i]);
    cr_assert_not(dv_digest_is_valid((struct dv_str){NULL, 0}));
}

Test(digest, views_show_the_parts)
{
    cr_assert(dv_str_eq(dv_digest_algorithm(EMPTY), "sha256"));
    cr_assert_eq(dv_digest_hex(EMPTY).len, 64);
}

Test(digest, verifies_at_once_and_as_a_stream)
{
    char text[DV_DIGEST_SIZE];
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_str_eq(dv_digest_of("abc", 3, text), ABC);
    cr_assert_eq(dv_digest_verify(ABC, "abc", 3, &err), 0, "%s", err.text);
    cr_assert_eq(dv_digest_verify(ABC512, "abc", 3, &err), 0, "%s", err.text);
    DV_AUTO(dv_digest_sum) sum = NULL;
    cr_assert_eq(dv_digest_sum_new(ABC, &sum, &err), 0);
    dv_digest_sum_add(sum, "a", 1);
    dv_digest_sum_add(sum, "", 0);
    dv_digest_sum_add(sum, "bc", 2);
    cr_assert_eq(dv_digest_sum_check(sum, &err), 0, "%s", err.text);
}

Test(digest, other_bytes_are_corrupt_and_the_text_has_both)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_digest_verify(EMPTY, "abc", 3, &err), -DV_ERR_CORRUPT);
    cr_assert(strstr(err.text, EMPTY) && strstr(err.text, ABC), "%s", err.text);
}

Test(digest, no_digest_is_invalid)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_digest_verify("sha256:1", "", 0, &err), -DV_ERR_INVALID);
    DV_AUTO(dv_digest_sum) sum = NULL;
    cr_assert_eq(dv_digest_sum_new(NULL, &sum, NULL), -DV_ERR_INVALID);
}

Test(digest, verifies_files)
{
    dv_autoclose int fd = memfd_create("digest", MFD_CLOEXEC);
    cr_assert_eq(write(fd, "abc", 3), 3);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_digest_verify_fd(ABC, fd, &err), 0, "%s", err.text);
    cr_assert_eq(dv_digest_verify_fd(EMPTY, fd, &err), -DV_ERR_CORRUPT);
}

Test(digest, checksums_of_artifacts_are_known_sums)
{
    char hex[DV_DIGEST_SIZE];
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_digest_hex_of("md5", "abc", 3, hex, &err), 0, "%s", err.text);
    cr_assert_str_eq(hex, "900150983cd24fb0d6963f7d28e17f72");
    cr_assert_eq(dv_digest_hex_of("sha1", "abc", 3, hex, &err), 0);
    cr_assert_str_eq(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    cr_assert_eq(dv_digest_hex_of("sha256", NULL, 0, hex, &err), 0);
    cr_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    cr_assert_eq(dv_digest_hex_of("crc", "abc", 3, hex, &err), -DV_ERR_UNSUPPORTED);
}
