/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/call.h"

#include <criterion/criterion.h>
#include <string.h>

Test(oci_call, reason_is_the_last_error_in_plain_words)
{
    static const struct {
        const char *output;
        const char *wanted;
    } rows[] = {
        {"{\"level\":\"warning\",\"msg\":\"hm\",\"time\":\"t\"}\n"
         "{\"level\":\"error\",\"msg\":\"runc create failed: unable to start container process: "
         "exec: \\\"nope\\\": executable file not found in $PATH\",\"time\":\"t\"}\n",
         "exec: \"nope\": executable file not found in $PATH"},
        {"{\"msg\":\"executable file `nope` not found in $PATH: No such file or directory\","
         "\"level\":\"error\",\"time\":\"t\"}\n",
         "executable file `nope` not found in $PATH: No such file or directory"},
        {"{\"level\":\"error\",\"msg\":\"first\"}\n{\"level\":\"error\",\"msg\":\"second\"}\n",
         "second"},
        {"{\"level\":\"error\",\"msg\":\"it\"}\n{\"level\":\"info\",\"msg\":\"later\"}\n", "it"},
        {"davit-launch: mount the root file system on '/x': No such device\n",
         "davit-launch: mount the root file system on '/x': No such device"},
        {"{\"level\":\"error\",\"msg\":\n", "{\"level\":\"error\",\"msg\":"},
        {"{\"level\":\"error\",\"msg\":\"\"}\nplain\n", "plain"},
        {"tab\there \xff\xc3\n", "tab here ?"},
        {"{\"level\":\"error\",\"msg\":\"two\\nlines \xc3\xa4\"}\n", "two lines \xc3\xa4"},
        {"", "it gave no reason"},
        {"\n\n", "it gave no reason"},
        {"\xc3", "it gave no reason"},
        {"runc create failed: ", "runc create failed: "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256];
        cr_expect_str_eq(dv_oci_call_reason(rows[i].output, text, sizeof(text)), rows[i].wanted,
                         "row %zu: %s", i, text);
    }
}

Test(oci_call, long_reason_is_cut)
{
    char output[2048];
    char text[32];
    memset(output, 'x', sizeof(output) - 1);
    output[sizeof(output) - 1] = '\0';
    cr_assert_eq(strlen(dv_oci_call_reason(output, text, sizeof(text))), sizeof(text) - 1);
}
