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

# Pipes, a socketpair, shared and anonymous files, in two tasks; the parent does $1 and prints "changed".
start_sharer()
{
	cat >"$T/program.py" <<-END
		import mmap, os, signal, socket, time
		a = os.pipe(); b = os.pipe(); c = socket.socketpair(); d = socket.socketpair()
		e = os.eventfd(1); f = os.memfd_create("name"); m = mmap.mmap(-1, 8192); m[0] = 1
		def change(*unused):
		    ${1:-pass}
		    print("changed", flush=True)
		if os.fork():
		    signal.signal(signal.SIGUSR1, change)
		    print("ready", flush=True)
		while True:
		    time.sleep(1000)
	END
	start_program "$PYTHON" -S "$T/program.py"
	wait_for 20 has_line "$DIR/out.txt" ready || fail "the program is not ready"
}

# Dump to $T/one, restore, let it change if there is an argument, dump to $T/two. The differences but in contents of pages are in $output.
twice()
{
	IMG=$T/one
	dump
	restore
	if [ -n "${1-}" ]; then
		kill -USR1 "$PID"
		wait_for 20 has_line "$DIR/out.txt" changed || fail "the program has not changed"
	fi
	IMG=$T/two
	dump
	run "$CRIT" diff "$T/one" "$T/two"
	output=$(grep -v '^+ pages [0-9]' <<<"$output") || true
	echo "$output"
}

@test "after a restore: what differs by the kernel's numbers alone is not listed" {
	requires_root
	start_sharer
	twice
	[ -z "$output" ]
	inode() { "$CRIT" x "$1" fds | grep -o 'pipe\[[0-9]*' | sort -u; }
	[ "$(inode "$T/one")" != "$(inode "$T/two")" ] || fail "the kernel gave the same numbers again"
	"$CRIT" diff --no-pages --json "$T/one" "$T/two" | jq -e '. == []'
}

@test "after a restore: an end that was closed, a file that was opened, one pipe for another, a page of shared memory" {
	requires_root
	start_sharer 'os.close(a[1]); os.dup2(b[0], a[0], False); c[0].close(); os.open("/dev/zero", os.O_RDONLY); os.open("/", 0); m[4096] = 1'
	# out.txt has grown by what it printed
	twice change
	grep -v -e 'out.txt' <<<"$output" >"$T/lines"
	[ "$(grep -c . "$T/lines")" = 7 ]
	grep -q "^- file $PID fd 3: pipe\[" "$T/lines" && grep -q "^+ file $PID fd 3: pipe\[" "$T/lines"
	grep -q "^- file $PID fd 4: pipe\[" "$T/lines" && grep -q "^+ file $PID fd 4: /dev/zero, " "$T/lines"
	grep -q "^- socket $PID fd 7: UNIX STREAM " "$T/lines" && grep -q "^+ file $PID fd 7: /, " "$T/lines"
	grep -q '^+ pages of segment [0-9]*: .* 1 new' "$T/lines"
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
