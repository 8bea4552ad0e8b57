#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# guest-tests.sh run KERNEL PART PARTS:    boots a guest and runs every PARTSth of the test programs in it, from the PARTth on; after a
#                                          crash or a hang it boots again and goes on behind the culprit. One result for each
#                                          in build/KERNEL/session.PART.
# guest-tests.sh result KERNEL PART NAME:  tells the result of one.
# guest-tests.sh unload KERNEL PART:       tells how the guest ended.
# guest-tests.sh list KERNEL:              the names.
#
# RDMA_ODP_PATTERN, an extended regular expression over "guest.KERNEL.NAME", chooses programs. A line
# "rdma-odp: timeout N" in a program's source gives it N seconds instead of 120.
#
# All run with local=off but local_*, which are about requests that are executed without packets (kernel/rxe_odp/transport/local.c).
# On uml those in through_local() run once more with local=on, as NAME.local; on stable what has kernel users that uml has not.
#
# Programs that speak verbs run twice, the second time, as NAME.provider, through userspace/provider instead of librxe: those in C
# that through_provider() chooses, and those in shell that say "rdma-odp: both providers".
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/session.sh"
. "$(dirname "$0")/guest-session.sh"

verb=${1:?} kernel=${2:?} part=${3:-}
session=$SRC/build/$kernel/session.$part
# What "list" said last: "run" runs that, though it may know of KVM what "list" did not.
listed=$SRC/build/$kernel/names

# A provider is a library, the same on each kernel, and a guest with an emulated CPU is slow: on uml all programs but those about
# packets and netdevs, on stable what calls the kernel for each kind of object, on backports none. --long runs all of them on each.
through_provider()
{
	local f chosen=("$SRC"/tests/guest/*.c)
	case ${TEST_LONG:-0},$kernel in
	0,stable) chosen=("$SRC"/tests/guest/{rc,ud,uc,cq,srq,mr,mw,ctx,gsi}_*.c) ;;
	0,backports) return 0 ;;
	esac
	for f in "${chosen[@]}"; do
		case $(basename "$f") in
		# They see to it themselves.
		provider_* | xrc_*) ;;
		# Of umem_odp's, the one that registers its regions by verbs.
		umem_signal.c) echo "$f" ;;
		# The tools are the same for either.
		tools_*) ;;
		example_*) [ "$kernel" != uml ] || echo "$f" ;;
		# No verbs of user space.
		umem_* | sample_* | vm_* | kernel_*) ;;
		net_* | peer_* | rc_mtu_above.c) [ "${TEST_LONG:-0}" = 0 ] || echo "$f" ;;
		*) echo "$f" ;;
		esac
	done
	grep -l 'rdma-odp: both providers' "$SRC"/tests/guest/*.sh | while read -r f; do
		case $(basename "$f") in
		example_*) [ "$kernel" != uml ] || echo "$f" ;;
		*) echo "$f" ;;
		esac
	done
}

# Not those that are about packets.
through_local()
{
	local f
	for f in "$SRC"/tests/guest/{rc,mw,mr,odp,srq}_*.c "$SRC"/tests/guest/{storm,verbs_storm,peer_rxe,cq_overflow,cq_notify,fuzz_rings,provider_doorbell_storm,provider_doorbell_promise,provider_poll,provider_threads,provider_verbs}.c; do
		case $(basename "$f") in
		mr_dmabuf.c | mr_large.c | mr_prefetch*.c | mr_residency.c | mr_stats.c | odp_caps.c | odp_dax.c | odp_hugetlb.c) ;;
		*) echo "$f" ;;
		esac
	done
	printf '%s\n' "$SRC"/tests/guest/{kernel_drain,kernel_reg,mem_pressure,provider_killed}.c \
		"$SRC"/tests/guest/{cm_rping,dev_remove_open,fio_rdma,libfabric,mpi,ucx}.sh
}

names()
{
	local f
	for f in "$SRC"/tests/guest/*.c "$SRC"/tests/guest/*.sh; do
		[ -e "$f" ] || continue
		case $(basename "$f") in
		local_*) continue ;;
		# They wait for what a network or a target that goes is noticed by, and the NFS server for clients that had locks. One emulated
		# kernel does it in each run.
		storage_nfs.sh | storage_srp.sh | storage_iser.sh) [ "$kernel" = stable ] || [ "${TEST_LONG:-0}" != 0 ] || continue ;;
		# Two minutes and more where the CPU is emulated.
		pyverbs_rxe.sh) [ "$kernel" = uml ] || [ "${TEST_LONG:-0}" != 0 ] || continue ;;
		# Programs of users: on one emulated kernel, and through both providers on uml.
		example_*) [ "$kernel" != backports ] || [ "${TEST_LONG:-0}" != 0 ] || continue ;;
		esac
		f=$(basename "$f")
		echo "${f%.*}"
	done
	through_provider | sed 's|.*/||; s|\.[^.]*$|.provider|'
	[ "$kernel" != uml ] || for f in "$SRC"/kernel/*/kunit/Kbuild; do
		[ ! -e "$f" ] || echo "kunit_$(basename "$(dirname "$(dirname "$f")")")"
	done
	# Behind the others, since the links are made anew for them.
	case $kernel in
	uml) through_local | sed 's|.*/||; s|\.[^.]*$|.local|' ;;
	stable) printf '%s\n' kernel_reg.local storage_nvme.local ;;
	esac
	for f in "$SRC"/tests/guest/local_*; do
		f=$(basename "$f")
		echo "${f%.*}"
	done
}

