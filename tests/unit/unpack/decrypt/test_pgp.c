/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "unpack/decrypt/pgp.h"

#include <criterion/criterion.h>
#include <string.h>

static struct dv_error err;

static int ring_of(const char *name, const char *password, struct dv_pgp_ring **ret)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(100000);
    golden_read(name, &text);
    cr_expect(dv_pgp_is_ring(text.data, text.len), "%s", name);
    err = DV_ERROR_INIT;
    return dv_pgp_ring_new(text.data, text.len, name, password, ret, &err);
}

Test(pgp, opens_what_others_sealed_with_either_ring)
{
    static const char *const rings[][2] = {{"pgp.gpg", NULL}, {"pgp-locked.asc", "s3cret"}};
    DV_AUTO_IN_PLACE(dv_buf) message = DV_BUF_INIT(10000);
    golden_read("pgp.msg", &message);
    for (size_t i = 0; i < 2; i++) {
        DV_AUTO(dv_pgp_ring) ring = NULL;
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(10000);
        cr_assert_eq(ring_of(rings[i][0], rings[i][1], &ring), 0, "%s", err.text);
        cr_assert_eq(dv_pgp_open(message.data, message.len, ring, &out, &err), 0, "%s", err.text);
        cr_assert_eq(dv_buf_append(&out, "", 1, NULL), 0);
        cr_expect(strstr(out.data, "\"symkey\":"));
    }
}

Test(pgp, a_locked_ring_needs_its_password_and_never_asks)
{
    DV_AUTO(dv_pgp_ring) ring = NULL;
    cr_expect_eq(ring_of("pgp-locked.asc", NULL, &ring), -DV_ERR_FAILED);
    cr_expect(strstr(err.text, "needs a password"), "%s", err.text);
    cr_expect_eq(ring_of("pgp-locked.asc", "wr0ng", &ring), -DV_ERR_FAILED);
    cr_expect(strstr(err.text, "password is wrong"), "%s", err.text);
    cr_expect_null(strstr(err.text, "wr0ng"));
}

Test(pgp, a_part_of_a_message_or_a_changed_one_never_opens)
{
    DV_AUTO_IN_PLACE(dv_buf) message = DV_BUF_INIT(10000);
    DV_AUTO(dv_pgp_ring) ring = NULL;
    golden_read("pgp.msg", &message);
    cr_assert_eq(ring_of("pgp.gpg", NULL, &ring), 0, "%s", err.text);
    for (size_t cut = 0; cut < message.len; cut += 7) {
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(10000);
        cr_expect_lt(dv_pgp_open(message.data, cut, ring, &out, NULL), 0, "cut at %zu", cut);
        cr_expect_eq(out.len, 0);
    }
    for (size_t at = 546; at < message.len; at += 7) {
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(10000);
        message.data[at] = (char)(message.data[at] ^ 4);
        cr_expect_lt(dv_pgp_open(message.data, message.len, ring, &out, NULL), 0, "at %zu", at);
        cr_expect_eq(out.len, 0);
        message.data[at] = (char)(message.data[at] ^ 4);
    }
}
