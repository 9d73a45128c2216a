#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# criu-ns: restore in a new pid and mount namespace, dump from the inside, exit codes and signals of CRIU's criu-ns.
load ../lib

NS=$BIN/criu-ns

setup()
{
	common_setup
	requires_root
	requires_command unshare
	# shellcheck disable=SC2034
	TEST_PGID=$(ps -o pgid= -p $$ | tr -d ' ') # for test_pids
}

# Restore in a namespace of its own; $PID is the root's pid out here, $INNER the old one.
ns_restore()
{
	rm -f "$WORK/pid"
	"$NS" restore -d --pidfile pid -D "$IMG" -W "$WORK" -o restore.log "$LOG_LEVEL" 3>&- || fail "criu-ns restore ended with $?"
	PID=$(cat "$WORK/pid")
	[ "$(sed -n 's/^NSpid:.*\t//p' "/proc/$PID/status")" = "$INNER" ] || fail "the root is not $INNER inside"
}

ns_dump()
{
	local pids
	pids=$(tree_of "$PID")
	"$NS" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log "$LOG_LEVEL" 3>&- || fail "criu-ns dump ended with $?"
	check_images || return 1
	# shellcheck disable=SC2086
	wait_for 5 gone $pids || fail "the tree is still there"
}

# No process 1 of ours any more.
no_init_left()
{
	! pgrep -x criu-ns -u "$(id -u)" | while read -r pid; do tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null; done | grep -qxF "CR_TEST_ID=$T"
}

take_pids()
{
	rm -f "$T/taker"
	# shellcheck disable=SC2046
	"$VICTIMS/taker" $(jq -r '.tree[].pid' "$IMG/manifest.json") 3>&- >"$T/taker" &
	wait_for 10 has_line "$T/taker" ready || fail "$(cat "$T/taker")"
}

@test "restore although the pids are taken; dump from the inside; restore again: nothing is left" {
	for victim in threads tree; do
		start_victim $victim
		dump
		INNER=$(jq -r '.tree[0].pid' "$IMG/manifest.json")
		take_pids
		taker=$!
		refused pid-taken "$CRIU" restore -d -D "$IMG" -W "$WORK"
		for _ in 1 2; do
			ns_restore
			[ "$(readlink "/proc/$PID/ns/pid")" != "$(readlink /proc/self/ns/pid)" ]
			[ "$(readlink "/proc/$PID/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ]
			# Its own /proc.
			nsenter -t "$PID" -p -m sh -c "grep -q '^NSpid:.*[[:space:]]$INNER\$' /proc/$INNER/status"
			[ "$(tree_of "$PID" | wc -l)" = "$(jq '.tree | length' "$IMG/manifest.json")" ]
			# From out here it is in other namespaces.
			refused namespace "$CRIU" dump -t "$PID" -D "$T" -W "$WORK" -o dump.log
			rm -rf "$T/manifest.json" "$IMG"
			mkdir "$IMG"
			ns_dump
			wait_for 5 no_init_left
		done
		ns_restore
		victim_finish
		wait_for 5 no_init_left
		kill -KILL $taker
		wait $taker || true
		rm -rf "$DIR" "$IMG"
		mkdir "$IMG"
	done
}

@test "restore --check-only: what would be in the way there; pids are not; no pid file is left" {
	start_program sleep 1000
	dump -R
	refused pid-taken "$CRIU" restore --check-only -D "$IMG" -W "$WORK"
	run "$NS" restore --check-only --pidfile pid -D "$IMG" -W "$WORK"
	[ "$status" = 0 ] || { echo "$output"; return 1; }
	[[ $output == *"Nothing is in the way of a restore here."* && $output != *Warn* ]]
	[ ! -e "$WORK/pid" ]
	wait_for 5 no_init_left
	rm -rf "$DIR"
	run "$NS" restore --check-only --json -D "$IMG" -W "$WORK"
	[ "$status" = 1 ]
	jq -e '.result == "refused" and all(.findings[]; .code == "file-missing")' <<<"$output"
	wait_for 5 no_init_left
}

@test "a tree with low pids: criu does not stand in its own way" {
	start_program unshare -pf --mount-proc --kill-child bash -c 'exec 3>&-
		for i in 1 2 3; do setsid bash -c "sleep 1000 & wait" & done; wait'
	wait_for 5 eval '[ "$(tree_of "$PID" | wc -l)" = 8 ]'
	outer=$PID
	init=$(cat "/proc/$outer/task/$outer/children")
	# The first child of process 1: 2 inside, with 5 or so below it.
	PID=$(cut -d' ' -f1 "/proc/${init% }/task/${init% }/children")
	INNER=$(sed -n 's/^NSpid:.*\t//p' "/proc/$PID/status")
	[ "$INNER" -lt 6 ]
	refused namespace "$NS" dump -t "${init% }" -D "$IMG" -W "$WORK"
	[[ $output == *"it is process 1 of its pid namespace"* ]]
	ns_dump
	kill -KILL "${init% }"
	wait_for 5 gone "$outer"
	ns_restore
	[ "$(tree_of "$PID" | wc -l)" = 2 ]
	# shellcheck disable=SC2046
	kill -KILL $(tree_of "$PID")
	wait_for 5 no_init_left
}

