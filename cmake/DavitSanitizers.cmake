# SPDX-License-Identifier: Apache-2.0
# Flags of every way of building; CMakePresets.json chooses by DAVIT_SANITIZE and build type.
set(DAVIT_SANITIZE "" CACHE STRING "address, thread, fuzzer or empty")
option(DAVIT_SHARED_MODULES "Build modules as shared libraries, undefined symbols are errors" OFF)

add_library(dv_flags INTERFACE)
target_compile_options(dv_flags INTERFACE
    -std=gnu17 -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -Wimplicit-fallthrough -Wformat=2 -Wmissing-format-attribute $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation> -Wundef -Werror -fno-strict-aliasing -fno-common)
target_compile_definitions(dv_flags INTERFACE _GNU_SOURCE)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(dv_flags INTERFACE
        -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
        -ffunction-sections -fdata-sections)
    target_link_options(dv_flags INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed -Wl,--gc-sections)
else()
    target_compile_options(dv_flags INTERFACE -O1 -g -fno-omit-frame-pointer)
    # base/fault.def: tests kill programs at named points. A release has none.
    target_compile_definitions(dv_flags INTERFACE DAVIT_FAULT_POINTS)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(DAVIT_SANITIZE STREQUAL "address")
    set(davit_sanitize -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(DAVIT_SANITIZE STREQUAL "thread")
    set(davit_sanitize -fsanitize=thread)
elseif(DAVIT_SANITIZE STREQUAL "fuzzer")
    set(davit_sanitize -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all)
endif()
if(DEFINED davit_sanitize)
    target_compile_options(dv_flags INTERFACE ${davit_sanitize})
    target_link_options(dv_flags INTERFACE ${davit_sanitize})
endif()
