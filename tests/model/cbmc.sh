#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# cbmc.sh CHECK DIRECTORY: has cbmc go through every input of kernel/umem_odp/entries.c with entries_cbmc.c, in a directory of its
# own below DIRECTORY: this machine's cbmc or, since Debian 12 has none, that of a guest tree that is made already.
#   entries         every operation, on all of a leaf of 8 pages and on some pages of a real one
#   entries-broken  each fault of the list below is found, on a leaf of 4 or on a real one
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
. "$SRC/scripts/intree.sh"

# What cbmc is to find: the operation, and sed's command that puts the fault into entries.c.
faults=(
	'look s/found < len_bytes; found/found <= len_bytes; found/'
	'look s/return min(found, len_bytes)/return found/'
	'look s/ || !same_frame(next, entry))/)/'
	'look s/if (!may(next, write)/if (!may(next, false)/'
	'look s/all &= next/all |= next/'
	'look s/UMEM_ODP_LEAF_BYTES - offset_bytes/UMEM_ODP_LEAF_BYTES/'
	'touch s/i <= last; i++) {/i < last; i++) {/'
	'touch s/ENTRY_ACCESSED_NR, &e->pages/ENTRY_ACCESSED_NR - 1, \&e->pages/'
	'young s/return !clear || test/return test/'
	'set s/WRITE | UMEM_ODP_ENTRY_ACCESSED/WRITE/'
	'set s/else if (same_frame(old, new))/else/'
	'set s/e->resident + added/e->resident + nr/'
	'set_huge s/WRITE_ONCE(e->pages\[i\], 0)/(void)0/'
	'set_huge s/before && i < UMEM_ODP_LEAF_PAGES/before \&\& i <= UMEM_ODP_LEAF_PAGES/'
	'drop s/e->resident - nr/e->resident - (last - first + 1)/'
	'drop s/add_to_set(dropped, i)/add_to_set(dropped, first)/'
	'drop s/page % width;/page % width << 1;/'
	'drop s/bits\[page . width\]/bits[0]/'
	'drop s/i < UMEM_ODP_PAGE_SET_LONGS/i <= UMEM_ODP_PAGE_SET_LONGS/'
	'downgrade s/e->pages\[i\], entry & ~UMEM_ODP_ENTRY_WRITE/e->pages[i], entry \& ~UMEM_ODP_ENTRY_BITS/'
	'downgrade s/add_all_to_set(lost)/(void)0/'
	'ask s/first < end \&\& e->pages/first <= end \&\& e->pages/'
	'ask s/return last - first + 1/return last - first/'
	'ask s/bits++ = entry & UMEM_ODP_ENTRY_BITS/bits++ = entry/'
)

# prove OPERATION ENTRIES-C PAGE-SHIFT START PAGES: fails if something of the operation can go wrong, in a leaf of these pages or
# of 2 MiB, for a span of so many pages from START on. No loop may go on longer.
prove()
{
	local whole=$((1 << 21 - $3)) rc=0
	cbmc "$here/entries_cbmc.c" "$2" -I tests/unit/shim -I kernel/umem_odp \
		-DOPERATION="$1" -DPAGE_SHIFT="$3" -DSTART="$4" -DWINDOW="$5" \
		--unwind $(($5 + 1)) --unwindset "add_all_to_set.0:$((whole / 64 + 2)),umem_odp_entries_set_huge.0:$((whole + 1))" \
		--max-field-sensitivity-array-size "$whole" --unsigned-overflow-check --pointer-overflow-check --conversion-check \
		--drop-unused-functions >"$out/log" 2>&1 || rc=$?
	case $rc in
	0) grep -qx 'VERIFICATION SUCCESSFUL' "$out/log" || rc=2 ;;
	10) grep ': FAILURE$' "$out/log" ;;
	esac
	[ $rc = 0 ] || [ $rc = 10 ] || { cat "$out/log"; die "cbmc did not come to an end"; }
	return $rc
}

prove_all()
{
	local operation start rc=0
	for operation in look touch young set set_huge drop downgrade ask; do
		echo "$operation:"
		prove "$operation" kernel/umem_odp/entries.c 18 0 8 || rc=1
		# At the ends of a leaf, and over the end of a word of a set; set_huge is too long there.
		for start in 0 62 508; do
			[ "$operation" != set_huge ] || continue
			prove "$operation" kernel/umem_odp/entries.c 12 $start 4 || rc=1
		done
	done
	return $rc
}

find_faults()
{
	local fault operation
	for fault in "${faults[@]}"; do
		echo "$fault:"
		operation=${fault%% *}
		sed "${fault#* }" kernel/umem_odp/entries.c >"$out/entries.c"
		! cmp -s kernel/umem_odp/entries.c "$out/entries.c" || die "cbmc.sh: nothing in entries.c for $fault"
		! prove "$operation" "$out/entries.c" 19 0 4 || ! prove "$operation" "$out/entries.c" 12 62 4 ||
			die "cbmc does not find: $fault"
	done
}

check=${1:?cbmc.sh: name a check} out=${2:?cbmc.sh: name a directory}
if ! command -v cbmc >/dev/null; then
	for tree in "$CACHE"/tree-{backports,stable}-????????????/root; do
		[ ! -x "$tree/usr/bin/cbmc" ] || { in_tree "$tree" /odp/build/tests/model/cbmc.sh "$check" "/odp/build/${out#"$SRC/"}"; exit; }
	done
	echo "skipped: no cbmc here or in a guest tree; install cbmc, which Debian has from 13 on"
	exit 77
fi

cd "$SRC"
here=tests/model
mkdir -p "$out"
out=$(mktemp -d "$out/$check.XXXXXX")
trap 'rm -rf "$out"' EXIT
case $check in
entries) prove_all ;;
entries-broken) find_faults ;;
*) die "cbmc.sh: no check '$check'" ;;
esac
