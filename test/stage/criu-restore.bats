#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# criu-restore by itself: the plan, its options, and that nothing is left of a restore that fails or is killed.
load ../lib

# A dump of a small tree, whose processes are gone and reaped.
dumped()
{
	start_victim "${1:-tree}"
	PIDS=$(tree_of "$PID")
	dump
	# shellcheck disable=SC2086
	wait_for 10 gone $PIDS
}

R()
{
	"$BIN/criu-restore" -D "$IMG" -W "$WORK" -o restore.log "$LOG_LEVEL" "$@" 3>&-
}

# In the background; $! is the tool itself.
R_background()
{
	"$BIN/criu-restore" -D "$IMG" -W "$WORK" -o restore.log "$LOG_LEVEL" "$@" 3>&- &
}

nothing_left()
{
	# shellcheck disable=SC2086
	wait_for 5 gone $PIDS || { ps -o pid,ppid,stat,comm -p "$(echo $PIDS | tr ' ' ,)"; fail "processes are left"; }
	[ ! -e "$WORK/criu-restore.journal" ] || fail "the journal is left"
}

json()
{
	"$PYTHON" -c 'import json,sys; d=json.load(open(sys.argv[1])); print(eval(sys.argv[2], {"d": d}))' "$@"
}

@test "criu-restore: --plan tells who makes whom, as text and as JSON, and makes nothing" {
	dumped
	R -o - --plan >"$T/plan"
	grep -q "^$PID live" "$T/plan"
	grep -q "makes [0-9]* by fork" "$T/plan"
	R -o - -v0 --plan --json >"$T/plan.json"
	[ "$(json "$T/plan.json" 'd["tasks"][0]["pid"]')" = "$PID" ]
	[ "$(json "$T/plan.json" 'len(d["tasks"]) >= d["processes"]')" = True ]
	nothing_left
}

