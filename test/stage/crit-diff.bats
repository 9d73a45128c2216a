#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2086,SC2016
# crit diff: what changed between two checkpoints.
load ../lib
load crit

poke()
{
	printf '%b' "$3" | dd of="$IMG/$1" bs=1 seek="$2" conv=notrunc status=none
}

@test "no difference: no output, exit 0" {
	requires_fixtures
	for img in "$FIXTURES"/*/img; do
		for how in --no-pages --fields ''; do
			run "$CRIT" diff $how "$img" "$img"
			[ "$status" = 0 ] && [ -z "$output" ]
		done
	done
}

@test "tasks, descriptors, mappings, sockets" {
	copy_of tree
	"$CRIT" edit "$IMG/core-24030.img" tc.comm=other
	"$CRIT" edit "$IMG/fdinfo-2.img" '[fd=0].flags=1' '[fd=6].fd=60'
	"$CRIT" edit "$IMG/mm-24031.img" -d 'vmas[5]'
	"$CRIT" edit "$IMG/files.img" '[reg.name=/tmp/criu-fixture/tree/out.txt].reg.pos=99'
	run "$CRIT" diff --no-pages "$A" "$IMG"
	[ "$status" = 1 ]
	echo "$output"
	[[ $output == *'- task 24030: fx-tree-a, '*'+ task 24030: other, '* ]]
	[[ $output == *'+ file 24030 fd 0: /dev/null, position 0, flags 0x8000, cloexec'* ]]
	[[ $output == *'- file 24030 fd 6: pipe['*'+ file 24030 fd 60: pipe['* ]]
	[[ $output == *'+ file 24031 fd 1: /tmp/criu-fixture/tree/out.txt, position 99, '* ]]
	[ "$(grep -c mapping <<<"$output")" = 1 ]
	[[ $output == *'- mapping 24031 4aa000-4b0000: rw-p '* ]]
	copy_of sockets
	"$CRIT" edit "$IMG" --remap-address 127.0.0.1:24681=127.0.0.1:80
	run "$CRIT" diff "$A" "$IMG"
	[ "${#lines[@]}" = 2 ]
	[[ ${lines[1]} == '+ socket 24060 fd '*': INET STREAM TCP LISTEN 127.0.0.1:80 -> 0.0.0.0:0' ]]
}

@test "contents of pages: private ones, of segments, in a parent" {
	copy_of tree
	poke pages-1.img 50 '\xfe'
	poke pages-3.img 5000 '\xfe'
	poke pages-3.img 60000 '\xfe'
	run "$CRIT" diff "$A" "$IMG"
	[ "$status" = 1 ]
	echo "$output"
	[ "${#lines[@]}" = 3 ]
	[[ $output == *'+ pages 24030 4a3000-4a7000: 1 differ, 0 new, 0 gone, /tmp/criu-fixture/tree/prog + 0xa2000'* ]]
	[[ $output == *'+ pages of segment 86325: 1 differ, 0 new, 0 gone'* ]]
	copy_of counter
	# the first pages are in the parent now: still the same
	size=$(("$("$CRIT" decode -i "$IMG/pagemap-24010.img" | jq .entries[1].nr_pages)" * 4096))
	cp -r "$IMG" "$T/parent"
	ln -s ../parent "$IMG/parent"
	"$CRIT" edit "$IMG/pagemap-24010.img" '[1].flags=1'
	tail -c +$((size + 1)) "$A/pages-1.img" >"$IMG/pages-1.img"
	"$CRIT" verify "$IMG"
	run "$CRIT" diff "$A" "$IMG"
	[ "$status" = 0 ] && [ -z "$output" ]
	printf x | dd of="$T/parent/pages-1.img" conv=notrunc status=none
	run "$CRIT" diff "$A" "$IMG"
	[[ $output == '+ pages 24010 '*': 1 differ, 0 new, 0 gone'* ]]
}

@test "--json, --fields, wrong usage" {
	copy_of tree
	"$CRIT" edit "$IMG/core-24030.img" tc.comm=other
	"$CRIT" diff --json "$A" "$IMG" >"$T/json" || [ $? = 1 ]
	[ "$(jq -c 'map([.what, .pid, .place])' "$T/json")" = '[["task",24030,"24030"]]' ] || jq . "$T/json"
	[[ $(jq -r '.[0].new' "$T/json") == other,* ]]
	rm "$IMG/seccomp.img"
	run "$CRIT" diff --fields "$A" "$IMG"
	[ "$status" = 1 ]
	[ "$output" = '- core-24030.img: [0].tc.comm = "fx-tree-a"
+ core-24030.img: [0].tc.comm = "other"
- seccomp.img' ]
	run "$CRIT" diff "$A"
	[ "$status" = 100 ]
	run "$CRIT" diff "$A" "$T/none"
	[ "$status" = 2 ]
}
