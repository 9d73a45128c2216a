#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# criu-collect --dry-run: what a dump would refuse is listed before anything is stopped, and nothing is touched.
load ../lib

dry_run()
{
	(cd "$T" && "$BIN/criu-collect" --dry-run -t "$PID" "$@")
}

# "object: reason [code]" of each finding, sorted.
findings()
{
	dry_run --json "$@" >"$T/dry.json" || [ $? = 1 ]
	jq -r '.findings[] | .object + ": " + .reason + (if .system then ": " + .system else "" end) + " [" + .code + "]"' "$T/dry.json" | sort
}

# The same of a dump that is refused, from the manifest: what criu-freeze refuses is one, the rest is all there is.
refusals()
{
	rm -rf "$IMG" "$WORK"
	mkdir "$IMG" "$WORK"
	run "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log
	[ "$status" = 1 ] || fail "the dump was not refused: exit status $status: $output"
	jq -r '[.stages[] | .failures // [] | .[]] | .[] | .object + ": " + .reason + (if .system then ": " + .system else "" end) + " [" + .code + "]"' \
		"$IMG/manifest.json" | sort
}

# same VICTIM [ARG...]: the dry run finds what the dump refuses, and leaves the program as it was.
same()
{
	DIR=$T/$(echo "$*" | tr ' /' '__')
	mkdir -p "$DIR"
	start_program "$VICTIMS/$1" "${@:2}"
	wait_for 20 has_line "$DIR/out.txt" 'ready.*|none.*' || fail "$* is not ready"
	if grep -q '^none' "$DIR/out.txt"; then
		echo "# $*: $(cat "$DIR/out.txt")"
		return 0
	fi
	unharmed_begin
	findings >"$T/dry.txt"
	unharmed_end
	refusals >"$T/dump.txt"
	[ -s "$T/dump.txt" ] || fail "$*: the dump gave no reason"
	diff "$T/dry.txt" "$T/dump.txt" || fail "$*: they differ"
	unharmed_end
	victim_finish
}

@test "dry run: descriptors in states that are not carried: the same as a dump" {
	for what in packet-pipe unix-pending tcp-pending udp-cork peek-off epoll-closed kmsg netns ghost-large; do
		same fdrefuse $what
	done
}

@test "dry run: other ends outside of the tree, a connection: the same as a dump" {
	for what in unix-peer fifo-reader; do
		same fdrefuse $what
		kill "$(fact outside)" 2>/dev/null || true
	done
	same inet connected
	same unix rights
}

@test "dry run: descriptors of kinds that are not carried: the same as a dump" {
	for what in raw netlink mptcp inotify pidfd uring mqueue; do
		same fdkind $what
	done
	same refuse userfaultfd
}

@test "dry run: mappings: the same as a dump" {
	for what in sysv hugetlb aio packet; do
		same mapkind $what
	done
	same refuse userfault-memory
}

@test "dry run: deleted files, /proc of a task: the same as a dump" {
	for what in linked dir proc; do
		same deleted $what
	done
}

@test "dry run: namespaces, shared tables: the same as a dump" {
	for what in netns utsns ipcns mntns pidns userns cgroupns shared-vm shared-fs shared-table; do
		same refuse $what
	done
}

@test "dry run: what criu-freeze refuses: a tracer in the tree, a leader that has ended" {
	same refuse leader-dead
	DIR=$T/traced
	mkdir "$DIR"
	start_victim refuse traced
	[[ $(findings) == *"is in the same tree [tracer-in-tree]"* ]]
	victim_finish
}

