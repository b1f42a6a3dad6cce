/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/reference.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define SHA "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA512                                                                                     \
    "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"                      \
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
#define X63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct valid {
    const char *text;
    const char *host;
    const char *repository;
    const char *tag;
    const char *digest;
    const char *canonical;
    const char *api_host;
};

static const struct valid valid[] = {
    {"docker.io/library/influxdb:1.8.4", "docker.io", "library/influxdb", "1.8.4", "",
     "docker.io/library/influxdb:1.8.4", "registry-1.docker.io"},
    {"docker.io/busybox:1", "docker.io", "library/busybox", "1", "", "docker.io/library/busybox:1",
     "registry-1.docker.io"},
    {"index.docker.io/busybox:1", "docker.io", "library/busybox", "1", "",
     "docker.io/library/busybox:1", "registry-1.docker.io"},
    {"registry-1.docker.io/u/x:1", "docker.io", "u/x", "1", "", "docker.io/u/x:1",
     "registry-1.docker.io"},
    {"localhost:5000/demo/hello:1", "localhost:5000", "demo/hello", "1", "",
     "localhost:5000/demo/hello:1", "localhost:5000"},
    {"localhost/x:latest", "localhost", "x", "latest", "", "localhost/x:latest", "localhost"},
    {"127.0.0.1:45000/a:1", "127.0.0.1:45000", "a", "1", "", "127.0.0.1:45000/a:1",
     "127.0.0.1:45000"},
    {"[::1]:5000/a/b:t", "[::1]:5000", "a/b", "t", "", "[::1]:5000/a/b:t", "[::1]:5000"},
    {"[fe80::1]/a:t", "[fe80::1]", "a", "t", "", "[fe80::1]/a:t", "[fe80::1]"},
    {"QUAY.io/a:T_1.x-", "quay.io", "a", "T_1.x-", "", "quay.io/a:T_1.x-", "quay.io"},
    {"q.io:0443/a:1", "q.io:443", "a", "1", "", "q.io:443/a:1", "q.io:443"},
    {"registry/app:1", "registry", "app", "1", "", "registry/app:1", "registry"},
    {"g.io/a@" SHA, "g.io", "a", "", SHA, "g.io/a@" SHA, "g.io"},
    {"g.io/a:1@" SHA, "g.io", "a", "1", SHA, "g.io/a@" SHA, "g.io"},
    {"g.io/a@" SHA512, "g.io", "a", "", SHA512, "g.io/a@" SHA512, "g.io"},
    {"g.io/a__b/c.d/e-f/g---h/0:1", "g.io", "a__b/c.d/e-f/g---h/0", "1", "",
     "g.io/a__b/c.d/e-f/g---h/0:1", "g.io"},
};

/* shows: image-reference */
Test(reference, valid_ones_are_taken_apart)
{
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        const struct valid *v = &valid[i];
        struct dv_reference ref;
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(dv_reference_parse(dv_str_of(v->text), &ref, &err), 0, "%s: %s", v->text,
                     err.text);
        cr_assert_str_eq(ref.host, v->host);
        cr_assert_str_eq(ref.repository, v->repository);
        cr_assert_str_eq(ref.tag, v->tag);
        cr_assert_str_eq(ref.digest, v->digest);
        cr_assert_str_eq(ref.text, v->canonical);
        cr_assert_str_eq(dv_reference_api_host(&ref), v->api_host);
        cr_assert_str_eq(dv_reference_object(&ref), *v->digest ? v->digest : v->tag);
    }
}

Test(reference, the_canonical_text_is_a_fixed_point)
{
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        struct dv_reference ref, again;
        cr_assert_eq(dv_reference_parse(dv_str_of(valid[i].text), &ref, NULL), 0);
        cr_assert_eq(dv_reference_parse(dv_str_of(ref.text), &again, NULL), 0, "%s", ref.text);
        cr_assert_str_eq(again.text, ref.text);
    }
}

