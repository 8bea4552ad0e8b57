#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# image.sh: ./run image; packs what ./run vm needs into one archive, for machines where nothing is built and nobody is root.
#   run MANIFEST README packages COPYING LICENSES/
#   scripts/                      vm.sh and what it calls
#   kernel/linux kernel/modules/  User Mode Linux
#   modules/ provider/            ours
#   tree/disk.img                 the guest's root file system, an image, so that its owners and modes survive an unpacking by anybody
. "$(dirname "$0")/lib.sh"

usage()
{
	cat <<-'TEXT'
	usage: ./run image [-k uml-fast|uml] [-o FILE]   packs the guest into FILE (default: build/rdma-odp-KERNEL.tar.zst)
	       ./run image --unpack FILE                 checks FILE and unpacks it into the cache, for ./run vm -k KERNEL

	FILE ends in .tar.zst, .tar.gz or .tar. Packing needs root, unpacking does not. Without this repository: tar xf FILE;
	rdma-odp-image/run vm -d . -- CMD. See docs/ci.md.
	TEXT
}

kernel=uml-fast out='' archive=''
while [ $# -gt 0 ]; do
	case $1 in
	-k | -o | --unpack) [ $# -ge 2 ] || die "option $1 needs a value; see ./run image --help" ;;&
	-k) kernel=$2; shift 2 ;;
	-o) out=$2; shift 2 ;;
	--unpack) archive=$2; shift 2 ;;
	--disk) break ;;
	-h | --help) usage; exit 0 ;;
	*) die "unknown option '$1'; see ./run image --help" ;;
	esac
done
case $kernel in
uml | uml-fast) ;;
*) die "an image has uml-fast or uml, which need no KVM; not '$kernel'" ;;
esac

# What a guest has no use for: its kernel is another, without BPF, and nothing of ours is built in it.
unneeded=('linux-image-*' 'linux-headers-*' 'linux-modules-*' 'linux-binary-*' 'linux-kbuild-*' initramfs-tools bpftrace cbmc sparse)

trim()
{
	local root=${1:?} packages=() p state
	# shellcheck disable=SC2016
	while read -r p state; do
		[ "$state" != ii ] || packages+=("$p")
	done < <(chroot "$root" dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' "${unneeded[@]}" 2>/dev/null)
	mount -t proc proc "$root/proc"
	DEBIAN_FRONTEND=noninteractive chroot "$root" \
		apt-get -o APT::Default-Release= -o APT::Sandbox::User=root -y --auto-remove purge "${packages[@]}"
	umount "$root/proc"
	rm -rf "${root:?}"/boot/* "$root"/{vmlinuz,initrd.img}* "$root"/usr/src/* "$root"/usr/lib/modules/* "$root"/tmp/* \
		"$root"/usr/share/{man,info,locale,lintian,bug}/* "$root"/var/lib/apt/lists/* "$root"/var/cache/* "$root"/var/log/*
	# Licences stay.
	find "$root/usr/share/doc" -type f ! -name copyright -delete
	# What would load the last LLVM is not in the tree (tree.sh).
	rm -f "$root"/usr/lib/*/libLLVM*
	rm -f "$root"/var/lib/dpkg/*-old
	# Of the machine that made the tree: its mirror, its proxy, its resolver.
	rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/resolv.conf
	# Mount points.
	mkdir -p "$root/usr/lib/modules" "$root/odp/out"
}

# make_disk TREE TMP EPOCH: in a mount namespace of its own; the tree is not touched, what changes lies above it.
make_disk()
{
	local root=$2/merged/root uuid=6f64702d-7264-6d61-8000-000000000001
	mkdir "$2/merged"
	mount -t tmpfs tmpfs "$2/merged"
	mkdir "$2"/merged/{upper,work,root}
	mount -t overlay -o "lowerdir=$1/root,upperdir=$2/merged/upper,workdir=$2/merged/work" overlay "$root"
	trim "$root"
	# shellcheck disable=SC2016
	chroot "$root" dpkg-query -W -f '${Package} ${Version} ${source:Package} ${source:Version}\n' >"$2/packages"
	# With a name that another run gives it too. Files of an overlay are on several devices, which du -x would not cross.
	E2FSPROGS_FAKE_TIME=$3 mke2fs -q -t ext4 -m 0 -b 4096 -O ^has_journal -U $uuid -E "hash_seed=$uuid,root_owner=0:0" \
		-N $(($(find "$root" | wc -l) + 1024)) -d "$root" "$2/disk.img" $(($(du -sk "$root" | cut -f1) * 105 / 100 + 32768))K
}

if [ "${1:-}" = --disk ]; then
	shift
	make_disk "$@"
	exit
fi

tmp=''
trap '[ -z "$tmp" ] || rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Sets tmp. One image at a time: what is there already is of a run that was killed, some gigabytes each.
make_tmp()
{
	local lock
	mkdir -p "$CACHE"
	exec {lock}>"$CACHE/.lock-image"
	flock -n "$lock" || { say "waiting for another ./run image"; flock "$lock"; }
	rm -rf --one-file-system "$CACHE"/tmp-image.??????
	tmp=$(mktemp -d "$CACHE/tmp-image.XXXXXX")
}

unpack()
{
	local dir has
	[ -r "$archive" ] || die "there is no file $archive to unpack"
	case $archive in
	*.zst) command -v zstd >/dev/null || die "zstd is not installed; install it, or take an image that ends in .tar.gz" ;;
	esac
	make_tmp
	step "unpacking $archive" "$CACHE/log/image.log" tar -xf "$archive" -C "$tmp" --no-same-owner
	dir=$tmp/rdma-odp-image
	[ "$(head -n 1 "$dir/MANIFEST" 2>/dev/null)" = '# rdma-odp image 1' ] || die "$archive is no image of this version of rdma-odp"
	(cd "$dir" && sha256sum --check --quiet MANIFEST) || die "$archive is damaged, see above; fetch it again"
	has=$(sed -n 's/^# kernel: \([a-z-]*\) .*/\1/p' "$dir/MANIFEST")
	rm -rf "$CACHE/image-$has"
	mv -T "$dir" "$CACHE/image-$has"
	say "unpacked: $CACHE/image-$has; ./run vm -k $has takes it where nothing else is prepared, RDMA_ODP_IMAGE=$CACHE/image-$has everywhere"
}

if [ -n "$archive" ]; then
	unpack
	exit
fi

: "${out:=$SRC/build/rdma-odp-$kernel.tar.zst}"
case $out in
*.tar.zst) compress=(zstd -q -T0) ;;
*.tar.gz) compress=(gzip -n) ;;
*.tar) compress=(cat) ;;
*) die "$out: its name has to end in .tar.zst, .tar.gz or .tar" ;;
esac
need_root
"$SRC/scripts/host.sh" guest build image
mkdir -p "$SRC/build" "$(dirname "$out")"
tree=$("$SRC/scripts/tree.sh" backports) linux=$("$SRC/scripts/uml.sh" "$kernel")
step "building the modules ($kernel)" "$SRC/build/modules-$kernel.log" "$SRC/scripts/modules.sh" "$kernel"
step "building the provider ($kernel)" "$SRC/build/provider-$kernel.log" "$SRC/scripts/provider.sh" "$kernel"

