#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Bad input: one clear message with object, reason and remedy, the right exit code, an error in manifest.json or restore.json, the
# tree still running (dump) or nothing left behind (restore).
load ../lib

# The error stands in the record too, with all its members.
recorded()
{
	jq -e --arg code "$2" '.error | .code == $code and (.object | length > 0) and (.reason | length > 0) and (.remedy | length > 0)' "$1" >/dev/null ||
		{ jq .error "$1"; fail "$1 has no error $2"; }
}

refused_restore()
{
	local name=$1
	shift
	tree_before=$(find "$IMG" -printf '%p %s %T@\n' | sort)
	refused "$name" "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log -v4 "$@"
	[ "$(find "$IMG" -printf '%p %s %T@\n' | sort)" = "$tree_before" ] || fail "the restore wrote into the image directory"
	recorded "$WORK/restore.json" "$name"
}

make_checkpoint()
{
	start_program sleep 1000
	dump "$@"
}

# Its own exit code, by the tool itself.
restore_code()
{
	run "$BIN/criu-restore" -d -D "$IMG" -W "$WORK"
	[ "$status" = "$1" ] || { echo "$output"; fail "criu-restore ended with $status, not $1"; }
}

@test "no such pid" {
	PID=4194303
	refused no-such-task "$CRIU" dump -t $PID -D "$IMG" -W "$WORK" -o dump.log
	recorded "$IMG/manifest.json" no-such-task
	run "$BIN/criu-freeze" -t $PID -D "$IMG"
	[ "$status" = 1 ]
}

@test "a thread's id instead of a pid" {
	start_victim threads
	tid=$(find "/proc/$PID/task" -mindepth 1 -maxdepth 1 -printf '%f\n' | grep -vx "$PID" | head -n 1)
	refused pid-of-thread "$CRIU" dump -t "$tid" -D "$IMG" -W "$WORK" -o dump.log
	runs "$PID"
}

@test "a task that another tracer holds" {
	start_program sleep 1000
	"$PYTHON" -c 'import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
assert libc.ptrace(0x4206, int(sys.argv[1]), 0, 0) == 0
print("held", flush=True)
time.sleep(1000)' "$PID" >"$T/tracer" 3>&- &
	tracer=$!
	wait_for 5 grep -q held "$T/tracer"
	refused task-traced "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log
	[[ $output == *"$tracer (python"* ]] || fail "the message does not name the tracer"
	recorded "$IMG/manifest.json" task-traced
	kill "$tracer"
	wait "$tracer" || true
	wait_for 5 runs "$PID"
}

@test "a task traced by a task of the tree (A12)" {
	start_victim refuse traced
	refused_dump tracer-in-tree
	recorded "$IMG/manifest.json" tracer-in-tree
	grep -q '^State:.*[SR] ' "/proc/$PID/status"
	victim_finish
}

@test "a kernel thread" {
	kthread=$(ps -o pid= --ppid 2 | head -n 1 | tr -d ' ')
	[ -n "$kthread" ] || skip "no kernel threads are visible here"
	refused kernel-thread "$CRIU" dump -t "$kthread" -D "$IMG" -W "$WORK" -o dump.log
	recorded "$IMG/manifest.json" kernel-thread
}

@test "ourselves inside the tree" {
	cat >"$T/script" <<-END
		"$CRIU" dump -t \$\$ -D "$IMG" -W "$WORK" -o dump.log 3>&-
		echo "status \$?" >"$T/status"
	END
	setsid bash "$T/script" </dev/null 3>&-
	[ "$(cat "$T/status")" = "status 1" ]
	grep -q '\[self-in-tree\]' "$WORK/dump.log"
	recorded "$IMG/manifest.json" self-in-tree
}

@test "the root belongs to another session" {
	start_program bash -c 'sleep 1000 & echo "child $!"; wait'
	wait_for 5 grep -q child "$DIR/out.txt"
	root=$PID
	PID=$(awk '/^child/ {print $2}' "$DIR/out.txt")
	unharmed_begin
	refused_dump session-outside
	[[ $output == *--shell-job* ]]
	unharmed_end
	PID=$root
}

@test "an image directory that is missing" {
	start_program sleep 1000
	refused dir-missing "$CRIU" dump -t "$PID" -D "$T/none"
	[[ $output == *"$T/none"* ]]
	refused dir-missing "$CRIU" restore -D "$T/none"
	runs "$PID"
}

@test "an image directory that cannot be written" {
	start_program sleep 1000
	chattr +i "$IMG" 2>/dev/null || skip "chattr +i does not work here"
	unharmed_begin
	run "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log
	chattr -i "$IMG"
	[ "$status" = 1 ]
	grep -q '\[dir-unwritable\]' "$WORK/dump.log"
	unharmed_end
}

