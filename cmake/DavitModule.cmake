# SPDX-License-Identifier: Apache-2.0
# Modules, their layers and their tests.
#
# dv_module(NAME
#     SOURCES a.c b.c            sources of this folder
#     HEADERS a.h a.def          what users of the module may include
#     PRIVATE_HEADERS b.h        what only the module itself and its unit tests may include
#     USES base json             modules it may include and link: the layer table
#     LIBRARIES cjson            third-party libraries, private to the module
#     PUBLIC_LIBRARIES ...       only for headers whose job is that library
#     TESTS tests/unit/x/test_a.c ...)  paths from the project root
#
# The headers of a module are reached as "folder/file.h" through an include directory of links made
# for it alone. A module sees only the include directories of itself and of USES (not of what those
# use), so an include that the table forbids does not compile; the `layers` preset makes an
# undeclared symbol fail to link.

set(DAVIT_LINKS ${CMAKE_BINARY_DIR}/layer)
set(DAVIT_TEST_TIMEOUT 120)

function(dv_link_headers name folder)
    foreach(header IN LISTS ARGN)
        set(link ${DAVIT_LINKS}/${name}/${folder}/${header})
        get_filename_component(parent ${link} DIRECTORY)
        file(MAKE_DIRECTORY ${parent})
        file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR}/${header} ${link} SYMBOLIC)
    endforeach()
endfunction()

function(dv_module name)
    cmake_parse_arguments(M "" "FOLDER" "SOURCES;HEADERS;PRIVATE_HEADERS;USES;LIBRARIES;PUBLIC_LIBRARIES;TESTS" ${ARGN})
    if(M_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "dv_module(${name}): unknown arguments ${M_UNPARSED_ARGUMENTS}")
    endif()
    file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
    dv_link_headers(${name} ${folder} ${M_HEADERS})
    dv_link_headers(${name}.own ${folder} ${M_PRIVATE_HEADERS})

    set(target dv_${name})
    if(NOT M_SOURCES)
        add_library(${target} INTERFACE)
        target_include_directories(${target} INTERFACE ${DAVIT_LINKS}/${name})
        foreach(used IN LISTS M_USES)
            target_include_directories(${target} INTERFACE ${DAVIT_LINKS}/${used})
        endforeach()
    else()
        if(DAVIT_SHARED_MODULES)
            add_library(${target} SHARED ${M_SOURCES})
            target_link_options(${target} PRIVATE -Wl,--no-undefined -Wl,-z,defs)
        else()
            add_library(${target} STATIC ${M_SOURCES})
        endif()
        target_include_directories(${target} PRIVATE
            ${DAVIT_LINKS}/${name} ${DAVIT_LINKS}/${name}.own)
        target_link_libraries(${target} PRIVATE dv_flags)
        foreach(used IN LISTS M_USES)
            target_include_directories(${target} PRIVATE ${DAVIT_LINKS}/${used})
            target_link_libraries(${target} PRIVATE dv_${used})
        endforeach()
        foreach(library IN LISTS M_LIBRARIES)
            target_link_libraries(${target} PRIVATE dv_lib_${library})
        endforeach()
        foreach(library IN LISTS M_PUBLIC_LIBRARIES)
            target_link_libraries(${target} PUBLIC dv_lib_${library})
        endforeach()
    endif()
    set_property(GLOBAL PROPERTY dv_uses_${name} "${M_USES}")
    set_property(GLOBAL APPEND PROPERTY dv_modules ${name})
    if(M_TESTS AND BUILD_TESTING)
        dv_unit_test(${name} SOURCES ${M_TESTS} USES ${name} ${M_USES} LIBRARIES ${M_LIBRARIES})
        if(TARGET test_${name})
            target_include_directories(test_${name} PRIVATE ${DAVIT_LINKS}/${name}.own)
        endif()
    endif()
endfunction()

# A program: composition of modules. Same layer rules; HEADERS are its own.
function(dv_program name)
    cmake_parse_arguments(P "" "" "SOURCES;HEADERS;USES;LIBRARIES" ${ARGN})
    file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
    dv_link_headers(${name}.own ${folder} ${P_HEADERS})
    add_executable(${name} ${P_SOURCES})
    target_include_directories(${name} PRIVATE ${DAVIT_LINKS}/${name}.own)
    dv_use(${name} ${P_USES})
    foreach(library IN LISTS P_LIBRARIES)
        target_link_libraries(${name} PRIVATE dv_lib_${library})
    endforeach()
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
    # All but the command are for root, and are looked for beside each other.
    if(name STREQUAL "davit")
        install(TARGETS ${name} DESTINATION ${CMAKE_INSTALL_BINDIR})
    else()
        install(TARGETS ${name} DESTINATION ${CMAKE_INSTALL_SBINDIR})
    endif()
endfunction()

