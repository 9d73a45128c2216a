#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# FIFOs: row E12.
load ../lib

@test "fifo: data, capacity, flags, ends in several tasks (E12)" {
	start_victim pipe fifo
	dump
	restore
	[ "$(readlink "/proc/$PID/fd/$(fact large)")" = "$DIR/large" ]
	victim_finish
}

@test "fifo: three times in a row, from a directory that was moved" {
	start_victim pipe fifo
	cycle 3
	victim_finish
}

@test "fifo: a deleted one with data" {
	start_victim deleted fifo
	dump
	restore
	[ ! -e "$DIR/fifo" ]
	victim_finish
}
