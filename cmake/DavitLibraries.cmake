# SPDX-License-Identifier: Apache-2.0
# Third-party libraries, each under a short name that dv_module(LIBRARIES ...) takes.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(dv_pkg name module)
    pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${module})
    add_library(dv_lib_${name} INTERFACE)
    target_link_libraries(dv_lib_${name} INTERFACE PkgConfig::${name})
endfunction()

dv_pkg(cjson libcjson)
dv_pkg(czmq libczmq)
dv_pkg(zmq libzmq)
dv_pkg(curl libcurl)
dv_pkg(crypto libcrypto)
dv_pkg(ssl libssl)
dv_pkg(rnp librnp)
dv_pkg(archive libarchive)
dv_pkg(zstd libzstd)
dv_pkg(zlib zlib)
dv_pkg(seccomp libseccomp)
dv_pkg(netlink libnl-3.0)
dv_pkg(nftables libnftables)
dv_pkg(criterion criterion)

# msgpack-c 4 of Debian 12 names its C library msgpackc; newer ones msgpack-c.
pkg_search_module(msgpack REQUIRED IMPORTED_TARGET msgpack-c msgpack)
add_library(dv_lib_msgpack INTERFACE)
target_link_libraries(dv_lib_msgpack INTERFACE PkgConfig::msgpack)

# paho has no pkg-config file, and its CMake package names targets of OpenSSL without finding it.
find_package(OpenSSL REQUIRED)
find_package(eclipse-paho-mqtt-c REQUIRED)
add_library(dv_lib_paho INTERFACE)
target_link_libraries(dv_lib_paho INTERFACE eclipse-paho-mqtt-c::paho-mqtt3as)

add_library(dv_lib_threads INTERFACE)
target_link_libraries(dv_lib_threads INTERFACE Threads::Threads)

add_library(dv_lib_math INTERFACE)
target_link_libraries(dv_lib_math INTERFACE m)