@test "an image directory whose file system is full" {
	start_program "$PYTHON" -c 'import time; x = bytearray(b"x" * 8000000); print("ready", flush=True); time.sleep(1000)'
	wait_for 5 has_line "$DIR/out.txt" ready
	mount -t tmpfs -o size=2m criu-test "$IMG"
	unharmed_begin
	run "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log
	[ ! -e "$IMG/inventory.img" ]
	cp "$IMG/manifest.json" "$T/manifest.json"
	umount "$IMG"
	recorded "$T/manifest.json" dir-full
	[ "$status" = 1 ]
	grep -q '\[dir-full\]' "$WORK/dump.log" || fail "no dir-full"
	unharmed_end
}

@test "a limit on the size of files: the reason is told" {
	start_program "$PYTHON" -c 'import time; x = bytearray(b"x" * 8000000); print("ready", flush=True); time.sleep(1000)'
	wait_for 5 has_line "$DIR/out.txt" ready
	unharmed_begin
	refused dir-full bash -c 'ulimit -f 1000; exec "$@"' - "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log
	[[ $output == *"ulimit -f"* ]]
	recorded "$IMG/manifest.json" dir-full
	unharmed_end
}

@test "no standard descriptors: dump and restore as ever" {
	start_program sleep 1000
	"$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -v4 3>&- <&- >&- 2>&-
	check_images
	wait_for 5 gone "$PID"
	"$CRIU" restore -d -D "$IMG" -W "$WORK" -v4 3>&- <&- >&- 2>&-
	runs "$PID"
}

@test "a directory that holds a checkpoint: criu-freeze by hand refuses, --force and criu dump replace it" {
	make_checkpoint -R
	run "$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK"
	[ "$status" = 1 ]
	[[ $output == *dir-has-checkpoint* && $output == *--force* ]]
	[ -e "$IMG/inventory.img" ]
	runs "$PID"
	dump
}

@test "a descriptor of a kind that cannot be carried" {
	start_victim fdkind inotify
	unharmed_begin
	refused_dump fd-kind
	recorded "$IMG/manifest.json" fd-kind
	unharmed_end
}

@test "all reasons are told, not the first alone" {
	start_program "$PYTHON" -c 'import ctypes, time
libc = ctypes.CDLL(None)
libc.inotify_init1(0); libc.fanotify_init(0, 0)
print("ready", flush=True); time.sleep(1000)'
	wait_for 5 has_line "$DIR/out.txt" ready
	refused_dump fd-kind
	[ "$(grep -c '\[fd-kind\]' "$WORK/dump.log")" -ge 2 ]
}

@test "a restore from an image directory that is read-only, with a work directory and without" {
	make_checkpoint
	mount --bind "$IMG" "$IMG"
	mount -o remount,bind,ro "$IMG"
	restore
	kill -KILL "$PID"
	wait_for 5 gone "$PID"
	run "$CRIU" restore -d -D "$IMG"
	umount "$IMG"
	[ "$status" = 0 ] || { echo "$output"; return 1; }
	[ -d "/proc/$PID" ]
}

@test "a directory without a checkpoint" {
	refused_restore no-checkpoint
	restore_code 2
}

@test "an unfinished dump" {
	make_checkpoint
	jq '.state = "open"' "$IMG/manifest.json" >"$T/m" && cp "$T/m" "$IMG/manifest.json"
	refused_restore not-sealed
	restore_code 2
}

@test "a truncated image, at every length of a small one" {
	make_checkpoint
	size=$(stat -c %s "$IMG/pstree.img")
	cp "$IMG/pstree.img" "$T/whole"
	for ((n = 0; n < size; n += 3)); do
		head -c "$n" "$T/whole" >"$IMG/pstree.img"
		run "$BIN/criu-restore" -d -D "$IMG" -W "$WORK"
		[ "$status" = 2 ] || { echo "$output"; fail "cut at $n: status $status"; }
		gone "$PID"
	done
	head -c $((size - 1)) "$T/whole" >"$IMG/pstree.img"
	refused_restore image-truncated
}

@test "a truncated core and pages image" {
	make_checkpoint
	cp "$IMG/core-$PID.img" "$T/core"
	truncate -s -20 "$IMG/core-$PID.img"
	refused_restore image-truncated
	cp "$T/core" "$IMG/core-$PID.img"
	truncate -s -4096 "$IMG/pages-1.img"
	run "$BIN/criu-restore" -d -D "$IMG" -W "$WORK"
	[ "$status" = 2 ]
	wait_for 5 gone "$PID"
}

@test "a wrong magic number" {
	make_checkpoint
	printf 'XXXX' | dd of="$IMG/mm-$PID.img" bs=1 seek=4 conv=notrunc status=none
	refused_restore image-magic
	restore_code 2
}

@test "pages that no pagemap names, in images without a manifest" {
	make_checkpoint
	rm "$IMG/manifest.json"
	truncate -s +4096 "$IMG/pages-1.img"
	refused_restore image-corrupt
	[[ $output == *pages-1.img* ]]
	restore_code 2
	wait_for 5 gone "$PID"
	truncate -s -4096 "$IMG/pages-1.img"
	restore
}

