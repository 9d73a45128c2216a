#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Memory: coverage rows D1, D2, D4-D10, D12, D14-D16, D20.

load ../lib

start_memory()
{
	VICTIM=environment start_victim memory argument
}

@test "mm: every sort of ordinary memory, its layout and its flags (D1, D2, D4-D10, D12, D14-D16, D20)" {
	start_memory
	dump
	restore
	victim_finish
}

@test "mm: three times in a row" {
	start_memory
	cycle 3
	victim_finish
}

@test "mm: a second process sees the same maps, arguments and environment" {
	start_memory
	before=$(cat "/proc/$PID/maps" "/proc/$PID/cmdline" "/proc/$PID/environ" "/proc/$PID/auxv" | tr '\0' '\n' | sha256sum)
	dump
	restore
	[ "$(cat "/proc/$PID/maps" "/proc/$PID/cmdline" "/proc/$PID/environ" "/proc/$PID/auxv" | tr '\0' '\n' | sha256sum)" = "$before" ]
	victim_finish
}

@test "mm: pages that parent and child share after fork are shared again" {
	start_victim cow
	dump
	restore
	victim_finish
}

@test "mm: memory registered with userfaultfd is refused" {
	start_victim refuse userfault-memory
	unharmed_begin
	refused_dump mapping-kind
	unharmed_end
	victim_finish
}
