#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Terminals: rows F1, F3, F5.
load ../lib

# In a terminal of script(1): the job of a shell, dumped from outside.
# @1: "exec ": as leader of the terminal's session; "": as a job of a shell
start_in_terminal()
{
	mkdir -p "$DIR"
	(cd "$DIR" && close_others && exec script -qec "$1$VICTIMS/tty out.txt; exit" typescript </dev/null >/dev/null 2>&1 3>&-) &
	SCRIPT=$!
	wait_for 10 has_line "$DIR/out.txt" ready
	# shellcheck disable=SC2034
	PID=$(fact pid)
}

@test "tty: refused: a terminal without --shell-job; a controlling terminal of the tree's own session (F1-F4)" {
	requires_command script
	start_in_terminal "exec "
	unharmed_begin
	refused_dump terminal
	unharmed_end
	rm -rf "$IMG" "$WORK"
	mkdir "$IMG" "$WORK"
	refused_dump terminal-session --shell-job
	unharmed_end
	: >"$DIR/go"
	wait_for 10 has_line "$DIR/out.txt" "done"
	wait "$SCRIPT"
}

@test "tty: a job of a shell goes on in the terminal of the restore (F5)" {
	requires_command script
	start_in_terminal ""
	dump --shell-job
	wait "$SCRIPT" || true
	# The restore is no job: there is no terminal to be had.
	run setsid -w "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log --shell-job </dev/null
	[ "$status" = 1 ]
	[[ $output$(cat "$WORK/restore.log") == *'[terminal-missing]'* ]]
	rm "$WORK/restore.log"
	: >"$DIR/go"
	script -qec "$CRIU restore -D $IMG -W $WORK -o restore.log --shell-job; exit" "$T/second" </dev/null >/dev/null 2>&1 3>&- || fail restore
	wait_for 10 has_line "$DIR/out.txt" "done"
	[ -z "$(grep FAIL "$DIR/out.txt")" ]
	grep -q 'written to the terminal' "$T/second"
}