prepare()
{
	local name parts=$1 build=$SRC/build/$kernel
	factor=$(slowness)
	begin_session "$build"
	while read -r name; do
		[[ guest.$kernel.$name =~ ${RDMA_ODP_PATTERN:-.} ]] || continue
		put_program "$build" "$name"
	done < <(awk -v part="$part" -v parts="$parts" '(NR - 1) % parts + 1 == part' "$listed")
	cp -r "$build/examples" "$session/"
	mkdir "$session/tools"
	cp "$build/tools"/{odp_top,odp_trace,rxe_odp_check} "$session/tools/"
	cp "$SRC/userspace"/{install.sh,diversion.sh,README.md} "$session/provider/"
	RDMA_ODP_PROVIDER=$build/provider DESTDIR=$session/provider/installed \
		cmake --install "$SRC/build/host" --component provider --prefix /usr >/dev/null
}

run()
{
	local rc=0 boots=0 prepared title=guest.$kernel
	# Until ./run test has made this kernel ready.
	exec {prepared}>>"$SRC/build/$kernel/.prepared"
	flock "$prepared"
	exec {prepared}>&-
	if [ -e "$SRC/build/$kernel/unfit" ]; then
		cat "$SRC/build/$kernel/unfit"
		exit 1
	fi
	"$SRC/scripts/modules.sh" "$kernel"
	"$SRC/scripts/programs.sh" "$kernel" tests/guest tests
	"$SRC/scripts/programs.sh" "$kernel" userspace/examples examples
	"$SRC/scripts/provider.sh" "$kernel"
	"$SRC/scripts/tools.sh" "$kernel"
	prepare "$1"
	run_session
	cat "$session/boot.out"
	[ "$rc" = 0 ] || [ "$rc" = 99 ] || keep unload
	echo "$boots boot(s)"
}

result()
{
	local name=$1 status seconds
	[ -e "$session/results/$name.status" ] || die "$name was not run; ./run test $name runs it"
	read -r status seconds <"$session/results/$name.status"
	cat "$session/results/$name.out" 2>/dev/null || :
	tell_kept "$name"
	echo "guest.$kernel.$name: status $status after $seconds s"
	[[ $status =~ ^[0-9]+$ ]] || exit 1
	exit "$status"
}

case $verb in
run) run "${4:?}" ;;
result) result "${4:?}" ;;
unload) end_of_session ;;
list)
	mkdir -p "${listed%/*}"
	names | tee "$listed"
	;;
*) die "guest-tests.sh: no verb '$verb'" ;;
esac
