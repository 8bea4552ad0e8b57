#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# vm.sh: boots a guest, runs a command in it and exits with its status; ./run vm --help tells the options.
# 125: the guest could not be made ready, died or hung. 126: its kernel log has a warning or worse.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/vm-uml.sh"

usage()
{
	cat <<-'TEXT'
	usage: ./run vm [-k KERNEL] [-m MEM] [-d DIR] [-t SECONDS] [-e NAME=VALUE]... [options] -- CMD...

	Boots a guest, loads our modules, brings the links up, runs CMD as root and exits with its status. One
	CMD word is given to a shell, several are run as they are.

	  -k KERNEL       stable (default), backports, uml, uml-fast; uml and uml-fast need neither root nor KVM, once they
	                  are prepared (./run build) or unpacked (./run image); RDMA_ODP_IMAGE=DIR names an unpacked image;
	                  kcsan, kasan: those of ./run debug-kernel
	  -m MEM          guest memory, such as 512M or 4G (default 4G)
	  -d DIR          DIR of this machine appears as /mnt, writable, and CMD starts there
	  -t SECONDS      the guest is killed after that (default 1200)
	  -e NAME=VALUE   sets a variable for CMD
	  --log FILE      keeps the kernel log in FILE (without, that of a guest that fails is kept under build/failed)
	  --append ARGS   more kernel parameters
	  --disk FILE     boots this disk image instead of the guest's tree, with the guest's kernel and initrd
	  --rxe           also loads the stock rdma_rxe, after our links are up
	  --no-links      loads the modules, but adds no links
	  --packets       requests between the two devices travel in packets, instead of being executed by one copy (local=off)
	  --no-modules    loads nothing
	  --no-build      uses the modules as they were built last
	  --wire DIR/N    a NIC, wire0, with 10.78.0.N and fd78::N, on a wire to the guest with the other N (1 or 2) and the same DIR. Either may
	                  be started first. DIR/N,MODEL: a NIC that QEMU knows by that name (virtio-net-pci), such as igb. stable and backports.
	  --icount        one emulated CPU whose clock is the number of its instructions, to count them. stable and backports.
	  --pin           keeps each CPU of a User Mode Linux on one of this machine's, with the processes born there:
	                  for figures, where nothing else runs

	In the guest: rxe_odp0 on veth0, 10.77.0.1 and fd77::1; in the namespace "peer" rxe_odp1 on veth1,
	10.77.0.2 and fd77::2. A kernel warning, oops or hang fails the run, whatever CMD says (exit status 126 or 125).
	TEXT
}

kernel='' mem=4G dir='' limit=1200 log='' append='' rxe=0 links=1 modules=1 build=1 icount=0 pin=0 local='' disk='' wire='' env=()
needs_value() { [ $# -ge 2 ] || die "option $1 needs a value; see ./run vm --help"; }
while [ $# -gt 0 ]; do
	case $1 in
	-k | -m | -d | -t | -e | --log | --append | --disk | --wire) needs_value "$@" ;;&
	-k) kernel=$2; shift 2 ;;
	-m) mem=$2; shift 2 ;;
	-d) dir=$2; shift 2 ;;
	-t) limit=$2; shift 2 ;;
	-e) env+=("$2"); shift 2 ;;
	--log) log=$2; shift 2 ;;
	--append) append=$2; shift 2 ;;
	--disk) disk=$2; shift 2 ;;
	--wire) wire=$2; shift 2 ;;
	--rxe) rxe=1; shift ;;
	--no-links) links=0; shift ;;
	--packets) local=N; shift ;;
	--no-modules) modules=0; shift ;;
	--no-build) build=0; shift ;;
	--icount) icount=1; shift ;;
	--pin) pin=1; shift ;;
	-h | --help) usage; exit 0 ;;
	--) shift; break ;;
	-*) die "unknown option '$1'; see ./run vm --help" ;;
	*) break ;;
	esac
