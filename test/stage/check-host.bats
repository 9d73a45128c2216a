#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# criu restore --check-only: what it asks of the machine: memory, limits, cgroups, rights, CPU, kernel.
load ../lib
load ../check-only

@test "restore finds: a cgroup that is gone, and one without room" {
	local top
	for top in /sys/fs/cgroup/pids /sys/fs/cgroup; do
		[ -e "$top/cgroup.procs" ] && mkdir "$top/criu-test-$$" 2>/dev/null && [ -e "$top/criu-test-$$/pids.max" ] && break
		rmdir "$top/criu-test-$$" 2>/dev/null || true
		top=
	done
	[ -n "$top" ] || skip "no cgroup with pids.max can be made here"
	group=$top/criu-test-$$
	CGROUPS+=("$group")
	start_program sleep 1000
	echo "$PID" >"$group/cgroup.procs"
	dump
	check_fine
	echo 0 >"$group/pids.max"
	check_finds limit "$group" cgroups
	[[ $REPORT == *pids.max* ]]
	echo max >"$group/pids.max"
	check_fine
	rmdir "$group"
	check_finds cgroup "criu-test-$$" cgroups
	check_fine --manage-cgroups=ignore
}

@test "restore finds: a cgroup without room for the memory" {
	local top limit
	for top in /sys/fs/cgroup/memory /sys/fs/cgroup; do
		for limit in memory.limit_in_bytes memory.max; do
			[ -e "$top/cgroup.procs" ] && mkdir "$top/criu-test-$$" 2>/dev/null && [ -e "$top/criu-test-$$/$limit" ] && break 2
			rmdir "$top/criu-test-$$" 2>/dev/null || true
		done
		top=
	done
	[ -n "$top" ] || skip "no cgroup with a limit of memory can be made here"
	group=$top/criu-test-$$
	CGROUPS+=("$group")
	start_python 'x = bytearray(b"y" * (4 << 20))'
	echo "$PID" >"$group/cgroup.procs"
	dump
	check_fine
	echo $((2 << 20)) >"$group/$limit"
	check_finds memory-short "$group" cgroups
	[[ $REPORT == *"$limit is 2 MiB"* ]]
}

@test "restore finds: limits of the caller: open files, data, hard limits of the tree" {
	start_python 'import mmap, os
os.dup2(1, 3000)
m = mmap.mmap(-1, 64 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)'
	dump
	check_fine
	# Without CAP_SYS_RESOURCE, with which limits can be raised.
	PREFIX=(setpriv --bounding-set -sys_resource --inh-caps -sys_resource prlimit --nofile=1000:1000)
	check
	[ "$status" = 1 ]
	found limit-files RLIMIT_NOFILE limits
	found limit "$PID" limits
	[ ! -e "$BUILD/.sanitized" ] || return 0 # AddressSanitizer needs more data than that itself
	PREFIX=(prlimit --data=40000000:)
	check
	[ "$status" = 1 ]
	jq -e '.findings[] | select(.code == "limit" and .area == "limits" and (.reason | contains("data (ulimit -d)")))' "$T/report.json"
}

@test "a hard limit that nobody can raise: the edit of the image that the remedy names brings the tree back" {
	checkpoint
	PREFIX=(setpriv --bounding-set -sys_resource --inh-caps -sys_resource prlimit --sigpending=1000:1000)
	check
	[ "$status" = 1 ]
	edit=$(jq -r '.findings[] | select(.code == "limit").remedy' "$T/report.json")
	edit=${edit##*image: }
	[[ $edit == "crit edit core-$PID.img "*.cur=1000*.max=1000* ]] || fail "remedy: $edit"
	(cd "$IMG" && eval "$BIN/$edit")
	check
	[ "$status" = 0 ]
	kill "$PID" 2>/dev/null || :
	wait_for 5 gone "$PID"
	"${PREFIX[@]}" "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log -v4
	[ "$(prlimit -p "$PID" -o SOFT,HARD --noheadings --sigpending | tr -s ' ')" = '1000 1000' ]
}

@test "restore finds: a limit of the caller: address space" {
	[ ! -e "$BUILD/.sanitized" ] || skip "AddressSanitizer reserves terabytes of address space"
	checkpoint
	PREFIX=(prlimit --as=30000000:30000000)
	check
	[ "$status" = 1 ]
	jq -e '.findings[] | select(.code == "limit" and (.reason | contains("address space")))' "$T/report.json"
}

@test "restore finds: limits of the machine: mappings, threads, lowest address" {
	start_python 'import ctypes
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
assert libc.mmap(0x20000, 4096, 3, 0x32, -1, 0) == 0x20000'
	dump
	check_fine
	pretend /proc/sys/vm/max_map_count 70
	check_finds limit max_map_count limits
	[[ $REPORT == *"the mappings of a task need"*"it is 70"* ]]
	pretend /proc/sys/kernel/threads-max 3
	check_finds limit threads-max limits
	pretend /proc/sys/kernel/pid_max 300
	check_finds pid-above-max "pid $PID" pids
	pretend /proc/sys/vm/mmap_min_addr 196608
	PREFIX+=(setpriv --bounding-set -sys_rawio --inh-caps -sys_rawio)
	check
	[ "$status" = 1 ]
	found memory-layout "$PID" limits
	[[ $REPORT == *"it has a mapping at 0x20000; /proc/sys/vm/mmap_min_addr is 196608"* ]]
}

@test "restore finds: locked memory beyond the limit" {
	start_python 'import ctypes, mmap
libc = ctypes.CDLL(None)
m = mmap.mmap(-1, 1 << 20)
assert libc.mlock(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(m))), ctypes.c_size_t(1 << 20)) == 0'
	dump
	check_fine
	PREFIX=(prlimit --memlock=65536:)
	check_fine
	PREFIX+=(setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock)
	check
	[ "$status" = 1 ]
	jq -e '.findings[] | select(.code == "limit" and .area == "limits" and (.reason | contains("locked memory (ulimit -l): 1024 kB")))' "$T/report.json"
}

