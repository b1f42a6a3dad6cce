/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "runtime/image/manifest.h"

#include <sys/utsname.h>

/* The machine as the kernel names it against the architecture as images name it. */
static const struct {
    const char *machine;
    struct dv_platform platform;
} machines[] = {
    {"x86_64", {"amd64", 1}},    {"aarch64", {"arm64", 8}},
    {"armv8l", {"arm", 8}},      {"armv7l", {"arm", 7}},
    {"armv6l", {"arm", 6}},      {"armv5tel", {"arm", 5}},
    {"armv5tejl", {"arm", 5}},   {"i386", {"386", 0}},
    {"i586", {"386", 0}},        {"i686", {"386", 0}},
    {"riscv64", {"riscv64", 0}}, {"ppc64le", {"ppc64le", 0}},
    {"s390x", {"s390x", 0}},     {"loongarch64", {"loong64", 0}},
};

/* A 32-bit program on a 64-bit kernel: images must fit the program's world, where it was built for
 * one. */
static const struct dv_platform built_for =
#if defined(__x86_64__)
    {"amd64", 1};
#elif defined(__aarch64__)
    {"arm64", 8};
#elif defined(__arm__)
    {"arm", __ARM_ARCH};
#elif defined(__i386__)
    {"386", 0};
#elif defined(__riscv) && __riscv_xlen == 64
    {"riscv64", 0};
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
    {"ppc64le", 0};
#elif defined(__s390x__)
    {"s390x", 0};
#else
    {"unknown", 0};
#endif

struct dv_platform dv_platform_host(void)
{
    struct utsname name;
    if (uname(&name) < 0)
        return built_for;
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
        if (strcmp(name.machine, machines[i].machine) == 0 &&
            strcmp(machines[i].platform.architecture, built_for.architecture) == 0)
            return machines[i].platform;
    return built_for;
}