@test "restore waits for the root task without -d, and a signal ends the waiting only" {
	start_program sleep 1000
	INNER=$PID
	dump
	"$NS" restore --pidfile pid -D "$IMG" -W "$WORK" -o restore.log 3>&- &
	ns=$!
	wait_for 10 test -s "$WORK/pid"
	PID=$(cat "$WORK/pid")
	wait_for 5 runs "$PID"
	kill -0 $ns
	EXIT=1 refused file-exists "$NS" restore -d --pidfile pid -D "$IMG" -W "$WORK"
	[[ $output == *"remove the old pid file"* ]]
	kill "$PID"
	wait $ns
	wait_for 5 no_init_left
	rm "$WORK/pid"
	"$NS" restore --pidfile pid -D "$IMG" -W "$WORK" -o restore.log 3>&- &
	ns=$!
	wait_for 10 test -s "$WORK/pid"
	PID=$(cat "$WORK/pid")
	kill -TERM $ns
	code=0
	wait $ns || code=$?
	[ $code = 15 ]
	runs "$PID"
	kill "$PID"
	wait_for 5 no_init_left
}

@test "exit codes: criu's, the number of a signal, 255 for an action that is not known" {
	run "$NS" bogus
	[ "$status" = 255 ]
	run "$NS"
	[[ $status = 1 && $output == usage:* ]]
	run "$NS" --help
	[[ $status = 0 && $output == usage:* ]]
	run "$NS" --version
	[[ $status = 0 && $output == criu-ns* ]]
	run "$NS" dump -D "$IMG"
	[[ $status = 1 && $output == *"-t PID is missing"* ]]
	refused no-such-task "$NS" dump -t 4194303 -D "$IMG"
	refused dir-missing "$NS" restore -D "$T/none"
	refused usage "$NS" restore -d -S -D "$IMG"
	refused usage "$NS" restore --bogus -D "$IMG"
	refused usage "$NS" check --criu-binary "$T/none"
	start_program sleep 1000
	for code in 0 1 42; do
		printf '#!/bin/sh\nexit %d\n' $code >"$T/criu"
		chmod 755 "$T/criu"
		for args in check "restore -D $IMG" "restore -d -D $IMG" "dump -t $PID"; do
			# shellcheck disable=SC2086
			run "$NS" --criu-binary "$T/criu" $args
			[ "$status" = $code ] || fail "$args: $status"
		done
	done
	# shellcheck disable=SC2016
	printf '#!/bin/sh\nkill -9 $$\n' >"$T/criu"
	run "$NS" check --criu-binary="$T/criu"
	[ "$status" = 9 ]
	# shellcheck disable=SC2016
	printf '#!/bin/sh\ntrap "exit 33" TERM\n: >"%s/up"\nwhile :; do sleep 0.05; done\n' "$T" >"$T/criu"
	"$NS" check --criu-binary "$T/criu" 3>&- &
	ns=$!
	wait_for 5 test -e "$T/up"
	kill -TERM $ns
	code=0
	wait $ns || code=$?
	[ $code = 33 ]
	wait_for 5 no_init_left
}

@test "criu is found beside criu-ns, not by PATH; all arguments reach it; process 1 is another" {
	mkdir "$T/bin"
	printf '#!/bin/sh\necho WRONG\n' >"$T/bin/criu"
	# shellcheck disable=SC2016
	printf '#!/bin/sh\necho "$@" "pid $$" "$(readlink /proc/self/ns/pid)"\n' >"$T/criu"
	chmod 755 "$T/bin/criu" "$T/criu"
	PATH=$T/bin:$PATH run "$NS" restore -D "$T/none"
	[[ $status = 1 && $output != *WRONG* ]]
	run "$NS" restore -d --pidfile x -D "$IMG" --criu-binary "$T/criu" -W "$WORK" --exec-cmd -- a 'b c' --pidfile
	[ "$status" = 1 ]
	[[ $output == *"--pidfile: it cannot be used together with --exec-cmd"* ]]
	run "$NS" restore -D "$IMG" --criu-binary "$T/criu" -W "$WORK" --exec-cmd -- a 'b c' --pidfile
	[[ $output == "restore -D $IMG -W $WORK --exec-cmd -- a b c --pidfile pid "* ]]
	run "$NS" restore -v4 --pidfile=x -D "$IMG" --criu-binary "$T/criu" -W "$WORK"
	[[ $output == *"restore -v4 -D $IMG -W $WORK -d pid "* ]]
	[[ $output != *"$(readlink /proc/self/ns/pid)"* ]]
	start_program sleep 1000
	run "$NS" pre-dump -t "$PID" --criu-binary "$T/criu" -D "$IMG"
	[[ $output == "pre-dump -t $PID -D $IMG pid "*"$(readlink /proc/self/ns/pid)" ]]
	start_program unshare -pf --mount-proc sleep 1000
	wait_for 5 grep -q . "/proc/$PID/task/$PID/children"
	run "$NS" pre-dump -t "$PID" -D "$IMG"
	[[ $status = 1 && $output == *"pre-dump is not supported yet"* || $output != *"$T/criu"* ]]
}