make_tmp
need_space 4
image=$tmp/rdma-odp-image
in_git() { git -C "$SRC" -c safe.directory='*' "$@" 2>/dev/null; }
epoch=$(in_git log -1 --format=%ct) || epoch=0
step "trimming the guest tree" "$CACHE/log/image.log" \
	unshare --mount --pid --fork --kill-child "$0" --disk "$tree" "$tmp" "$epoch"

# From here to pack(): called where the shell does not stop by itself.
fill()
{
	mkdir -p "$image"/{scripts/guest,kernel,modules,provider,tree} &&
		mv "$tmp/packages" "$image/" &&
		mv "$tmp/disk.img" "$image/tree/" &&
		cp -r "$SRC"/{COPYING,LICENSES} "$image/" &&
		cp "$SRC"/scripts/{vm,vm-uml,lib,klog}.sh "$SRC"/scripts/klog-* "$image/scripts/" &&
		cp "$SRC"/scripts/guest/{boot,links,procs,session,kunit,demo} "$image/scripts/guest/" &&
		cp "$linux" "$image/kernel/" &&
		cp -r "$(dirname "$linux")/modules" "$image/kernel/" &&
		cp "$SRC/build/$kernel/modules"/{umem_odp,rxe_odp}.ko "$image/modules/" &&
		cp -P "$SRC/build/$kernel/provider"/{librxe_odp*,abi} "$SRC"/userspace/{install.sh,diversion.sh,README.md} "$image/provider/"
}

write_run()
{
	cat >"$image/run" <<-'RUN' && chmod 755 "$image/run"
	#!/bin/bash
	# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
	here=$(dirname "$(readlink -f "$0")")
	case ${1:-} in
	vm) shift; exec "$here/scripts/vm.sh" "$@" ;;
	*) cat "$here/README"; [[ ${1:-help} =~ ^(help|-h|--help)$ ]] ;;
	esac
	RUN
}

write_readme()
{
	cat >"$image/README" <<-TEXT
	A guest with two soft RoCEv2 NICs whose memory regions pin nothing (rdma-odp), on User Mode Linux. It needs no root, no
	/dev/kvm and nothing but bash, coreutils, util-linux, grep, sed and awk of an x86-64 machine with glibc 2.34 or newer.

	    $(basename "$image")/run vm -d . -- make test    # runs "make test" as root of the guest, in this directory
	    $(basename "$image")/run vm --help

	rxe_odp0 is on veth0 (10.77.0.1), rxe_odp1 on veth1 (10.77.0.2) in the network namespace "peer". What is in the guest
	stands in packages. MANIFEST has versions and checksums (sha256sum -c MANIFEST).
	TEXT
}

manifest()
{
	local dirty='' commit
	commit=$(in_git rev-parse --short=12 HEAD) || commit=unknown
	[ -z "$(in_git status --porcelain)" ] || dirty=' with changes'
	printf '# %s\n' 'rdma-odp image 1' "version: $commit$dirty" "kernel: $kernel Linux $("$linux" --version)" \
		"guest: Debian $(cat "$tree/root/etc/debian_version"), rdma-core $(sed -n 's/^libibverbs1 \([^ ]*\) .*/\1/p' "$image/packages")"
	(cd "$image" && find . -type f ! -name MANIFEST -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum)
}

pack()
{
	fill && write_run && write_readme && manifest >"$tmp/MANIFEST" && mv "$tmp/MANIFEST" "$image/" && chmod -R u=rwX,go=rX "$image" &&
	tar -C "$tmp" --sort=name --format=gnu --numeric-owner --owner=0 --group=0 --mtime="@$epoch" -cf - "$(basename "$image")" |
		"${compress[@]}" >"$tmp/archive" &&
		cp "$tmp/archive" "$out.tmp" && mv "$out.tmp" "$out"
}
step "packing $out" "$CACHE/log/image.log" pack
sed -n 's/^# /    /p' "$image/MANIFEST" >&2
say "$out: $(du -m "$out" | cut -f1) MB, unpacked $(du -sm "$image" | cut -f1) MB"
