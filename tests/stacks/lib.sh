# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# What the programs of this folder share. Each carries out one section of docs/recipes/stacks.md, between two namespaces, as a user who
# has no right but those of the recipe and may lock no memory:
#   root# COMMAND   by root, here
#   peer$ COMMAND   a server in the namespace "peer". It is to end well when its client has, or, with " &" at the end, to serve until
#                   the section ends.
#   user$ COMMAND   by the user, here: what comes before or behind.
#   here$ COMMAND   by the user, here. It is to end well, to have sent by the device, and to have had on-demand regions at both ends.
# A command goes on behind a backslash, in as many lines as it likes.

# shellcheck source=tests/guest/lib/device.sh
. "${0%/*}/../lib/device.sh" || exit 1

here=$(cd "${0%/*}" && pwd) || exit 1
stack=$(basename "$0")
stack=${stack%%.*}
recipes=$here/../recipes/stacks.md
home=/tmp/stacks_home logs=/tmp/stacks_logs
# What belongs to the stacks: ucx_verify and others.
bin=$here/../bin
server='' serving=''
# So much is sent by each command at least, in packets or, with local=on, in requests; what connects it is a dozen packets.
least=100
is_local() { [ "$(cat /sys/class/infiniband/rxe_odp0/local)" = on ]; }
! is_local || least=20

fail()
{
	local f
	echo "FAIL: $stack: $*"
	for f in "$logs"/server "$logs"/client; do
		[ ! -e "$f" ] || { echo "--- $(basename "$f")"; tail -n 60 "$f"; }
	done
	exit 1
}

stop_server()
{
	[ -n "$server" ] || return 0
	kill -9 -- "-$server" 2>/dev/null
	wait "$server" 2>/dev/null
	server=''
}

cleanup()
{
	stop_server
	# shellcheck disable=SC2046
	kill -9 $(jobs -p)
	policy pinned
	with_rdma_cm
	[ -z "${undo:-}" ] || eval "$undo"
	umount -l "$home"/*
	rm -rf "$home" "$logs"
} 2>/dev/null

# The user, who finds what belongs to the stacks, and what he leaves is in one place.
user=(prlimit --memlock=0:0 setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs
	env -C "$home" "HOME=$home" "TMPDIR=$home" "PATH=$bin:$PATH")

# section NAME: "root COMMAND", "peer COMMAND", "user COMMAND", "here COMMAND" of that section, one a line.
section()
{
	awk -v name="$1" '
		/^#/ { on = $0 ~ "^#+ " name "$"; next }
		!on { next }
		more { line = line " " $0 }
		!more && /^ *(root#|peer\$|user\$|here\$) / { sub(/^ */, ""); line = substr($0, 1, 4) substr($0, 6); more = 1 }
		more { more = sub(/ *\\$/, "", line); gsub(/  +/, " ", line); if (!more) print line }' "$recipes"
}

