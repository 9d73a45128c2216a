#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Where a task stands: working directory, root, umask.
load ../lib

@test "fs: working directory, root directory and umask of three tasks (E28)" {
	start_victim place
	dump
	restore
	victim_finish
}

@test "fs: three times in a row" {
	start_victim place
	cycle 3
	victim_finish
}
