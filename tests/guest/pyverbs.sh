#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# rdma-core's own tests, those for what rxe_odp has, and through the provider all that are not a vendor's: no failure, and no skip
# that data/pyverbs-skips does not explain.
#
# rdma-odp: timeout 300
# rdma-odp: both providers
set -u
# shellcheck source=tests/guest/lib/device.sh
. "${0%/*}/../lib/device.sh" || exit 1
modules=(odp qp mr cq device atomic addr pd)
# A test that is skipped leaves objects to Python, which closes a device before what was made on it; with librxe, where more is
# skipped, that ends in a crash.
[ -z "${RDMA_ODP_PROVIDER:-}" ] ||
	modules+=(cq_events cqex flow fork parent_domain qpex rdmacm relaxed_ordering rss_traffic shared_pd srq tag_matching)
list=${0%/*}/../data/pyverbs-skips
dir=/tmp/pyverbs
hugepages=$(cat /proc/sys/vm/nr_hugepages 2>/dev/null)

cleanup()
{
	[ -z "$hugepages" ] || echo "$hugepages" >/proc/sys/vm/nr_hugepages
	rm -rf "$dir"
}
trap cleanup EXIT

mkdir "$dir" && cp -r /usr/share/doc/rdma-core/tests "$dir/" && gunzip "$dir"/tests/*.gz || exit 1
# Two tests want one of 2 MiB each, on both sides.
[ -z "$hugepages" ] || echo $((hugepages + 8)) >/proc/sys/vm/nr_hugepages
cd "$dir" || exit 1
check_provider
python3 tests/run_tests.py --dev rxe_odp0 -v "${modules[@]/#/tests.test_}" >out 2>&1
status=$?

# A test's name and its result are on one line, or, with a docstring between, on two.
skips()
{
	awk 'match($0, /^test_[A-Za-z0-9_]+ \([^)]*\)/) { name = $2; gsub(/[()]/, "", name) }
		/\.\.\. skipped / { print name }' out | sort
}

explained()
{
	awk -v k="$RDMA_ODP_KERNEL" -v p="${RDMA_ODP_PROVIDER:-librxe}" '!/^#/ && ($1 == "all" || $1 == k || $1 == p) { print $2 }' "$1" |
		sort
}

new=$(comm -23 <(skips) <(explained "$OLDPWD/$list"))
ran=$(sed -n 's/^Ran \([0-9]*\) tests.*/\1/p' out)
echo "$ran tests, $(skips | wc -l) skipped and explained in tests/guest/data/pyverbs-skips"
if [ $status != 0 ] || [ "${ran:-0}" -lt 90 ]; then
	grep -E '^(ERROR|FAIL):|\.\.\. (ERROR|FAIL)' out
	tail -n 40 out
	exit 1
fi
if [ -n "$new" ]; then
	echo "skipped without an entry there:"
	grep -F -A 1 -f <(echo "$new") out
	exit 1
fi
