#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Dry runs (doc/check-only.md): criu dump --check-only writes no memory and lets the tree go on; criu restore --check-only tests what
# a restore needs, each kind of finding by itself and all in one report, and changes nothing.
load ../lib
load ../check-only

# ---- the dump ----
@test "dump: all stages run, no contents of memory are written, the tree is unharmed, the image is marked" {
	VICTIM=environment start_victim memory argument
	unharmed_begin
	dump --check-only -R
	unharmed_end
	[ -z "$(find "$IMG" -name 'pages-*')" ] || fail "pages were written"
	[ -s "$IMG/pagemap-$PID.img" ] && [ -s "$IMG/core-$PID.img" ] && [ -s "$IMG/mm-$PID.img" ]
	[ "$("$CRIT" decode -i "$IMG/pagemap-$PID.img" | jq -r '[.entries[1:][].flags] | unique | @json')" = '[2]' ] # PE_LAZY
	[ "$("$CRIT" decode -i "$IMG/inventory.img" | jq -r '.entries[0].plugins_entry.plugins[0]')" = criu-pipeline-check-only ]
	[ "$(jq .options.check_only "$IMG/manifest.json")" = true ]
	[ "$(jq -r .state "$IMG/manifest.json")" = sealed ]
	run "$CRIT" verify "$IMG"
	[ "$status" = 0 ] && [[ $output == *check-only* ]]
	victim_finish
}

@test "dump: --leave-running is implied; scripts are not run" {
	start_program sleep 1000
	printf '#!/bin/sh\n: >%s/script-was-run\n' "$T" >"$T/script"
	chmod +x "$T/script"
	"$CRIU" dump --check-only -t "$PID" -D "$IMG" -W "$WORK" -o dump.log --action-script "$T/script" 3>&-
	check_images
	wait_for 5 runs "$PID"
	[ ! -e "$T/script-was-run" ]
	[ ! -e "$IMG/.holder" ]
}

@test "dump, by hand: the later stages know; kill refuses; a page stage that was not meant refuses too" {
	start_program sleep 1000
	"$BIN/criu-freeze" --check-only -t "$PID" -D "$IMG" 3>&-
	"$BIN/criu-collect" -D "$IMG"
	"$BIN/criu-parasite" -D "$IMG"
	"$BIN/criu-pages" -D "$IMG"
	"$BIN/criu-freeze" seal -D "$IMG"
	refused check-only "$BIN/criu-freeze" kill -D "$IMG"
	"$BIN/criu-freeze" thaw -D "$IMG"
	wait_for 5 runs "$PID"
	check_images
	[ -z "$(find "$IMG" -name 'pages-*')" ]

	rm -rf "$IMG"
	mkdir "$IMG"
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" 3>&-
	"$BIN/criu-collect" -D "$IMG"
	EXIT=100 refused usage "$BIN/criu-pages" --check-only -D "$IMG"
	"$BIN/criu-freeze" thaw -D "$IMG"
	wait_for 5 runs "$PID"
}

@test "dump, by hand: end lets the tree run" {
	start_program sleep 1000
	"$BIN/criu-freeze" --check-only -t "$PID" -D "$IMG" 3>&-
	for stage in collect parasite pages; do "$BIN/criu-$stage" -D "$IMG"; done
	"$BIN/criu-freeze" end -D "$IMG"
	wait_for 5 runs "$PID"
	check_images
}

@test "dump: a checkpoint is not replaced by a dry run; a dry run is, by both" {
	start_program sleep 1000
	dump -R
	refused dir-has-checkpoint "$CRIU" dump --check-only -t "$PID" -D "$IMG" -W "$WORK" -o dump.log
	wait_for 5 runs "$PID"
	[ -s "$IMG/pages-1.img" ] && check_images
	rm -rf "$IMG"
	dump --check-only -R
	dump --check-only -R
	[ ! -e "$IMG/pages-1.img" ]
	dump
	[ -s "$IMG/pages-1.img" ]
	[ "$(jq .options.check_only "$IMG/manifest.json")" = false ]
	check_fine
}

