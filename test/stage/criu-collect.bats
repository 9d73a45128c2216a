#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# criu-collect by hand on a held tree: which images it writes, what they say, all refusals at once, nothing disturbed.
load ../lib

hold()
{
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&-
}

collect()
{
	CRIU_LOG_OPEN=1 "$BIN/criu-collect" -D "$IMG" -W "$WORK" -o dump.log -v4
}

thaw()
{
	"$BIN/criu-freeze" thaw -D "$IMG" -W "$WORK"
	unharmed_end
	rm -rf "$IMG/.stage"
}

# A file system whose server is stopped must not be looked at: end the server first.
teardown()
{
	if grep -q " $T/v/mnt fuse" /proc/self/mounts; then
		kill -KILL "$PID"
		umount -l "$T/v/mnt"
	fi
	common_teardown
}

# A field of an image: show NAME FILTER
show()
{
	"$BIN/crit" decode -i "$IMG/$1" | jq -r "$2"
}

# Python in the tree: the program of the test is the argument; it prints "up" when all is there.
start_python()
{
	start_program "$PYTHON" -c "$1
print('up', flush=True)
import time
time.sleep(1000)"
	wait_for 10 has_line "$DIR/out.txt" up || fail "$(cat "$DIR/out.txt")"
}

@test "every live task has ids, mm, fs; tables and namespaces are told apart" {
	start_python 'import os
if os.fork() == 0:
    os.chdir("/"); os.umask(0o31)'
	unharmed_begin
	hold
	collect
	[ "$(show "ids-$PID.img" '.entries[0] | "\(.vm_id) \(.files_id) \(.fs_id) \(.sighand_id)"')" = "2 2 2 2" ]
	child=$(tree_of "$PID" | tail -n 1)
	[ "$(show "ids-$child.img" '.entries[0] | "\(.vm_id) \(.files_id) \(.fs_id) \(.sighand_id)"')" = "3 3 3 3" ]
	[ "$(show "ids-$child.img" '.entries[0].pid_ns_id')" = 1 ]
	[ "$(show "fs-$child.img" '.entries[0].umask')" = $((031)) ]
	cwd=$(show "fs-$child.img" '.entries[0].cwd_id')
	[ "$(show files.img ".entries[] | select(.id == $cwd) | .reg.name")" = / ]
	exe=$(show "mm-$PID.img" '.entries[0].exe_file_id')
	[ "$(show files.img ".entries[] | select(.id == $exe) | .reg.name")" = "$(readlink "/proc/$PID/exe")" ]
	[ -s "$IMG/fdinfo-2.img" ] && [ -s "$IMG/fdinfo-3.img" ] && [ -s "$IMG/timens-0.img" ] && [ -s "$IMG/seccomp.img" ]
	[ ! -e "$IMG/cgroup.img" ] || fail "the tree is in our own cgroups"
	[ ! -e "$IMG/extra.json" ] || fail "$(cat "$IMG/extra.json")"
	jq -e '.stages[] | select(.name == "criu-collect") | .state == "done"' "$IMG/manifest.json"
	thaw
}

@test "mappings are those of /proc/PID/maps" {
	start_python 'import mmap
a = mmap.mmap(-1, 16384)
b = mmap.mmap(-1, 16384, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)
b.madvise(mmap.MADV_DONTDUMP)'
	unharmed_begin
	# What the holder maps for its calls is not to be dumped.
	cp "/proc/$PID/maps" "$T/maps"
	hold
	collect
	# [vvar] and [vvar_vclock] are one entry.
	"$PYTHON" - "$T/maps" >"$T/want" <<-'E'
	import sys
	out = []
	for line in open(sys.argv[1]):
	    start, end = (int(x, 16) for x in line.split()[0].split('-'))
	    if '[vvar_vclock]' in line:
	        start = out.pop()[0]
	    out.append((start, end))
	for pair in out:
	    print('%x %x' % pair)
	E
	"$BIN/crit" decode -i "$IMG/mm-$PID.img" | "$PYTHON" -c 'import json, sys
for v in json.load(sys.stdin)["entries"][0]["vmas"]:
    print("%x %x" % (v["start"], v["end"]))' >"$T/got"
	diff "$T/want" "$T/got"
	[ "$(show "mm-$PID.img" '[.entries[0].vmas[] | select(.madv == 65536)] | length')" -ge 1 ]
	inode=$(awk '$6 == "/dev/zero" && $2 ~ /s/ { print $5; exit }' "/proc/$PID/maps")
	[ "$(show "mm-$PID.img" "[.entries[0].vmas[] | select(.shmid == $inode)] | length")" = 1 ]
	thaw
}

@test "all reasons are told at once, each with object and remedy" {
	start_python 'import os, socket, mmap, ctypes
f = open("lock", "w")
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
libc = ctypes.CDLL(None)
if libc.unshare(0x04000000): raise OSError("unshare")
p = libc.inotify_init()'
	unharmed_begin
	hold
	refused namespace collect
	[[ $output == *"[namespace]"*"[fd-kind]"* ]] || { echo "$output"; fail "not all reasons"; }
	[ "$(grep -ac '\[fd-kind\]' "$WORK/dump.log")" -ge 2 ] || fail "not all descriptors"
	jq -e '.error.code == "namespace" and (.error.remedy | length > 0)' "$IMG/manifest.json"
	jq -e '.stages[] | select(.name == "criu-collect") | .state == "failed" and (.failures | length >= 3)' "$IMG/manifest.json"
	thaw
}

