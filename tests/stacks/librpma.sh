#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# librpma over files: of a tmpfs, of ext4, and where the machine has persistent memory of ext4 with DAX, with flushes to persistence.
#
# rdma-odp: timeout 300
set -u
# shellcheck source=tests/stacks/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

# scripts/vm.sh gives emulated guests such a device. A region that has its driver holds the module that found it.
has_pmem() { [ -e /sys/devices/platform/e820_pmem ]; }
# shellcheck disable=SC2317
tidy()
{
	local region
	umount "$home"/{ext4,dax}
	has_pmem || return 0
	for region in /sys/bus/nd/drivers/nd_region/region*; do
		echo "${region##*/}" >/sys/bus/nd/drivers/nd_region/unbind
	done
	modprobe -r nd_pmem nd_e820
}

begin librpma
undo=tidy
# Built in elsewhere.
modprobe -q loop
refused 'rpma_mr_reg of the file'
recipe
if has_pmem; then
	modprobe -a nd_e820 nd_pmem || fail "no driver for the persistent memory"
	next "librpma with DAX"
	recipe
else
	# User Mode Linux has no such memory.
	[[ $RDMA_ODP_KERNEL == uml* ]] || fail "the guest has no persistent memory"
fi