@test "restore finds: capabilities that the restore does not have" {
	checkpoint
	PREFIX=(setpriv --bounding-set -net_raw --inh-caps -net_raw)
	check_finds privilege "$PID" credentials
	PREFIX=(setpriv --bounding-set '-sys_admin,-checkpoint_restore' --inh-caps '-sys_admin,-checkpoint_restore')
	check
	[ "$status" = 1 ]
	found privilege "the restore itself" credentials
}

@test "restore finds: not enough memory" {
	start_program sleep 1000
	dump --check-only -R
	kill -KILL "$PID"
	wait_for 5 gone "$PID"
	check_fine
	# 64 TiB of pages
	"$CRIT" edit "$IMG/pagemap-$PID.img" '[1].nr_pages=17179869184' '[1].compat_nr_pages=0'
	check_finds memory-short memory memory
}

@test "restore doubts: memory that only swap can give, or that a child may share" {
	start_python 'import os
if os.fork() == 0:
	x = bytearray(b"y" * (1 << 20))'
	dump
	pretend /proc/meminfo 'MemTotal: 2000000 kB\nMemAvailable: 100 kB\nSwapTotal: 2000000 kB\nSwapFree: 2000000 kB'
	check_fine
	found memory-short memory memory warning
	[[ $REPORT == *"100"*"without swapping"* || $REPORT == *"0 MiB are available without swapping"* ]]
	pretend /proc/meminfo 'MemTotal: 2000000 kB\nMemAvailable: 100 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB'
	check_finds memory-short memory memory
}

@test "restore finds: a mapping larger than all memory; more than the kernel grants" {
	start_python 'import ctypes
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
assert libc.mmap(None, 16 << 40, 0, 0x22, -1, 0) not in (None, 2**64 - 1)'
	dump
	check_fine
	pretend /proc/sys/vm/overcommit_memory 2 /proc/meminfo 'MemAvailable: 4000000 kB\nCommitLimit: 10000 kB\nCommitted_AS: 9000 kB'
	check_finds memory-short memory memory
	[[ $REPORT == *"the kernel grants 0 MiB more"* ]]
	PREFIX=()
	# Nothing can be written there; if it could, the kernel would want to have it.
	n=$("$CRIT" decode -i "$IMG/mm-$PID.img" | jq '.entries[0].vmas | map((.end - .start) == 17592186044416) | index(true)')
	"$CRIT" edit "$IMG/mm-$PID.img" "vmas[$n].prot=3"
	pretend /proc/sys/vm/overcommit_memory 0
	check_finds memory-short memory memory
	[[ $REPORT == *"a mapping takes 16777216 MiB, which is more than all memory"* ]]
	pretend /proc/sys/vm/overcommit_memory 1
	check_fine
}

