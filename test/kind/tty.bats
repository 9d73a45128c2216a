#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Terminals: rows F1, F3, F5.
load ../lib

# In a terminal of script(1): the job of a shell, dumped from outside.
# Nothing of bats' own is to be in the tree.
close_others()
{
	local fd

	for fd in /proc/self/fd/*; do
		fd=${fd##*/}
		[ "$fd" -le 2 ] || eval "exec $fd>&-" 2>/dev/null
	done
}

start_in_terminal()
{
	mkdir -p "$DIR"
	(cd "$DIR" && close_others && exec script -qec "sh -c 'echo \$\$ >pid; exec $VICTIMS/tty out.txt'" typescript </dev/null >/dev/null 2>&1 3>&-) &
	SCRIPT=$!
	wait_for 10 has_line "$DIR/out.txt" ready
	# shellcheck disable=SC2034
	PID=$(fact pid)
}

@test "tty: refused without --shell-job (F1-F4)" {
	requires_command script
	start_in_terminal
	unharmed_begin
	refused_dump terminal
	unharmed_end
	: >"$DIR/go"
	wait_for 10 has_line "$DIR/out.txt" "done"
	wait "$SCRIPT"
}

@test "tty: a job of a shell goes on in the terminal of the restore (F5)" {
	requires_command script
	start_in_terminal
	dump --shell-job
	wait "$SCRIPT" || true
	refused terminal "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	rm "$WORK/restore.log"
	run setsid "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log --shell-job </dev/null
	[ "$status" = 1 ]
	grep -qF '[terminal-missing]' "$WORK/restore.log" || [[ $output == *'[terminal-missing]'* ]]
	rm -f "$WORK/restore.log"
	: >"$DIR/go"
	script -qec "$CRIU restore -D $IMG -W $WORK -o restore.log --shell-job" "$T/second" </dev/null >/dev/null 2>&1 3>&-
	wait_for 10 has_line "$DIR/out.txt" "done"
	[ -z "$(grep FAIL "$DIR/out.txt")" ]
	grep -q 'written to the terminal' "$T/second"
}
