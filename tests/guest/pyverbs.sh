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
# shellcheck source=tests/guest/lib/pyverbs.sh
. "${0%/*}/../lib/pyverbs.sh" || exit 1
list=${0%/*}/../data/pyverbs-skips out=/tmp/said_pyverbs
trap 'pyverbs_end; end_jobs' EXIT

check_provider
pyverbs_begin || fail "rdma-core's tests are not there"
pyverbs_run rxe_odp0 "${modules[@]}"
status=$?

skips() { pyverbs_results | sed -n 's/ skipped$//p'; }

explained()
{
	awk -v k="$RDMA_ODP_KERNEL" -v p="${RDMA_ODP_PROVIDER:-librxe}" '!/^#/ && ($1 == "all" || $1 == k || $1 == p) { print $2 }' "$1" |
		sort
}

new=$(comm -23 <(skips) <(explained "$list"))
ran=$(sed -n 's/^Ran \([0-9]*\) tests.*/\1/p' $out)
echo "$ran tests, $(skips | wc -l) skipped and explained in tests/guest/data/pyverbs-skips"
if [ $status != 0 ] || [ "${ran:-0}" -lt 90 ]; then
	grep -E '^(ERROR|FAIL):|\.\.\. (ERROR|FAIL)' $out
	fail "status $status, $ran tests"
fi
if [ -n "$new" ]; then
	grep -F -A 1 -f <(echo "$new") $out
	fail "skipped without an entry in tests/guest/data/pyverbs-skips: ${new//$'\n'/, }"
fi
exit 0