@test "dump: a warning when the memory would not fit" {
	start_python 'x = bytearray(b"x" * (6 << 20))'
	mkdir "$T/small"
	mount -t tmpfs -o size=4m criu-test "$T/small" || skip "no tmpfs can be mounted here"
	"$CRIU" dump --check-only -t "$PID" -D "$T/small" -W "$WORK" -o dump.log 3>&-
	jq -e '.stages[] | select(.name == "criu-pages") | .warnings[] | .code == "dir-full"' "$T/small/manifest.json"
	wait_for 5 runs "$PID"
}

# ---- the restore ----
@test "restore: a report or plan that cannot be written: exit 1" {
	checkpoint
	for what in --check-only '--check-only --json' --plan '--plan --json'; do
		# shellcheck disable=SC2016,SC2086
		run bash -c 'exec "$@" >/dev/full' - "$CRIU" restore $what -D "$IMG" -W "$WORK"
		[ "$status" = 1 ] || fail "$what: $status"
		[[ $output == *"standard output: cannot be written"*"No space left on device"* ]] || { echo "$output"; fail "$what"; }
	done
}

@test "restore: fine; then it is restored; nothing was made or changed by the check" {
	start_python 'import os, socket
a = open("kept", "w+")
g = open("gone", "w+"); g.write("x" * 10000); g.flush(); os.unlink("gone")
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen()
u = socket.socket(socket.AF_UNIX); u.bind("name"); u.listen()
b = socket.socket(socket.AF_UNIX); b.bind("\0criu-test-" + str(os.getpid())); b.listen()
p = os.pipe(); os.write(p[1], b"abc")
os.mkfifo("fifo"); f = os.open("fifo", os.O_RDWR)'
	dump
	before=$(find "$T" -mindepth 1 ! -path "$WORK*" ! -name 'report*' -printf '%p %s %T@ %m %i\n' | sort)
	check_fine
	jq -e '.processes == 1 and .threads == 1 and .memory > 100000 and .check_only == false' "$T/report.json"
	for area in images pids memory limits cgroups credentials cpu kernel files addresses "unix names" clock; do
		jq -e --arg a "$area" '.areas[] | select(.area == $a) | .tested > 0' "$T/report.json" >/dev/null || fail "$area was not tested"
	done
	gone "$PID"
	[ "$(find "$T" -mindepth 1 ! -path "$WORK*" ! -name 'report*' -printf '%p %s %T@ %m %i\n' | sort)" = "$before" ] || fail "files have changed"
	[ "$(find "$WORK" -type f ! -name '*.log' ! -name stats-dump)" = "" ] || { ls -A "$WORK"; fail "the check left files"; }
	restore
}

@test "restore: by its system calls: nothing is made, removed, opened for writing, signalled, listened at" {
	requires_command strace
	start_python 'import os, socket
g = open("gone", "w+"); g.write("x" * 10000); g.flush(); os.unlink("gone")
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen()
u = socket.socket(socket.AF_UNIX); u.bind("name"); u.listen()
b = socket.socket(socket.AF_UNIX); b.bind("\0criu-test-" + str(os.getpid())); b.listen()
p = os.pipe(); os.write(p[1], b"abc")
os.mkfifo("fifo"); f = os.open("fifo", os.O_RDWR)
if os.fork() == 0:
	os.setsid()'
	dump
	strace -f -qq -o "$T/strace" "$BIN/criu-restore" --check-only -D "$IMG" -W "$WORK"
	grep -q bind "$T/strace"
	! grep -E ' (clone3?|v?fork|unlink(at)?|rename(at2?)?|mkdir(at)?|mknod(at)?|link(at)?|symlink(at)?|f?truncate|fallocate|f?chmod(at)?|[fl]?chown(at)?|utimensat|f?setxattr|mount|umount2|move_mount|setns|unshare|ptrace|listen|accept4?|sendmsg|process_vm_writev|setpriority|setrlimit|sched_set[a-z]*)\(' \
		"$T/strace" | grep -vE 'clone3\(NULL, 0\)|sendmsg\(.*AF_NETLINK' || fail "something was changed"
	# A signal 0 asks only.
	! grep -E ' t?g?kill\(' "$T/strace" | grep -vE ', 0\) += ' || fail "a signal was sent"
	! grep -E 'open(at2?)?\(.*(O_WRONLY|O_RDWR|O_CREAT|O_TRUNC)' "$T/strace" | grep -v '"/dev/null"' || fail "a file was opened for writing"
	! grep -E ' p?writev?(64|v2)?\(' "$T/strace" | grep -vE 'write\([12],' | grep -vE 'write\([0-9]+, "abc"' || fail "something was written"
	restore
	# shellcheck disable=SC2046
	kill -KILL $(tree_of "$PID")
}

