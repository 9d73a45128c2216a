#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Pipes: row E11.
load ../lib

@test "pipe: data, capacity, flags, closed ends, ends in several tasks (E11)" {
	start_victim pipe
	dump
	restore
	[ "$(stat -Lc %F "/proc/$PID/fd/$(fact up)")" = fifo ]
	# The two tasks have one pipe.
	readlink "/proc/$(fact child)/fd/"* | grep -qxF "$(readlink "/proc/$PID/fd/$(fact up)")"
	victim_finish
}

@test "pipe: three times in a row, from a directory that was moved" {
	start_victim pipe
	cycle 3
	victim_finish
}

@test "pipe: refused: an end outside of the tree" {
	# A parent that stays outside holds the read end.
	"$PYTHON" - "$VICTIMS/eventfd" "$DIR" <<-'EOF' 3>&- &
		import os, subprocess, sys, time
		r, w = os.pipe()
		os.chdir(sys.argv[2])
		out = open("out.txt", "a")
		v = subprocess.Popen([sys.argv[1]], stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=[w], start_new_session=True)
		open("pid", "w").write(str(v.pid))
		v.wait()
	EOF
	wait_for 10 has_line "$DIR/out.txt" ready
	PID=$(cat "$DIR/pid")
	unharmed_begin
	refused_dump pipe-end-outside
	unharmed_end
	victim_finish
}