@test "criu-restore: pid file, stats-restore, restore.json; the images are not touched" {
	dumped
	find "$IMG" -type f -exec sha256sum {} + | sort >"$T/before"
	R -d --pidfile root.pid --display-stats >"$T/stats"
	[ "$(cat "$WORK/root.pid")" = "$PID" ]
	[ "$(stat -c %s "$WORK/root.pid")" = ${#PID} ]
	grep -q '^Pages restored: [1-9]' "$T/stats"
	"$BIN/crit" decode -i "$WORK/stats-restore" >"$T/stats.json"
	[ "$(json "$T/stats.json" 'all(k in d["entries"][0]["restore"] for k in ("pages_compared", "pages_skipped_cow", "forking_time", "restore_time"))')" = True ]
	[ "$(json "$WORK/restore.json" 'd["state"], d["pid"]')" = "('done', $PID)" ]
	grep -q 'Restore finished successfully. Tasks resumed.' "$WORK/restore.log"
	find "$IMG" -type f -exec sha256sum {} + | sort >"$T/after"
	diff "$T/before" "$T/after"
	victim_finish
}

@test "criu-restore: an old pid file is not overwritten, and nothing is left" {
	dumped
	echo old >"$WORK/root.pid"
	refused file-exists R -d --pidfile root.pid
	[ "$(cat "$WORK/root.pid")" = old ]
	nothing_left
}

@test "criu-restore: --leave-stopped, --restore-sibling" {
	dumped eventfd
	R -d -s
	grep -q '^State:.T' "/proc/$PID/status"
	# shellcheck disable=SC2046
	kill -CONT $(tree_of "$PID")
	wait_for 5 runs "$PID"
	victim_finish
	rm -f "$DIR/go"
	# A second time, from the same images, beside us: the shell between is the parent.
	# shellcheck disable=SC2086
	wait_for 10 gone $PIDS
	bash -c '"$0" "$@"; echo $$ >'"$T/parent; sed -n 's/^PPid:.//p' /proc/$PID/status >$T/ppid; kill -9 $PID; wait" \
		"$BIN/criu-restore" -D "$IMG" -W "$WORK" -o restore.log -d -S 3>&-
	[ "$(cat "$T/ppid")" = "$(cat "$T/parent")" ]
}

@test "criu-restore: waits for the root task without -d; --exec-cmd runs a command as its parent" {
	dumped eventfd
	R_background
	wait_for 10 grep -q 'Tasks resumed' "$WORK/restore.log"
	[ "$(sed -n 's/^PPid:.//p' "/proc/$PID/status")" = $! ]
	: >"$DIR/go"
	wait $!
	gone "$PID"
	rm "$DIR/go"
	# shellcheck disable=SC2086
	wait_for 10 gone $PIDS
	run R --exec-cmd -- sh -c "test \$(sed -n 's/^PPid:.//p' /proc/$PID/status) = \$\$ && kill -9 $PID; exit 7"
	[ "$status" = 7 ]
	# shellcheck disable=SC2086
	kill -9 $PIDS 2>/dev/null || :
}

@test "criu-restore: action scripts run in order; one that fails aborts the restore" {
	dumped
	cat >"$T/script" <<-EOF
		#!/bin/sh
		echo "\$CRTOOLS_SCRIPT_ACTION \${CRTOOLS_INIT_PID:-0}" >>$T/actions
		[ "\$CRTOOLS_SCRIPT_ACTION" != "$(: x)\$(cat $T/fail 2>/dev/null)" ]
	EOF
	chmod +x "$T/script"
	for action in pre-restore setup-namespaces post-restore; do
		echo $action >"$T/fail"
		run R -d --action-script "$T/script"
		[ "$status" = 1 ]
		grep -q '\[action-script\]' "$WORK/restore.log"
		[ "$(json "$WORK/restore.json" 'd["error"]["code"]')" = action-script ]
		nothing_left
	done
	rm "$T/fail" "$T/actions"
	R -d --action-script "$T/script"
	printf '%s\n' 'pre-restore 0' "setup-namespaces $PID" "post-setup-namespaces $PID" "post-restore $PID" "pre-resume $PID" \
		"post-resume $PID" | diff - "$T/actions"
	victim_finish
}

# A journal's lines from standard input, as a restore here writes it.
journal()
{
	: >"$WORK/.criu-restore.names"
	local birth
	birth=$(stat -c %.9W "$WORK/.criu-restore.names")
	{
		printf '%x %s j /\0\n' "${birth/./}" "$(stat -c %i "$WORK/.criu-restore.names")"
		cat
	} >>"$WORK/.criu-restore.names"
}

# entry PATH TYPE [INODE]
entry()
{
	printf '%x %s %s %s\0\n' "$(stat -c %d "$1")" "${3:-$(stat -c %i "$1")}" "$2" "$1"
}

@test "criu-restore --undo removes what a killed restore made, and nothing else" {
	mkdir "$T/ghost.dir" "$T/full.dir" "$T/empty.dir"
	touch "$T/name" "$T/other" "$T/full.dir/file" "$T/.cr.1f.0123456789abcdef.ghost" "$T/.cr.0x1f.0123456789abcdef.ghost" "$T/precious"
	{
		entry "$T/name" f
		entry "$T/other" f 1
		entry "$T/ghost.dir" d
		entry "$T/full.dir" d
		entry "$T/empty.dir" d 0
		printf '0 0 t %s\0\n' "$T/.cr.1f.0123456789abcdef.ghost" "$T/.cr.0x1f.0123456789abcdef.ghost" "$T/precious"
		printf '1 2 f relative\0\n'
		printf 'rubbish'
	} | journal
	run "$BIN/criu-restore" --undo -D "$IMG" -W "$WORK"
	echo "$output"
	[ "$status" = 0 ]
	[ ! -e "$T/name" ] && [ ! -e "$T/ghost.dir" ] && [ ! -e "$T/.cr.1f.0123456789abcdef.ghost" ]
	[ -e "$T/other" ] && [ -e "$T/full.dir/file" ] && [ -d "$T/empty.dir" ] && [ -e "$T/.cr.0x1f.0123456789abcdef.ghost" ]
	[ -e "$T/precious" ]
	[[ $output == *"$T/precious is not what a restore has made there: it is left alone"* ]]
	[ ! -e "$WORK/.criu-restore.names" ]
	# Nothing to do is no error.
	run "$BIN/criu-restore" --undo -D "$IMG" -W "$WORK"
	[ "$status" = 0 ]
	rm -rf "$T/full.dir" "$T/other"
}

@test "criu-restore: a journal that no restore here has made: left alone by --undo and a restore" {
	local kind names=$WORK/.criu-restore.names
	dumped
	echo precious >"$T/precious"
	# Each line is true.
	entry "$T/precious" f | journal
	cp -a "$names" "$T/copy"
	for kind in copied bare user link hardlink writable fifo; do
		rm -f "$names" "$T/other"
		case $kind in
		copied) cp -a "$T/copy" "$names" ;;
		bare) entry "$T/precious" f >"$names" ;;
		*) entry "$T/precious" f | journal ;;
		esac
		case $kind in
		user) chown 1000 "$names" ;;
		link) mv "$names" "$T/other" && ln -s "$T/other" "$names" ;;
		hardlink) ln "$names" "$T/other" ;;
		writable) chmod 666 "$names" ;;
		fifo) rm "$names" && mkfifo "$names" ;;
		esac
		run timeout 20 "$BIN/criu-restore" --undo -D "$IMG" -W "$WORK"
		echo "$kind: $status $output"
		[ "$status" = 0 ]
		[[ $output == *"others can write into it: what it names is left alone"* ]]
		[ -e "$names" ] && [ -e "$T/precious" ]
	done
	entry "$T/precious" f >"$T/bare"
	rm "$names" && cp "$T/bare" "$names"
	restore
	cmp "$T/bare" "$names"
	[ -e "$T/precious" ]
	rm "$names"
	# One that was only begun is none.
	printf '16f 12' >"$names"
	run "$BIN/criu-restore" --undo -D "$IMG" -W "$WORK"
	[ "$status" = 0 ] && [ -z "$output" ]
	[ ! -e "$names" ]
}

