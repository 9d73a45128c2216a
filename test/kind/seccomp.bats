#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Seccomp: coverage rows C10, C11.

load ../lib

@test "seccomp: strict mode, a chain of filters, a filter of one thread, inheritance (C10, C11)" {
	start_victim seccomp
	dump
	restore
	victim_finish
}

@test "seccomp: three times in a row" {
	start_victim seccomp
	cycle 3
	victim_finish
}

@test "seccomp: a filter with a supervisor is refused" {
	start_victim refuse seccomp-notify
	unharmed_begin
	refused_dump seccomp-notify
	unharmed_end
	victim_finish
}