static const struct {
    const char *text;
    const char *rule; /* part of the error text */
} invalid[] = {
    {"", "empty"},
    {"busybox", "names no registry"},
    {"busybox:latest", "names no registry"},
    {"busybox@" SHA, "names no registry"},
    {"docker.io/library/busybox", "neither a tag nor a digest"},
    {"localhost:5000/x", "neither a tag nor a digest"},
    {"/x:1", "host before the first '/' is empty"},
    {"docker.io/:1", "path behind the host is empty"},
    {"docker.io/a//b:1", "not a path component"},
    {"docker.io/A:1", "not a path component"},
    {"docker.io/a___b:1", "not a path component"},
    {"docker.io/-a:1", "not a path component"},
    {"docker.io/a..b:1", "not a path component"},
    {"docker.io/../../x:1", "not a path component"},
    {"docker.io/a:", "not a tag"},
    {"docker.io/a:-x", "not a tag"},
    {"docker.io/a:x$", "not a tag"},
    {"docker.io/a:" X63 X63 "aaa", "not a tag"},
    {"docker.io/a@sha256:12", "no digest"},
    {"docker.io/a@md5:d41d8cd98f00b204e9800998ecf8427e", "no digest"},
    {"docker.io/a@SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "no digest"},
    {"docker.io/a@", "no digest"},
    {"a_b.io/x:1", "not a host name"},
    {"-a.io/x:1", "not a host name"},
    {"a..io/x:1", "not a host name"},
    {X63 "a.io/x:1", "not a host name"},
    {"h:0/x:1", "not a port"},
    {"h:65536/x:1", "not a port"},
    {"h:/x:1", "not a port"},
    {"h:-1/x:1", "not a port"},
    {"h:1:2/x:1", "not a port"},
    {"[::1/x:1", "IPv6"},
    {"[::g]/x:1", "IPv6"},
    {"[::1]5000/x:1", "only ':port'"},
    {"https://docker.io/x:1", "not a port"},
    {"docker.io/x y:1", "byte 0x20"},
    {"docker.io/x\n:1", "byte 0x0a"},
    {"docker.io/\xc3\xa9:1", "byte 0xc3"},
};

/* shows: image-reference */
Test(reference, invalid_ones_name_the_rule)
{
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        struct dv_reference ref;
        memset(&ref, 7, sizeof(ref));
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(dv_reference_parse(dv_str_of(invalid[i].text), &ref, &err), -DV_ERR_INVALID,
                     "%s", invalid[i].text);
        cr_assert(strstr(err.text, invalid[i].rule), "%s: %s", invalid[i].text, err.text);
        cr_assert_eq(ref.host[0], 7, "output written on failure");
    }
}

Test(reference, lengths_are_limited)
{
    char text[2000];
    struct dv_error err = DV_ERROR_INIT;
    struct dv_reference ref;
    memset(text, 'a', sizeof(text));
    memcpy(text, "h.io/", 5);
    memcpy(text + 5 + 256, ":1", 3);
    cr_assert_eq(dv_reference_parse(dv_str_of(text), &ref, &err), -DV_ERR_INVALID);
    cr_assert(strstr(err.text, "longer than 255"), "%s", err.text);
    dv_error_clear(&err);
    memcpy(text + 5 + 255, ":1", 3);
    cr_assert_eq(dv_reference_parse(dv_str_of(text), &ref, &err), 0, "%s", err.text);
    memset(text, 'a', sizeof(text));
    cr_assert_eq(dv_reference_parse((struct dv_str){text, sizeof(text)}, &ref, &err),
                 -DV_ERR_INVALID);
}

Test(reference, a_bare_word_as_host_is_noticed)
{
    struct dv_reference ref;
    cr_assert_eq(dv_reference_parse(dv_str_of("demo/app:1"), &ref, NULL), 0);
    cr_assert(dv_reference_host_is_bare(&ref));
    cr_assert_eq(dv_reference_parse(dv_str_of("localhost/app:1"), &ref, NULL), 0);
    cr_assert_not(dv_reference_host_is_bare(&ref));
    cr_assert_eq(dv_reference_parse(dv_str_of("reg:80/app:1"), &ref, NULL), 0);
    cr_assert_not(dv_reference_host_is_bare(&ref));
}