done
[ $# -gt 0 ] || die "no command given: ./run vm -- CMD..."
# Where the guest's files come from, unless it is the cache and build/: "image" says that they are those of an image.
image='' linux='' tree='' built='' debug='' qemu=''
if [ -e "$SRC/MANIFEST" ]; then
	use_image "$SRC"
elif [ -n "${RDMA_ODP_IMAGE:-}" ]; then
	use_image "$RDMA_ODP_IMAGE"
fi
: "${kernel:=stable}" "${built:=$SRC/build/$kernel/modules}"
case $kernel in
stable | backports | uml | uml-fast | kcsan | kasan) ;;
*) die "unknown kernel '$kernel': use stable, backports, uml, uml-fast, kcsan or kasan" ;;
esac
[[ $mem =~ ^[1-9][0-9]*[MG]$ ]] || die "memory '$mem' is not understood: write it like 512M or 4G"
[[ $limit =~ ^[1-9][0-9]*$ ]] || die "'$limit' is no number of seconds"
for e in "${env[@]}"; do
	[[ $e =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] || die "'$e' is no NAME=VALUE"
done
if [ -n "$dir" ]; then
	[ -d "$dir" ] || die "there is no directory $dir to show in the guest"
	dir=$(cd "$dir" && pwd -P)
	no_comma "$dir"
fi
wire_end='' wire_model=virtio-net-pci
if [ -n "$wire" ]; then
	[[ $wire != *,* ]] || wire_model=${wire#*,} wire=${wire%%,*}
	wire_end=${wire##*/} wire=${wire%/*}
	[[ $kernel == stable || $kernel == backports ]] || die "--wire is for guests of QEMU with Debian's kernels: stable and backports"
	[[ $wire_end == [12] && -d $wire && $wire_model =~ ^[a-z][a-z0-9-]*$ ]] ||
		die "--wire wants a directory that is there and an end of the wire, 1 or 2: DIR/1, or DIR/1,MODEL"
	wire=$(cd "$wire" && pwd -P)/wire
	no_comma "$wire"
	# sun_path
	[ ${#wire} -lt 108 ] || die "the name $wire is too long for a socket"
fi

base=${TMPDIR:-/tmp} spaces=root
case $kernel in
uml*)
	need_commands
	base=$(state_base)
	find_spaces "$base"
	;;
esac
if [ -n "$image" ]; then
	need_commands
elif [ $spaces != root ]; then
	use_prepared
else
	need_root
	case $kernel in
	# With the compiler: its version is part of what a User Mode Linux is known by.
	uml* | kcsan | kasan) "$SRC/scripts/host.sh" guest build ;;
	*) "$SRC/scripts/host.sh" guest ;;
	esac
	case $kernel in
	uml*) tree=$("$SRC/scripts/tree.sh" backports) linux=$("$SRC/scripts/uml.sh" "$kernel") ;;
	kcsan | kasan) tree=$("$SRC/scripts/tree.sh" backports) debug=$("$SRC/scripts/debug.sh" "$kernel") ;;
	*) tree=$("$SRC/scripts/tree.sh" "$kernel") ;;
	esac
	[ -n "$linux" ] || qemu=$("$SRC/scripts/qemu.sh")
	[ $modules = 0 ] || [ $build = 0 ] || "$SRC/scripts/modules.sh" "$kernel"
fi
[ -z "$linux" ] || "$linux" --version >/dev/null 2>&1 || die "$linux does not run here: it needs x86-64 and glibc 2.34"

