# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# What tree.sh and guest.sh share.
# shellcheck disable=SC2034
packages=(rdma-odp-dkms librxe-odp-provider rdma-odp-tools rdma-odp-dev rdma-odp-doc)

# The headers of Debian's kernels know ccache, and their gcc is the same in the tree and in the guest: an emulated CPU takes 20 times as
# long to compile, so it finds what tree.sh has had compiled. Only what fails, as some probes of kernel/compat shall, is compiled again.
export DEBIAN_KERNEL_USE_CCACHE=1 CCACHE_DIR=/odp/ccache CCACHE_SLOPPINESS=include_file_mtime,include_file_ctime

fail() { echo "FAIL: $*" >&2; exit 1; }
seen() { echo "SEEN: $*"; }

# Every name that a package may have left, with the size of files and the aim of links. Not what a boot or apt makes.
state()
{
	find /etc /usr /var/lib/dkms /var/lib/systemd /var/lib/dpkg/diversions -xdev \
		\( -type d -printf '%p\n' -o -type l -printf '%p -> %l\n' -o -printf '%p %s\n' \) |
		grep -vE '^/(etc/(resolv\.conf|mtab|ld\.so\.cache|\.pwd\.lock|adjtime|network/run|systemd/system/multi-user.target.wants/remote)|etc/\.updated|usr/lib/udev/hwdb|var/lib/systemd/(random-seed|timers|linger|rfkill|backlight|catalog|network|timesync|coredump|pstore|ephemeral-trees|credential))' |
		grep -vE '/modules/[^/]*/modules\.' | sort
}

same_as_before()
{
	state >/tmp/after
	diff /odp/before /tmp/after >&2 || fail "files are not as before the installation"
}