@test "extra.json holds what CRIU forgets (C12)" {
	start_python 'import os, ctypes
libc = ctypes.CDLL(None)
os.sched_setaffinity(0, [0])
libc.prctl(29, 777777)
libc.syscall(251, 1, 0, 3 << 13)
open("/proc/self/coredump_filter", "w").write("0x21")'
	[ "$(nproc --all)" -gt 1 ] || skip "one CPU"
	unharmed_begin
	hold
	collect
	jq -e --argjson pid "$PID" '.version == 1 and .tasks == [{tid: $pid, affinity: "1", ioprio: 24576, timerslack: 777777,
		coredump_filter: 33}]' "$IMG/extra.json" || fail "$(cat "$IMG/extra.json")"
	thaw
}

@test "a time namespace of its own: clocks as the tree sees them" {
	requires_root
	start_python 'import ctypes, os, sys
libc = ctypes.CDLL(None)
if len(sys.argv) == 1 and os.environ.get("AGAIN") is None:
    if libc.unshare(0x80): raise OSError("unshare")
    open("/proc/self/timens_offsets", "w").write("monotonic 1000000 0\nboottime 2000000 0\n")
    os.environ["AGAIN"] = "1"
    args = open("/proc/self/cmdline").read().split("\0")[:-1]
    os.execv("/proc/self/exe", args)'
	[ "$(readlink "/proc/$PID/ns/time")" != "$(readlink /proc/self/ns/time)" ] || skip "exec does not enter the namespace"
	unharmed_begin
	hold
	collect
	id=$(show "ids-$PID.img" '.entries[0].time_ns_id')
	[ ! -e "$IMG/timens-0.img" ]
	up=$(cut -d. -f1 /proc/uptime)
	mono=$(show "timens-$id.img" '.entries[0].monotonic.tv_sec')
	boot=$(show "timens-$id.img" '.entries[0].boottime.tv_sec')
	[ $((mono - up)) -ge 999990 ] && [ $((mono - up)) -le 1000001 ] || fail "monotonic $mono, up $up"
	[ $((boot - up)) -ge 1999990 ] && [ $((boot - up)) -le 2000001 ] || fail "boottime $boot, up $up"
	thaw
}

@test "cgroups other than ours are recorded, per thread" {
	requires_root
	local cg
	for cg in /sys/fs/cgroup/memory /sys/fs/cgroup/pids /sys/fs/cgroup; do
		[ -w "$cg/cgroup.procs" ] && [ ! -e "$cg/cgroup.controllers" ] && break
		cg=''
	done
	[ -n "$cg" ] || skip "no cgroup v1 hierarchy"
	mkdir "$cg/criu-test-$$"
	start_python 'pass'
	echo "$PID" >"$cg/criu-test-$$/cgroup.procs"
	unharmed_begin
	hold
	collect
	[ "$(show cgroup.img '.entries[0].sets[0] | "\(.id) \([.ctls[].path] | map(select(. == "/criu-test-'$$'")) | length)"')" = "2 1" ]
	jq -e '[.needs[] | select(.kind == "cgroup")] | length > 0' "$IMG/manifest.json"
	thaw
	kill -KILL "$PID"
	wait_for 5 gone "$PID"
	rmdir "$cg/criu-test-$$"
}

@test "without a holder it says so" {
	refused not-held "$BIN/criu-collect" -D "$IMG" -W "$WORK"
	[ -z "$(ls -A "$IMG")" ] || fail "something was written"
}

@test "killed at any moment it leaves the tree as it was" {
	VICTIM=environment start_victim memory argument
	unharmed_begin
	hold
	for ms in 1 2 3 5 8; do
		CRIU_LOG_OPEN=1 "$BIN/criu-collect" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&- &
		stage=$!
		sleep 0.00$ms
		kill -KILL "$stage" 2>/dev/null || true # it may have ended
		wait "$stage" 2>/dev/null || true
	done
	rm -f "$IMG"/.*.tmp
	collect
	thaw
	victim_finish
}

@test "a tree that serves a file system which it uses itself: an end after a while, with a reason" {
	requires_root
	start_program "$VICTIMS/fuse"
	wait_for 10 has_line "$DIR/out.txt" 'ready|none.*'
	! grep -q '^none' "$DIR/out.txt" || skip "no FUSE"
	before=$(sed -n 's/^TracerPid:\s*//p' "/proc/$PID/status")
	hold
	SECONDS=0
	refused blocked collect
	[ $SECONDS -le 20 ] || fail "it took $SECONDS s"
	[[ $output == *files* ]]
	jq -e '[.stages[].failures[]?.code] | contains(["blocked"])' "$IMG/manifest.json"
	# The tree was let go: the collector itself could not have ended without it.
	wait_for 5 runs "$PID"
	rm -rf "$IMG/.stage" "$IMG"/.*.tmp
	[ "$(sed -n 's/^TracerPid:\s*//p' "/proc/$PID/status")" = "$before" ]
	victim_finish
}
