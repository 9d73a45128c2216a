#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Many of one thing: 200 processes, 500 threads, 10,000 files, 20,000 mappings. Each dumped and restored three times in a row.
load ../lib

@test "a tree of 200 processes in several sessions and groups" {
	start_victim many-tasks 200
	pids=$(tree_of "$PID" | sort -n)
	[ "$(wc -w <<<"$pids")" = 200 ]
	# shellcheck disable=SC2086
	ps -o pid=,ppid=,pgid=,sid=,comm= -p "$(echo $pids | tr ' ' ,)" | sort -n | sed "s/^ *$PID  *[0-9]*/$PID root/" >"$T/before"
	cycle 3
	# shellcheck disable=SC2086
	ps -o pid=,ppid=,pgid=,sid=,comm= -p "$(echo $pids | tr ' ' ,)" | sort -n | sed "s/^ *$PID  *[0-9]*/$PID root/" >"$T/after"
	diff "$T/before" "$T/after"
	victim_finish
}

@test "one process of 500 threads" {
	start_victim many-threads 500
	before=$(ls "/proc/$PID/task")
	[ "$(wc -w <<<"$before")" = 500 ]
	cycle 3
	[ "$(ls "/proc/$PID/task")" = "$before" ]
	victim_finish
}

@test "a process with 10,000 open files" {
	start_victim many-files 10000
	[ "$(find "/proc/$PID/fd" -type l | wc -l)" -ge 10000 ]
	find "/proc/$PID/fd" -type l -printf '%f %l\n' | sort >"$T/before"
	cycle 3
	find "/proc/$PID/fd" -type l -printf '%f %l\n' | sort >"$T/after"
	diff "$T/before" "$T/after"
	victim_finish
}

@test "a process with 20,000 mappings" {
	start_victim many-maps 20000
	[ "$(wc -l <"/proc/$PID/maps")" -ge 20000 ]
	awk '{print $1, $2}' "/proc/$PID/maps" >"$T/before"
	cycle 3
	awk '{print $1, $2}' "/proc/$PID/maps" >"$T/after"
	diff "$T/before" "$T/after"
	victim_finish
}
