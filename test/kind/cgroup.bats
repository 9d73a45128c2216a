#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Membership in cgroups of the host: the group must exist at the restore (contracts 6).
load ../lib

CGROUPS=()

teardown()
{
	local d
	for d in $(tree_of "$PID" 2>/dev/null); do kill -KILL "$d" 2>/dev/null || true; done
	wait_for 5 gone "$PID" || true
	for d in "${CGROUPS[@]}"; do rmdir "$d" 2>/dev/null || true; done
	common_teardown
}

# A new group in the first hierarchy that lets us: v2, or v1's pids or freezer.
make_group()
{
	local top
	for top in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/pids /sys/fs/cgroup/freezer; do
		[ -e "$top/cgroup.procs" ] && mkdir "$top/criu-test-$$-$1" 2>/dev/null || continue
		GROUP=$top/criu-test-$$-$1
		CGROUPS+=("$GROUP")
		return 0
	done
	skip "no cgroup can be made here"
}

@test "cgroup: a task comes back into its group (C13)" {
	make_group a
	start_program sleep 1000
	echo "$PID" >"$GROUP/cgroup.procs"
	before=$(cat "/proc/$PID/cgroup")
	cycle 2
	[ "$(cat "/proc/$PID/cgroup")" = "$before" ]
	grep -q "criu-test-$$-a" "/proc/$PID/cgroup"
}

@test "cgroup: a group that is gone is named" {
	make_group b
	start_program sleep 1000
	echo "$PID" >"$GROUP/cgroup.procs"
	dump
	wait_for 5 rmdir "$GROUP"
	refused cgroup "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[[ $output == *"criu-test-$$-b"* ]]
	gone "$PID"
	"$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log --manage-cgroups=ignore
	runs "$PID"
}

# set_frozen 1|0: the group $GROUP
set_frozen()
{
	if [ -e "$GROUP/cgroup.freeze" ]; then
		echo "$1" >"$GROUP/cgroup.freeze"
		wait_for 5 grep -qx "frozen $1" "$GROUP/cgroup.events"
	else
		[ "$1" = 1 ] && echo FROZEN >"$GROUP/freezer.state" || echo THAWED >"$GROUP/freezer.state"
	fi
}

@test "cgroup: one that is frozen is named, at the dump and at the restore" {
	local top tried=
	for top in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/freezer; do
		GROUP=$top/criu-test-$$-f
		[ -e "$top/cgroup.procs" ] && mkdir "$GROUP" 2>/dev/null || continue
		CGROUPS+=("$GROUP")
		[ -e "$GROUP/cgroup.freeze" ] || [ -e "$GROUP/freezer.state" ] || continue
		tried=1
		start_program sleep 1000
		echo "$PID" >"$GROUP/cgroup.procs"
		set_frozen 1
		rm -f "$WORK"/*.log
		refused cgroup-frozen "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log
		[[ $output == *"its cgroup $GROUP is frozen"* ]]
		set_frozen 0
		wait_for 5 runs "$PID"
		dump
		set_frozen 1
		refused cgroup-frozen timeout 20 "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
		gone "$PID"
		set_frozen 0
		restore
		kill -KILL "$PID"
		wait_for 5 gone "$PID"
	done
	[ -n "$tried" ] || skip "no cgroup can be frozen here"
}
