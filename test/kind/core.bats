#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Registers and threads: coverage rows A5, B1-B3, B5-B9.

load ../lib

@test "core: threads with known values in all registers, TLS, names, masks, altstacks, robust lists (A5, B1-B3, B5, B6, B8, B9)" {
	start_victim threads
	threads=$(ls "/proc/$PID/task")
	dump
	restore
	[ "$(ls "/proc/$PID/task")" = "$threads" ]
	sleep 0.3
	victim_finish
}

@test "core: three times in a row while the threads spin" {
	start_victim threads
	cycle 3
	victim_finish
}

@test "core: rseq is registered again and its critical sections are restarted (B7)" {
	start_victim rseq
	cycle 3
	victim_finish
}

@test "core: a dump with --leave-running harms nothing" {
	start_victim threads
	for _ in 1 2 3; do
		dump -R
	done
	victim_finish
}
