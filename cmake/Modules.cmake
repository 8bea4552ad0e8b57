# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB

# add_modules(KERNEL): the target modules-KERNEL builds both modules for it through Kbuild, into build/KERNEL/modules.
function(add_modules kernel)
	add_custom_target(modules-${kernel}
		COMMAND ${CMAKE_SOURCE_DIR}/scripts/modules.sh ${kernel}
		COMMENT "Building the modules for ${kernel}"
		USES_TERMINAL
		VERBATIM)
endfunction()
