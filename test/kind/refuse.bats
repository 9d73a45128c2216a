#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What cannot be carried is refused by name, and the tree runs on as if nothing had been.
load ../lib

refused_state()
{
	local what=$1 name=$2
	start_victim refuse "$what"
	unharmed_begin
	refused_dump "$name"
	unharmed_end
	victim_finish
}

# One descriptor kind: the message names the task and the descriptor.
refused_fd()
{
	local name=$1 kind fd
	shift
	for kind; do
		DIR=$T/$kind IMG=$T/img-$kind
		mkdir -p "$DIR" "$IMG"
		start_program "$VICTIMS/fdkind" "$kind"
		wait_for 5 has_line "$DIR/out.txt" 'ready|none.*'
		if grep -q '^none' "$DIR/out.txt"; then
			echo "# $kind: $(cat "$DIR/out.txt")"
			continue
		fi
		fd=$(fact fd)
		unharmed_begin
		refused_dump "$name"
		[[ $output == *"$PID"*"fd $fd"* ]] || { echo "$output"; fail "$kind: the message does not name task and descriptor"; }
		unharmed_end
		victim_finish
	done
}

@test "refuse: a task that runs 32-bit code (B4)" {
	start_program "$VICTIMS/compat"
	wait_for 20 has_line "$DIR/out.txt" 'ready|none.*'
	! grep '^none' "$DIR/out.txt" || skip "this kernel runs no 32-bit code"
	unharmed_begin
	refused_dump compat-task
	unharmed_end
	victim_finish
}

@test "refuse: a shadow stack (B13)" {
	grep -q user_shstk /proc/cpuinfo || skip "this CPU or kernel has no shadow stacks"
	GLIBC_TUNABLES=glibc.cpu.x86_shstk=on start_program sleep 1000
	grep -q '^x86_Thread_features:.*shstk' "/proc/$PID/status" || skip "this libc switches no shadow stack on"
	unharmed_begin
	refused_dump shadow-stack
	unharmed_end
}

@test "refuse: AMX tiles in use (B2)" {
	grep -q amx_tile /proc/cpuinfo || skip "this CPU has no AMX"
	refused_state amx amx-state
}

@test "refuse: a task that handles its own system calls" {
	refused_state dispatch syscall-dispatch
	[[ $output == *SYSCALL_USER_DISPATCH* ]]
}

@test "refuse: an LSM label (C5)" {
	[ -r /sys/kernel/security/lsm ] && grep -qE 'apparmor|selinux' /sys/kernel/security/lsm || skip "no LSM with labels"
	requires_command aa-exec
	start_program aa-exec -p unprivileged_userns sleep 1000
	grep -q unconfined "/proc/$PID/attr/current" && skip "no profile to run under"
	unharmed_begin
	refused_dump lsm-label
	unharmed_end
}

@test "refuse: a thread group whose leader has ended" {
	refused_state leader-dead leader-dead
}

@test "refuse: a userfaultfd descriptor (D22)" {
	refused_state userfaultfd fd-kind
}

# A mapping.
refused_mapping()
{
	DIR=$T/$1 IMG=$T/img-$1
	mkdir -p "$DIR" "$IMG"
	start_program "$VICTIMS/mapkind" "$1"
	wait_for 5 has_line "$DIR/out.txt" 'ready|none.*'
	grep -q '^none' "$DIR/out.txt" && return 0
	unharmed_begin
	refused_dump mapping-kind
	[[ $output == *"$PID"* ]]
	unharmed_end
	victim_finish
}

@test "refuse: System V shared memory, hugetlb pages, AIO and packet rings (D11, D13, D17, D18)" {
	for kind in sysv hugetlb aio packet; do
		refused_mapping $kind
	done
}

@test "refuse: watches, process and namespace descriptors (E17, E18, E19, E21)" {
	refused_fd fd-kind inotify fanotify pidfd namespace
}

@test "refuse: BPF maps, TUN devices, io_uring, counters, message queues (E22, E23, E30)" {
	refused_fd fd-kind bpf tun uring perf mqueue
}

@test "refuse: raw, packet, netlink sockets and families that nobody carries (G17-G20)" {
	refused_fd fd-kind packet netlink vsock alg
	refused_fd socket-protocol raw mptcp
}