@test "dry run: the root: no such task, a thread, a job of another session; the command in the tree" {
	PID=4194303
	[[ $(findings) == *"[no-such-task]" ]]
	[[ $("$BIN/criu-collect" --dry-run -t $$) == *"[self-in-tree]"* ]]
	start_victim threads
	PID=$(find "/proc/$PID/task" -mindepth 1 -maxdepth 1 -printf '%f\n' | grep -vx "$PID" | head -n 1)
	[[ $(findings) == *"[pid-of-thread]" ]]
	sleep 1000 >/dev/null 2>&1 3>&- &
	PID=$!
	findings >"$T/found"
	grep -q '\[session-outside\]' "$T/found"
	jq -e '.findings[] | select(.code == "session-outside").options[] | select(.name == "--shell-job").supported' "$T/dry.json"
	findings --shell-job >"$T/found"
	! grep '\[session-outside\]' "$T/found" || fail "--shell-job does not count"
	kill $PID
}

@test "dry run: a program that can be dumped: exit 0, then it is dumped" {
	start_victim tree
	unharmed_begin
	run dry_run
	[ "$status" = 0 ] || { echo "$output"; return 1; }
	[[ $output == *"nothing that can be seen"*"not looked at"*registers* ]]
	unharmed_end
	dump
	restore
	victim_finish
}

@test "dry run: where there is no tree, nothing is said of what was not looked at" {
	run "$BIN/criu-collect" --dry-run -t 4194303
	[ "$status" = 1 ]
	[[ $output == *"in the way of a dump: 1"*"[no-such-task]"* && $output != *"not looked at"* && $output != *"looked at: "* ]]
	run "$BIN/criu-collect" --dry-run --json -t 4194303
	[ "$status" = 1 ]
	jq -e '.not_looked_at == [] and .processes == 0 and (.findings | length) == 1' <<<"$output"
}

@test "dry run: all findings at once, with option and remedy; text and exit code" {
	start_victim refuse netns
	run dry_run
	[ "$status" = 1 ]
	[[ $output == *"[namespace]"*"to do:"*"option: "* ]]
	victim_finish
}

@test "dry run: nothing is written, nothing stopped or traced, no lease broken, no watch told" {
	local ours='"/(proc|sys|dev)/'

	# A sanitized program is linked dynamically.
	[ ! -e "$BUILD/.sanitized" ] || ours='"/((proc|sys|dev|lib|usr/lib)/|etc/ld\.so\.cache")'
	mkdir "$T/empty"
	start_victim many-files
	(cd "$T/empty" && strace -f -qq -o "$T/strace" -e trace='ptrace,kill,tgkill,openat,process_vm_writev,unlinkat,renameat2,mkdirat' \
		"$BIN/criu-collect" --dry-run -t "$PID" -D "$T/empty" >/dev/null) || [ $? = 1 ]
	[ -z "$(ls -A "$T/empty")" ]
	! grep -E 'ptrace\(|kill\(|process_vm_writev' "$T/strace" || fail "the tree was touched"
	# What is opened for reading, by name, is of /proc and /sys and /dev; the rest is O_PATH, or in the file system in memory.
	! grep 'openat(AT_FDCWD' "$T/strace" | grep -vE "O_PATH|O_DIRECTORY|$ours|= -1 " || fail "a file was opened"
	victim_finish
}

@test "dry run: a tree that changes all the time" {
	start_victim storm
	for _ in 1 2 3; do
		dry_run --json >"$T/dry.json" || [ $? = 1 ]
		jq -e '.processes > 0' "$T/dry.json"
	done
	victim_finish
}

@test "dry run: criu dump --dry-run does not stop anything; criu-freeze refuses the option" {
	start_program sleep 1000
	run "$CRIU" dump --dry-run -t "$PID" -D "$IMG"
	[ "$status" = 0 ] || { echo "$output"; return 1; }
	[[ $output == *"none was stopped"* ]]
	[ -z "$(ls -A "$IMG")" ]
	EXIT=100 refused usage "$BIN/criu-freeze" --dry-run -t "$PID" -D "$IMG"
	runs "$PID"
}

@test "dry run: wrong usage, with the exit codes of criu dump" {
	for args in '--bogus -t 1' '-t x' '-t'; do
		# shellcheck disable=SC2086
		run "$CRIU" dump --dry-run $args
		[ "$status" = 1 ] || fail "criu dump --dry-run $args: $status"
	done
}
