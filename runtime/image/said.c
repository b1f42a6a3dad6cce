/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/said.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

bool dv_said_next(const char **text, char line[DV_SAID_MAX])
{
    static const char name[] = "davit-unpack: ";
    for (; **text; *text += strcspn(*text, "\n"), *text += **text == '\n') {
        size_t len = strcspn(*text, "\n");
        if (strncmp(*text, name, sizeof(name) - 1) != 0)
            continue;
        if (len >= DV_SAID_MAX)
            len = DV_SAID_MAX - 1;
        memcpy(line, *text, len);
        line[len] = '\0';
        for (char *c = line; *c; c++)
            if (*c < ' ' || *c > '~')
                *c = '?';
        *text += strcspn(*text, "\n");
        return true;
    }
    return false;
}

void dv_said_reason(const char *text, char reason[DV_SAID_MAX])
{
    (void)snprintf(reason, DV_SAID_MAX, "it gave no reason");
    while (dv_said_next(&text, reason))
        ;
}
