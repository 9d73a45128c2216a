#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# System calls that a dump interrupts: a program sees nothing that a plain SIGSTOP and SIGCONT would not show.
load ../lib

ROUNDS=6

# What the calls of the victim returned that they return only when they are interrupted.
saw()
{
	grep '^saw ' "$DIR/out.txt" | sort || true
}

stop_and_go()
{
	local i
	for ((i = 0; i < ROUNDS; i++)); do
		kill -STOP "$PID"
		wait_for 5 grep -q '^State:.*T (stopped)' "/proc/$PID/status"
		kill -CONT "$PID"
		wait_for 5 runs "$PID"
		sleep 0.1
	done
}

hold_and_thaw()
{
	local i tool
	for ((i = 0; i < ROUNDS; i++)); do
		rm -rf "$IMG"
		mkdir "$IMG"
		"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&-
		for tool in criu-collect criu-parasite criu-pages; do
			# Trees with locks are refused: then the calls were made all the same.
			"$BIN/$tool" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&- || true
		done
		"$BIN/criu-freeze" thaw -D "$IMG" -W "$WORK"
		wait_for 5 runs "$PID"
		sleep 0.1
	done
}

dump_running()
{
	local i
	for ((i = 0; i < ROUNDS; i++)); do
		dump -R
		wait_for 5 runs "$PID"
		sleep 0.1
	done
}

# Which of $1's lines are not in $2? None may be.
nothing_new()
{
	local new
	new=$(comm -23 "$1" "$2")
	[ -z "$new" ] || fail "seen after a dump, but not after SIGSTOP and SIGCONT: $new"
}

@test "every blocking call: held, with calls made, and thawed: nothing that SIGSTOP and SIGCONT would not show" {
	start_victim blocking all
	stop_and_go
	victim_finish
	saw >"$T/plain"
	rm -rf "$DIR"
	start_victim blocking all
	hold_and_thaw
	victim_finish
	saw >"$T/held"
	cat "$T/plain" "$T/held"
	nothing_new "$T/held" "$T/plain"
}

@test "every blocking call: dump --leave-running: programs see nothing at all" {
	start_victim blocking
	dump_running
	victim_finish
	saw >"$T/dumped"
	# Better than signal(7) says of SIGSTOP: epoll_wait(2) and its like go on too.
	[ ! -s "$T/dumped" ] || fail "seen after a dump: $(cat "$T/dumped")"
}

@test "every blocking call: dumped and restored: programs see nothing at all" {
	start_victim blocking
	cycle 2
	victim_finish
	saw >"$T/restored"
	[ ! -s "$T/restored" ] || fail "seen after a restore: $(cat "$T/restored")"
}
