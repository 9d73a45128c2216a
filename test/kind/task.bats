#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Task identity: coverage rows A1-A11.

load ../lib

@test "task: pids, parents, groups, sessions, zombies, a stopped task, comm, death signal, subreaper, personality (A2-A11)" {
	start_victim tree
	dump
	restore
	for pid in $(tree_of "$PID"); do
		[ "$(readlink "/proc/$pid/exe")" = "$VICTIMS/tree" ] || grep -q '^State:.Z' "/proc/$pid/status"
	done
	victim_finish
}

@test "task: the same three times in a row" {
	start_victim tree
	cycle 3
	victim_finish
}

@test "task: a tree that forks while it is stopped is caught whole, or let go (A1)" {
	start_victim storm
	dump
	restore
	victim_finish
}

@test "task: a vfork parent is waited for (A1)" {
	start_victim vfork
	dump --timeout 10
	restore
	victim_finish
}
