/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_runtime SCRIPT PIDFILE: what davit-monitor sees of an OCI runtime. A child stays behind with
 * the streams, its pid is written, and the program ends without waiting for it.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>

extern char **environ;

int main(int argc, char **argv)
{
    pid_t pid;
    if (argc != 3)
        return 2;
    char *child[] = {(char *)"/bin/sh", (char *)"-c", argv[1], NULL};
    if (posix_spawn(&pid, child[0], NULL, NULL, child, environ) != 0)
        return 3;
    FILE *file = fopen(argv[2], "we");
    if (!file || fprintf(file, "%d", (int)pid) < 0 || fclose(file) != 0)
        return 4;
    return 0;
}
