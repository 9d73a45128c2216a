#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Timers, sleeps and clocks: coverage rows M1-M3, I5.

load ../lib

@test "timer: interval timers, POSIX timers, sleeps under way, clocks (M1-M3)" {
	start_victim timers 4
	dump
	restore
	FINISH_SECONDS=40 victim_finish
}

@test "timer: monotonic and boot time go on from the dumped values by a time namespace (I5)" {
	requires_root
	# Dumped in a time namespace ten days ahead, restored from one that is not.
	start_program unshare --time --monotonic 864000 --boottime 864000 "$VICTIMS/timers" 3
	wait_for 10 has_line "$DIR/out.txt" ready
	[ "$(readlink "/proc/$PID/ns/time")" != "$(readlink /proc/self/ns/time)" ]
	dump
	restore
	FINISH_SECONDS=40 victim_finish
}

@test "timer: restored a second time from a time namespace of its own" {
	start_victim timers 3
	cycle 2
	FINISH_SECONDS=60 victim_finish
}