@test "restore: images of a dry run are checked without being asked; nothing is started" {
	start_program sleep 1000
	dump --check-only -R
	kill -KILL "$PID"
	wait_for 5 gone "$PID"
	printf '#!/bin/sh\n: >%s/script-was-run\n' "$T" >"$T/script"
	chmod +x "$T/script"
	run "$CRIU" restore -d -D "$IMG" -W "$WORK" -o check.log --pidfile pid --action-script "$T/script"
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *"Nothing is in the way"* ]]
	grep -q 'dry run' "$WORK/check.log"
	gone "$PID"
	[ ! -e "$WORK/pid" ] && [ ! -e "$T/script-was-run" ]
	check_fine
	[ "$(jq .check_only "$T/report.json")" = true ]
	run "$BIN/criu-restore" -d -D "$IMG" -W "$WORK"
	[ "$status" = 0 ]
	gone "$PID"
}

@test "restore: text for people; the findings are in the log too" {
	checkpoint
	rm -rf "$DIR"
	run "$CRIU" restore --check-only -D "$IMG" -W "$WORK" -o check.log
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *"Refused: $DIR: "*"[file-missing]"* ]]
	[[ $output == *"A restore would be refused here"* ]]
	grep -q 'Error (.*\[file-missing\]' "$WORK/check.log"
	run "$BIN/criu-restore" --check-only -D "$IMG" -W "$WORK"
	[ "$status" = 1 ]
}

@test "restore finds: a pid that is taken" {
	start_program sleep 1000
	dump -R
	check_finds pid-taken "pid $PID" pids
	[[ $(jq -r '.findings[0].reason' "$T/report.json") == *sleep* ]]
}

@test "restore finds: who has the pids: one finding for each process, with all the numbers that it has" {
	start_victim many-threads 40
	dump -R
	check_finds pid-taken "pids $PID" pids
	[[ $(jq -r '.findings[0].reason' "$T/report.json") == "they are in use by many-threads (process $PID: "*", parent "*", started "* ]]
	[ "$(jq -r '.areas[] | select(.area == "pids") | .tested' "$T/report.json")" = 40 ]
	# All of them, however many lie side by side.
	jq -r '.findings[0].object' "$T/report.json" | sed 's/^pids //; s/, /\n/g' |
		awk -F- '{ for (i = $1; i <= (NF > 1 ? $2 : $1); i++) print i }' >"$T/told"
	find "/proc/$PID/task" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n | diff - "$T/told"
	refused pid-taken "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[ "$(grep -c '\[pid-taken\]' "$WORK/restore.log")" = 1 ]
	[ "$(jq '.pid_conflicts | length' "$WORK/restore.json")" = 40 ]
	jq -e --argjson p "$PID" '[.pid_conflicts[] | select(.process == $p) | .used_as] | group_by(.) | map(length) == [1, 39]' "$WORK/restore.json"
	victim_finish
}

@test "restore finds: a pid above pid_max" {
	checkpoint
	max=$(cat /proc/sys/kernel/pid_max)
	[ "$max" -lt 4194304 ] || skip "pid_max cannot be larger"
	"$CRIT" edit "$IMG" --set-root-pid "$((max + 5))" || skip "crit cannot change the pid"
	check_finds pid-above-max "pid $((max + 5))" pids
}

# A program with files of all kinds of use.
FILES='import os
r = open("read"); w = open("written", "a"); w.write("12345"); w.flush(); w.seek(5)
os.mkdir("directory"); os.chdir("directory")'

