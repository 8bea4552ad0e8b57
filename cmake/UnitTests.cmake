# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB

# add_unit_test(SOURCE [MORE SOURCES]): a cmocka program of this machine, under ASan and UBSan, named unit.STEM. Kernel
# sources that are pure are compiled as they are, with tests/unit/shim in the place of the kernel's headers.
function(add_unit_test source)
	find_library(CMOCKA_LIBRARY cmocka REQUIRED)
	get_filename_component(stem ${source} NAME_WE)
	set(target unit_${stem})
	add_executable(${target} ${source} ${ARGN})
	target_include_directories(${target} PRIVATE
		${CMAKE_SOURCE_DIR}/tests/unit/shim
		${CMAKE_SOURCE_DIR}/tests/unit/shim-verbs
		${CMAKE_SOURCE_DIR}/tests/unit
		${CMAKE_SOURCE_DIR}/kernel/umem_odp
		${CMAKE_SOURCE_DIR}/kernel/rxe_odp
		${CMAKE_SOURCE_DIR}/userspace
		${CMAKE_SOURCE_DIR}/include
		${CMAKE_SOURCE_DIR}/include/uapi)
	target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
	target_compile_options(${target} PRIVATE -g -O1 -Wall -Wextra -Wno-unused-parameter -fno-omit-frame-pointer
		-fsanitize=address,undefined -fno-sanitize-recover=all)
	target_link_options(${target} PRIVATE -fsanitize=address,undefined)
	target_link_libraries(${target} PRIVATE ${CMOCKA_LIBRARY} pthread)
	add_test(NAME unit.${stem} COMMAND ${target})
	set_tests_properties(unit.${stem} PROPERTIES LABELS unit SKIP_RETURN_CODE 77 TIMEOUT 300)
endfunction()
