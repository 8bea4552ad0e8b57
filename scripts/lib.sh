# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# What every script here shares: messages, the cache, locks and the mirror.
#
# The cache ($XDG_CACHE_HOME/rdma-odp) holds directories named KIND-FLAVOUR-HASH. The hash covers what
# goes in (script text, package lists, suite), so a changed script gets a new directory. A directory is built under a
# temporary name and renamed when it is complete: whatever has a final name can be trusted.

set -euo pipefail

# shellcheck disable=SC2034
SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
CACHE=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/rdma-odp
# shellcheck disable=SC2034
SUITE=trixie
export LC_ALL=C
umask 022

die() { printf 'run: %s\n' "$*" >&2; exit 1; }
say() { printf '==> %s\n' "$*" >&2; }

# step TEXT LOG CMD...: runs CMD with its output in LOG, and says how long it took.
step()
{
	local text=$1 log=$2 start=$SECONDS ticker='' rc=0
	shift 2
	mkdir -p "$(dirname "$log")"
	if [ -t 2 ]; then
		(while sleep 1 && kill -0 $$; do printf '\r==> %s ... %d s ' "$text" $((SECONDS - start)) >&2; done) &
		ticker=$!
	else
		say "$text ..."
	fi
	"$@" >"$log" 2>&1 </dev/null || rc=$?
	if [ -n "$ticker" ]; then
		kill "$ticker" 2>/dev/null || :
		wait "$ticker" 2>/dev/null || :
		printf '\r' >&2
	fi
	if [ $rc -ne 0 ]; then
		say "$text: FAILED after $((SECONDS - start)) s"
		tail -n 25 "$log" >&2
		die "$text failed; the whole log is $log"
	fi
	say "$text: $((SECONDS - start)) s"
}

# cache_key FILE... -- TEXT...: a short hash of files and words.
cache_key()
{
	{
		while [ $# -gt 0 ] && [ "$1" != -- ]; do
			cat "$1"
			shift
		done
		printf '%s\n' "$@"
	} | sha256sum | cut -c1-12
}

# with_lock NAME CMD...: runs the function or command while no other run holds NAME.
with_lock()
{
	local name=$1 fd rc=0
	shift
	mkdir -p "$CACHE"
	exec {fd}>"$CACHE/.lock-$name"
	if ! flock -n "$fd"; then
		say "waiting for another run that builds $name"
		flock "$fd"
	fi
	"$@" || rc=$?
	exec {fd}>&-
	return $rc
}

# prune_cache KIND-FLAVOUR KEEP: removes older directories of a kind that nothing has used for a week, and
# what interrupted builds left (their lock is ours now).
prune_cache()
{
	find "$CACHE" -mindepth 1 -maxdepth 1 -name "tmp-$1-????????????" -exec rm -rf --one-file-system {} +
	find "$CACHE" -mindepth 1 -maxdepth 1 -name "$1-????????????" ! -name "$1-$2" -mtime +7 \
		-exec rm -rf --one-file-system {} +
}

need_root() { [ "$(id -u)" -eq 0 ] || die "must be root: the guest trees are made with chroot and mounts; use sudo ./run"; }

need_space()
{
	local gib=$1 have
	mkdir -p "$CACHE"
	have=$(($(df --output=avail -k "$CACHE" | tail -n 1) / 1048576))
	[ "$have" -ge "$gib" ] ||
		die "only $have GiB are free under $CACHE and $gib GiB are needed; make room or set XDG_CACHE_HOME"
}

# The Debian mirror this machine's apt uses: nothing here names one.
mirror()
{
	local uri
	if [ -n "${RDMA_ODP_MIRROR:-}" ]; then
		echo "${RDMA_ODP_MIRROR%/}"
		return
	fi
	# $(...) in the format is apt's, not the shell's.
	# shellcheck disable=SC2016
	uri=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT) $(CODENAME) $(RELEASE)' \
		'Created-By: Packages' 2>/dev/null |
		awk '$2 == "main" && $0 !~ /security/ { sub(/\/$/, "", $1); print $1; exit }')
	[ -n "$uri" ] || die "apt knows no Debian mirror; add one to /etc/apt/sources.list.d or set RDMA_ODP_MIRROR"
	echo "$uri"
}

# The machine's own apt settings that a second apt must share (proxy, clock checks).
apt_acquire_options()
{
	apt-config dump 2>/dev/null |
		grep -E '^Acquire::(https?::[A-Za-z:.-]+|Retries|Check-Valid-Until|Check-Date|ForceIPv4) ' || :
}

archive_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# sources_list SUITE...: the lines of a sources.list.
sources_list()
{
	local m s
	m=$(mirror)
	for s; do
		echo "deb [signed-by=$archive_keyring] $m $s main"
	done
}
