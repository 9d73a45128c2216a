# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# load ../golden/small: small_checkpoint DIR makes the checkpoint of test/golden/checkpoint.txt: ids, names and times never change.
small_checkpoint()
{
	local dir=$1 name rest

	mkdir -p "$dir"
	while read -r name rest; do
		case $name in
		'#') ;;
		pages-*) awk -v n="$rest" -v name="$name" 'BEGIN { for (i = 0; i < n / 16; i++) printf "%-11s%04x\n", name, i }' | tr ' ' . >"$dir/$name" ;;
		manifest.json) printf '%s\n' "$rest" >"$dir/$name" ;;
		*) printf '%s' "$rest" | "$BIN/crit" encode -o "$dir/$name" ;;
		esac
	done <"$TOP/test/golden/checkpoint.txt"
}
