# SPDX-License-Identifier: Apache-2.0
# Warnings are probed, not assumed: a compiler that does not know a flag simply does not get it.
include(CheckCCompilerFlag)

set(LAB_WARNINGS
	-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
	-Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Wswitch-enum -Wdouble-promotion
	-Wimplicit-fallthrough -fno-common -fno-strict-aliasing)
if(LAB_WERROR)
	list(APPEND LAB_WARNINGS -Werror)
endif()

foreach(flag IN LISTS LAB_WARNINGS)
	string(MAKE_C_IDENTIFIER "LAB_HAVE${flag}" known)
	check_c_compiler_flag(${flag} ${known})
	if(${known})
		add_compile_options($<$<COMPILE_LANGUAGE:C>:${flag}>)
	endif()
endforeach()

if(CMAKE_BUILD_TYPE STREQUAL "Release")
	add_compile_options($<$<COMPILE_LANGUAGE:C>:-D_FORTIFY_SOURCE=2> -fstack-protector-strong)
	add_link_options(-Wl,-z,relro,-z,now)
	# Nobody preloads a part of oboxlab: functions of one file may be inlined in spite of -fPIC.
	check_c_compiler_flag(-fno-semantic-interposition LAB_HAVE_no_semantic_interposition)
	if(LAB_HAVE_no_semantic_interposition)
		add_compile_options(-fno-semantic-interposition)
	endif()
	# Asserts are part of the product: they stay on (see core/base/assert.h).
	string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
	string(REPLACE "-O3" "-O2" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
	set(CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE} -g")
endif()
