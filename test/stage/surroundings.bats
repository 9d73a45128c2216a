#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What stands around a dump and a restore: a log that nobody reads, options in a pipe, limits and signals of the caller, files of
# others in the images directory, names that are made to mislead.
load ../lib

says()
{
	[[ $output == *"$1"* ]] || fail "no such message: $1"
}

alive()
{
	grep -q '^State:.[RS]' "/proc/$PID/status" && grep -q '^TracerPid:.0' "/proc/$PID/status"
}

@test "options in a pipe: refused by each, the tree runs" {
	start_program sleep 1000
	unharmed_begin
	mkfifo "$T/config"
	(exec "$CRIU" dump -t "$PID" -D "$IMG" --config <(echo leave-running)) >"$T/out.txt" 2>&1 3>&- && return 1
	output=$(cat "$T/out.txt")
	echo "$output"
	says "it is a pipe, and several programs have to read it (write the options into a file, and name that)"
	wait_for 5 alive
	# Nobody writes into it: not waited for.
	CRIU_CONFIG_FILE="$T/config" run timeout 20 "$CRIU" dump -t "$PID" -D "$IMG"
	[ "$status" -eq 1 ]
	says "it is a pipe"
	unharmed_end
	echo leave-running >"$T/file"
	"$CRIU" dump -t "$PID" -D "$IMG" --config /dev/stdin <"$T/file" 3>&-
	alive
}

@test "a FIFO as log: nobody reads it, its reader leaves, it reads on" {
	start_program sleep 1000
	mkfifo "$T/log"
	run timeout 20 "$CRIU" dump -t "$PID" -D "$IMG" -o "$T/log"
	[ "$status" -eq 1 ]
	says "start the reader of this FIFO first"
	wait_for 5 alive
	# It leaves before the last step opens the log.
	sleep 1000 4<>"$T/log" 3>&- &
	printf '#!/bin/sh\nkill %s\nwhile kill -0 %s; do sleep 0.1; done 2>/dev/null\n' $! $! >"$T/script"
	chmod 755 "$T/script"
	timeout 60 "$CRIU" dump -R -t "$PID" -D "$IMG" -o "$T/log" -v4 --action-script "$T/script" 3>&- 4>&-
	jq -e '.state == "sealed"' "$IMG/manifest.json"
	wait_for 5 alive
	# One that stays gets all.
	exec 4<>"$T/log"
	cat <&4 >"$T/copy" 3>&- &
	"$CRIU" dump -R -t "$PID" -D "$IMG" -o "$T/log" -v4 3>&- 4>&-
	wait_for 5 grep -q "Dumping finished successfully" "$T/copy"
	kill $!
	exec 4>&-
	alive
}

@test "nobody reads what a dump and a restore print: they come to their end" {
	start_program sleep 1000
	local -a status
	"$CRIU" dump -t "$PID" -D "$IMG" -v4 2>&1 3>&- | true
	status=("${PIPESTATUS[@]}")
	[ "${status[0]}" -eq 0 ]
	jq -e '.state == "sealed"' "$IMG/manifest.json"
	wait_for 5 gone "$PID"
	"$CRIU" restore -d -D "$IMG" -v4 2>&1 3>&- | true
	status=("${PIPESTATUS[@]}")
	[ "${status[0]}" -eq 0 ]
	alive
	# The task has the handlers of its image, not ours.
	grep -q '^SigCgt:.0*$' "/proc/$PID/status"
}

@test "a restore below a limit on the size of files: told, nothing is left" {
	start_program sleep 1000
	dump
	run bash -c "ulimit -S -f 0; exec $CRIU restore -d -D '$IMG' -W '$WORK' --pidfile '$T/pidfile'" 3>&-
	echo "$status $output"
	[ "$status" -eq 1 ]
	says "pid file $T/pidfile: cannot be written: File too large (allow larger files (ulimit -f)"
	gone "$PID"
	[ ! -e "$T/pidfile" ]
	[ -z "$(find "$WORK" "$IMG" -name '.restore*')" ]
	# Statistics are no reason to end what runs.
	run bash -c "ulimit -S -f 0; exec $CRIU restore -d -D '$IMG' -W '$WORK'" 3>&-
	echo "$status $output"
	[ "$status" -eq 0 ]
	says "stats-restore: cannot be written: File too large"
	alive
}

@test "a caller that ignores SIGCHLD: scripts run as ever" {
	start_program sleep 1000
	printf '#!/bin/sh\necho "$CRTOOLS_SCRIPT_ACTION" >>%s\n' "$T/actions" >"$T/script"
	chmod 755 "$T/script"
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" 3>&-
	for tool in criu-collect criu-parasite criu-pages; do
		"$BIN/$tool" -D "$IMG"
	done
	env --ignore-signal=CHLD "$BIN/criu-freeze" end -D "$IMG" --action-script "$T/script" 3>&-
	grep -x post-dump "$T/actions"
	wait_for 5 gone "$PID"
	env --ignore-signal=CHLD "$BIN/criu-restore" -d -D "$IMG" --action-script "$T/script" 3>&-
	grep -x post-restore "$T/actions"
	alive
}

@test "other files in the images directory stay as they are, and are none of the checkpoint's" {
	start_program sleep 1000
	echo disk >"$IMG/disk.img"
	echo note >"$IMG/.notes.tmp"
	echo "of a restore" >"$IMG/stats-restore"
	"$CRIU" dump -R -t "$PID" -D "$IMG" 3>&-
	"$CRIU" dump -R -t "$PID" -D "$IMG" 3>&-
	[ "$(cat "$IMG/disk.img" "$IMG/.notes.tmp")" = "disk
note" ]
	jq -e '[.files[].name] | index("disk.img") == null and index("stats-restore") == null and index("pstree.img") != null' "$IMG/manifest.json"
	[ -z "$(find "$IMG" -name '.holder*' -o -name '.inventory*')" ]
	rm "$IMG/disk.img" "$IMG/.notes.tmp" "$IMG/stats-restore"
}

@test "a name with a line feed and an escape: one line of the log, nothing for a terminal" {
	start_program "$PYTHON" -c "import fcntl, time
f = open('evil\033[2J\nError (x.c:1): made up', 'w')
fcntl.flock(f, fcntl.LOCK_EX)
print('ready', flush=True)
time.sleep(1000)"
	wait_for 30 has_line "$DIR/out.txt" ready
	run "$CRIU" dump -t "$PID" -D "$IMG" -v4
	[ "$status" -eq 1 ]
	says 'evil\x1b[2J\x0aError (x.c:1): made up'
	[[ $output != *$'\033'* ]]
	wait_for 5 alive
}

@test "what one stage refuses is told by that one" {
	unshare -m true || skip "no mount namespaces"
	start_program unshare -m sleep 1000
	wait_for 5 eval '[ "$(cat /proc/$PID/comm)" = sleep ]'
	run "$CRIU" dump -t "$PID" -D "$IMG"
	[ "$status" -eq 1 ]
	says "[namespace"
	[[ $output != *holder-void* ]]
	wait_for 5 alive
}
