#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Load: many tasks and threads, trees that fight being stopped, many dumps at once, one tree again and again. The long forms
# are `make test-soak` (test/sweep/soak); these are short ones of the same.
load ../lib

# A file system whose server is stopped must not be looked at: end the server first.
teardown()
{
	local at
	for at in $(cut -d' ' -f2 /proc/self/mounts | grep "^$T/"); do
		[ -z "$PID" ] || kill -KILL "$PID" 2>/dev/null || :
		umount -l "$at"
	done
	common_teardown
}

# `pgrep` counts: at least $2 of the name $1.
at_least()
{
	[ "$(pgrep -cx "$1")" -ge "$2" ]
}

# No task of the tree may be left in a stop that was not its own, or traced.
none_stopped()
{
	local pid status=()
	for pid in $(tree_of "$PID"); do
		status+=("/proc/$pid"/task/*/status)
	done
	[ -n "$pid" ] && ! grep -qsE '^State:\s+[tT]|^TracerPid:\s*[1-9]' "${status[@]}"
}

runs_on()
{
	wait_for 10 none_stopped || fail "the tree is left stopped"
}

# The counters of victim racer, of failures and of each role.
ROLES=12
ticks()
{
	local text
	text=$(od -A n -v -t d8 -N $(((ROLES + 1) * 8)) "$DIR/ticks") && read -rd '' -a "$1" <<<"$text" || :
}

# Since the counters were in `before`.
all_went_round()
{
	local now=() i
	ticks now
	for ((i = 1; i <= ROLES; i++)); do
		[ -n "${1-}" ] && [ "$1" != "$i" ] || [ "${now[i]}" -gt "${before[i]}" ] || { role=$i; return 1; }
	done
}

# goes_on [ROLE]: it, or all of them.
goes_on()
{
	local before=() now=() role=''

	ticks before
	wait_for 20 all_went_round "$@" || fail "role $role stands still"
	ticks now
	[ "${now[0]}" = 0 ] || fail "the victim found errors"
}

# Hundreds of ids: for a moment one may be taken by somebody else's program. A restore leaves nothing then.
restore_when_free()
{
	for _ in {1..30}; do
		"$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log "$LOG_LEVEL" 3>&- && return
		grep -q '\[pid-taken\]' "$WORK/restore.log" || break
		sleep 0.5
	done
	fail "criu restore"
}

@test "a crowd: ${CROWD_TASKS:-100} tasks of 5 threads come back, with their ids and their contents" {
	READY_SECONDS=60 start_victim crowd "${CROWD_TASKS:-100}" 5
	tree_of "$PID" | sort -n | while read -r pid; do ls -d "/proc/$pid/task"/*; done >"$T/before"
	[ "$(wc -l <"$T/before")" = $((${CROWD_TASKS:-100} * 5)) ]
	ROUND_TRIPS=10 dump --timeout 120
	restore_when_free
	tree_of "$PID" | sort -n | while read -r pid; do ls -d "/proc/$pid/task"/*; done >"$T/after"
	diff "$T/before" "$T/after"
	runs_on
	FINISH_SECONDS=60 victim_finish
}

@test "a fork bomb: dumped, or refused in time; it goes on" {
	start_victim bomb "${BOMB_TASKS:-60}" 60
	for _ in 1 2 3; do
		"$CRIU" dump -R -t "$PID" -D "$IMG" -W "$WORK" -o dump.log --timeout 10 3>&- || grep -q '\[freeze-timeout\]' "$WORK/dump.log"
		runs_on
		rm -rf "$IMG"
		mkdir "$IMG"
	done
	victim_finish
}

@test "a fork bomb that is faster than criu-freeze is let go when the time is over" {
	start_victim bomb 300 60
	wait_for 20 at_least bomb 100
	SECONDS=0
	"$CRIU" dump -R -t "$PID" -D "$IMG" -W "$WORK" -o dump.log --timeout 1 3>&- || grep -q '\[freeze-timeout\]' "$WORK/dump.log"
	echo "# $SECONDS s"
	runs_on
	victim_finish
}

@test "tasks that exec, fork, end, change credentials, files and mappings while they are seized: dumped, unharmed" {
	start_victim racer
	for ((i = 0; i < ${RACES:-2}; i++)); do
		ROUND_TRIPS=3 dump -R
		runs_on
		goes_on
		rm -rf "$IMG"
	done
	victim_finish
}

@test "the same restored, from images taken at any moment" {
	start_victim racer
	for ((i = 0; i < ${RACE_RESTORES:-1}; i++)); do
		ROUND_TRIPS=3 dump
		restore
		runs_on
		goes_on
		rm -rf "$IMG"
	done
	victim_finish
}

@test "a thread that execs while its process is seized" {
	start_victim racer thread-exec
	for ((i = 0; i < ${RACES:-2}; i++)); do
		"$CRIU" dump -R -t "$PID" -D "$IMG" -W "$WORK" -o dump.log --timeout 10 3>&- || fail "dump $i"
		runs_on
		goes_on 2
		rm -rf "$IMG"
		mkdir "$IMG"
	done
	victim_finish
}

# dump or restore, all at once: all_at_once N VERB OPTION...
all_at_once()
{
	local i pid=() n=$1
	shift

	for ((i = 0; i < n; i++)); do
		"$CRIU" "$@" -D "$T/img$i" -o "$1.log" --no-sync -t "${pids[i]}" 3>&- &
		pid+=($!)
	done
	for ((i = 0; i < n; i++)); do
		wait "${pid[i]}" || { grep -a Error "$T/img$i/$1.log"; fail "$1 $i"; }
	done
}

@test "${AT_ONCE:-20} trees dumped at once, and restored at once" {
	n=${AT_ONCE:-20} pids=()
	for ((i = 0; i < n; i++)); do
		DIR=$T/v$i
		start_victim crowd 3 3
		pids+=("$PID")
		mkdir "$T/img$i"
	done
	for _ in 1 2; do
		all_at_once "$n" dump
		wait_for 10 gone "${pids[@]}"
		for ((i = 0; i < n; i++)); do
			"$BIN/crit" verify --quiet "$T/img$i"
		done
		all_at_once "$n" restore -d
		for ((i = 0; i < n; i++)); do
			PID=${pids[i]}
			runs_on
			rm -rf "$T/img$i"/*
		done
	done
	for ((i = 0; i < n; i++)); do
		DIR=$T/v$i PID=${pids[i]}
		victim_finish
	done
}

@test "one tree again and again: memory, mappings and descriptors as they were, nothing left outside" {
	requires_root
	run "$PYTHON" "$TOP/test/sweep/soak.py" -n "${SOAK:-20}" --dir "$T" 3>&-
	echo "$output"
	[ "$status" = 0 ]
}

@test "a tree that serves the FUSE file system on which its files lie: refused in time, and it goes on" {
	requires_root
	start_program "$VICTIMS/fuse"
	wait_for 10 has_line "$DIR/out.txt" 'ready|none.*'
	! grep -q '^none' "$DIR/out.txt" || skip "no FUSE"
	for option in --leave-running --leave-stopped; do
		refused_dump blocked "$option"
		runs_on
		[ ! -e "$IMG/.holder" ]
		rm -rf "$IMG"
		mkdir "$IMG"
	done
	victim_finish
}

@test "images or logs on a FUSE file system that the tree serves: refused before it is stopped" {
	requires_root
	requires_command bindfs
	mkdir -p "$T/under/img" "$T/mnt"
	start_program bindfs -f "$T/under" "$T/mnt"
	wait_for 10 mountpoint -q "$T/mnt" || skip "no FUSE"
	IMG=$T/mnt/img refused blocked "$CRIU" dump -t "$PID" -D "$T/mnt/img" -W "$WORK" -o dump.log
	[[ $output == *"task $PID of the tree serves"* ]]
	runs_on
	refused blocked "$CRIU" dump -t "$PID" -D "$IMG" -W "$T/mnt" -o dump.log
	ls -A "$IMG" "$T/under/img"
	[ -z "$(ls -A "$IMG")$(ls -A "$T/under/img")" ]
	runs_on
}

@test "a restore that waits for a file server which does not answer: it can be killed, and nothing is left" {
	requires_root
	requires_command bindfs
	mkdir -p "$T/under" "$T/mnt"
	echo there >"$T/under/file"
	DIR=$T/server start_program bindfs -f "$T/under" "$T/mnt"
	server=$PID
	wait_for 10 mountpoint -q "$T/mnt" || skip "no FUSE"
	start_program "$PYTHON" -c 'import os, time
f = open("../mnt/file")
print("ready", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
print(f.read().replace("there", "done"), flush=True)'
	wait_for 10 has_line "$DIR/out.txt" ready
	dump
	kill -STOP "$server"
	run timeout -s KILL 3 "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log 3>&-
	wait_for 5 gone "$PID"
	kill -CONT "$server"
	[ "$status" = 137 ]
	restore
	victim_finish
}
