# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash

# check_config CONFIG FRAGMENT...: every line of the fragments must have survived the dependencies.
check_config()
{
	local config=$1 line name missing=()
	shift
	while read -r line; do
		name=${line%%=*}
		case $line in
		'#'* | '') ;;
		*=n) ! grep -q "^$name=" "$config" || missing+=("$line") ;;
		*) grep -qxF "$line" "$config" || missing+=("$line") ;;
		esac
	done < <(cat "$@")
	[ ${#missing[@]} -eq 0 ] || die "this kernel does not take: ${missing[*]}"
}