# Change the vdso in the image: its code, or where a function of it is. Prints where it was.
change_vdso()
{
	"$PYTHON" - "$IMG" "$PID" "$CRIT" "$1" <<'PY'
import json, struct, subprocess, sys
img, pid, crit, what = sys.argv[1:]
load = lambda n: json.loads(subprocess.check_output([crit, 'decode', '-i', '%s/%s' % (img, n)]))['entries']
vdso = [v for v in load('mm-%s.img' % pid)[0]['vmas'] if int(str(v['status']), 0) & 8][0]
start, off = int(str(vdso['start']), 0), 0
head, *maps = load('pagemap-%s.img' % pid)
for m in maps:
    at, n = int(str(m['vaddr']), 0), m['nr_pages'] * 4096
    if at <= start < at + n:
        off += start - at
        break
    off += n
else:
    sys.exit('no vdso')
with open('%s/pages-%d.img' % (img, head['pages_id']), 'r+b') as f:
    f.seek(off)
    elf = f.read(4096)
    phoff, phnum = struct.unpack_from('<Q', elf, 32)[0], struct.unpack_from('<H', elf, 56)[0]
    headers = [struct.unpack_from('<IIQQQQQQ', elf, phoff + 56 * i) for i in range(phnum)]
    dynamic = [h for h in headers if h[0] == 2][0]
    tags = dict(struct.unpack_from('<QQ', elf, dynamic[2] + 16 * i) for i in range(dynamic[5] // 16))
    if what == 'code':
        f.seek(off + 0xa00)
        f.write(b'\xcc' * 16)
    elif what == 'function':  # st_value of symbol 1
        f.seek(off + tags[6] + 24 + 8)
        f.write(struct.pack('<Q', struct.unpack_from('<Q', elf, tags[6] + 24 + 8)[0] + 16))
print(start)
PY
}

@test "restore finds: a vdso with functions elsewhere" {
	checkpoint
	check_fine
	change_vdso function
	check_finds memory-layout vdso kernel
	[[ $REPORT == *"functions that the kernel gave to the task are elsewhere"* ]]
	refused memory-layout "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
}

@test "a vdso with other code, as on another processor: functions are called as before; no thread may stand inside" {
	start_python 'import threading
def count():
    n = 0
    while True:
        time.sleep(0.01)
        print(int(time.clock_gettime(time.CLOCK_MONOTONIC) > 0), flush=True)
import time
threading.Thread(target=count, daemon=True).start()'
	dump
	start=$(change_vdso none)
	cp -r "$IMG" "$T/inside"
	change_vdso code
	check_fine
	"$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log -v4
	n=$(wc -l <"$DIR/out.txt")
	more() { [ "$(wc -l <"$DIR/out.txt")" -gt $((n + 10)) ]; }
	wait_for 10 more
	kill -KILL "$PID"
	wait_for 5 gone "$PID"
	# With the code of this kernel a thread may; with other code it may not.
	IMG=$T/inside
	"$CRIT" edit "$IMG/core-$PID.img" thread_info.gpregs.ip=$((start + 0xa00))
	check_fine
	change_vdso code
	check_finds memory-layout vdso kernel
	[[ $REPORT == *"thread $PID stands in code"* ]]
	refused memory-layout "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
}

@test "restore doubts: the vdso, where a dry run was made with another kernel" {
	start_program sleep 1000
	dump --check-only -R
	kill -KILL "$PID"
	wait_for 5 gone "$PID"
	jq '.host.kernel = "5.0.0-other"' "$IMG/manifest.json" >"$T/m" && cat "$T/m" >"$IMG/manifest.json"
	check_fine
	found memory-layout vdso kernel warning
}

@test "restore finds: a CPU that lacks what the program may use" {
	checkpoint
	jq '.host.cpu.capability |= map(if . > 0 then 4294967295 else . end)' "$IMG/manifest.json" >"$T/m" && cat "$T/m" >"$IMG/manifest.json"
	check
	[ "$status" = 1 ]
	jq -e '.findings | map(select(.code == "cpu" and .area == "cpu" and .severity == "refused")) | length >= 1' "$T/report.json"
}

@test "restore finds: a register state that this CPU does not have" {
	checkpoint
	bv=$("$CRIT" show "$IMG/core-$PID.img" | jq -r '.entries[0].thread_info.fpregs.xsave.xstate_bv')
	"$CRIT" edit "$IMG/core-$PID.img" "thread_info.fpregs.xsave.xstate_bv=$((bv | 8))" # bndregs: MPX, which no CPU and kernel of today has
	check
	[ "$status" = 1 ]
	jq -e '.findings | any(.code == "cpu" and .area == "cpu" and (.object | contains("thread '"$PID"'")))' "$T/report.json"
}

@test "restore finds: features that this kernel does not have" {
	start_victim memory argument
	dump --check-only -R
	pids=$(tree_of "$PID")
	# shellcheck disable=SC2086
	kill -KILL $pids
	# shellcheck disable=SC2086
	wait_for 5 gone $pids
	check_fine
	while read -r nr name; do
		PREFIX=("$PYTHON" "$TOP/test/without-calls" "$nr" --)
		check
		[ "$status" = 1 ] || fail "$name: $status"
		found kernel-feature "$name" kernel
	done <<-END
		438 pidfd_getfd
		436 close_range
		334 rseq
		435 clone3
		28 MADV_GUARD_INSTALL
		157:35 PR_SET_MM_MAP
	END
	PREFIX=()
	"$CRIT" edit "$IMG/core-$PID.img" tc.membarrier_registration_mask=0x40000000
	check_finds kernel-feature membarrier kernel
}

