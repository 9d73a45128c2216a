#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# criu-parasite by hand on a held tree: core images, and that the tree does not notice.
load ../lib

hold()
{
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&-
	CRIU_LOG_OPEN=1 "$BIN/criu-collect" -D "$IMG" -W "$WORK" -o dump.log -v4
}

parasite()
{
	CRIU_LOG_OPEN=1 "$BIN/criu-parasite" -D "$IMG" -W "$WORK" -o dump.log -v4
}

thaw()
{
	"$BIN/criu-freeze" thaw -D "$IMG" -W "$WORK"
	unharmed_end
	rm -rf "$IMG/.stage"
}

# core TID JQ: what jq makes of an image
core()
{
	"$BIN/crit" decode -i "$IMG/core-$1.img" | jq -c ".entries[0] | $2"
}

@test "one core image per thread, per process and per zombie" {
	start_victim tree
	unharmed_begin
	hold
	parasite
	for pid in $(tree_of "$PID"); do
		state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$pid/status")
		for tid in "/proc/$pid/task"/*; do
			[ "$state" = Z ] || [ -s "$IMG/core-${tid##*/}.img" ] || fail "no core-${tid##*/}.img"
		done
		case $state in
		Z)
			[ "$(core "$pid" 'keys')" = '["mtype","tc"]' ] || fail "the zombie $pid has more than mtype and tc"
			[ "$(core "$pid" .tc.task_state)" = 2 ]
			;;
		*) [ "$(core "$pid" '.tc.sigactions | length')" = 62 ] ;;
		esac
	done
	thaw
	victim_finish
}

@test "a stopped task" {
	start_program sleep 1000
	kill -STOP "$PID"
	wait_for 5 grep -q '^State:.*T' "/proc/$PID/status"
	hold
	parasite
	[ "$(core "$PID" '[.tc.task_state, .tc.stop_signo]')" = '["Zombie",19]' ] || [ "$(core "$PID" '[.tc.task_state, .tc.stop_signo]')" = '[3,19]' ]
	"$BIN/criu-freeze" thaw -D "$IMG" -W "$WORK"
	wait_for 5 grep -q '^State:.*T' "/proc/$PID/status"
	kill -CONT "$PID"
	rm -rf "$IMG/.stage"
}

@test "an interrupted sleep is written so that it goes on" {
	start_program sleep 1000
	unharmed_begin
	hold
	parasite
	# clock_nanosleep, to be made again by the syscall instruction before ip
	[ "$(core "$PID" .thread_info.gpregs.ax)" = 230 ] || fail "rax: $(core "$PID" .thread_info.gpregs)"
	"$BIN/crit" decode --pretty -i "$IMG/core-$PID.img" | grep -q '"orig_ax": "0xffffffffffffffff"'
	thaw
}

@test "signals, timers and credentials are those of /proc" {
	start_victim timers
	unharmed_begin
	hold
	parasite
	[ "$(core "$PID" '.tc.timers.posix | length')" = "$(grep -c '^ID:' "/proc/$PID/timers")" ]
	[ "$(core "$PID" .tc.comm)" = "\"$(cat "/proc/$PID/comm")\"" ]
	[ "$(core "$PID" '.thread_core.creds.cap_prm[0] + .thread_core.creds.cap_prm[1] * 4294967296')" = $((0x$(sed -n 's/^CapPrm:[[:space:]]*//p' "/proc/$PID/status"))) ]
	[ "$(core "$PID" .tc.oom_score_adj)" = "$(cat "/proc/$PID/oom_score_adj")" ]
	[ "$(core "$PID" '.tc.rlimits.rlimits | length')" = 16 ]
	thaw
	victim_finish
}

@test "pending signals stay pending" {
	start_victim signals
	unharmed_begin
	hold
	parasite
	[ "$(core "$PID" '.tc.signals_s.signals | length')" -gt 0 ]
	thaw
	victim_finish
}

@test "many threads, each with its own" {
	start_victim many-threads 100
	unharmed_begin
	hold
	parasite
	[ "$(find "$IMG" -name 'core-*.img' | wc -l)" = 100 ]
	[ "$(for f in "$IMG"/core-*.img; do "$BIN/crit" decode -i "$f" | jq .entries[0].thread_info.gpregs.fs_base; done | sort -u | wc -l)" = 100 ]
	thaw
	victim_finish
}

@test "SCHED_DEADLINE is refused by name" {
	requires_command chrt
	start_program sleep 1000
	chrt --deadline --sched-runtime 10000000 --sched-deadline 100000000 --sched-period 100000000 -p 0 "$PID" || skip "no SCHED_DEADLINE here"
	hold
	refused scheduling-policy parasite
	[[ $output == *SCHED_DEADLINE* ]]
	"$BIN/criu-freeze" thaw -D "$IMG" -W "$WORK"
	rm -rf "$IMG/.stage"
}

@test "without a holder it says so" {
	refused not-held "$BIN/criu-parasite" -D "$IMG" -W "$WORK"
	[ -z "$(ls -A "$IMG")" ] || fail "something was written"
}

# What the kernel would have done to a system call is done by whoever ends it: after a restore nothing may be lost, and
# nothing may fail that would not have failed. $1: the call; $2: with a signal while the tree is held, or after the restore.
interrupted()
{
	local when=$2 want=$'handler\nreturned -1 4'

	[ "$1" != readr ] || want=handler
	start_victim restart "$1"
	sleep 0.1
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&-
	[ "$when" != held ] || kill -USR1 "$PID"
	CRIU_LOG_OPEN=1 "$BIN/criu-collect" -D "$IMG" -W "$WORK" -o dump.log -v4
	parasite
	CRIU_LOG_OPEN=1 "$BIN/criu-pages" -D "$IMG" -W "$WORK" -o dump.log -v4
	CRIU_LOG_OPEN=1 "$BIN/criu-freeze" end -D "$IMG" -W "$WORK" -o dump.log -v4
	wait_for 5 gone "$PID"
	restore
	if [ "$when" = after ]; then
		sleep 0.1
		[ "$(cat "$DIR/out.txt")" = ready ] || fail "the call came back by itself"
		kill -USR1 "$PID"
	fi
	wait_for 5 grep -q handler "$DIR/out.txt"
	sleep 0.1
	[ "$(cat "$DIR/out.txt")" = "ready
$want" ] || { cat "$DIR/out.txt"; fail "$1, signal $when"; }
	kill -KILL "$PID"
}

@test "interrupted calls go on after a restore, and a signal ends them (M3)" {
	for call in pause sigsuspend epoll poll sleep read readr; do
		interrupted $call after
		rm -rf "$IMG" "$DIR" && mkdir "$IMG"
	done
}

@test "a signal that comes while the tree is held ends the call as it would have (B10, M3)" {
	for call in pause sigsuspend epoll poll sleep read readr; do
		interrupted $call held
		rm -rf "$IMG" "$DIR" && mkdir "$IMG"
	done
}

@test "killed at any moment it leaves the tree as it was" {
	start_victim many-threads 100
	unharmed_begin
	hold
	for ms in 01 02 04 08 12; do
		CRIU_LOG_OPEN=1 "$BIN/criu-parasite" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&- &
		stage=$!
		sleep 0.0"$ms"
		kill -KILL "$stage" 2>/dev/null || true # it may have ended
		wait "$stage" || true
	done
	rm -f "$IMG"/core-* "$IMG"/.core-*
	parasite
	[ "$(find "$IMG" -name 'core-*.img' | wc -l)" = 100 ]
	thaw
	victim_finish
}
