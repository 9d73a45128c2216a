#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What is sealed stays whole, or the tree is not ended; a directory belongs to one dump.
load ../lib

freeze()
{
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" 3>&-
}

verb()
{
	"$BIN/criu-freeze" "$@" -D "$IMG" -W "$WORK"
}

stages()
{
	for tool in criu-collect criu-parasite criu-pages; do
		"$BIN/$tool" -D "$IMG" -W "$WORK" || return
	done
}

held()
{
	! grep -q '^TracerPid:[[:space:]]0' "/proc/${1:-$PID}/status"
}

runs_untraced()
{
	held "$1" && fail "task $1 is held"
	return 0
}

says()
{
	[[ $output == *"$1"* ]] || fail "no such message: $1"
}

# is_refused CODE COMMAND...: and the tree is still held.
is_refused()
{
	local code=$1
	shift
	run "$@"
	echo "$output"
	[ "$status" -ne 0 ]
	says "[$code]"
	held
}

sums()
{
	(cd "$IMG" && sha256sum -- *.img manifest.json)
}

@test "seal twice, then end: one checkpoint" {
	start_program sleep 1000
	freeze
	stages
	verb seal
	sums >"$T/before"
	verb seal
	sums | diff "$T/before" -
	verb end
	wait_for 5 gone "$PID"
	check_images
	restore
}

@test "a stage after the seal changes nothing" {
	start_program sleep 1000
	freeze
	stages
	verb seal
	sums >"$T/before"
	for tool in criu-collect criu-parasite criu-pages; do
		is_refused dir-has-checkpoint "$BIN/$tool" -D "$IMG" -W "$WORK"
		is_refused dir-has-checkpoint bash -c 'ulimit -f 0; exec "$@"' - "$BIN/$tool" -D "$IMG" -W "$WORK"
	done
	sums | diff "$T/before" -
	verb kill
	wait_for 5 gone "$PID"
	check_images
}

