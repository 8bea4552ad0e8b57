# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=sh
# Which provider is asked first: sourced by install.sh, and put into the maintainer scripts of the Debian package.
#
# Drivers are listed in /etc/libibverbs.d, and libibverbs reads what is there in the order in which the directory has it, which is
# none; so librxe's own file is diverted to another directory, and the one in its place names both drivers. What it says holds
# whether a libibverbs loads the first line first or, as today's do, the last. It is no file of the package: dpkg does not
# know two configuration files of one name.
conf=/etc/libibverbs.d/rxe.driver
diverted=/usr/share/librxe_odp/rxe.driver.distrib

divert() { dpkg-divert ${root:+--root "$root"} --quiet --rename "$@"; }

is_diverted() { [ "$(dpkg-divert ${root:+--root "$root"} --truename "$conf")" = "$diverted" ]; }

# rxe_odp_first OWNER: OWNER of the diversion is --local or --package=NAME.
rxe_odp_first()
{
	mkdir -p "${root:-}$(dirname "$diverted")" "${root:-}$(dirname "$conf")"
	is_diverted || divert "$1" --divert "$diverted" --add "$conf"
	printf '%s\n' '# librxe_odp: devices of rxe_odp are its, all others of this kind librxe'\''s.' \
		'driver rxe_odp' 'driver rxe' 'driver rxe_odp' >"${root:-}$conf.new"
	mv "${root:-}$conf.new" "${root:-}$conf"
}

# Whoever put it first.
rxe_odp_not_first()
{
	if is_diverted; then
		rm -f "${root:-}$conf"
		divert --remove "$conf"
	fi
	rmdir "${root:-}$(dirname "$diverted")" 2>/dev/null || :
}
