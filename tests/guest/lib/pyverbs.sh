# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# rdma-core's own tests, as its package brings them, in /tmp/pyverbs.

pyverbs=/tmp/pyverbs
hugepages=$(cat /proc/sys/vm/nr_hugepages 2>/dev/null)

# Two tests want a huge page of 2 MiB each, on both sides.
pyverbs_begin()
{
	mkdir "$pyverbs" && cp -r /usr/share/doc/rdma-core/tests "$pyverbs/" && gunzip "$pyverbs"/tests/*.gz || return 1
	[ -z "$hugepages" ] || echo $((hugepages + 8)) >/proc/sys/vm/nr_hugepages
}

pyverbs_end()
{
	[ -z "$hugepages" ] || echo "$hugepages" >/proc/sys/vm/nr_hugepages
	rm -rf "$pyverbs"
}

# pyverbs_run DEV MODULE...: those of tests/test_MODULE.py; what it says is in /tmp/said_pyverbs
pyverbs_run()
{
	local dev=$1
	shift
	# Braces, because bash tells on its own standard error of a crash.
	{ (cd "$pyverbs" && timeout "$(left)" python3 tests/run_tests.py --dev "$dev" -v "${@/#/tests.test_}") >/tmp/said_pyverbs 2>&1; } 2>/dev/null
}

# pyverbs_results: "NAME RESULT", sorted; RESULT is ok, skipped, FAIL or ERROR. A test's name and its result are on one line, or, with a
# docstring between, on two.
pyverbs_results()
{
	awk 'match($0, /^test_[A-Za-z0-9_]+ \([^)]*\)/) { name = $2; gsub(/[()]/, "", name) }
		match($0, /\.\.\. (ok|skipped|FAIL|ERROR)/) { print name, substr($0, RSTART + 4, RLENGTH - 4) }' /tmp/said_pyverbs | sort
}