@test "kill looks whether the checkpoint is there: its last image, its list, its state" {
	start_program sleep 1000
	freeze
	stages
	verb seal
	mkdir "$T/kept"
	cp -a "$IMG"/*.* "$T/kept"
	back()
	{
		cp -a "$T/kept"/*.* "$IMG"
	}
	rm "$IMG/inventory.img"
	is_refused image-missing verb kill
	: >"$IMG/inventory.img"
	is_refused image-truncated verb kill
	back
	jq 'del(.files)' "$T/kept/manifest.json" >"$IMG/manifest.json"
	is_refused image-missing verb kill
	jq '.files=[]' "$T/kept/manifest.json" >"$IMG/manifest.json"
	is_refused image-missing verb kill
	jq '.state="open"' "$T/kept/manifest.json" >"$IMG/manifest.json"
	is_refused not-sealed verb kill
	rm "$IMG/manifest.json"
	is_refused no-checkpoint verb kill
	says "let the tree run, and make the dump again: criu-freeze thaw -D DIR"
	back
	verb kill
	wait_for 5 gone "$PID"
	restore
}

@test "a manifest that somebody made forget the images" {
	start_program sleep 1000
	freeze
	stages
	jq '.stages[].files=[] | del(.stages[].sizes)' "$IMG/manifest.json" >"$T/m"
	cp "$T/m" "$IMG/manifest.json"
	rm "$IMG/core-$PID.img"
	is_refused image-missing verb end
	verb thaw
}

@test "a post-dump script that takes an image away: the dump fails, the tree runs" {
	start_victim threads
	unharmed_begin
	cat >"$T/script" <<END
#!/bin/sh
[ "\$CRTOOLS_SCRIPT_ACTION" != post-dump ] || mv $IMG/core-$PID.img $T
env >$T/env
END
	chmod 755 "$T/script"
	run "$CRIU" dump -t "$PID" -D "$IMG" --action-script "$T/script" 3>&-
	echo "$output"
	[ "$status" -eq 1 ]
	says "core-$PID.img: it was sealed"
	grep CRTOOLS_IMAGE_DIR "$T/env"
	grep CRIU_LOG_OPEN "$T/env" && fail "the script is taken for a tool of the wrapper"
	unharmed_end
	victim_finish
}

@test "a dump into a directory that another tree is held for: refused, and that one is not touched" {
	start_program sleep 1000
	local other sealed
	other=$(setsid sleep 1000 >/dev/null 2>&1 3>&- <&- & echo $!)
	freeze
	stages
	for sealed in no yes; do
		[ $sealed = no ] || verb seal
		sums >"$T/before"
		for _ in 1 2 3; do
			is_refused dir-busy "$CRIU" dump -t "$other" -D "$IMG" -W "$WORK"
			runs_untraced "$other"
			sums | diff "$T/before" -
		done
		# As the wrapper does when it is interrupted.
		CRIU_LOG_OPEN=1 CRIU_INTERRUPTED=TERM "$BIN/criu-freeze" thaw --lease $$ -t "$other" -D "$IMG" -W "$WORK"
		held
		sums | diff "$T/before" -
		# A stage that waits for another dump's tree does not take this one for it.
		"$BIN/criu-collect" --wait --lease "$other" -D "$IMG" -W "$WORK" 3>&- &
		local waits=$!
		wait "$waits" && fail "it took the other tree for its own"
		sums | diff "$T/before" -
	done
	kill "$other"
	verb kill
	wait_for 5 gone "$PID"
	restore
}

@test "two dumps into one directory at once: one is made, the other refused or made after it" {
	local i first second codes
	start_program sleep 1000
	first=$PID
	start_program sleep 1000
	second=$PID
	for ((i = 0; i < ${DUMP_PAIRS:-6}; i++)); do
		codes=(0 0)
		"$CRIU" dump -R -t "$first" -D "$IMG" -W "$WORK" -o first.log 3>&- &
		local a=$!
		sleep "0.0$((i % 10))"
		"$CRIU" dump -R -t "$second" -D "$IMG" -W "$WORK" -o second.log 3>&- &
		local b=$!
		wait $a || codes[0]=$?
		wait $b || codes[1]=$?
		echo "# ${codes[*]}"
		cat "$WORK"/*.log
		[ "${codes[0]}" = 0 ] || [ "${codes[1]}" = 0 ]
		grep Error "$WORK"/*.log | grep -vE '\[dir-busy\]|FAILED' && fail "one has disturbed the other"
		"$BIN/crit" verify --quiet "$IMG"
		[ ! -e "$IMG/.stage" ]
	done
	runs_untraced "$first"
	runs_untraced "$second"
}

@test "a checkpoint of another tree, copied to where a tree is held: not taken for one of it" {
	local other
	start_program sleep 1000
	other=$PID
	mkdir "$T/old"
	"$CRIU" dump -R -t "$other" -D "$T/old" -W "$WORK" 3>&-
	freeze
	stages
	cp -a "$T/old"/*.* "$IMG"
	is_refused not-sealed verb seal
	says "it is of another dump than that of holder"
	is_refused not-sealed verb kill
	is_refused not-sealed verb end
	verb thaw
	start_program sleep 1000
	rm -rf "$IMG"
	mkdir "$IMG"
	freeze
	cp -a "$T/old"/*.* "$IMG"
	is_refused not-sealed verb end
	verb thaw
}

@test "the holder of another directory, in the work directory: not asked" {
	local other
	start_program sleep 1000
	other=$PID
	mkdir "$T/other"
	"$BIN/criu-freeze" -t "$other" -D "$T/other" -W "$T/other" 3>&-
	for verb in status seal end kill thaw; do
		run "$BIN/criu-freeze" $verb -D "$IMG" -W "$T/other"
		[ "$status" -eq 1 ]
		says "[not-held]"
		held "$other"
	done
	"$BIN/criu-freeze" thaw -D "$T/other"
}

@test "crit edit while a stage ends: neither loses what the other noted" {
	requires_command strace
	start_program sleep 1000
	freeze
	"$BIN/criu-collect" -D "$IMG" -W "$WORK"
	"$BIN/criu-parasite" -D "$IMG" -W "$WORK"
	strace -f -qq -o "$T/strace" -e trace=flock -e inject=flock:delay_enter=500000 \
		"$BIN/crit" edit "$IMG/core-$PID.img" tc.comm=longer-name 3>&- &
	local edit=$!
	wait_for 10 grep -q flock "$T/strace"
	"$BIN/criu-pages" -D "$IMG" -W "$WORK"
	wait "$edit"
	verb end
	wait_for 5 gone "$PID"
	check_images
}

@test "end refused by hand: the holder keeps the tree, and nothing is said of its death" {
	start_program "$PYTHON" -c 'import os, time
for i in range(8):
    if not os.fork(): break
print("up", flush=True)
time.sleep(1000)'
	wait_for 5 has_line "$DIR/out.txt" up
	freeze
	is_refused not-sealed verb end
	[[ $output != *"memory of a holder"* ]]
	verb thaw
}

@test "thaw -t of a task that a dump has left stopped: told how it goes on" {
	start_program sleep 1000
	"$CRIU" dump -s -t "$PID" -D "$IMG" -W "$WORK" 3>&-
	run "$BIN/criu-freeze" thaw -t "$PID" -D "$T"
	echo "$output"
	[ "$status" -eq 1 ]
	says "nobody holds it, but it is stopped (let it go on: after a dump with -s by criu-freeze cont -D DIR, else by kill -CONT $PID)"
	verb cont
	run "$CRIU" dump --lease 1 -t "$PID" -D "$IMG" -W "$WORK" 3>&-
	[ "$status" -eq 1 ]
	says "--lease is for criu-freeze alone"
}
