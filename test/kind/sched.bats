#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Scheduling and what CRIU forgets: coverage rows B12, C12.

load ../lib

@test "sched: policy, priority, nice, affinity, I/O priority, timer slack, coredump_filter (B12, C12)" {
	start_victim sched
	dump
	restore
	victim_finish
}

@test "sched: a second process sees the affinity and the nice value" {
	start_victim sched
	before=$(taskset -p "$PID"; ps -o ni=,cls= -p "$PID")
	dump
	restore
	[ "$(taskset -p "$PID"; ps -o ni=,cls= -p "$PID")" = "$before" ]
	victim_finish
}

@test "sched: a task that refuses to make memory executable (C12)" {
	start_program "$VICTIMS/mdwe"
	wait_for 5 has_line "$DIR/out.txt" 'ready|none.*'
	! grep -q '^none' "$DIR/out.txt" || skip "no PR_SET_MDWE"
	unharmed_begin
	dump -R
	unharmed_end
	cycle 2
	victim_finish
}

@test "sched: a process all of whose memory may be merged (D22)" {
	start_program "$PYTHON" -c 'import ctypes, time
print("ready" if ctypes.CDLL(None).prctl(67, 1, 0, 0, 0) == 0 else "none", flush=True); time.sleep(1000)'
	wait_for 5 has_line "$DIR/out.txt" 'ready|none'
	! grep -q '^none' "$DIR/out.txt" || skip "no PR_SET_MEMORY_MERGE"
	grep -q 'ksm_merge_any: yes' "/proc/$PID/ksm_stat" || skip "the kernel does not show it"
	cycle 2
	grep -q 'ksm_merge_any: yes' "/proc/$PID/ksm_stat"
}
