# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB

# add_guest_tests(KERNEL): guest.KERNEL.NAME for every program of tests/guest. One fixture boots the guest and runs them all in one
# session (a boot for each would take longer than the tests); each test then tells the result of its own.
function(add_guest_tests kernel)
	set(script ${CMAKE_SOURCE_DIR}/scripts/guest-tests.sh)
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${script})
	file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/guest/*.c ${CMAKE_SOURCE_DIR}/tests/guest/*.sh
		${CMAKE_SOURCE_DIR}/kernel/*/kunit/Kbuild)
	execute_process(COMMAND ${script} list ${kernel} OUTPUT_VARIABLE names COMMAND_ERROR_IS_FATAL ANY)
	string(REGEX MATCHALL "[^\n]+" names "${names}")
	if(NOT names)
		return()
	endif()

	add_test(NAME session.${kernel} COMMAND ${script} run ${kernel})
	set_tests_properties(session.${kernel} PROPERTIES
		FIXTURES_SETUP guest-${kernel} TIMEOUT 14400 LABELS "${kernel};session")

	foreach(name IN LISTS names)
		add_test(NAME guest.${kernel}.${name} COMMAND ${script} result ${kernel} ${name})
		set_tests_properties(guest.${kernel}.${name} PROPERTIES
			FIXTURES_REQUIRED guest-${kernel} SKIP_RETURN_CODE 77 TIMEOUT 30 LABELS "guest;${kernel}")
	endforeach()

	add_test(NAME guest.${kernel}.unload COMMAND ${script} unload ${kernel})
	set_tests_properties(guest.${kernel}.unload PROPERTIES
		FIXTURES_REQUIRED guest-${kernel} TIMEOUT 30 LABELS "guest;${kernel}")
endfunction()