@test "what is no regular file is not waited for" {
	make_checkpoint
	for f in manifest.json pstree.img "core-$PID.img" pages-1.img; do
		mv "$IMG/$f" "$T/kept"
		mkfifo "$IMG/$f"
		run timeout 10 "$BIN/criu-restore" -d -D "$IMG" -W "$WORK"
		[ "$status" = 2 ] || { echo "$output"; fail "$f: status $status"; }
		[[ $output == *"$f"* ]] || fail "$f is not named: $output"
		mv -f "$T/kept" "$IMG/$f"
		wait_for 5 gone "$PID"
	done
	mkfifo "$IMG/other.img"
	restore
	timeout 10 "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log
}

@test "a manifest of another format" {
	make_checkpoint
	jq '.format = 2' "$IMG/manifest.json" >"$T/m" && cp "$T/m" "$IMG/manifest.json"
	refused_restore image-version
	restore_code 2
}

@test "ids that lead nowhere" {
	make_checkpoint
	"$BIN/crit" decode -i "$IMG/fdinfo-2.img" -o "$T/fdinfo.json" 2>/dev/null || skip "no fdinfo-2.img"
	jq '.entries[0].id = 99999' "$T/fdinfo.json" >"$T/changed.json"
	"$BIN/crit" encode -i "$T/changed.json" -o "$IMG/fdinfo-2.img"
	refused_restore image-reference
	restore_code 2
}

@test "a missing image" {
	make_checkpoint
	rm "$IMG/mm-$PID.img"
	refused_restore image-missing
}

@test "random damage: never a crash, never something left" {
	make_checkpoint
	cp -a "$IMG" "$T/good"
	for f in pstree.img files.img "core-$PID.img" "mm-$PID.img" "pagemap-$PID.img" inventory.img; do
		for seed in 1 2 3 4 5; do
			rm -rf "$IMG" && cp -a "$T/good" "$IMG"
			"$PYTHON" -c 'import random, sys
path, seed = sys.argv[1], int(sys.argv[2])
r = random.Random(seed); b = bytearray(open(path, "rb").read())
for _ in range(seed): b[r.randrange(8, len(b))] = r.randrange(256)
open(path, "wb").write(b)' "$IMG/$f" $seed
			run timeout 20 "$BIN/criu-restore" -d -D "$IMG" -W "$WORK"
			case $status in
			0) kill -KILL "$PID" ;;
			1 | 2 | 111) ;;
			*) echo "$output"; fail "$f, seed $seed: status $status" ;;
			esac
			wait_for 5 gone "$PID" || fail "$f, seed $seed: something is left"
		done
	done
}

@test "a pid that is taken: by whom" {
	make_checkpoint -R
	refused_restore pid-taken
	[[ $output == *"$PID"*sleep* || $output == *sleep*"$PID"* ]] || fail "the message does not say who has it"
	restore_code 1
	runs "$PID"
}

open_file()
{
	echo content >"$DIR/data"
	start_program "$PYTHON" -c 'import time; f = open("data"); f.read(4); print("ready", flush=True); time.sleep(1000)'
	wait_for 5 has_line "$DIR/out.txt" ready
	dump
}

@test "an open file is missing at restore" {
	open_file
	mv "$DIR/data" "$DIR/away"
	refused_restore file-missing
	[[ $output == *"$DIR/data"* ]]
	mv "$DIR/away" "$DIR/data"
	restore
}

@test "an open file has changed: what changed" {
	open_file
	: >"$DIR/data"
	refused_restore file-changed
	[[ $output == *"$DIR/data"*size* || $output == *size*"$DIR/data"* ]]
}

@test "a mapped program has changed" {
	cp /bin/sleep "$T/own-sleep"
	start_program "$T/own-sleep" 1000
	dump
	printf 'more' >>"$T/own-sleep"
	refused_restore file-changed
	[[ $output == *own-sleep* ]]
}

@test "another program of the same size: by its build id, unless --file-validation=filesize" {
	cp /bin/sleep "$T/own-sleep"
	start_program "$T/own-sleep" 1000
	dump
	readelf -n "$T/own-sleep" | grep -q 'Build ID' || skip "no build id in sleep"
	# One byte of the build id, behind the head of its note.
	at=$((16#$(readelf -SW "$T/own-sleep" | sed -n 's/.*note.gnu.build-id *NOTE *[0-9a-f]* \([0-9a-f]*\) .*/\1/p') + 16))
	printf '\377' | dd of="$T/own-sleep" bs=1 seek=$at conv=notrunc status=none
	refused_restore file-changed
	[[ $output == *"build id"* ]]
	restore --file-validation filesize
}

@test "--checksum: a page that has changed is found; without it nobody looks" {
	make_checkpoint --checksum
	jq -e '.files[] | select(.name == "pages-1.img") | .crc32c' "$IMG/manifest.json" >/dev/null
	printf '\377' | dd of="$IMG/pages-1.img" bs=1 seek=$(($(stat -c %s "$IMG/pages-1.img") - 1)) conv=notrunc status=none
	refused_restore image-corrupt --checksum
	[[ $output == *pages-1.img*checksum* ]]
	restore
}

@test "the record cannot be written: the log has the error" {
	make_checkpoint -R
	mkdir "$WORK/restore.json"
	run "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[ "$status" = 1 ]
	grep -q '\[pid-taken\]' "$WORK/restore.log"
}