@test "restore finds: files that are missing, or changed in size, mode, type" {
	echo text >"$DIR/read"
	start_python "$FILES"
	dump
	check_fine
	mv "$DIR/read" "$DIR/away"
	check_finds file-missing "$DIR/read" files
	cp -p "$DIR/away" "$DIR/read"
	echo more >>"$DIR/read"
	check_finds file-changed "$DIR/read" files
	[[ $REPORT == *"size is 10 bytes"* ]]
	cp -p "$DIR/away" "$DIR/read"
	chmod 600 "$DIR/read"
	check_finds file-mode "$DIR/read" files
	check_fine --skip-file-rwx-check
	rm "$DIR/read"
	mkdir "$DIR/read"
	check_finds file-changed "$DIR/read" files --skip-file-rwx-check
	rmdir "$DIR/read"
	mv "$DIR/away" "$DIR/read"
	echo longer >>"$DIR/written"
	check_fine
	: >"$DIR/written"
	check_finds file-changed "$DIR/written" files
	printf 12345 >"$DIR/written"
	rmdir "$DIR/directory"
	check_finds file-missing "$DIR/directory" files
}

@test "restore finds: a program of another build, of another size, or with other bytes (--checksum)" {
	cp /bin/sleep "$DIR/program"
	start_program "$DIR/program" 1000
	dump --checksum
	check_fine --checksum
	cp "$DIR/program" "$T/kept"
	printf x | dd of="$DIR/program" bs=1 seek=20000 conv=notrunc status=none
	check_fine
	check_finds file-changed "$DIR/program" checksums --checksum
	[[ $REPORT == *checksum* ]]
	refused file-changed "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log --checksum
	cp "$T/kept" "$DIR/program"
	echo >>"$DIR/program"
	check_finds file-changed "$DIR/program" files
	cp "$T/kept" "$DIR/program"
	"$PYTHON" -c 'import sys
b = bytearray(open(sys.argv[1], "rb").read())
b[b.index(b"\x03\0\0\0GNU\0") + 8] ^= 1
open(sys.argv[1], "wb").write(b)' "$DIR/program"
	check_finds file-changed "$DIR/program" files
	[[ $REPORT == *"build id"* ]]
	check_fine --file-validation filesize
}

@test "restore finds: no directory, no room for a deleted file" {
	mkdir "$DIR/place"
	start_python 'import os
g = open("place/gone", "w+"); g.write("x" * 900000); g.flush(); os.unlink("place/gone")'
	dump
	check_fine
	mount -t tmpfs -o size=64k criu-test "$DIR/place" || skip "no tmpfs can be mounted here"
	check_finds disk-full "$DIR/place" files
	umount "$DIR/place"
	rmdir "$DIR/place"
	check_finds file-missing "$DIR/place" files
	[[ $REPORT == *gone* ]]
}

@test "restore finds: a port that is taken; an address that is not here" {
	start_python 'import socket
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0))
open("ports", "w").write("%d %d\n" % (l.getsockname()[1], u.getsockname()[1]))'
	read -r tcp udp <"$DIR/ports"
	dump
	check_fine
	start_helper "import socket
l = socket.socket(); l.bind(('127.0.0.1', $tcp)); l.listen()"
	check_finds address-taken "TCP 127.0.0.1:$tcp" addresses
	named_holder "${HELPERS[0]}"
	# The address of all is in the way as well, of both families; a connection there is not who is meant.
	kill "${HELPERS[0]}"
	wait "${HELPERS[0]}" || true
	start_helper "import os, socket
l = socket.create_server(('::', $tcp), family=socket.AF_INET6, dualstack_ipv6=True)
if os.fork() == 0:
	l.close()
	c = socket.create_connection(('127.0.0.1', $tcp))
	__import__('time').sleep(1000)
s = l.accept()"
	check_finds address-taken "TCP 127.0.0.1:$tcp" addresses
	named_holder "${HELPERS[1]}"
	pkill -KILL -P "${HELPERS[1]}"
	kill "${HELPERS[1]}"
	wait "${HELPERS[1]}" || true
	check_fine
	start_helper "import socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', $udp))"
	check_finds address-taken "UDP 127.0.0.1:$udp" addresses
	named_holder "${HELPERS[2]}"
	kill "${HELPERS[2]}"
	wait "${HELPERS[2]}" || true
	"$CRIT" edit "$IMG" --remap-address 127.0.0.1=192.0.2.7
	check
	found address-missing "TCP 192.0.2.7:$tcp" addresses
	found address-missing "UDP 192.0.2.7:$udp" addresses
}

