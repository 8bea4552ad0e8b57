#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# A program that is linked statically, libibverbs, the provider and all, finds a device of rxe_odp driven by the provider. Where registrations
# are on demand it needs no right to lock memory, as an ordinary user or as root of a container (a user namespace of its own).
set -u
# shellcheck source=tests/guest/lib/device.sh
. "${0%/*}/../lib/device.sh" || exit 1
dir=/tmp/provider_static
cleanup()
{
	end_jobs
	policy pinned
	rm -rf "$dir"
} 2>/dev/null
trap cleanup EXIT

# runs CMD...: and the provider drives it.
runs()
{
	"$@" >/tmp/said_program 2>&1 && grep -qF '(librxe_odp)' /tmp/said_program
}
has_no_region() { ! "$@" >/tmp/said_program 2>&1 && grep -qx 'no region' /tmp/said_program; }

mkdir $dir
cat >$dir/main.c <<'TEXT'
#include <stdio.h>
#include <string.h>

extern const struct verbs_device_ops verbs_provider_rxe_odp;
#include <infiniband/verbs.h>

static int use(struct ibv_context *ctx)
{
	struct ibv_qp_init_attr attr = { .qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = 4, .max_recv_wr = 4, .max_send_sge = 1, .max_recv_sge = 1 } };
	static char data[4096];
	struct ibv_pd *pd = ibv_alloc_pd(ctx);
	struct ibv_cq *cq = ibv_create_cq(ctx, 8, NULL, NULL, 0);
	struct ibv_mr *mr = pd ? ibv_reg_mr(pd, data, sizeof(data), IBV_ACCESS_LOCAL_WRITE) : NULL;
	struct ibv_device_attr dev;
	struct ibv_qp *qp;

	if (!mr)
		puts("no region");
	attr.send_cq = attr.recv_cq = cq;
	qp = cq ? ibv_create_qp(pd, &attr) : NULL;
	if (!mr || !qp || ibv_query_device(ctx, &dev))
		return 1;
	puts(dev.fw_ver);
	return ibv_destroy_qp(qp) || ibv_destroy_cq(cq) || ibv_dereg_mr(mr) || ibv_dealloc_pd(pd);
}

int main(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	int i;

	for (i = 0; list && list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), "rxe_odp0"))
			return use(ibv_open_device(list[i]));
	return 1;
}
TEXT
gcc -static -DRDMA_STATIC_PROVIDERS=rxe_odp -o $dir/main $dir/main.c "${0%/*}/../provider/librxe_odp.a" \
	-libverbs -lnl-route-3 -lnl-3 -lpthread >/tmp/said_program 2>&1 || fail "it does not link"
[[ $(readelf -l $dir/main) != *INTERP* ]] || fail "it is not static"
runs $dir/main || fail "it does not run, or another provider drives it"

chmod 755 $dir
user=(prlimit --memlock=0:0 setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all)
container=("${user[@]}" unshare --user --map-root-user --mount)
policy pinned || fail "no policy"
has_no_region "${user[@]}" $dir/main || fail "memory is pinned for a user who may lock none"
has_no_region "${container[@]}" $dir/main || fail "memory is pinned for root of a container, who may lock none"
policy on-demand
runs "${user[@]}" $dir/main || fail "a user who may lock no memory: status $?"
runs "${container[@]}" $dir/main || fail "root of a container who may lock no memory: status $?"
exit 0
