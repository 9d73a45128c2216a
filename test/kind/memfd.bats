#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Memory files: rows E20, D12.
load ../lib

@test "memfd: contents, holes, position, seals, sharing (E20)" {
	start_victim memfd
	dump
	restore
	[ "$(readlink "/proc/$PID/fd/$(fact fd)")" = "/memfd:my memory (deleted)" ]
	grep -q "/memfd:my memory (deleted)" "/proc/$PID/maps"
	victim_finish
}

@test "memfd: three times in a row, from a directory that was moved" {
	start_victim memfd
	cycle 3
	victim_finish
}
