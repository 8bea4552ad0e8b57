#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# probe.sh PROBES KDIR OUT [MAKE ARGUMENTS]: asks a kernel by compiling what it has. Each PROBES/name.c that compiles against
# the kernel build tree KDIR becomes "#define HAVE_NAME 1" in OUT/compat_config.h. Probes, not version numbers:
# a distribution's kernel has the version of one and the functions of another.
set -eu
probes=$1 kdir=$2 out=$3
shift 3

stamp=$( { cat "$0" "$probes"/*.c; cat "$kdir/include/generated/autoconf.h" "$kdir/include/generated/utsrelease.h"; } | sha256sum)
if [ -e "$out/compat_config.h" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
	exit 0
fi
rm -rf "$out"
mkdir -p "$out/probe"
cp "$probes"/*.c "$out/probe/"
# A wrong prototype must be an error, whatever the compiler's own default.
echo 'ccflags-y := -Werror=incompatible-pointer-types -Werror=implicit-function-declaration -Wno-unused' >"$out/probe/Kbuild"

objects=$(cd "$probes" && for c in *.c; do printf '%s ' "${c%.c}.o"; done)
# shellcheck disable=SC2086
make -C "$kdir" M="$out/probe" "$@" -k -s $objects >"$out/probe.log" 2>&1 || :

# The control must compile: if not even an empty file does, the tool chain is at fault and no answer can be trusted.
if [ ! -e "$out/probe/control.o" ]; then
	cat "$out/probe.log" >&2
	echo "probe.sh: nothing compiles against $kdir" >&2
	exit 1
fi
{
	echo '/* SPDX-License-Identifier: GPL-2.0 */'
	echo '/* Made by kernel/compat/probe.sh. */'
	for c in "$probes"/*.c; do
		name=$(basename "$c" .c)
		[ "$name" != control ] || continue
		upper=$(echo "$name" | tr '[:lower:]' '[:upper:]')
		if [ -e "$out/probe/$name.o" ]; then
			echo "#define HAVE_$upper 1"
		else
			echo "/* no HAVE_$upper */"
		fi
	done
} >"$out/compat_config.h.tmp"
mv "$out/compat_config.h.tmp" "$out/compat_config.h"
echo "$stamp" >"$out/stamp"
