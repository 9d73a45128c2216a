#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Pipes: row E11.
load ../lib

@test "pipe: data, capacity, flags, closed ends, ends in several tasks (E11)" {
	start_victim pipe
	dump
	restore
	[ "$(stat -Lc %F "/proc/$PID/fd/$(fact up)")" = fifo ]
	# The two tasks have one pipe.
	[ -n "$(find "/proc/$(fact child)/fd" -lname "$(readlink "/proc/$PID/fd/$(fact up)")")" ]
	victim_finish
}

@test "pipe: three times in a row, from a directory that was moved" {
	start_victim pipe
	cycle 3
	victim_finish
}

@test "pipe: refused: an end outside of the tree" {
	exec 7> >(sleep 100)
	(exec 3>&- && cd "$DIR" && setsid "$VICTIMS/eventfd" </dev/null >out.txt 2>&1 8>&7 & echo $! >"$T/pid")
	exec 7>&-
	PID=$(cat "$T/pid")
	wait_for 10 has_line "$DIR/out.txt" ready
	unharmed_begin
	refused_dump pipe-end-outside
	unharmed_end
	victim_finish
}
