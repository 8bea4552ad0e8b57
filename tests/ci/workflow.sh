#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# workflow.sh KERNEL: packs an image and does in throw-away directories what the workflows of docs/ci tell a CI to do. What is not as
# there: the download is a file, and nothing is installed.
#   GitHub's  by an ordinary user, who may have user namespaces where this machine lets him
#   GitLab's  by root without a capability, in a chroot (where nobody makes a user namespace), with the /dev/shm of a container
set -euo pipefail

kernel=${1:?workflow.sh: name a User Mode Linux}
src=$(cd "$(dirname "$0")/../.." && pwd -P)
umask 022
# Of nobody else, another clone's test too.
uid=$((60000 + $$ % 4000))
# On a disk: the unpacked images are large. One run at a time in a clone, and always at the same place, so that what is left of one
# that was killed goes.
mkdir -p "$src/build"
exec {lock}>"$src/build/.lock-ci"
flock "$lock"
work=/var/tmp/rdma-odp-ci.$(sha256sum <<<"$src" | cut -c1-12)
rm -rf --one-file-system "$work"
mkdir "$work"
killed=''
trap '[ -z "$killed" ] || kill -KILL "$killed" 2>/dev/null || :; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

fail() { echo "FAIL: $*"; exit 1; }

if findmnt -n -o OPTIONS -T "$work" | tr ',' '\n' | grep -qx noexec; then
	echo "skipped: /var/tmp is mounted noexec, where nothing that is unpacked runs"
	exit 77
fi
# Made before: it is not tried a second time.
if [[ -e $src/build/$kernel/unfit && $src/build/$kernel/unfit -nt $src/build/configure.log ]]; then
	cat "$src/build/$kernel/unfit"
	exit 1
fi

mkdir "$work/bin" "$work/tmp"
# shellcheck disable=SC2016
printf '#!/bin/bash\nexec cat "${!#}"\n' >"$work/bin/curl"
printf '#!/bin/sh\n' >"$work/bin/apt-get"
chmod 755 "$work" "$work"/bin/*
chmod 1777 "$work/tmp"

# as_user, as_container CMD...: both with nothing of this shell's environment.
bare=(env -i "PATH=$work/bin:/usr/bin:/bin" "TMPDIR=$work/tmp" "RDMA_ODP_IMAGE_URL=$work/image.tar.zst")
drop=(--clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs)
as_user=(setpriv --reuid "$uid" --regid "$uid" "${drop[@]}" "${bare[@]}")
as_container()
{
	mkdir -p "$work/root"
	# shellcheck disable=SC2016
	unshare --mount --pid --ipc --fork --kill-child bash -ec '
		root=$1
		shift
		mount --rbind / "$root"
		mount -t proc proc "$root/proc"
		mount -t tmpfs -o mode=755 tmpfs "$root/dev"
		for d in null zero full random urandom tty; do
			touch "$root/dev/$d"
			mount --bind "/dev/$d" "$root/dev/$d"
		done
		ln -s /proc/self/fd "$root/dev/fd"
		mkdir "$root/dev/shm"
		mount -t tmpfs -o nosuid,nodev,noexec,size=64m,mode=1777 shm "$root/dev/shm"
		exec chroot "$root" "$@"' container "$work/root" setpriv "${drop[@]}" "${bare[@]}" "$@"
}

# The blocks "run: |" of a workflow, and what stands in lists under script and before_script.
github_lines()
{
	awk '/^ *(- )?run: \|$/ { match($0, /^ */); depth = RLENGTH; on = 1; next }
		on { match($0, /^ */); if (RLENGTH > depth) print; else on = 0 }' "$src/docs/ci/github-actions.yml"
}
gitlab_lines()
{
	awk '/^  (before_script|script):$/ { on = 1; next }
		on && sub(/^    - /, "") { print; next }
		{ on = 0 }' "$src/docs/ci/gitlab-ci.yml"
}

# project NAME OWNER: a checkout of the sample.
project()
{
	mkdir -p "$work/$1"
	cp -r "$src/docs/ci/sample" "$work/$1/project"
	chown -R "$2:$2" "$work/$1"
}

passed()
{
	local what=$1 owner=$2
	cat "$work/$what.out"
	grep -qx 'ok: written on demand' "$work/$what.out" || fail "$what: the sample did not pass"
	[ "$(stat -c %u "$work/$what/project/odp_write")" = "$owner" ] || fail "$what: what the guest made is not the user's"
}

# Whatever became of it: nothing in TMPDIR, no process. Whoever reaps orphans may take his time.
nothing_is_left()
{
	local end=$((SECONDS + 60))
	# shellcheck disable=SC2009
	while [ -n "$(ls "$work/tmp")" ] || ps -u $uid -o stat= | grep -qv '^Z'; do
		[ $SECONDS -lt $end ] || fail "$1: left behind: $(ls "$work/tmp") $(ps -u $uid -o pid=,args=)"
		sleep 0.1
	done
}

# As if a run before had been killed.
left=${XDG_CACHE_HOME:-$HOME/.cache}/rdma-odp/tmp-image.killed
mkdir -p "$left"
"$src/scripts/image.sh" -k "$kernel" -o "$work/image.tar.zst"
[ ! -e "$left" ] || fail "image: it leaves what was left of a run that was killed"
project github $uid
github_lines >"$work/github.sh"
[ "$(grep -c 'run.* vm ' "$work/github.sh")" = 1 ] || fail "github: no ./run vm among its lines"
"${as_user[@]}" "RUNNER_TEMP=$work/github" "GITHUB_WORKSPACE=$work/github/project" bash -eo pipefail "$work/github.sh" \
	>"$work/github.out" 2>&1 || { cat "$work/github.out"; fail "github: status $?"; }
passed github $uid
nothing_is_left github

run=$work/github/rdma-odp/run
rc=0
"${as_user[@]}" "$run" vm --no-links -d "$work/github/project" -- 'exit 7' || rc=$?
[ $rc = 7 ] || fail "the status of the command was 7, of ./run vm it is $rc"
nothing_is_left 'exit 7'

# Killed as soon as the guest is up.
"${as_user[@]}" "$run" vm --no-links -d "$work/github/project" -- 'echo up; sleep 600' >"$work/killed.out" 2>&1 &
killed=$!
for ((tries = 0; tries < 3000; tries++)); do
	! grep -qx up "$work/killed.out" || break
	kill -0 $killed 2>/dev/null || { cat "$work/killed.out"; fail "the guest that was to be killed ended"; }
	sleep 0.1
done
grep -qx up "$work/killed.out" || fail "the guest that was to be killed did not come up"
kill -KILL $killed
wait $killed || :
killed=''
nothing_is_left SIGKILL
rm -rf "$work/github"

# GitLab's paths are the same in each job; here they have to be our own.
project gitlab 0
gitlab_lines | sed "s|/tmp/rdma-odp|$work/gitlab/rdma-odp|g" >"$work/gitlab.sh"
as_container "CI_PROJECT_DIR=$work/gitlab/project" bash -eo pipefail "$work/gitlab.sh" \
	>"$work/gitlab.out" 2>&1 || { cat "$work/gitlab.out"; fail "gitlab: status $?"; }
passed gitlab 0
nothing_is_left gitlab