@test "--exec-cmd: the command's exit code; the tree lives on in its namespace" {
	start_program sleep 1000
	INNER=$PID
	dump
	run "$NS" restore --exec-cmd -D "$IMG" -W "$WORK" -- sh -c "grep -q '^Name:.*sleep' /proc/$INNER/status && exit 7"
	[ "$status" = 7 ]
	pid=$(grep -lE "^NSpid:[[:space:]][0-9]+[[:space:]]$INNER\$" /proc/[0-9]*/status 2>/dev/null | cut -d/ -f3)
	[ "$(cat "/proc/$pid/comm")" = sleep ]
	kill "$pid"
	wait_for 5 no_init_left
}

@test "--help, man page and completion name the same verbs and options" {
	"$NS" --help | sed -n 's/^ *\(-[A-Za-z],\)\{0,1\} *\(--[a-z][a-z-]*\).*/\2/p; s/^  \([a-z][a-z-]*\)  .*/\1/p' | sort >"$T/help"
	[ "$(wc -l <"$T/help")" = 11 ]
	while read -r word; do
		grep -q "^\(\.B \|\.RB\|\.br\|.*\\\\fB\).*${word//-/\\\\-}" "$TOP/tools/criu-ns/criu-ns.8" || fail "the page does not have $word"
	done <"$T/help"
	for word in '' --; do
		PATH=$BIN:$PATH bash -c '. "$0"; COMP_WORDS=(criu-ns "$1") COMP_CWORD=1; _criu criu-ns "$1" criu-ns; printf "%s\n" "${COMPREPLY[@]}"' \
			"$TOP/tools/criu/criu.bash" "$word"
	done | sort -u >"$T/completion"
	diff "$T/help" "$T/completion"
}

@test "--shell-job: the tree gets the terminal of the restore" {
	requires_command script
	mkdir -p "$DIR"
	(
		cd "$DIR" || exit
		for fd in /proc/self/fd/*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || eval "exec $fd>&-" 2>/dev/null
		done
		exec script -qec "$VICTIMS/tty out.txt; exit" typescript </dev/null >/dev/null 2>&1
	) &
	wait_for 10 has_line "$DIR/out.txt" ready
	PID=$(fact pid)
	dump --shell-job
	wait $! || true
	: >"$DIR/go"
	script -qec "$NS restore -D $IMG -W $WORK -o restore.log --shell-job; exit" "$T/second" </dev/null >/dev/null 2>&1 3>&- || fail restore
	wait_for 10 has_line "$DIR/out.txt" "done"
	[ -z "$(grep FAIL "$DIR/out.txt")" ]
	grep -q 'written to the terminal' "$T/second"
	wait_for 5 no_init_left
}

@test "killed in the middle of a restore: nothing is left" {
	# shellcheck disable=SC2016
	printf '#!/bin/sh\n: >"%s/up"\nsleep 1000\n' "$T" >"$T/criu"
	chmod 755 "$T/criu"
	"$NS" restore --criu-binary "$T/criu" -D "$IMG" 3>&- &
	ns=$!
	wait_for 5 test -e "$T/up"
	kill -KILL $ns
	wait $ns || true
	wait_for 5 eval '[ -z "$(test_pids)" ]'
}

@test "mounts and names that differ inside are refused by name" {
	mkdir "$T/other"
	start_program unshare -pf --mount-proc bash -c "mount -t tmpfs none $IMG; sleep 1000; true"
	wait_for 5 grep -q . "/proc/$PID/task/$PID/children"
	init=$(cat "/proc/$PID/task/$PID/children")
	wait_for 5 grep -q . "/proc/${init% }/task/${init% }/children"
	child=$(cat "/proc/${init% }/task/${init% }/children")
	refused namespace "$NS" dump -t "${child% }" -D "$IMG" -W "$WORK"
	[[ $output == *"images directory $IMG: it is not the same in the mount namespace"* ]]
	kill -KILL "${init% }"
	rm -rf "$DIR"
	# A pid namespace without a /proc of its own.
	start_program unshare -pf bash -c "sleep 1000; true"
	wait_for 5 grep -q . "/proc/$PID/task/$PID/children"
	init=$(cat "/proc/$PID/task/$PID/children")
	wait_for 5 grep -q . "/proc/${init% }/task/${init% }/children"
	child=$(cat "/proc/${init% }/task/${init% }/children")
	refused namespace "$NS" dump -t "${child% }" -D "$IMG" -W "$WORK"
	[[ $output == *"has no /proc of its pid namespace"* ]]
	kill -KILL "${init% }"
}
