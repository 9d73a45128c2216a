#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# criu-freeze and its holder: what is stopped and how, who keeps it, what ends it, and that nothing is harmed.
load ../lib
bats_require_minimum_version 1.5.0

freeze()
{
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -v4 "$@" 3>&-
}

verb()
{
	"$BIN/criu-freeze" "$@" -D "$IMG" -W "$WORK"
}

holder()
{
	verb status --json | jq .holder
}

# All threads of the tree are in a stop of ours.
all_held()
{
	local pid
	for pid in $(tree_of "$1"); do
		! grep -hE '^State' /proc/"$pid"/task/*/status | grep -vE '[tTZ] \(' || fail "a task of $pid runs"
	done
}

tree_fact()
{
	jq -r "$1" "$IMG/manifest.json"
}

@test "hold, status, thaw: nothing is left, nothing has changed" {
	start_victim threads
	unharmed_begin
	freeze
	all_held "$PID"
	[ "$(tree_fact ".tree[0].threads | length")" = "$(find "/proc/$PID/task" -mindepth 1 -maxdepth 1 | wc -l)" ]
	[ "$(verb status --json | jq -r '"\(.held) \(.sealed) \(.root)"')" = "true false $PID" ]
	[[ $(verb status) == *"holds the tree of task $PID"* ]]
	verb thaw
	unharmed_end
	run verb status
	[ "$status" = 1 ] && [[ $output == *'[not-held]'* ]]
	[ ! -e "$IMG/.holder" ] && [ ! -e "$IMG/.stage" ]
	victim_finish
}

@test "a tree with zombies, a stopped task, sessions and groups (A1-A8)" {
	start_victim tree
	freeze
	all_held "$PID"
	[ "$(tree_fact '[.tree[] | select(.state == "zombie")] | length')" = 2 ]
	[ "$(tree_fact '[.tree[] | select(.state == "stopped" and .stopped_before)] | length')" = 1 ]
	# Parents before their children, each with its subtree.
	tree_fact '.tree[] | "\(.pid) \(.ppid)"' >"$T/tree"
	awk 'NR > 1 && !($2 in seen) { exit 1 } { seen[$1] }' "$T/tree"
	[ "$(wc -l <"$T/tree")" = "$(tree_of "$PID" | wc -l)" ]
	[ "$("$BIN/crit" decode -i "$IMG/pstree.img" | jq -r '.entries[].pid' | tr '\n' ' ')" = "$(cut -d' ' -f1 "$T/tree" | tr '\n' ' ')" ]
	verb thaw
	victim_finish
}

@test "a fork storm stops, and goes on (A1)" {
	start_victim storm
	for _ in 1 2 3 4 5; do
		freeze
		all_held "$PID"
		sleep 0.05
		all_held "$PID"
		verb thaw
	done
	victim_finish
}

@test "a vfork parent is waited for; one that takes too long is refused by name (A1)" {
	start_victim vfork
	for _ in 1 2 3; do
		freeze
		all_held "$PID"
		verb thaw
	done
	victim_finish
	start_program "$PYTHON" -c 'import ctypes, os
libc = ctypes.CDLL(None)
print("up", flush=True)
if libc.vfork() == 0:
    libc.sleep(1000)
    os._exit(0)'
	wait_for 5 has_line "$DIR/out.txt" up
	wait_for 5 grep -q . "/proc/$PID/task/$PID/children"
	child=$(cat "/proc/$PID/task/$PID/children")
	run freeze --timeout 1
	[ "$status" = 1 ]
	grep -q "vfork() for its child ${child% }.*\[freeze-timeout\]" "$WORK/dump.log"
	[ "$(jq -r .error.code "$IMG/manifest.json")" = freeze-timeout ]
	[ ! -e "$IMG/.holder" ] && [ ! -e "$IMG/.stage" ]
	grep -q '^TracerPid:[[:space:]]*0$' "/proc/$PID/status" "/proc/${child% }/status"
}

@test "a leader that has exited while its threads live is refused by name (A13)" {
	start_program "$PYTHON" -c 'import ctypes, threading, time
threading.Thread(target=lambda: time.sleep(1000)).start()
print("up", flush=True)
ctypes.CDLL(None).syscall(60, 0)'
	wait_for 5 grep -q '^State:.*Z' "/proc/$PID/status"
	run freeze
	[ "$status" = 1 ]
	grep -q '\[leader-dead\]' "$WORK/dump.log"
	kill -KILL "$PID"
	rm -rf "$DIR"
	# The same below a root that lives.
	start_program "$PYTHON" -c 'import ctypes, os, threading, time
if os.fork() == 0:
    threading.Thread(target=lambda: time.sleep(1000)).start()
    ctypes.CDLL(None).syscall(60, 0)
time.sleep(1000)'
	wait_for 5 grep -q . "/proc/$PID/task/$PID/children"
	child=$(cat "/proc/$PID/task/$PID/children")
	wait_for 5 grep -q '^State:.*Z' "/proc/${child% }/status"
	unharmed_begin
	run freeze
	[ "$status" = 1 ]
	grep -q "task ${child% }.*\[leader-dead\]" "$WORK/dump.log"
	unharmed_end
	kill -KILL "${child% }"
}

@test "a task that is stopped by SIGSTOP stays so, and SIGCONT wakes it" {
	start_program sleep 1000
	kill -STOP "$PID"
	wait_for 5 grep -q '^State:.*T (stopped)' "/proc/$PID/status"
	freeze
	[ "$(tree_fact '.tree[0].state')" = stopped ]
	verb thaw
	grep -q '^State:.*T (stopped)' "/proc/$PID/status"
	kill -CONT "$PID"
	wait_for 5 grep -q '^State:.*S' "/proc/$PID/status"
}

@test "-s leaves the tree stopped; cont wakes only what was not stopped before" {
	start_program bash -c 'sleep 1000 & sleep 1000 & kill -STOP $!; wait'
	wait_for 5 grep -q '^State:.*T (stopped)' "/proc/$(tree_of "$PID" | tail -n 1)/status"
	before=$(tree_of "$PID" | tail -n 1)
	dump -s
	for pid in $(tree_of "$PID"); do
		grep -q '^State:.*T (stopped)' "/proc/$pid/status"
		grep -q '^TracerPid:[[:space:]]*0$' "/proc/$pid/status"
	done
	verb cont
	wait_for 5 runs "$PID"
	grep -q '^State:.*T (stopped)' "/proc/$before/status"
	run verb cont
	[ "$status" = 1 ]
	[[ $output == *"no task of it is left stopped"* ]]
	runs "$PID"
	# The same behind a restore; the pids are those of the dump, the tasks are not.
	# shellcheck disable=SC2046
	kill -KILL $(tree_of "$PID")
	wait_for 5 gone "$PID"
	restore -s
	for pid in $(tree_of "$PID"); do
		wait_for 5 grep -q '^State:.*T (stopped)' "/proc/$pid/status"
	done
	run "$BIN/criu-freeze" cont -D "$IMG"
	[[ $status = 1 && $output == *"no task of it is left stopped"* ]]
	verb cont
	wait_for 5 runs "$PID"
	for pid in $(tree_of "$PID"); do
		[ "$pid" = "$before" ] || wait_for 5 runs "$pid"
	done
	grep -q '^State:.*T (stopped)' "/proc/$before/status"
	run verb cont
	[ "$status" = 1 ]
}

@test "unlock: nothing is locked by a dump; no more words, no holder needed" {
	run verb unlock
	[ "$status" = 0 ]
	[[ $output == *"Nothing is locked"* ]]
	start_program sleep 1000
	freeze
	run verb unlock
	[ "$status" = 0 ]
	all_held "$PID"
	verb thaw
	run verb unlock more
	[ "$status" = 100 ]
}

@test "the dead-man's switch: time, the end of --lease, the end of the holder" {
	start_victim threads
	unharmed_begin
	freeze --hold-time 1
	all_held "$PID"
	wait_for 4 runs "$PID"
	[ ! -e "$IMG/.holder" ]

	freeze --hold-time 1
	verb stop
	sleep 1.5
	all_held "$PID"
	verb thaw

	sleep 1000 3>&- &
	lease=$!
	freeze --hold-time 1 --lease $lease
	sleep 1.5
	all_held "$PID"
	kill $lease
	wait_for 4 runs "$PID"

	freeze
	kill -KILL "$(holder)"
	wait_for 4 runs "$PID"
	rm -f "$IMG/.holder"
	unharmed_end
	victim_finish
}

@test "an open connection is a lease" {
	start_program sleep 1000
	# It is there before the tree is held, so that the second cannot be over before it comes.
	"$PYTHON" -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
print("up", flush=True)
while s.connect_ex(sys.argv[1]):
    time.sleep(0.005)
print("connected", flush=True)
time.sleep(1000)' "$IMG/.holder" 3>&- >"$T/client" &
	client=$!
	wait_for 20 has_line "$T/client" up
	freeze --hold-time 1
	wait_for 20 has_line "$T/client" connected
	sleep 1.6
	all_held "$PID"
	kill $client
	wait_for 4 runs "$PID"
}

@test "a command with the tree held: its exit code; then the tree runs" {
	start_victim threads
	unharmed_begin
	run freeze -- sh -c "grep -q 'tracing stop' /proc/$PID/status && exit 42"
	[ "$status" = 42 ]
	unharmed_end
	rm -f "$IMG"/*
	run -127 freeze -- /nonexistent
	runs "$PID"
	victim_finish
}

@test "kill is refused before the seal; seal needs all stages; a second dump in the directory is refused" {
	start_program sleep 1000
	freeze
	run verb kill
	[ "$status" != 0 ] && [[ $output == *"criu-freeze end -D DIR; or let the tree run"*"[not-sealed]"* ]]
	run verb seal
	[ "$status" != 0 ] && [[ $output == *"criu-collect has not run"* ]]
	run freeze
	[ "$status" = 1 ]
	grep -q '\[dir-busy\]' "$WORK/dump.log"
	all_held "$PID"
	verb thaw
	wait_for 2 runs "$PID"
}

@test "step by step by hand: each stage, seal, kill" {
	start_program sleep 1000
	freeze
	stages
	verb seal
	[ "$(tree_fact .state)" = sealed ]
	all_held "$PID"
	[ "$(verb status --json | jq .sealed)" = true ]
	verb kill
	wait_for 5 gone "$PID"
	check_images
	[ "$(tree_fact '.stages[0].end')" = killed ]
	restore
}

stages()
{
	for tool in criu-collect criu-parasite criu-pages; do
		CRIU_LOG_OPEN=1 "$BIN/$tool" -D "$IMG" -W "$WORK" -o dump.log -v4
	done
}

# is_refused CODE NAME VERB...: and nothing has ended.
is_refused()
{
	local code=$1 name=$2
	shift 2
	run verb "$@"
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"$name: "*"[$code]"* ]]
	all_held "$PID"
}

@test "an image that is removed or cut before the seal: no seal, the tree stays; one that crit edit has changed is sealed" {
	start_program sleep 1000
	freeze
	stages
	for name in "core-$PID.img" "mm-$PID.img" "pagemap-$PID.img" pages-1.img "fs-$PID.img" pstree.img files.img; do
		mv "$IMG/$name" "$T/kept"
		is_refused image-missing "$name" seal
		cp "$T/kept" "$IMG/$name"
		truncate -s -1 "$IMG/$name"
		is_refused image-truncated "$name" seal
		is_refused image-truncated "$name" end
		mv "$T/kept" "$IMG/$name"
	done
	[ ! -e "$IMG/inventory.img" ]
	local size
	size=$(stat -c %s "$IMG/core-$PID.img")
	"$BIN/crit" edit "$IMG/core-$PID.img" tc.comm=longer-name
	[ "$(stat -c %s "$IMG/core-$PID.img")" -gt "$size" ]
	verb seal
	check_images
	mv "$IMG/pages-1.img" "$T/kept"
	is_refused image-missing pages-1.img kill
	mv "$T/kept" "$IMG/pages-1.img"
	verb kill
	wait_for 5 gone "$PID"
}

@test "an image that vanishes in a dump of the wrapper: it fails, and the tree runs" {
	start_victim threads
	unharmed_begin
	freeze --lease $$
	stages
	rm "$IMG/core-$PID.img"
	run verb end --as-criu
	[ "$status" -eq 1 ]
	[[ $output == *"core-$PID.img: it was written, and is not there any more (make the dump again,"*"[image-missing]"* ]]
	[ ! -e "$IMG/inventory.img" ] && [ ! -e "$IMG/.stage" ] && [ ! -e "$IMG/.holder" ]
	[ "$(tree_fact .error.code)" = image-missing ]
	unharmed_end
	victim_finish
}

@test "wrong and random requests: the holder answers each and keeps the tree" {
	start_victim threads
	unharmed_begin
	freeze
	run "$PYTHON" "$TOP/test/stage/holder-fuzz.py" "$IMG/.holder" 2000
	echo "$output"
	[ "$output" = ok ]
	verb thaw
	unharmed_end
	victim_finish
}

@test "only root and the user of the holder may ask it" {
	requires_root
	requires_command setpriv
	start_program sleep 1000
	freeze
	chmod 755 "$IMG"
	chmod 666 "$IMG/.holder"
	run setpriv --reuid 65534 --clear-groups "$PYTHON" -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.settimeout(5)
try:
    s.send(b"x" * 40)
    sys.exit(len(s.recv(1000)))
except OSError:
    sys.exit(0)' "$IMG/.holder"
	[ "$status" = 0 ]
	verb thaw
}

@test "expected stages that do not come, or end: refused, and the tree was never stopped" {
	start_program sleep 1000
	run freeze --expect nonsense
	[ "$status" = 100 ]
	sleep 1000 3>&- &
	lease=$!
	freeze --expect collect --lease $lease &
	front=$!
	wait_for 5 test -S "$IMG/.holder"
	runs "$PID"
	kill $lease
	run wait $front
	[ "$status" != 0 ]
	wait_for 2 test ! -e "$IMG/.holder"
	runs "$PID"
}

@test "criu-freeze killed while it waits or stops: the tree runs" {
	start_victim threads
	unharmed_begin
	for ms in 0 1 2 4 8; do
		"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&- &
		front=$!
		sleep 0.00$ms
		kill -KILL $front 2>/dev/null || true
		wait $front || true
		verb thaw || true
		wait_for 5 runs "$PID"
		wait_for 5 test ! -e "$IMG/.holder"
		find "$IMG" -mindepth 1 -delete
	done
	unharmed_end
	victim_finish
}

@test "an action script: pre-dump that fails stops nothing; post-dump that fails lets the tree run" {
	start_program sleep 1000
	# shellcheck disable=SC2016
	printf '#!/bin/sh\necho "$CRTOOLS_SCRIPT_ACTION" >>%s/actions\n[ "$CRTOOLS_SCRIPT_ACTION" != "$FAIL" ] || exit 7\n' "$T" >"$T/script"
	chmod 755 "$T/script"
	FAIL=pre-dump run "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log --action-script "$T/script"
	[ "$status" = 1 ]
	runs "$PID"
	FAIL=post-dump run "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log --action-script "$T/script"
	[ "$status" = 7 ]
	wait_for 2 runs "$PID"
	[ "$(tr '\n' ' ' <"$T/actions")" = "pre-dump pre-dump post-dump " ]
}

@test "statistics: all required fields, and --display-stats" {
	start_program sleep 1000
	run "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log --display-stats
	[ "$status" = 0 ]
	[[ $output == *"Displaying dump stats:"*"Frozen time: "*" us"*"Memory pages written: "* ]]
	"$BIN/crit" decode -i "$WORK/stats-dump" | jq -e '.entries[0].dump | .frozen_time > 0 and .freezing_time > 0 and .pages_written > 0'
	[ "$(tree_fact '.stages[0].frozen_us')" = "$("$BIN/crit" decode -i "$WORK/stats-dump" | jq '.entries[0].dump.frozen_time')" ]
}

# Kill the holder in the middle of calls in all threads of the tree, $1 times.
kill_holder_often()
{
	local i
	for ((i = 0; i < $1; i++)); do
		freeze
		pid=$(holder)
		"$PYTHON" "$TOP/test/stage/holder-hammer.py" "$IMG/.holder" 3>&- 2>/dev/null >"$T/hammer" &
		hammer=$!
		wait_for 5 has_line "$T/hammer" up
		sleep "0.0$((RANDOM % 30 + 10))"
		kill -KILL "$pid"
		wait $hammer || true
		wait_for 5 runs "$PID"
		find "$IMG" -mindepth 1 -delete
	done
}

@test "the holder killed in the middle of calls: programs of several kinds run on" {
	start_victim threads
	kill_holder_often 15
	victim_finish
	rm -rf "$DIR"
	start_victim seccomp
	kill_holder_often 10
	victim_finish
	rm -rf "$DIR"
	start_victim signals
	kill_holder_often 15
	victim_finish
}

@test "the holder killed in the middle of calls: a Go program runs on" {
	[ -x "$BUILD/test/real/goroutines" ] || skip "no Go program was built"
	start_program "$BUILD/test/real/goroutines"
	wait_for 60 has_line "$DIR/out.txt" ready
	kill_holder_often 8
	: >"$DIR/go"
	wait_for 90 has_line "$DIR/out.txt" "done"
	! grep FAIL "$DIR/out.txt"
}

@test "a low limit of open files: the holder hears its clients, its lease and signals" {
	start_program sleep 1000
	unharmed_begin
	(ulimit -n 32 && "$BIN/criu-freeze" -t "$PID" -D "$IMG" 3>&-)
	timeout 10 "$BIN/criu-freeze" thaw -D "$IMG"
	unharmed_end
	(ulimit -n 32 && exec "$BIN/criu-freeze" --lease $$ -t "$PID" -D "$IMG" 3>&-)
	kill -TERM "$(awk '/^TracerPid/ { print $2 }' "/proc/$PID/status")"
	wait_for 10 untraced
	unharmed_end
	rm -rf "$IMG" && mkdir "$IMG"
	(ulimit -n 32 && exec "$CRIU" dump -R -t "$PID" -D "$IMG" -o dump.log 3>&-)
	unharmed_end
}

@test "too few open files for a dump, at each number: told as that, the tree runs" {
	start_program sleep 1000
	unharmed_begin
	for n in 6 8 {10..16} 18 20 24; do
		run prlimit --nofile="$n" "$CRIU" dump -R -t "$PID" -D "$IMG" 3>&-
		echo "$n: $status $output"
		[ "$status" -eq 0 ] || [[ $output == *"Too many open files"* || $output == "/bin/sh:"* ]]
		wait_for 10 untraced
		rm -rf "$IMG" && mkdir "$IMG"
	done
	unharmed_end
}

untraced()
{
	grep -q '^TracerPid:[[:space:]]0' "/proc/$PID/status"
}