run=$(mktemp -d "$base/rdma-odp.XXXXXX")
# When this shell is killed it cannot remove that. Then this one does, as soon as nobody has the pipe open, in a session that is not
# killed along.
# shellcheck disable=SC2016,SC2034
exec {alive}> >(exec setsid sh -c 'trap "" INT TERM HUP; cat >/dev/null; rm -rf "$1"' sh "$run" >/dev/null 2>&1)
guest=''
cleanup()
{
	if [ -n "$guest" ]; then
		kill -KILL "$guest" 2>/dev/null || :
		wait "$guest" 2>/dev/null || :
	fi
	[ -z "$log" ] || [ ! -e "$run/console.log" ] || tr -d '\r' <"$run/console.log" >"$log"
	rm -rf "$run"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

write_share()
{
	local m
	mkdir -p "$run/host/modules" "$run/out"
	cp "$SRC"/scripts/guest/{boot,links,procs,session,kunit,demo} "$SRC"/scripts/klog* "$run/host/"
	printf '%s\n' "ODP_MODULES=$modules" "ODP_LINKS=$links" "ODP_RXE=$rxe" "ODP_LOCAL=$local" "ODP_DIR=$(printf %q "$dir")" \
		"ODP_WIRE=$wire_end" "ODP_KERNEL_MODULES=${linux:+$(printf %q "$(dirname "$linux")/modules")}${debug:+9p}" >"$run/host/config"
	printf '%q\n' "RDMA_ODP_KERNEL=$kernel" "${env[@]}" >"$run/host/env"
	if [ $# -eq 1 ]; then
		printf '%s\n' "$1"
	else
		printf 'exec'
		printf ' %q' "$@"
		printf '\n'
	fi >"$run/host/cmd"
	if [ $modules = 1 ]; then
		for m in "$built"/*.ko; do
			[ ! -e "$m" ] || cp "$m" "$run/host/modules/"
		done
	fi
	[ -z "$image" ] || cp -RP "$image/provider" "$run/host/"
}

start_qemu()
{
	# Without the strings of single bytes (erms and the short ones): QEMU does these byte by byte, and was seen to take a minute for a huge page.
	local cpu=max,-erms,-fsrm,-fzrm,-fsrs,-fsrc share boot khz wire_args=()
	local accel=(-accel 'tcg,thread=multi' -cpu "$cpu" -smp 2)
	if [ $icount = 1 ]; then
		# Without them here too: each byte of one would count as an instruction.
		accel=(-accel 'tcg,thread=single' -cpu "$cpu" -smp 1 -icount 'shift=0,sleep=off')
	elif "$SRC/scripts/kvm.sh" "$tree"; then
		accel=(-accel kvm -cpu host -smp 2)
	else
		# Not what the guest finds out while others have its CPUs (scripts/tsc.sh).
		khz=$("$SRC/scripts/tsc.sh")
		[ -z "$khz" ] || append="tsc_early_khz=$khz $append"
	fi
	share=(-virtfs "local,path=$run/host,mount_tag=host,security_model=none,readonly=on"
		-virtfs "local,path=$run/out,mount_tag=out,security_model=none")
	[ -z "$dir" ] || share+=(-virtfs "local,path=$dir,mount_tag=mnt,security_model=passthrough,multidevs=remap")
	# Whose end is 1 listens; the other one asks until there is somebody.
	case $wire_end in
	1) wire_args=(-netdev "stream,id=wire,addr.type=unix,addr.path=$wire,server=on") ;;
	2) wire_args=(-netdev "stream,id=wire,addr.type=unix,addr.path=$wire,server=off,reconnect-ms=200") ;;
	esac
	[ -z "$wire_end" ] || wire_args+=(-device "$wire_model,netdev=wire,mac=52:54:00:10:78:0$wire_end")
	boot=(-kernel "$tree/vmlinuz" -initrd "$tree/initrd.img")
	if [ -n "$debug" ]; then
		boot=(-kernel "$debug/arch/x86/boot/bzImage")
		# With five levels of page tables KASAN takes an interrupt during identify_cpu() for a wild access: the features, LA57 among them, are
		# cleared there for a moment.
		append="no5lvl $append"
		share+=(-virtfs "local,path=$debug/modules,mount_tag=modules,security_model=none,readonly=on")
	fi
	# norandmaps: QEMU keeps what it has translated by virtual address. With a library at another address in each process its pages
	# gather 20,000 translations each, which nobody uses again, and a store to such a page, when it is freed and cleared, walks their
	# list: a page was seen to take a second, which is a soft lockup in the guest.
	# tsc=reliable: an emulated TSC is this machine's. When the guest stands still its watchdog may take that for a skew and give the TSC up,
	# which patches the kernel while it runs, and QEMU 7.2 was seen to let the other CPU execute the breakpoint of that after it was gone ("Oops:
	# int3").
	# memmap: 64 MiB of it stand for persistent memory, below what the smallest guest has; odp_dax loads its driver.
	TMPDIR=$run exec setpriv --pdeathsig KILL timeout --foreground -s KILL "$limit" setpriv --pdeathsig KILL \
		"$qemu" "${accel[@]}" -m "$mem" -display none -vga none -no-reboot -nic none -monitor none \
		-serial "file:$run/console.log" "${boot[@]}" \
		-drive "file=${disk:-$tree/disk.img},format=raw,if=virtio,snapshot=on" "${share[@]}" "${wire_args[@]}" -device virtio-serial-pci \
		-chardev "file,id=out,path=$run/stdout" -device virtserialport,chardev=out,name=stdout \
		-chardev "file,id=err,path=$run/stderr" -device virtserialport,chardev=err,name=stderr \
		-append "console=ttyS0 loglevel=5 log_buf_len=4M panic=-1 mitigations=off no_timer_check tsc=reliable norandmaps root=/dev/vda rw init=/odp/init memmap=64M!256M ODP_SHARE=9p $append" \
		>"$run/qemu.log" 2>&1 </dev/null
}

write_share "$@"
[ -x "$run/host/boot" ] || die "scripts/guest/boot is not executable"

mkfifo "$run/stdout" "$run/stderr"
cat "$run/stdout" &
readers=$!
cat "$run/stderr" >&2 &
readers="$readers $!"
# Held open until the guest is gone, so that the readers end then and not before.
exec {hold_out}>"$run/stdout" {hold_err}>"$run/stderr"

case $kernel in
uml*) start_uml 7>&2 & ;;
*) start_qemu & ;;
esac
guest=$!
case $kernel$pin in
uml*1) pin_uml ;;
esac
rc=0
# When a User Mode Linux ends, one CPU may find that the other has killed its process, and abort (machine_power_off() stops no CPU). bash
# need not tell: what counts is what the guest has left, and without that the status is told below.
wait "$guest" 2>/dev/null || rc=$?
guest=''
exec {hold_out}>&- {hold_err}>&-
# shellcheck disable=SC2086
wait $readers || :

# keep_console: of a guest that failed, unless --log keeps it anyway.
keep_console()
{
	local kept
	[ -z "$log" ] || return 0
	# A user may have no right to write there.
	mkdir -p "$SRC/build/failed" 2>/dev/null && [ -w "$SRC/build/failed" ] || return 0
	kept=$(mktemp -d "$SRC/build/failed/$kernel.vm.$(date +%Y%m%d-%H%M%S)-XXX")
	if tr -d '\r' <"$run/console.log" >"$kept/console"; then
		printf 'run: the whole kernel log and console: %s\n' "$kept/console" >&2
	fi
}

# The verdict: the kernel log first, since it overrules what the command says.
touch "$run/console.log"
report=$("$SRC/scripts/klog.sh" "$run/console.log") || {
	printf '%s\n' "$report" >&2
	status=none
	[ ! -e "$run/out/status" ] || status=$(cat "$run/out/status")
	printf 'run: the guest kernel (%s) complained, see above; the command'\''s own status: %s\n' "$kernel" "$status" >&2
	keep_console
	exit 126
}
if [ -e "$run/out/failed" ]; then
	tail -n 15 "$run/console.log" | tr -d '\r' | sed 's/^/  /' >&2
	printf 'run: %s\n' "$(cat "$run/out/failed")" >&2
	keep_console
	exit 125
fi
if [ ! -e "$run/out/status" ]; then
	tail -n 30 "$run/console.log" | tr -d '\r' | sed 's/^/  /' >&2
	[ ! -s "$run/qemu.log" ] || sed 's/^/  /' "$run/qemu.log" >&2
	case $rc in
	124 | 137) printf 'run: the guest (%s) had not ended after %d s and was killed; -t gives it more\n' "$kernel" "$limit" >&2 ;;
	*) printf 'run: the guest (%s) died before the command ended (emulator status %d)\n' "$kernel" "$rc" >&2 ;;
	esac
	keep_console
	exit 125
fi
exit "$(cat "$run/out/status")"