@test "criu-restore: deleted files, and a journal that no restore here has made: refused, nothing is left" {
	start_victim deleted ghost
	dump
	echo "1 2 f /nonexistent" | tr '\n' '\0' >"$WORK/.criu-restore.names"
	echo >>"$WORK/.criu-restore.names"
	cp "$WORK/.criu-restore.names" "$T/bare"
	refused dir-unwritable "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[[ $output == *"look at it and remove it, or name another directory with -W"* ]]
	cmp "$T/bare" "$WORK/.criu-restore.names"
	gone "$PID"
	run "$CRIU" restore --check-only -D "$IMG" -W "$WORK"
	[ "$status" = 1 ]
	[[ $output == *".criu-restore.names: it was not made by a restore here"* ]]
	rm "$WORK/.criu-restore.names"
	restore
	victim_finish
}

@test "criu-restore: no pid file stays of a restore that fails or is killed" {
	requires_command strace
	dumped
	mkdir "$T/small"
	mount -t tmpfs -o size=4k,nr_inodes=8 none "$T/small" || skip "no tmpfs"
	head -c 4096 /dev/zero >"$T/small/full"
	refused disk-full "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log --pidfile "$T/small/pid"
	local there=0
	[ ! -e "$T/small/pid" ] || there=1
	umount "$T/small"
	[ "$there" = 0 ]
	strace -qq -o /dev/null -P "$T/pid" -e trace=write -e inject=write:signal=KILL "$BIN/criu-restore" -d -D "$IMG" -W "$WORK" \
		--pidfile "$T/pid" 2>/dev/null && return 1
	wait_for 10 test ! -e "$T/pid"
	wait_for 10 gone "$PID"
	printf '#!/bin/sh\n[ $CRTOOLS_SCRIPT_ACTION != pre-resume ] || kill -KILL $CRTOOLS_INIT_PID\n' >"$T/script"
	chmod 755 "$T/script"
	run "$CRIU" restore -d -D "$IMG" -W "$WORK" --pidfile "$T/pid" --action-script "$T/script"
	echo "$output"
	[ "$status" = 1 ]
	[ ! -e "$T/pid" ]
	wait_for 10 gone "$PID"
	restore --pidfile "$T/pid"
	[ "$(cat "$T/pid")" = "$PID" ]
}

@test "criu-restore: --exec-cmd with what cannot be executed" {
	dumped
	run "$CRIU" restore -D "$IMG" -W "$WORK" --exec-cmd -- /tmp
	[ "$status" != 0 ]
	[[ $output == *"there is no program /tmp"* ]]
	gone "$PID"
	printf '#!/nonexistent\n' >"$T/script"
	chmod 755 "$T/script"
	run "$CRIU" restore -D "$IMG" -W "$WORK" --exec-cmd -- "$T/script"
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *"the tree is restored and runs: its root is process $PID"* ]]
	[[ $output != *FAILED* ]]
	runs "$PID"
}

@test "criu-restore: a pid that is taken: its holder is named" {
	dumped
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		echo $((PID - 1)) >/proc/sys/kernel/ns_last_pid
		sleep 100 3>&- &
		[ $! = "$PID" ] && break
		kill -KILL $! # a shell that has not become sleep yet forgets other signals
	done
	[ $! = "$PID" ] || skip "pid $PID is not to be had"
	run R -d
	kill $!
	[ "$status" = 1 ]
	grep -q "pid $PID: it is in use by sleep (process $PID: \"sleep 100\", parent .*\[pid-taken\]" "$WORK/restore.log"
}

