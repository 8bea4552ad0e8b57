# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB

# add_guest_tests(KERNEL): guest.KERNEL.NAME for every program of tests/guest. A fixture boots a guest and runs in one session all that
# are in its part (a boot for each would take longer than the tests); each test then tells the result of its own. Two parts
# of one length keep two guests at work until the end.
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

	# The longest first, and of these the one whose kernel is there first.
	list(FIND RDMA_ODP_KERNELS ${kernel} place)
	math(EXPR cost "10000 - ${place}")
	foreach(part RANGE 1 ${RDMA_ODP_PARTS})
		add_test(NAME session.${kernel}.${part} COMMAND ${script} run ${kernel} ${part} ${RDMA_ODP_PARTS})
		set_tests_properties(session.${kernel}.${part} PROPERTIES
			FIXTURES_SETUP guest-${kernel}-${part} TIMEOUT 14400 COST ${cost} LABELS "${kernel};session")
		add_test(NAME guest.${kernel}.unload.${part} COMMAND ${script} unload ${kernel} ${part})
		set_tests_properties(guest.${kernel}.unload.${part} PROPERTIES
			FIXTURES_REQUIRED guest-${kernel}-${part} TIMEOUT 30 LABELS "guest;${kernel}")
	endforeach()

	set(at 0)
	foreach(name IN LISTS names)
		math(EXPR part "${at} % ${RDMA_ODP_PARTS} + 1")
		math(EXPR at "${at} + 1")
		add_test(NAME guest.${kernel}.${name} COMMAND ${script} result ${kernel} ${part} ${name})
		set_tests_properties(guest.${kernel}.${name} PROPERTIES
			FIXTURES_REQUIRED guest-${kernel}-${part} SKIP_RETURN_CODE 77 TIMEOUT 30 LABELS "guest;${kernel}")
	endforeach()
endfunction()