# Gives an existing target the include directories and libraries of the named modules.
function(dv_use target)
    target_link_libraries(${target} PRIVATE dv_flags)
    foreach(used IN LISTS ARGN)
        target_include_directories(${target} PRIVATE ${DAVIT_LINKS}/${used})
        target_link_libraries(${target} PRIVATE dv_${used})
    endforeach()
endfunction()

# A Criterion executable; sources are paths from the project root. CTest fails it on a sanitizer
# report, because Criterion itself would count such a test as passed.
function(dv_unit_test name)
    cmake_parse_arguments(T "" "" "SOURCES;USES;LIBRARIES;ENVIRONMENT" ${ARGN})
    if(DAVIT_SANITIZE STREQUAL "thread" OR DAVIT_SANITIZE STREQUAL "fuzzer")
        return()
    endif()
    list(TRANSFORM T_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/)
    add_executable(test_${name} ${T_SOURCES})
    list(REMOVE_DUPLICATES T_USES)
    dv_use(test_${name} ${T_USES})
    target_link_libraries(test_${name} PRIVATE dv_lib_criterion)
    # Criterion finds its tests in a section that nothing refers to. As a library, this comes after the
    # option that it takes back.
    target_link_libraries(test_${name} PRIVATE -Wl,--no-gc-sections)
    target_include_directories(test_${name} PRIVATE ${DAVIT_LINKS}/support)
    foreach(library IN LISTS T_LIBRARIES)
        target_link_libraries(test_${name} PRIVATE dv_lib_${library})
    endforeach()
    target_compile_definitions(test_${name} PRIVATE DV_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    add_test(NAME unit.${name} COMMAND test_${name} -j1)
    set_tests_properties(unit.${name} PROPERTIES
        LABELS unit TIMEOUT ${DAVIT_TEST_TIMEOUT}
        FAIL_REGULAR_EXPRESSION "ERROR: LeakSanitizer;ERROR: AddressSanitizer;runtime error:"
        ENVIRONMENT "ASAN_OPTIONS=abort_on_error=1:detect_leaks=1;UBSAN_OPTIONS=print_stacktrace=1;${T_ENVIRONMENT}")
endfunction()

# A plain executable that returns 0 on success: races (runs under ThreadSanitizer), simulation.
function(dv_plain_test name)
    cmake_parse_arguments(T "" "LABEL;TIMEOUT" "SOURCES;USES;LIBRARIES;ARGUMENTS" ${ARGN})
    list(TRANSFORM T_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/)
    add_executable(${name} ${T_SOURCES})
    dv_use(${name} ${T_USES})
    foreach(library IN LISTS T_LIBRARIES)
        target_link_libraries(${name} PRIVATE dv_lib_${library})
    endforeach()
    target_compile_definitions(${name} PRIVATE DV_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    if(NOT T_TIMEOUT)
        set(T_TIMEOUT ${DAVIT_TEST_TIMEOUT})
    endif()
    add_test(NAME ${T_LABEL}.${name} COMMAND ${name} ${T_ARGUMENTS})
    set_tests_properties(${T_LABEL}.${name} PROPERTIES LABELS ${T_LABEL} TIMEOUT ${T_TIMEOUT}
        ENVIRONMENT "TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=1;ASAN_OPTIONS=abort_on_error=1")
endfunction()

# A libFuzzer target, linked by the `fuzz` preset only and compiled by `dev` too, so that it follows
# what it calls; seeds live in tests/golden or tests/fuzz/seeds/NAME.
function(dv_fuzz_test name)
    cmake_parse_arguments(T "" "SEEDS" "SOURCES;USES;LIBRARIES" ${ARGN})
    list(TRANSFORM T_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/)
    if(NOT DAVIT_SANITIZE STREQUAL "fuzzer")
        if(BUILD_TESTING AND NOT DAVIT_SANITIZE AND CMAKE_BUILD_TYPE STREQUAL "Debug")
            add_library(fuzz_${name} OBJECT ${T_SOURCES})
            dv_use(fuzz_${name} ${T_USES})
        endif()
        return()
    endif()
    add_executable(fuzz_${name} ${T_SOURCES})
    dv_use(fuzz_${name} ${T_USES})
    foreach(library IN LISTS T_LIBRARIES)
        target_link_libraries(fuzz_${name} PRIVATE dv_lib_${library})
    endforeach()
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    set(corpus ${CMAKE_BINARY_DIR}/corpus/${name})
    file(MAKE_DIRECTORY ${corpus})
    add_test(NAME fuzz.${name}
        COMMAND fuzz_${name} -max_total_time=5 -timeout=10 -rss_limit_mb=1024 -print_final_stats=0
                -seed=1 ${corpus} ${CMAKE_SOURCE_DIR}/${T_SEEDS})
    set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 60)
endfunction()
