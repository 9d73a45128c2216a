#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# criu-pages by hand on a held tree: contents, what is left out, a full file system, start-ahead.
load ../lib

hold()
{
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&-
	CRIU_LOG_OPEN=1 "$BIN/criu-collect" -D "$IMG" -W "$WORK" -o dump.log -v4
}

pages()
{
	CRIU_LOG_OPEN=1 "$BIN/criu-pages" -D "$IMG" -W "$WORK" -o dump.log -v4
}

teardown()
{
	! mountpoint -q "$IMG" || umount -l "$IMG"
	common_teardown
}

thaw()
{
	"$BIN/criu-freeze" thaw -D "$IMG" -W "$WORK"
	unharmed_end
	rm -rf "$IMG/.stage"
}

# A file without a name that is 32 MiB long.
allocated()
{
	[ "$(find "/proc/$1/fd" -lname "$IMG/*(deleted)" -exec stat -Lc %s {} + | sort -n | tail -n 1)" -ge $((32 << 20)) ]
}

check_pages()
{
	"$PYTHON" "$BATS_TEST_DIRNAME/check-pages.py" "$BIN/crit" "$IMG" "$1"
}

@test "the memory of a task, of every ordinary sort" {
	VICTIM=environment start_victim memory argument
	unharmed_begin
	hold
	pages
	for pid in $(tree_of "$PID"); do
		check_pages "$pid"
	done
	thaw
	victim_finish
}

@test "shared segments are written once" {
	VICTIM=environment start_victim memory argument
	unharmed_begin
	hold
	pages
	for f in "$IMG"/pagemap-shmem-*.img; do
		[ -e "$f" ] || fail "there is no shared segment"
		id=$("$BIN/crit" decode -i "$f" | jq '.entries[0].pages_id')
		want=$("$BIN/crit" decode -i "$f" | jq '[.entries[1:][].nr_pages] | add // 0')
		[ "$(stat -c %s "$IMG/pages-$id.img")" = $((want * 4096)) ] || fail "$f: pages-$id.img has another size"
	done
	thaw
	victim_finish
}

@test "counts for stats-dump stand in the manifest" {
	start_program sleep 1000
	unharmed_begin
	hold
	pages
	n=$(check_pages "$PID")
	[ "$(jq '.stages[] | select(.name == "criu-pages") | .. | .pages_written? // empty' "$IMG/manifest.json")" = "$n" ]
	thaw
}

@test "without a holder it says so" {
	refused not-held "$BIN/criu-pages" -D "$IMG" -W "$WORK"
	[ -z "$(ls -A "$IMG")" ] || fail "something was written"
}

@test "a full file system: the message names the file, and none is left" {
	requires_root
	start_program "$PYTHON" -c 'import os, time
x = os.urandom(8 << 20)
print("big", flush=True)
time.sleep(1000)'
	wait_for 10 grep -q big "$DIR/out.txt"
	unharmed_begin
	mount -t tmpfs -o size=2m,mode=755 img "$IMG"
	hold
	refused dir-full pages
	[[ $output == *pages-1.img* ]] || fail "the message does not name the file"
	[ -z "$(find "$IMG" -name '*pages*')" ] || fail "left: $(find "$IMG" -name '*pages*')"
	jq -e '.error.code == "dir-full"' "$IMG/manifest.json"
	thaw
	umount "$IMG"
}

@test "start-ahead: the pages file is made before and cut to its size" {
	start_program "$PYTHON" -c 'import os, time
x = os.urandom(32 << 20)
print("big", flush=True)
time.sleep(1000)'
	wait_for 10 grep -q big "$DIR/out.txt"
	unharmed_begin
	CRIU_LOG_OPEN=1 "$BIN/criu-pages" --wait -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&- &
	stage=$!
	wait_for 10 allocated "$stage"
	hold
	CRIU_LOG_OPEN=1 "$BIN/criu-parasite" -D "$IMG" -W "$WORK" -o dump.log -v4
	wait "$stage"
	[ "$(check_pages "$PID")" -ge 8192 ]
	thaw
}

@test "killed at any moment it leaves the tree as it was, and the next run writes all" {
	start_program "$PYTHON" -c 'import os, time
x = os.urandom(64 << 20)
print("big", flush=True)
time.sleep(1000)'
	wait_for 10 grep -q big "$DIR/out.txt"
	unharmed_begin
	hold
	for ms in 01 03 10 20; do
		CRIU_LOG_OPEN=1 "$BIN/criu-pages" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&- &
		stage=$!
		sleep 0.0"$ms"
		kill -KILL "$stage" 2>/dev/null || true # it may have ended
		wait "$stage" || true
	done
	rm -f "$IMG"/pages-* "$IMG"/pagemap-* "$IMG"/.pages-* "$IMG"/.pagemap-*
	pages
	check_pages "$PID"
	thaw
}
