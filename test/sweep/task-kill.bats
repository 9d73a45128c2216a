#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A task of a restore that somebody kills, or stops, while criu-restore waits for it: at every kind of wait that it has, the
# restore ends, and nothing is left. (The sweep of kill.py meets these moments now and then; here each comes every time.)
load ../lib

dumped()
{
	start_victim "$1"
	PIDS=$(tree_of "$PID")
	dump
	# shellcheck disable=SC2086
	wait_for 10 gone $PIDS
	failed=0
}

# struck TARGET OPTION...: restore, and kill TARGET at that call of criu-restore. Numbers: 202 futex, 247 waitid, 101 ptrace.
struck()
{
	local target=$1
	shift

	rm -f "$WORK/restore.log"
	# Not `run`: a criu-restore that is left would keep its pipe open.
	timeout -k 5 60 "$BUILD/test/sweep/killat" --follow 0 --role criu-restore --pid "$target" "$@" -- \
		"$BIN/criu-restore" -d -D "$IMG" -W "$WORK" -o restore.log -v4 "${script[@]}" >"$T/said" 2>&1 3>&- ||
		fail "it waits for ever: killed $target at $*"
	if [[ $(tail -n 1 "$T/said") == killed* ]] && grep -q Error "$WORK/restore.log"; then
		failed=$((failed + 1))
	else
		# There was no such call, or it was killed before it was made, or when it had been let go.
		# shellcheck disable=SC2086
		kill -KILL $PIDS 2>/dev/null || :
	fi
	# shellcheck disable=SC2086
	wait_for 10 gone $PIDS || fail "tasks are left: killed $target at $*"
}

@test "a task killed while criu-restore waits for a stage: the root, the last one" {
	dumped tree
	script=()
	for target in $(echo "$PIDS" | sed -n '1p;$p'); do
		for k in 1 2 3 4 5; do
			struck "$target" --nr 202 --detail 0 --count $k
		done
	done
	echo "# $failed of 10 restores failed"
	[ "$failed" -ge 2 ] # how often it waits depends on who is faster
}

@test "a process with threads killed while its stops are waited for, in the last call, and while it is let go" {
	dumped threads
	script=()
	for k in 1 4; do
		struck "$PID" --nr 247 --count $k
		struck "$PID" --nr 247 --count $k --exit
	done
	for k in 1 2; do
		struck "$PID" --nr 101 --detail 0x18 --count $k
		struck "$PID" --nr 101 --detail 0x18 --count $k --exit
	done
	[ "$failed" = 8 ]
	for k in 1 7; do
		struck "$PID" --nr 101 --detail 0x11 --count $k --exit
	done
}

# A script of the user's that does something to the root at one action.
at_action()
{
	script=(--action-script "$T/script")
	printf '%s\n' '#!/bin/sh' "[ \$CRTOOLS_SCRIPT_ACTION != $1 ] || kill -$2 \$CRTOOLS_INIT_PID" >"$T/script"
	chmod +x "$T/script"
}

@test "a process with threads killed on its way to the stop, with a signal between" {
	dumped threads
	at_action post-restore STOP
	# It takes the signal (PTRACE_CONT) and is killed before it stops for us. A thread that did not run meanwhile stops for us first.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		struck "$PID" --nr 101 --detail 0x7 --exit
		[ "$failed" = 0 ] || break
	done
	[ "$failed" = 1 ]
}

@test "a task killed while a script of the user's runs" {
	dumped threads
	for action in post-setup-namespaces post-restore; do
		at_action $action KILL
		run timeout -k 5 60 "$BIN/criu-restore" -d -D "$IMG" -W "$WORK" -o restore.log -v4 "${script[@]}" 3>&-
		[ "$status" = 111 ] || fail "exit status $status"
		grep -q Error "$WORK/restore.log"
		# shellcheck disable=SC2086
		wait_for 10 gone $PIDS
	done
}

@test "a root task that is stopped while it is restored holds nothing up: it is stopped at the end" {
	dumped threads
	for action in post-setup-namespaces post-restore; do
		at_action $action STOP
		run timeout -k 5 60 "$BIN/criu-restore" -d -D "$IMG" -W "$WORK" -o restore.log -v4 "${script[@]}" 3>&-
		[ "$status" = 0 ] || fail "exit status $status"
		wait_for 10 grep -q '^State:.*T (stopped)' "/proc/$PID/status"
		kill -CONT "$PID"
		wait_for 10 runs "$PID"
		dump
		# shellcheck disable=SC2086
		wait_for 10 gone $PIDS
	done
	script=()
	restore
	victim_finish
}
