#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Image sets made by CRIU 4.2 itself, restored here: ../shared/fixtures/criu-4.2 (its README says what each holds).
load ../lib

# The fixtures have fixed pids: a pid namespace of their own, one at a time on the machine.
restore_fixture()
{
	requires_shared
	requires_root
	exec 8>/tmp/criu-fixture.lock
	flock 8
	run timeout 120 unshare -p -f -m --mount-proc -n sh -c "ip link set lo up; exec '$SHARED/fixtures/criu-4.2/fixture' restore '$CRIU' $1 8>&- 3>&-"
	exec 8>&-
	echo "$output"
	[ "$status" = 0 ] || { tail -n 30 /tmp/criu-fixture/"$1"/*.log /tmp/criu-fixture/"$1"/work/*.log; return 1; } 2>/dev/null
	[[ $output == *ok* ]]
}

@test "fixture: counter" {
	restore_fixture counter
}

@test "fixture: threads" {
	restore_fixture threads
}

@test "fixture: tree" {
	restore_fixture tree
}

@test "fixture: signals-timers" {
	restore_fixture signals-timers
}
