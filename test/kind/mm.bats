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

# Inode numbers of memory files and deleted files are no state.
image_of()
{
	sed -E 's/^([^ ]+ [^ ]+ [^ ]+ [^ ]+ )[0-9]+ +/\1/' "/proc/$1/maps"
	tr '\0' '\n' <"/proc/$1/cmdline"
	tr '\0' '\n' <"/proc/$1/environ"
	od "/proc/$1/auxv"
}

@test "mm: a second process sees the same maps, arguments and environment" {
	start_memory
	before=$(image_of "$PID")
	dump
	restore
	diff <(image_of "$PID") <(echo "$before")
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
