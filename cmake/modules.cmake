# SPDX-License-Identifier: Apache-2.0
# One folder is one module: its sources become a static library `lab_<name>`, each test-*.c beside
# them a cmocka executable of the same name, each fuzz-*.c a libFuzzer target.
#
#   lab_module(NAME <name> [DEPENDS <targets>...] [TEST_DEPENDS <targets>...])
function(lab_module)
	cmake_parse_arguments(arg "" "NAME" "DEPENDS;TEST_DEPENDS" ${ARGN})
	file(GLOB sources CONFIGURE_DEPENDS *.c *.S)
	file(GLOB tests CONFIGURE_DEPENDS test-*.c)
	file(GLOB fuzzers CONFIGURE_DEPENDS fuzz-*.c)
	list(REMOVE_ITEM sources ${tests} ${fuzzers})

	add_library(lab_${arg_NAME} STATIC ${sources})
	target_include_directories(lab_${arg_NAME} PUBLIC ${PROJECT_SOURCE_DIR})
	target_link_libraries(lab_${arg_NAME} PUBLIC ${arg_DEPENDS})

	foreach(source IN LISTS tests)
		get_filename_component(test ${source} NAME_WE)
		add_executable(${test} ${source})
		target_link_libraries(${test} PRIVATE lab_${arg_NAME} ${arg_TEST_DEPENDS} PkgConfig::cmocka)
		add_test(NAME ${test} COMMAND ${test} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
		set_tests_properties(${test} PROPERTIES TIMEOUT 300 LABELS unit)
	endforeach()

	if(LAB_FUZZ)
		foreach(source IN LISTS fuzzers)
			get_filename_component(fuzzer ${source} NAME_WE)
			add_executable(${fuzzer} ${source})
			add_dependencies(fuzzers ${fuzzer})
			target_link_options(${fuzzer} PRIVATE -fsanitize=fuzzer)
			target_link_libraries(${fuzzer} PRIVATE lab_${arg_NAME} ${arg_TEST_DEPENDS})
			set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${fuzzer})
			add_test(NAME ${fuzzer} COMMAND ${fuzzer} -runs=20000 -seed=1 -max_total_time=20
				${CMAKE_CURRENT_BINARY_DIR} ${corpus})
			set_tests_properties(${fuzzer} PROPERTIES TIMEOUT 120 LABELS fuzz)
		endforeach()
	endif()
endfunction()
