/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <criterion/criterion.h>
#include <string.h>

#define S_NS 1000000000LL

Test(images, are_shown_in_a_table)
{
    struct dv_image_summary rows[] = {
        {.ref = (char[]){"r.example/a:1"},
         .image_id = (char[]){"sha256:0123456789abcdef0123"},
         .bytes = 12345678,
         .layers = 3,
         .stored_ns = 100 * S_NS,
         .containers = 2},
        {.ref = (char[]){"r.example/long/name:2"}, .note = (char[]){"damaged\x1b[31m"}},
    };
    struct dv_image_list list = {.images = {rows, 2}};
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(65536);
    cli_print_images(&list, 160 * S_NS, &out);
    cr_expect_not_null(strstr(out.data, "r.example/a:1          0123456789ab  12.3 MB"), "%s",
                       out.data);
    cr_expect_not_null(strstr(out.data, "60 s"), "%s", out.data);
    cr_expect_not_null(strstr(out.data, "damaged"));
    cr_expect_null(strchr(out.data, '\x1b'), "nothing drives the terminal");
}

Test(images, short_names_of_the_hub_are_the_same)
{
    cr_expect(cli_same_image("docker.io/library/busybox:1", "docker.io/busybox:1"));
    cr_expect(cli_same_image("r.example/a:1", "r.example/a:1"));
    cr_expect_not(cli_same_image("docker.io/library/busybox:1", "docker.io/busybox:2"));
    cr_expect_not(cli_same_image("r.example/library/a:1", "r.example/a:1"));
}
