# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# A program with two ends, target and initiator, each of which has the device nvx. By itself it has both ends in one guest, over one
# device of ours on a veth of its own. ./run peers runs it in two guests at once, whose PEERS_ROLE is target or initiator: there nvx is
# of PEERS_DRIVER and on wire0.
#
# A program says what its ends are by functions, and goes to run_ends:
#   make_target, unmake_target          what the target is; unmake_* come without end after a failure, and may find nothing
#   make_initiator, unmake_initiator    what the initiator is
#   acts                                what the initiator does, or the only guest; at_target has the other end do something
#   loaded                              (a list) the modules to remove at the end, in this order

# shellcheck source=tests/guest/lib/device.sh
. "${0%/*}/../lib/device.sh" || exit 1

role=${PEERS_ROLE:-both}
# Where the two guests meet: a directory of the host's that both have.
meeting=${PEERS_DIR:-}
loaded=()
# shellcheck disable=SC2034
case $role in
both) driver=rxe_odp netdev=nvx address=10.79.0.1 initiator=10.79.0.1 own=10.79.0.1 ;;
target) driver=$PEERS_DRIVER netdev=wire0 address=$PEERS_TARGET initiator=$PEERS_INITIATOR own=$PEERS_TARGET ;;
initiator) driver=$PEERS_DRIVER netdev=wire0 address=$PEERS_TARGET initiator=$PEERS_INITIATOR own=$PEERS_INITIATOR ;;
esac

has_target() { [ "$role" != initiator ]; }
has_initiator() { [ "$role" != target ]; }

fail()
{
	echo "FAIL: $program: $*"
	tail -n 60 /tmp/said_* 2>/dev/null
	[ "$role" != initiator ] || touch "$meeting/failed"
	show_state
	exit 1
}

# show_state: what the device's queues hold, who sleeps for what, and who does not sleep
show_state()
{
	local at state
	rdma -dd resource show qp
	rdma -dd resource show cq
	rdma resource show cm_id
	counters
	for at in /proc/[0-9]*; do
		state=''
		{ read -r state <"$at/stat" && state=${state##*) }; } 2>/dev/null
		case $state in
		D*) echo "$(<"$at/comm") sleeps:" && cat "$at/stack" ;;
		R*) echo "$(<"$at/comm") runs" ;;
		esac
	done 2>/dev/null
	dmesg | tail -n 25
}

# counters: of nvx, what is not 0
counters()
{
	local file n
	for file in /sys/class/infiniband/nvx/ports/1/hw_counters/*; do
		! read -r n 2>/dev/null <"$file" || [ "$n" = 0 ] || printf '%s=%s ' "${file##*/}" "$n"
	done
	echo
}

# need MODULE...: loads them, or ends the program
need()
{
	local module
	for module in "$@"; do
		modprobe "$module" 2>/dev/null || { echo "SKIP: this kernel has no $module"; exit 77; }
	done
}

has_carrier() { [ "$(cat "/sys/class/net/$netdev/carrier" 2>/dev/null)" = 1 ]; }

make_device()
{
	if [ "$role" = both ]; then
		{ ip link add nvx mtu 9000 type veth peer name nvy mtu 9000 && ip link set nvy up && ip link set nvx up &&
			ip addr add "$own/24" dev nvx; } || fail "no netdev"
	fi
	eventually has_carrier || fail "$netdev has no carrier"
	rdma link add nvx type "$driver" netdev "$netdev" || fail "no device"
	eventually has_gid nvx "$own" || fail "no GID"
}

unmake_device()
{
	rdma link del nvx
	[ "$role" != both ] || ip link del nvx
}

# Whose program has ended, or does so, leaves "gone".
is_gone() { [ -e "$meeting/gone" ]; }
# Who waits for the target and fails has it say what it knows.
has_failed() { [ -e "$meeting/failed" ]; }
is_asked() { [ -e "$meeting/ask" ] || has_failed || is_gone; }
is_answered() { [ -e "$meeting/answer" ] || is_gone; }

# at_target FUNCTION ARG...: its output and its status
at_target()
{
	local status
	[ "$role" = initiator ] || { "$@"; return; }
	printf '%q ' "$@" >"$meeting/ask.tmp"
	mv "$meeting/ask.tmp" "$meeting/ask"
	eventually is_answered || fail "the target does not answer: $*"
	[ -e "$meeting/answer" ] || fail "the target has ended before: $*"
	read -r status <"$meeting/answer"
	rm "$meeting/answer"
	cat "$meeting/said"
	return "$status"
}

# serve: does what is asked for, until the initiator has ended.
serve()
{
	local asked status
	while eventually is_asked; do
		! is_gone || return 0
		if has_failed; then
			show_state
			eventually is_gone
			return 0
		fi
		asked=$(cat "$meeting/ask")
		rm "$meeting/ask"
		eval "$asked" >"$meeting/said" 2>&1
		status=$?
		echo "target: $asked: $status"
		answer $status
	done
	fail "the initiator asks for nothing"
}
answer() { echo "$1" >"$meeting/answer.tmp" && mv "$meeting/answer.tmp" "$meeting/answer"; }

end()
{
	# shellcheck disable=SC2046
	kill $(jobs -p)
	! has_initiator || unmake_initiator
	[ "$role" = both ] || touch "$meeting/gone"
	! has_target || unmake_target
	unmake_device
	rm -rf /tmp/said_*
	[ ${#loaded[@]} = 0 ] || rmmod "${loaded[@]}"
} 2>/dev/null

run_ends()
{
	trap end EXIT
	make_device
	! has_target || make_target
	[ "$role" != target ] || { serve; exit 0; }
	at_target true
	make_initiator
	acts
	exit 0
}

# cut, mend: no packet comes to the target, or, between two guests, its link is down. Stock rxe's QP1 is in error for good when it has
# something to send meanwhile ("rdma resource show qp" has it), so that nothing connects to such a target again: then it is the
# initiator's link, unless that one is stock rxe too.
cut()
{
	if [ "$role" = both ]; then
		nft 'add table ip ends_cut; add chain ip ends_cut in { type filter hook input priority 0; }; add rule ip ends_cut in udp dport 4791 drop'
	else
		end_of_link ip link set wire0 down
	fi
}
mend()
{
	if [ "$role" = both ]; then nft delete table ip ends_cut; else end_of_link ip link set wire0 up; fi
}
end_of_link()
{
	if [ "$driver" = rxe_odp ] && [ "$(at_target driver)" = rxe ]; then "$@"; else at_target "$@"; fi
}
driver() { echo "$driver"; }