@test "restore finds: unix names that are taken, by a socket or a file; a stale one is none" {
	start_python 'import os, socket
u = socket.socket(socket.AF_UNIX); u.bind("name"); u.listen()
b = socket.socket(socket.AF_UNIX); b.bind("\0criu-test-" + str(os.getpid())); b.listen()'
	dump
	[ -S "$DIR/name" ]
	check_fine
	[ -S "$DIR/name" ] || fail "the check removed the old name"
	start_helper "import os, socket
os.unlink('name'); u = socket.socket(socket.AF_UNIX); u.bind('name'); u.listen()
b = socket.socket(socket.AF_UNIX); b.bind('\\0criu-test-$PID'); b.listen()"
	check
	found address-taken name "unix names"
	found address-taken "@criu-test-$PID" "unix names"
	[ "$(jq '.findings | length' "$T/report.json")" = 2 ]
	named_holder "${HELPERS[0]}"
	kill "${HELPERS[0]}"
	wait "${HELPERS[0]}" || true
	rm "$DIR/name"
	: >"$DIR/name"
	check_finds address-taken name "unix names"
	[[ $REPORT == *"another file has its name now"* ]]
	[ -f "$DIR/name" ]
}

@test "restore finds: unix names in a directory that is not there or cannot be written" {
	mkdir "$DIR/place"
	start_python "import os, socket
u = socket.socket(socket.AF_UNIX); u.bind('$DIR/place/name'); u.listen()"
	dump
	check_fine
	mount -t tmpfs -o ro criu-test "$DIR/place" || skip "no tmpfs can be mounted here"
	check_finds read-only "$DIR/place/name" "unix names"
	[[ $REPORT == *"its directory cannot be written"* ]]
	umount "$DIR/place"
	rm -r "$DIR/place"
	check_finds file-missing "$DIR/place/name" "unix names"
}

@test "restore finds: a network device that is not there" {
	start_python 'import socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo"); u.bind(("127.0.0.1", 0))'
	dump
	check_fine
	"$CRIT" edit "$IMG/files.img" "[$("$CRIT" decode -i "$IMG/files.img" | jq '.entries | map(has("isk")) | index(true)')].isk.opts.so_bound_dev=nodev7"
	check
	[ "$status" = 1 ]
	jq -e '.findings | length == 1 and .[0].area == "addresses" and (.[0].object | contains("UDP 127.0.0.1"))' "$T/report.json"
	jq .findings "$T/report.json"
}

@test "restore finds: no terminal for a job that had one" {
	requires_command script
	(cd "$DIR" && close_others && exec script -qec "$VICTIMS/tty out.txt; exit" typescript </dev/null >/dev/null 2>&1 3>&-) &
	HELPERS+=($!)
	wait_for 10 has_line "$DIR/out.txt" ready
	PID=$(fact pid)
	dump --shell-job
	check
	jq -e '.findings | any(.code == "terminal" and .area == "terminals" and .severity == "refused")' "$T/report.json"
	found session-outside "$PID" images
	run setsid -w "$CRIU" restore --check-only --json --shell-job -D "$IMG" -W "$WORK" -o check.log </dev/null 2>&1
	[ "$status" = 1 ]
	[[ $output == *terminal-missing* ]]
}

@test "restore doubts: the clock is behind; a file system is not mounted" {
	mkdir "$T/mounted"
	mount -t tmpfs criu-test "$T/mounted" || skip "no tmpfs can be mounted here"
	echo text >"$T/mounted/file"
	start_python "f = open('$T/mounted/file')"
	dump
	jq -e --arg p "$T/mounted" '.needs[] | select(.kind == "mount" and .path == $p and .fstype == "tmpfs")' "$IMG/manifest.json"
	check_fine
	umount "$T/mounted"
	check
	[ "$status" = 1 ]
	found mount-missing "$T/mounted" mounts warning
	found file-missing "$T/mounted/file" files
	# A warning alone does not change the exit status.
	echo text >"$T/mounted/file"
	jq '.created = "2100-01-01T00:00:00.000000Z"' "$IMG/manifest.json" >"$T/m" && cat "$T/m" >"$IMG/manifest.json"
	check_fine
	found mount-missing "$T/mounted" mounts warning
	found clock clock clock warning
	run "$CRIU" restore --check-only -D "$IMG" -W "$WORK" -o check.log
	[[ $output == *"but see the warnings"* ]]
}

