# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# User Mode Linux as vm.sh starts it, by root and by others. Its root file system is
#   the directory of a guest tree (hostfs), bound read-only: for root, who may mount; each file has its owner there
#   the image of that tree (ubd), opened read-only: for others, and from an image (image.sh). Owners, setuid bits and files that
#   nobody else may read are as in the guest of root, whoever owns the image.
# Either way the guest writes to memory above it. Its processes end with vm.sh, by a PID namespace where there is one, by
# PDEATHSIG everywhere. What is not set here is vm.sh's.
# shellcheck disable=SC2154

# may_execute DIR: files there may be mapped to be executed: User Mode Linux maps its memory so, and hostfs asks access(2).
may_execute() { ! findmnt -n -o OPTIONS -T "$1" | tr ',' '\n' | grep -qx noexec; }

# state_base: where the files of this run lie.
state_base()
{
	local d
	if [ -n "${TMPDIR:-}" ]; then
		[[ -d $TMPDIR && -w $TMPDIR ]] || die "TMPDIR, $TMPDIR, is no directory that can be written; name another"
		may_execute "$TMPDIR" || die "TMPDIR, $TMPDIR, is mounted noexec, and User Mode Linux executes what lies there; name another"
		[[ $TMPDIR = /* && $TMPDIR != *[[:space:]]* ]] ||
			die "TMPDIR, $TMPDIR, stands in the guest's command line; name an absolute path without blanks"
		echo "$TMPDIR"
		return
	fi
	for d in /tmp /var/tmp /dev/shm; do
		! { [ -w $d ] && may_execute $d; } || { echo $d; return; }
	done
	die "/tmp, /var/tmp and /dev/shm cannot be written or are mounted noexec; set TMPDIR to a directory where User Mode Linux may execute"
}

# find_spaces DIR: what namespaces we may have: sets spaces to "root", to "user" (within a user namespace; files of ours are root's
# there, and so in the guest), or to "none", as in most containers. An image of a container's system may let root unshare, but not mount.
find_spaces()
{
	local try=(--mount --pid --fork --kill-child mount -t tmpfs tmpfs "$1")
	spaces=none
	if [ "$(id -u)" = 0 ]; then
		! unshare "${try[@]}" 2>/dev/null || spaces=root
	else
		! unshare --user --map-root-user "${try[@]}" 2>/dev/null || spaces=user
	fi
}

need_commands()
{
	local c missing=()
	for c in awk df findmnt grep mkfifo mktemp sed setpriv setsid timeout tr unshare; do
		command -v $c >/dev/null || missing+=("$c")
	done
	[ ${#missing[@]} -eq 0 ] || die "${missing[*]}: not found; install util-linux, coreutils, grep, sed and mawk"
}

no_comma() { [[ $1 != *,* ]] || die "the path $1 has a comma, which stands between mount options; take another"; }

# use_image DIR: takes tree, User Mode Linux and modules from there.
use_image()
{
	local has
	[ "$(head -n 1 "$1/MANIFEST" 2>/dev/null)" = '# rdma-odp image 1' ] ||
		die "$1 is no unpacked image of this version; ./run image makes one, ./run image --unpack unpacks it"
	has=$(sed -n 's/^# kernel: \([a-z-]*\) .*/\1/p' "$1/MANIFEST")
	[ -z "$kernel" ] || [ "$kernel" = "$has" ] || die "the image $1 has $has, not $kernel: leave -k out, or take another image"
	image=$(cd "$1" && pwd -P)
	no_comma "$image"
	kernel=$has tree=$image/tree linux=$image/kernel/linux built=$image/modules
}

newest()
{
	local f newest=''
	for f; do
		[ ! -r "$f" ] || [[ -n $newest && ! $f -nt $newest ]] || newest=$f
	done
	echo "$newest"
}

# use_prepared: for a user who cannot make it, what lies in the cache: as root's ./run build made it, or else an image.
use_prepared()
{
	local disk
	need_commands
	linux=$(newest "$CACHE/$kernel"-????????????/build/linux)
	disk=$(newest "$CACHE"/tree-backports-????????????/disk.img)
	if [[ -n $linux && -n $disk && ( $modules = 0 || -r $built/rxe_odp.ko ) ]]; then
		tree=$(dirname "$disk")
		[ "$modules" = 0 ] || [ -z "$(find "$SRC/kernel" "$SRC/include" -newer "$built/rxe_odp.ko" -type f -print -quit)" ] ||
			say "the modules are older than their sources; as root ./run build -k $kernel makes them anew"
	elif [ -e "$CACHE/image-$kernel/MANIFEST" ]; then
		use_image "$CACHE/image-$kernel"
	else
		die "$kernel is not prepared in $CACHE, and only root can, where mounting is allowed: unpack an image (./run image --unpack FILE), or let root run ./run build -k $kernel with this XDG_CACHE_HOME"
	fi
}

# memory_dir: where the guest's memory is to lie without a tmpfs of its own; rather not on a disk, which it would be written to.
memory_dir()
{
	local need base have
	need=$((${mem%[MG]} * 1024)) base=$(dirname "$run")
	[[ $mem = *M ]] || need=$((need * 1024))
	have=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1) || have=0
	if [ -w /dev/shm ] && [ "$have" -ge "$need" ] && may_execute /dev/shm; then
		echo /dev/shm
		return
	fi
	have=$(df --output=avail -k "$base" | tail -n 1)
	[ "$have" -ge "$need" ] ||
		say "$base has $((have / 1024)) MiB for the guest's memory of $mem: it dies when it uses more; -m gives it less, TMPDIR another place"
	echo "$base"
}

# In namespaces the shell there must stay: a panic ends UML by a signal, and PID 1 would not get it. In a session of its own, because
# UML ends the whole process group when it dies.
start_uml()
{
	local line mounted='' user=() memory
	line=("mem=$mem" ncpus=2 seccomp=on "uml_dir=$run/uml")
	if [[ "$spaces" = root && -z $image ]]; then
		mounted=$tree/root
		line+=(root=/dev/root rootfstype=hostfs "rootflags=$run/root")
	else
		# A link, because a path with a colon would be two.
		ln -s "$tree/disk.img" "$run/disk.img"
		line+=(root=/dev/ubda rootfstype=ext4 "ubd0r=$run/disk.img")
	fi
	# shellcheck disable=SC2054
	line+=(ro init=/odp/init loglevel=5 panic=-1 con=null con0=null,fd:1 con1=null,fd:5 con2=null,fd:6 "ODP_SHARE=$run/host")
	exec >"$run/console.log" 2>&1 </dev/null 5>"$run/stdout" 6>"$run/stderr"
	if [ "$spaces" = none ]; then
		memory=$(memory_dir 2>&7)
		# shellcheck disable=SC2086
		TMPDIR=$memory exec setpriv --pdeathsig KILL setsid timeout --foreground -s KILL "$limit" \
			setpriv --pdeathsig KILL "$linux" "${line[@]}" $append 7>&-
	fi
	# First, because a new user namespace takes PDEATHSIG away.
	[ "$spaces" = root ] || user=(unshare --user --map-root-user)
	# shellcheck disable=SC2016,SC2086
	exec "${user[@]}" setpriv --pdeathsig KILL setsid timeout --foreground -s KILL "$limit" \
		setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child sh -c '
		run=$1 mounted=$2 linux=$3
		shift 3
		# Among sessions the scheduler goes by that.
		[ ! -e /proc/self/autogroup ] || nice >/proc/self/autogroup
		mkdir "$run/shm" && mount -t tmpfs -o size=100% tmpfs "$run/shm" || exit 1
		[ -z "$mounted" ] || { mkdir "$run/root" && mount --bind "$mounted" "$run/root" &&
			mount -o remount,bind,ro "$run/root" || exit 1; }
		TMPDIR=$run/shm "$linux" "$@"
		exit $?' uml "$run" "$mounted" "$linux" "${line[@]}" $append 7>&-
}

# Its CPUs are its first threads. Each system call of a process stops and wakes it, and waking is slow where the CPU has
# gone idle, or the process is put on another each time.
pin_uml()
{
	local pid cpu tries threads=()
	for ((tries = 0; ${#threads[@]} < 2; tries++)); do
		kill -0 "$guest" 2>/dev/null || return 0
		[ $tries -lt 100 ] || { say "--pin: the guest's CPUs are not found, its figures will vary"; return 0; }
		sleep 0.1
		! pid=$(pgrep -f "^$linux .* ODP_SHARE=$run/host( |$)") || mapfile -t threads < <(ls -v "/proc/$pid/task")
	done
	threads=("${threads[@]:0:2}")
	for cpu in $(seq 0 $(($(nproc --all) - 1))); do
		[ ${#threads[@]} -gt 0 ] || return 0
		# This machine may not let us use each of them.
		! taskset -pc "$cpu" "${threads[0]}" >/dev/null 2>&1 || threads=("${threads[@]:1}")
	done
}
