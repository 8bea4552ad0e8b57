#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# package-test.sh KERNEL...: ./run package --test. Compiling takes 20 times as long in an emulated guest, so the modules of both versions are
# built in a throw-away tree by chroot first (packaging/test/tree.sh), and that tree is booted, with systemd (packaging/test/guest.sh).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/intree.sh"

top=build/package-test
dir=$SRC/$top

# in_test_tree STEP [ARGUMENT]: a step of tree.sh.
in_test_tree()
{
	local step=$1
	shift
	NO_NETWORK=1 in_overlay "$upper:$tree/root" "$dir/$kernel" /bin/bash /odp/build/packaging/test/tree.sh "$step" \
		"$(cat "$tree/release")" "/odp/build/$top/old" "/odp/build/$top/new" "$@"
}

in_guest()
{
	"$SRC/scripts/vm.sh" -k "$kernel" --no-modules --disk "$dir/$kernel/disk.img" --append init=/usr/lib/systemd/systemd \
		--log "$dir/$kernel.console" -t 3000 -- bash /odp/packages/guest.sh
}

# part TEXT CMD...: a step, and what it has seen.
part()
{
	local log=$dir/$kernel.$2.$3.log
	step "$1 ($kernel)" "$log" "${@:2}"
	sed -n "s/^SEEN: /    /p" "$log" >&2
}

try()
{
	for kernel; do
		tree=$("$SRC/scripts/tree.sh" "$kernel")
		upper=$("$SRC/scripts/package-tree.sh" "$kernel")
		mkdir -p "$dir/$kernel"
		part "installing, and building the modules" in_test_tree install
		part "what is installed" in_test_tree look
		part "upgrade and downgrade" in_test_tree upgrade
		part "making a disk" in_test_tree image "$top/$kernel/disk.img"
		part "the guest" in_guest guest
		rm -f "$dir/$kernel/disk.img"
		part "kernels that are passed over" in_test_tree refuse
		part "removal and purge" in_test_tree purge
		rm -rf --one-file-system "${dir:?}/$kernel"
	done
}

"$SRC/scripts/host.sh" guest
rm -rf --one-file-system "$dir"
mkdir -p "$dir"
"$SRC/scripts/package.sh" -o "$dir/old" >/dev/null
"$SRC/scripts/package.sh" -o "$dir/new" --as "$(sed -n '1s/.*(\(.*\)).*/\1/p' "$SRC/packaging/debian/changelog")+1" >/dev/null
try "$@"
say "the packages passed on: $*"