# next NAME: the commands are those of this section.
next()
{
	mapfile -t commands < <(section "$1")
	[ ${#commands[@]} -gt 0 ] || fail "$recipes has no section '$1' with commands"
}

# begin NAME: what all stacks want of root, and the commands of the section NAME.
begin()
{
	local line
	trap cleanup EXIT
	{ mkdir -m 1777 "$home" && mkdir "$logs"; } || fail "what another run has left is in the way"
	next "$1"
	while read -r line; do
		bash -c "${line#root }" </dev/null || fail "by root: ${line#root }"
	done < <(section "All of them")
	[ "$(cat /sys/class/infiniband/rxe_odp0/register)" = on-demand ] || fail "the recipe does not make registrations on demand"
}

# The stack does not open /dev/infiniband/rdma_cm: what this user may not open it cannot want.
without_rdma_cm() { chmod 0 /dev/infiniband/rdma_cm || fail "cannot take rdma_cm away"; }
with_rdma_cm() { chmod 666 /dev/infiniband/rdma_cm; }

# counts: of rxe_odp0 and of rxe_odp1, which is shown in its namespace alone, what it sent, in packets and without, and its faults.
counters=/sys/class/infiniband/rxe_odp%d/ports/1/hw_counters/
count()
{
	# shellcheck disable=SC2059
	cat "$(printf "$counters" "$1")"/{sent_pkts,local_ops,odp_faults}
}
# without_packets: how many requests both devices have executed without packets.
without_packets() { counts | awk 'NR % 3 == 2 { n += $1 } END { print n }'; }

counts() { count 0 && in_peer bash -c "$(declare -f count); counters=$counters; count 1"; }

# By TCP or by RDMA-CM; nothing else does in peer.
listens() { in_peer ss -Hltn | grep -q . || in_peer rdma resource show cm_id | grep -q 'state LISTEN'; }

says() { grep -qsE "$1" "$logs/server" "$logs/client"; }

# start_server COMMAND [WORDS]: 1 if it ends, or says so, before it listens.
start_server()
{
	! listens || fail "something listens in peer already"
	# What it says is not what the one before has said.
	: >"$logs/server"
	setsid ip netns exec peer "${user[@]}" bash -c "$1" >"$logs/server" 2>&1 &
	server=$!
	until listens; do
		kill -0 "$server" 2>/dev/null || return 1
		[ -z "${2:-}" ] || ! says "$2" || return 1
		[ "$(left)" -gt 1 ] || fail "$1: the server does not listen"
		sleep 0.1
	done
}

# run_client COMMAND: its status, or AGAIN when it says the words of $again.
AGAIN=75
again=''
run_client()
{
	local client status=0
	if [ -z "$again" ]; then
		timeout -s KILL "$(left)" "${user[@]}" bash -c "$1" >"$logs/client" 2>&1
		return
	fi
	: >"$logs/client"
	setsid "${user[@]}" bash -c "$1" >"$logs/client" 2>&1 &
	client=$!
	while kill -0 "$client" 2>/dev/null && ! says "$again" && [ "$(left)" -gt 1 ]; do
		sleep 0.1
	done
	[ "$(left)" -gt 1 ] || status=137
	! says "$again" || status=$AGAIN
	[ $status = 0 ] || kill -9 -- "-$client" 2>/dev/null
	wait "$client" || return $((status ? status : $?))
}

# The server ends by itself.
await_server()
{
	while kill -0 "$server" 2>/dev/null && [ "$(left)" -gt 1 ]; do
		sleep 0.1
	done
	! kill -0 "$server" 2>/dev/null || fail "$1: the server does not end"
}

# How often a program has died within libfabric so far.
libfabric_deaths() { dmesg | grep -c 'segfault at .* in libfabric\.so'; }
# rxm_died STATUS COMMAND DEATHS: since it had died so often, of libfabric's own fault, which the recipe tells of.
rxm_died() { [ "$1" = 139 ] && [[ $2 == *ofi_rxm* ]] && [ "$(libfabric_deaths)" -gt "$3" ]; }

# client COMMAND STAYS
client()
{
	local before now status ended try deaths
	for try in 1 2 3; do
		mapfile -t before < <(counts)
		deaths=$(libfabric_deaths)
		run_client "$1"
		status=$? ended=0
		if [ $status = 0 ] && [ "$2" = 0 ] && [ -n "$server" ]; then
			await_server "$1"
			wait "$server"
			ended=$?
			server=''
		fi
		if [ $status = $AGAIN ]; then
			echo "$again: try $try"
		elif rxm_died $status "$1" "$deaths" || rxm_died $ended "$serving" "$deaths"; then
			echo "one of libfabric's ends died of its connection's end: try $try"
		else
			break
		fi
		stop_server
		[ -z "$serving" ] || start_server "$serving" || fail "$serving: the server has ended"
	done
	[ $status = 0 ] || fail "$1: status $status"
	[ $ended = 0 ] || fail "$1: the server failed with status $ended"
	mapfile -t now < <(counts)
	[ $((now[0] + now[1] + now[3] + now[4] - before[0] - before[1] - before[3] - before[4])) -ge "$least" ] ||
		fail "$1: it did not go through the devices"
	[ "${now[2]}" -gt "${before[2]}" ] || fail "$1: no region on demand here"
	[ "${now[5]}" -gt "${before[5]}" ] || fail "$1: no region on demand in peer"
}

# recipe: each command of the section.
recipe()
{
	local line command stays=0 local_ops
	local_ops=$(without_packets)
	for line in "${commands[@]}"; do
		command=${line#* }
		case $line in
		root*) bash -c "$command" || fail "by root: $command" ;;
		user*) "${user[@]}" bash -c "$command" >"$logs/client" 2>&1 || fail "$command: status $?" ;;
		peer*)
			stop_server
			stays=0
			[[ $command != *' &' ]] || stays=1
			serving=${command% &}
			start_server "$serving" || fail "$serving: the server has ended"
			;;
		here*)
			echo "$command"
			client "$command" "$stays"
			;;
		esac
	done
	stop_server
	local_ops=$(($(without_packets) - local_ops))
	# Datagrams are packets all the same.
	if is_local; then
		[ $local_ops -ge $least ] || fail "local=on, and $local_ops requests were executed without packets"
	else
		[ $local_ops = 0 ] || fail "local=off, and $local_ops requests were executed without packets"
	fi
}

# refused WORDS: where registrations are pinned the first pair of commands says these words to this user (an extended regular
# expression), and has not done its work by then; it is killed, since UCX tries again for ever.
refused()
{
	local line words=$1 client='' status=1
	policy pinned || fail "no policy"
	for line in "${commands[@]}"; do
		case $line in
		root*) bash -c "${line#* }" || fail "by root: ${line#* }" ;;
		user*) "${user[@]}" bash -c "${line#* }" || fail "${line#* }: status $?" ;;
		peer*)
			line=${line#* }
			start_server "${line% &}" "$words" || break
			;;
		here*)
			setsid "${user[@]}" bash -c "${line#* }" >"$logs/client" 2>&1 &
			client=$!
			break
			;;
		esac
	done
	# Who has ended says no more: the other one may wait for it for ever.
	until says "$words"; do
		[ "$(left)" -gt 1 ] || break
		if [ -n "$client" ] && ! kill -0 "$client" 2>/dev/null; then
			wait "$client" && fail "memory is pinned for a user who may lock none"
			client=''
			break
		fi
		[ -n "$client" ] || kill -0 "$server" 2>/dev/null || break
		sleep 0.1
	done
	says "$words" || fail "'$words' is not what a user reads where memory is pinned"
	if [ -n "$client" ]; then
		kill -9 -- "-$client" 2>/dev/null
		wait "$client" 2>/dev/null
		status=$?
	fi
	[ $status != 0 ] || fail "memory is pinned for a user who may lock none"
	stop_server
	rm -f "$logs/server" "$logs/client"
	policy on-demand || fail "no policy"
}
