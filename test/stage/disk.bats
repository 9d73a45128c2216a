#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Images directories that are full, slow, read-only, shared by two dumps, or without what a local file system has; and what a power
# loss leaves.
load ../lib

setup()
{
	common_setup
	requires_root
}

teardown()
{
	local m
	for m in $(awk -v t="$T/" 'index($5, t) == 1 { print $5 }' /proc/self/mountinfo | sort -r); do
		umount "$m"
	done
	common_teardown
}

tmpfs()
{
	mkdir -p "$1"
	mount -t tmpfs -o "mode=700,$2" sweep "$1"
}

# A dump that fails and says why, and the tree runs as if nothing had been.
full_dump()
{
	refused_dump dir-full
	unharmed_end
	[ ! -e "$IMG/.stage" ] && [ ! -e "$IMG/.holder" ]
	# The directory itself says what became of the dump, unless there was not even room to begin.
	if [ -e "$IMG/manifest.json" ]; then
		[ "$(jq -r '"\(.state) \(.error.code)"' "$IMG/manifest.json")" = 'failed dir-full' ] || {
			cat "$IMG/manifest.json"
			fail "the manifest does not say it"
		}
	fi
}

@test "a full file system, whatever room there is: refused by name, in the manifest too; with enough it is dumped" {
	VICTIM=environment start_victim memory argument
	unharmed_begin
	for kib in 8 16 24 32 40 48 64 96 128 160 224 320 512 1024; do
		IMG=$T/full.$kib
		tmpfs "$IMG" "size=${kib}k"
		full_dump
		umount "$IMG"
	done
	IMG=$T/enough
	tmpfs "$IMG" size=64m
	dump
	restore
	victim_finish
}

@test "a full file system that holds the log as well" {
	VICTIM=environment start_victim memory argument
	unharmed_begin
	IMG=$T/full
	tmpfs "$IMG" size=64k
	run "$CRIU" dump -t "$PID" -D "$IMG" -o dump.log -v4
	[ "$status" = 1 ]
	unharmed_end
	[ "$(jq -r '"\(.state) \(.error.code)"' "$IMG/manifest.json")" = 'failed dir-full' ]
	victim_finish
}

@test "no more inodes: refused by name" {
	start_victim threads
	unharmed_begin
	for inodes in 2 3 4 6 10 16; do
		IMG=$T/inodes.$inodes
		tmpfs "$IMG" "size=16m,nr_inodes=$inodes"
		full_dump
		umount "$IMG"
	done
	victim_finish
}

@test "a read-only directory is refused before anything stops; a read-only parent is no matter" {
	start_victim threads
	unharmed_begin
	IMG=$T/ro
	tmpfs "$IMG" size=16m
	mount -o remount,ro "$IMG"
	refused_dump dir-unwritable
	unharmed_end
	umount "$IMG"
	tmpfs "$T/parent" size=1m
	mkdir "$T/parent/img"
	IMG=$T/parent/img
	tmpfs "$IMG" size=16m
	mount -o remount,ro "$T/parent"
	dump
	restore
	victim_finish
}

# bindfs: a file system in user space over a directory: no O_TMPFILE, and a write that takes its time.
behind_fuse()
{
	requires_command bindfs
	[ -c /dev/fuse ] || skip "no /dev/fuse"
	mkdir -p "$T/behind" "$T/net"
	# Its server is not of this test's session, and is told by its mount.
	env -u CR_TEST_ID bindfs "$@" "$T/behind" "$T/net" 3>&- >/dev/null 2>&1 || skip "FUSE cannot be mounted here"
	IMG=$T/net
}

@test "a file system without O_TMPFILE (as NFS)" {
	behind_fuse
	run "$PYTHON" -c 'import os, sys
os.open(sys.argv[1], os.O_TMPFILE | os.O_RDWR)' "$IMG"
	[ "$status" != 0 ]
	VICTIM=environment start_victim memory argument
	dump
	restore
	victim_finish
}

@test "a slow file system: the dump takes its time and succeeds" {
	behind_fuse --write-rate=1M
	VICTIM=environment start_victim memory argument
	dump
	restore
	victim_finish
}