@test "criu-restore: all pids that are taken are told at once: by whom, as what, since when" {
	start_program bash -c 'for i in 1 2 3 4; do sleep 1000 & done; wait'
	wait_for 5 eval '[ "$(tree_of "$PID" | wc -l)" = 5 ]'
	dump
	pids=$(jq -r '.tree[].pid' "$IMG/manifest.json" | tr '\n' ' ')
	hows='process thread group session zombie'
	# shellcheck disable=SC2086
	set -- $pids
	args=''
	for how in $hows; do
		args="$args $1:$how"
		shift
	done
	# shellcheck disable=SC2086
	"$VICTIMS/taker" $args 3>&- >"$T/taker" &
	taker=$!
	wait_for 10 has_line "$T/taker" ready || fail "$(cat "$T/taker")"
	refused pid-taken "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log "$LOG_LEVEL"
	grep '\[pid-taken\]' "$WORK/restore.log" >"$T/lines"
	[ "$(wc -l <"$T/lines")" = 5 ]
	started=" started $(date +%Y)-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9])"
	set -- "it is in use by taker (process " "it is a thread of taker (process $taker: " "it is the process group of taker (process " \
		"it is the session of taker (process " "it is in use by the zombie taker (process "
	for pid in $pids; do
		grep -q "pid $pid: $1.*parent.*$started" "$T/lines" || fail "pid $pid: $1"
		shift
	done
	grep -q "process $taker (taker) must reap it" "$T/lines"
	grep -q "criu-ns restore" "$T/lines"
	[ "$(jq -r '.pid_conflicts[] | "\(.pid):\(.used_as)\(if .state == "Z" then " zombie" else "" end)"' "$WORK/restore.json" | sort)" = \
		"$(sed 's/ /\n/g; s/:zombie/:process zombie/; s/:group/:process group/' <<<"${args# }" | sort)" ]
	jq -e --arg c "$VICTIMS/taker" '.error.code == "pid-taken" and (.failures | length) == 5 and
		all(.pid_conflicts[]; .comm == "taker" and (.started | length) == 19 and (.state == "Z" or (.command | startswith($c))))' "$WORK/restore.json"
	# shellcheck disable=SC2046
	set -- $taker $(jq -r '.pid_conflicts[].process' "$WORK/restore.json" | sort -u)
	kill -KILL "$@" 2>/dev/null || true
	wait_for 5 gone "$@"
	restore
	kill -KILL "$PID"
}

@test "criu-restore: broken images: nothing is left, the error names the image" {
	dumped
	good=$IMG
	pages=$(cd "$IMG" && stat -c '%s %n' pages-*.img | sort -n | tail -n 1 | cut -d' ' -f2)
	for broken in "$pages" "mm-$PID.img" "core-$PID.img" pstree.img files.img; do
		IMG=$T/broken
		rm -rf "$IMG"
		cp -r "$good" "$IMG"
		rm -f "$IMG/manifest.json"
		truncate -s $(($(stat -c %s "$IMG/$broken") / 2)) "$IMG/$broken"
		run R -d
		[ "$status" = 2 ] || { tail "$WORK/restore.log"; fail "$broken: exit status $status"; }
		grep -q "Error.*$broken" "$WORK/restore.log" || { tail "$WORK/restore.log"; fail "$broken is not named"; }
		[ "$(json "$WORK/restore.json" 'd["state"]')" = failed ]
		nothing_left
	done
	IMG=$good
	R -d
	victim_finish
}

@test "criu-restore: killed at any moment, nothing is left" {
	dumped
	complete=0
	for i in $(seq 1 30); do
		rm -f "$WORK/restore.log"
		R_background -d
		sleep "0.00$((i % 9))$((i % 7))"
		kill -KILL $! 2>/dev/null || :
		wait $! 2>/dev/null || :
		if grep -q 'letting go' "$WORK/restore.log" 2>/dev/null; then
			# It was over, or in its very last step: at most the whole tree runs.
			complete=$((complete + 1))
			# shellcheck disable=SC2086
			kill -KILL $PIDS 2>/dev/null || :
		fi
		nothing_left
	done
	echo "# $complete of 30 were complete"
	R -d
	# shellcheck disable=SC2086
	for pid in $PIDS; do
		[ -d "/proc/$pid" ] || fail "process $pid is missing"
	done
}

@test "criu-restore: a dump that was not sealed, a directory without one" {
	dumped
	rm "$IMG/inventory.img"
	run R -d
	[ "$status" = 2 ]
	EXIT=2 refused no-checkpoint "$BIN/criu-restore" -D "$T" -W "$WORK" -d
	nothing_left
}

@test "criu-restore: a program that ends while its other threads are let go" {
	start_victim quick-end
	PIDS=$(tree_of "$PID")
	dump
	: >"$DIR/go"
	for option in -d '' -d ''; do
		# shellcheck disable=SC2086
		run timeout 20 "$BIN/criu-restore" $option -D "$IMG" -W "$WORK" -o restore.log -v4
		[ "$status" = 0 ] || fail "status $status"
		nothing_left
	done
}
