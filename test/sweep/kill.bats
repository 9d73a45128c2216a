#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The short kill sweep (test/sweep/kill.py; make test-kill N=2600 is the long one), and that its oracle sees harm.
load ../lib

sweep()
{
	BUILD=$BUILD nice -n 5 "$PYTHON" "$TOP/test/sweep/kill.py" "$@" 3>&-
}

@test "200 kills at named steps and at random times do no harm" {
	requires_root
	sweep -n 225 -j 2 --seed "${SEED:-1}" >"$T/report" || { cat "$T/report"; false; }
	sed 's/^/# /' "$T/report" >&3
	grep -qE '^2[0-9][0-9] kills at [0-9]+ steps .* 0 of harm' "$T/report" || { cat "$T/report"; false; }
}

@test "the oracle of the kill sweep: a mapping, a descriptor, a dead tree, a traced task are seen" {
	requires_root
	"$PYTHON" "$TOP/test/sweep/oracle-test.py" "$VICTIMS/threads" 3>&-
}

@test "the holder's memory is taken out of the tasks by whoever notices its death, or by the next dump" {
	local area
	start_victim threads
	unharmed_begin
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&-
	"$BIN/criu-collect" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&-
	kill -KILL "$("$BIN/criu-freeze" status --json -D "$IMG" -W "$WORK" | jq .holder)"
	wait_for 5 runs "$PID"
	area=$(comm -13 <(grep -o '^[0-9a-f]*-[0-9a-f]* .*' "$T/before" | sort) <(sort "/proc/$PID/maps") | grep -c rwxp)
	[ "$area" = 1 ] || fail "the holder had no area, this tests nothing"
	run "$BIN/criu-freeze" thaw -D "$IMG" -W "$WORK"
	unharmed_end

	rm -rf "$IMG" && mkdir "$IMG"
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&-
	"$BIN/criu-collect" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&-
	kill -KILL "$("$BIN/criu-freeze" status --json -D "$IMG" -W "$WORK" | jq .holder)"
	wait_for 5 runs "$PID"
	rm -rf "$IMG"
	dump -R
	unharmed_end
	victim_finish
}
