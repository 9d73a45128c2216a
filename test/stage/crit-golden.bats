#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2016
# Every verb of crit on a checkpoint that never changes, against test/golden/crit.txt: lines "$ command", then what it prints.
# UPDATE_GOLDEN=1 writes the file anew: look at the difference before it is committed.
load ../lib
load ../golden/small

GOLDEN=$TOP/test/golden/crit.txt

@test "all verbs print what test/golden/crit.txt has" {
	cd "$T"
	small_checkpoint img
	# The time zone and the language of the machine have no say.
	export PATH=$BIN:$PATH LC_ALL=C
	sed -n '1,/^$/p' "$GOLDEN" >out
	sed -n 's/^\$ //p' "$GOLDEN" >commands
	[ "$(wc -l <commands)" -gt 20 ]
	while read -r command; do
		printf '$ %s\n' "$command"
		bash -c "$command" 2>&1 && status=0 || status=$?
		[ $status = 0 ] || echo "exit status $status"
		echo
	done <commands >>out
	[ -z "${UPDATE_GOLDEN-}" ] || cp out "$GOLDEN"
	diff "$GOLDEN" out
}

@test "each verb has its place in test/golden/crit.txt" {
	for verb in $("$BIN/crit" --help | sed -n 's/^  crit \([a-z]*\) .*/\1/p' | grep -v -e --); do
		grep -q "^\\$ .*crit $verb " "$GOLDEN" || { echo "$verb"; return 1; }
	done
}

@test "the checkpoint is a good one: verify, imgcheck, its manifest" {
	small_checkpoint "$IMG"
	[ -z "$("$BIN/crit" verify "$IMG")" ]
	check_images
}

@test "every verb in a pipe with jq" {
	cd "$T"
	small_checkpoint img
	crit() { "$BIN/crit" "$@"; }
	[ "$(crit show --json img | jq -r '.tasks[1].comm, .needs[0].kind')" = 'worker
pid' ]
	for what in ps fds mems rss sk; do
		[ "$(crit x --json img $what | jq '.[0].pid')" = 100 ]
	done
	[ "$(crit info img/files.img | jq .count)" = 13 ]
	[ "$(crit show img/core-100.img | jq -r '.entries[0].tc.comm')" = server ]
	[ "$(crit decode <img/pstree.img | jq '.entries[0].pid')" = 100 ]
	crit decode <img/pstree.img | jq '.entries[0].sid = 5' | crit encode | crit decode | jq -e '.entries[0].sid == 5'
	[ "$(crit verify --json img | jq length)" = 0 ]
	cp -r img img2
	crit edit img2/core-110.img tc.comm=other
	crit diff --json img img2 >diff.json || [ $? = 1 ]
	jq -e '.[0].new | startswith("other, ")' <diff.json
	[ "$(crit report img | sed -n 's/.*id="data">\(.*\)<\/script>/\1/p' | jq -r '.tasks[0].comm')" = server ]
	[ "$(crit core -o - img 100 | head -c 4 | tail -c 3)" = ELF ]
}