@test "restore doubts: a table of descriptors that is not there, and no manifest says that it was; a restore says so, too" {
	checkpoint
	id=$("$CRIT" decode -i "$IMG/core-$PID.img" | jq '.entries[0].ids.files_id // empty')
	[ -n "$id" ] || id=$("$CRIT" decode -i "$IMG/ids-$PID.img" | jq .entries[0].files_id)
	rm "$IMG/fdinfo-$id.img"
	check
	[ "$status" = 2 ] && found image-missing "fdinfo-$id.img" images
	rm "$IMG/manifest.json"
	check_fine
	found image-missing "fdinfo-$id.img" images warning
	[ "$(jq '.findings | length' "$T/report.json")" = 1 ] || fail "more was found"
	run "$CRIU" restore --check-only -D "$IMG" -W "$WORK" -o check.log
	[[ $output == *"Warning: fdinfo-$id.img: it is not there: task $PID (sleep) would have no descriptors at all"*"but see the warnings"* ]]
	restore
	grep "fdinfo-$id.img: it is not there" "$WORK/restore.log"
	[ -z "$(ls "/proc/$PID/fd")" ]
}

@test "restore finds: all at once, each once" {
	echo text >"$DIR/read"
	echo text >"$DIR/other"
	start_python 'import os, socket
a = open("read"); b = open("other"); c = open("other")
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen()
u = socket.socket(socket.AF_UNIX); u.bind("name"); u.listen()
open("ports", "w").write("%d\n" % l.getsockname()[1])
if os.fork() == 0:
	os.setpgid(0, 0)'
	read -r tcp <"$DIR/ports"
	dump -R
	pids=$(tree_of "$PID")
	rm "$DIR/read"
	echo longer >>"$DIR/other"
	check
	[ "$status" = 1 ] && [ "$(jq -r .result "$T/report.json")" = refused ]
	for pid in $pids; do found pid-taken "pid $pid" pids; done
	found file-missing "$DIR/read" files
	found file-changed "$DIR/other" files
	found address-taken "TCP 127.0.0.1:$tcp" addresses
	found address-taken name "unix names"
	jq -e '.areas[] | select(.area == "pids") | .refused == 2' "$T/report.json"
	wait_for 5 runs "$PID"
}

@test "restore: a bad image: exit status 2, and what was found" {
	checkpoint
	mkdir "$T/empty"
	run "$CRIU" restore --check-only --json -D "$T/empty" -W "$WORK" -o check.log
	[ "$status" = 2 ] && [[ $output == *no-checkpoint* ]]
	cp -r "$IMG" "$T/kept"
	truncate -s -1 "$IMG/core-$PID.img"
	check
	[ "$status" = 2 ] && [ "$(jq -r .result "$T/report.json")" = bad-image ]
	found image-truncated "core-$PID.img" images
	rm -rf "$IMG"
	cp -r "$T/kept" "$IMG"
	truncate -s -4096 "$IMG/pages-1.img"
	check
	[ "$status" = 2 ]
	found image-truncated pages-1.img images
	# Without a manifest the pagemap tells.
	rm "$IMG/manifest.json"
	check
	[ "$status" = 2 ]
	found image-truncated pages-1.img memory
	rm -rf "$IMG"
	cp -r "$T/kept" "$IMG"
	jq '.state = "open"' "$T/kept/manifest.json" >"$IMG/manifest.json"
	check
	[ "$status" = 2 ]
	found not-sealed "images directory" images
}

@test "restore: checkpoints of CRIU, without a manifest" {
	requires_shared
	for dir in "$SHARED"/fixtures/criu-4.2/*/img; do
		IMG=$dir
		check
		[ "$status" = 0 ] || [ "$status" = 1 ] || { echo "$REPORT"; fail "$dir: exit status $status"; }
		[ "$(jq .processes "$T/report.json")" -gt 0 ]
	done
	IMG=$SHARED/fixtures/criu-4.2/files/img
	check
	found file-lock filelocks.img files
	found fd-kind files.img files
	IMG=$SHARED/fixtures/criu-4.2/namespaces/img
	check
	found namespace "task 1" images
	found mapping-kind "task 1" memory
}
