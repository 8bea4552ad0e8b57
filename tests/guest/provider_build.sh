#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# A program is built with what cmake --install installs, by the flags of its pkg-config file: the example of userspace/README.md,
# dynamic and static. It has its devices driven by the library although nothing else knows of it. The library shows the direct
# interface under its version, and nothing else.
#
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/test.sh
. "${0%/*}/../lib/test.sh" || exit 1
here=$(cd "${0%/*}/.." && pwd) || exit 1
installed=$here/provider/installed
dir=/tmp/provider_build

trap 'rm -rf $dir' EXIT
mkdir $dir && cd $dir || exit 1

pc=$(find "$installed" -name librxe_odp.pc)
[ -f "$pc" ] || fail "no librxe_odp.pc is installed"

# flags FIELD...: what pkg-config would say, which is not in the guest. Its variables are the shell's.
flags()
{
	local field pcfiledir=${pc%/*}
	export pcfiledir
	eval "$(sed '/^$/,$d; /^#/d' "$pc")"
	for field; do
		eval "echo \"$(sed -n "s/^$field: //p" "$pc")\""
	done
}

{
	sed -n '/^    #include <infiniband\/rxe_odp_dv.h>/,/^    }$/s/^    //p' "$here/provider/README.md"
	cat <<-'C'
	int main(void)
	{
		static char memory[8192] __attribute__((aligned(4096)));
		struct ibv_device **list = ibv_get_device_list(NULL);
		struct ibv_context *ctx = NULL;
		struct ibv_mr *mr;
		int i;

		for (i = 0; list && list[i]; i++)
			if (!__builtin_strcmp(ibv_get_device_name(list[i]), "rxe_odp0") && rxe_odp_dv_is_supported(list[i]))
				ctx = ibv_open_device(list[i]);
		mr = ctx ? ibv_reg_mr(ibv_alloc_pd(ctx), memory, sizeof(memory), IBV_ACCESS_LOCAL_WRITE) : NULL;
		if (!mr)
			return 1;
		tell(mr);
		return 0;
	}
	C
} >tell.c
grep -q '^void tell' tell.c || fail "userspace/README.md has no example"

# says WORDS COMMAND...
says()
{
	local want=$1 said
	shift
	said=$("$@" 2>&1) || fail "$*: status $?: $said"
	[ "$said" = "$want" ] || fail "$*: '$said'"
}

libdir=$(dirname "$(find "$installed" -name librxe_odp.so.1)")
# shellcheck disable=SC2046
gcc -Wall -Wextra -Werror -o tell tell.c $(flags Cflags Libs) -libverbs || fail "it is not built"
[[ $(LD_LIBRARY_PATH=$libdir ldd tell) == *librxe_odp.so.1* ]] || fail "it does not need librxe_odp.so.1"
says '0 faults, 2 pages here' env "LD_LIBRARY_PATH=$libdir" ./tell
# On demand nothing is there before somebody comes.
says '0 faults, 0 pages here' env "LD_LIBRARY_PATH=$libdir" RXE_ODP_REGISTER=on-demand ./tell

# libibverbs asks its sockets for names of libnl.
# shellcheck disable=SC2046
gcc -static -Wall -Wextra -Werror -o tell.static tell.c $(flags Cflags Libs Libs.private) -libverbs -lnl-route-3 -lnl-3 ||
	fail "it is not built statically"
! ldd tell.static >/dev/null 2>&1 || fail "the static program is none"
says '0 faults, 2 pages here' ./tell.static
says '0 faults, 0 pages here' env RXE_ODP_REGISTER=on-demand ./tell.static

shown=$(nm -D --defined-only "$libdir/librxe_odp.so.1" | grep -vE ' T rxe_odp_dv_[a-z_]+@@RXE_ODP_DV_1\.0$| A RXE_ODP_DV_1\.0$')
[ -z "$shown" ] || fail "the library shows more: $shown"
[ "$(nm -D --defined-only "$libdir/librxe_odp.so.1" | grep -c ' T ')" = "$(grep -cE '^([a-z].*[ *])?rxe_odp_dv_[a-z_]+\(' \
	"$installed"/usr/include/infiniband/rxe_odp_dv.h)" ] || fail "what it shows is not what the header has"
exit 0
