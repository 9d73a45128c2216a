#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Failing system calls, in the short form: some of the points, the same in each run (make test-faults N=all has them all).
load ../lib

sweep()
{
	local dir=$T/faults

	requires_root
	# The images of a sweep are many, and it is not the disk that is tried here.
	if [ -d /dev/shm ]; then
		dir=$(mktemp -d /dev/shm/criu-test.faults.XXXXXX)
	fi
	run "$PYTHON" "$TOP/test/sweep/faults.py" --build "$BUILD" --dir "$dir" --out "$T/out" --lanes 2 "$@" 3>&-
	[ "$dir" = "$T/faults" ] || rm -rf "$dir"
	echo "$output"
	[ "$status" = 0 ]
}

# All of our calls. Those for memory are the sanitizer's, too, which ends the program when they fail, and it reads its options.
OURS=()
[ ! -e "$BUILD/.sanitized" ] || OURS=(--skip ':(mmap|munmap|mprotect|madvise):|/environ')

# The injector let something fail, and that was seen.
saw_both()
{
	grep -q ' failed ' "$T"/out.*.[01]
	grep -q ' survived ' "$T"/out.*.[01]
}

@test "a dump, each run another system call of ours fails: the tree runs on, or is dumped" {
	sweep --mode dump --points "${FAULTS:-100}" "${OURS[@]}"
	saw_both
}

@test "a restore, each run another system call of ours fails: all or nothing" {
	sweep --mode restore --points "${FAULTS:-100}" "${OURS[@]}"
	saw_both
}

@test "the calls for the holder's memory in a task fail: the tree runs on without it" {
	sweep --mode leave --only task-call --strict
	grep -q '^criu-freeze.1' "$T/out.leave.report"
	grep -q 'task-call:8 .* survived task-call-munmap' "$T"/out.leave.[01]
}

@test "what is said to the holder fails at the beginning, at the end: the tree is let go, nothing is left, the manifest says it" {
	sweep --mode dump --strict --only '^criu-freeze(@2:(socket|connect|fchdir|unlinkat|sendmsg|recvmsg)|:sendto):'
	sweep --mode dump --strict --errors all --only '^criu-freeze:recvfrom:'
}

@test "a text for /proc that was not taken whole, a timer whose clock was set: refused, or made again" {
	sweep --mode restore --strict --errors all --only '(timerfd_settime:.*:ECANCELED|criu-restore\.2\.[0-9]:write:.*:one)$'
}

@test "the kernel's scan of page tables is gone in the middle: it is read, and not for ever" {
	sweep --mode dump --strict --errors all --only '^criu-pages:ioctl:.*:ENOTTY$'
	grep -q ' survived ' "$T"/out.dump.[01]
}

@test "epoll targets and socket families that cannot be read are not taken for others" {
	sweep --mode dump --strict --errors all --only '^criu-collect:(getsockopt:1[01]|pidfd_getfd:2)[0-9]:EPERM$'
}
