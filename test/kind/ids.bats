#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Who shares which table: coverage row A13.

load ../lib

@test "ids: a descriptor table shared by parent, child and grandchild (A13)" {
	start_victim fdtable
	cycle 2
	victim_finish
}

refused_sharing()
{
	start_victim refuse "$1"
	unharmed_begin
	refused_dump shared-table
	[[ $output == *"$PID"* ]]
	unharmed_end
	victim_finish
}

@test "ids: shared memory of two processes (CLONE_VM) is refused" {
	refused_sharing shared-vm
}

@test "ids: a shared file system context (CLONE_FS) is refused" {
	refused_sharing shared-fs
}

@test "ids: a table that siblings share without their parent is refused" {
	refused_sharing shared-table
}
