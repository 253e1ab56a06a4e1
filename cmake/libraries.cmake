# SPDX-License-Identifier: Apache-2.0
# Everything the project does not exist for comes from Debian's packages (DESIGN 8).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)

foreach(library IN ITEMS
	"zstd libzstd" "lz4 liblz4" "snappy snappy" "zlib zlib" "uv libuv" "curl libcurl"
	"microhttpd libmicrohttpd" "expat expat" "xxhash libxxhash" "jansson jansson" "sqlite3 sqlite3" "lua lua5.4" "cmocka cmocka")
	separate_arguments(pair UNIX_COMMAND "${library}")
	list(GET pair 0 target)
	list(GET pair 1 package)
	pkg_check_modules(${target} REQUIRED IMPORTED_TARGET ${package})
endforeach()