@test "syncs that take seconds: the tree stays held, the dump succeeds" {
	start_victim threads
	run "$BUILD/test/sweep/inject" -t 120 -s fsync:1:12000 -- "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log "$LOG_LEVEL" 3>&-
	echo "$output"
	[ "$status" = 0 ]
	wait_for 5 gone "$PID"
	check_images
	restore
	victim_finish
}

durable()
{
	"$PYTHON" "$TOP/test/sweep/durable.py" "$T/record" "$IMG" "$@"
}

recorded_dump()
{
	"$BUILD/test/sweep/inject" -t 120 -o "$T/record" -- "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log "$LOG_LEVEL" "$@" 3>&-
	wait_for 5 gone "$PID"
	check_images
}

@test "power loss: every byte and every name is on disk before the tree is ended" {
	VICTIM=environment start_victim memory argument
	recorded_dump
	durable
	[ "$(jq .synced "$IMG/manifest.json")" = true ]
	restore
	victim_finish
	# The check can fail: without the syncs it does.
	grep -vE ' (fsync|syncfs) ' "$T/record" >"$T/record.none"
	run "$PYTHON" "$TOP/test/sweep/durable.py" "$T/record.none" "$IMG"
	[ "$status" != 0 ]
}

@test "power loss: so many images that the file system is synced as a whole" {
	start_victim many-tasks 20
	[ "$(tree_of "$PID" | wc -l)" -ge 20 ]
	recorded_dump
	grep -q ' syncfs ' "$T/record"
	durable
	restore
	victim_finish
}

@test "--no-sync: nothing is synced, and the manifest says so" {
	start_victim threads
	recorded_dump --no-sync
	durable --no-sync
	[ "$(jq .synced "$IMG/manifest.json")" = false ]
	restore
	victim_finish
}

@test "two dumps into one directory at once: one is refused and names the other" {
	start_program sleep 1000
	first=$PID
	start_program sleep 1001
	second=$PID
	for i in 1 2 3 4 5 6 7 8 9 10; do
		"$BIN/criu-freeze" -t "$first" -D "$IMG" -W "$WORK" 3>&- 2>"$T/1" &
		one=$!
		"$BIN/criu-freeze" -t "$second" -D "$IMG" -W "$WORK" 3>&- 2>"$T/2" &
		two=$!
		a=0 b=0
		wait $one || a=$?
		wait $two || b=$?
		[ "$a$b" = 01 ] || [ "$a$b" = 10 ] || { cat "$T/1" "$T/2"; fail "round $i: $a $b"; }
		grep -qE '(process|holder) [1-9][0-9]* .*\[dir-busy\]' "$T/1" "$T/2" || { cat "$T/1" "$T/2"; fail "round $i: who is it?"; }
		held=$([ $a = 0 ] && echo "$first" || echo "$second")
		[ "$("$BIN/criu-freeze" status --json -D "$IMG" | jq .root)" = "$held" ]
		"$BIN/criu-freeze" thaw -D "$IMG" -W "$WORK"
		[ ! -e "$IMG/.stage" ] && [ ! -e "$IMG/.holder" ]
	done
	runs "$first" && runs "$second"
}

@test "a dump begins while an action script of another holds the directory: refused, and the first comes to its end" {
	start_program sleep 1000
	first=$PID
	start_program sleep 1001
	cat >"$T/slow" <<-'END'
		#!/bin/sh
		[ "$CRTOOLS_SCRIPT_ACTION" = pre-dump ] || exit 0
		: >"$MARK"; while [ -e "$MARK" ]; do sleep 0.02; done
	END
	chmod 755 "$T/slow"
	MARK=$T/mark "$CRIU" dump -t "$first" -D "$IMG" -W "$WORK" -o first.log --action-script "$T/slow" 3>&- &
	dump=$!
	wait_for 10 test -e "$T/mark"
	refused_dump dir-busy
	grep -q 'process [1-9][0-9]* begins a dump in it' "$WORK/dump.log"
	rm "$T/mark"
	wait $dump
	wait_for 5 gone "$first"
	check_images
	runs "$PID"
}
