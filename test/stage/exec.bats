#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# criu exec (criu-freeze exec): a system call in a task, running or held; nothing of it is left.
load ../lib

# A file system whose server is stopped must not be looked at.
teardown()
{
	[ -z "${server-}" ] || { kill -CONT "$server"; umount -l "$T/mnt"; } 2>/dev/null || :
	common_teardown
}

call()
{
	"$CRIU" exec -t "$PID" "$@"
}

# What the task sleeps in, with arguments and stack: the same sleep as before.
where()
{
	wait_for 5 runs "$1" || fail "$1 does not run"
	# The number changes: the kernel restarts a sleep by another call.
	awk '{ print $2, $3, $4, $5, $(NF - 1), $NF }' "/proc/$1/syscall"
}

@test "getpid; a write to its file; files and memory come and go: nothing else is left" {
	start_program sleep 1000
	unharmed_begin
	where "$PID" >"$T/where"
	[ "$(call getpid)" = "getpid() = $PID" ]
	[ "$(call write 1 '&hello
' 6)" = 'write(1, "hello\n", 6) = 6' ]
	[ "$(cat "$DIR/out.txt")" = hello ]
	echo 'some text' >"$T/file"
	[ "$(call openat -- -100 "&$T/file" 0)" = "openat(-100, \"$T/file\", 0) = 3" ]
	[ "$(readlink "/proc/$PID/fd/3")" = "$T/file" ]
	[ "$(call read 3 '&buf:12' 12)" = 'read(3, [12 bytes], 12) = 10
argument 2:
  00000  73 6f 6d 65 20 74 65 78 74 0a 00 00              |some text...|' ]
	[ "$(call close 3)" = 'close(3) = 0' ]
	run call mmap 0 0x10000 3 0x22 -1 0
	[ "$status" = 0 ]
	addr=$(sed -n 's/.*= [0-9]* (\(0x[0-9a-f]*\))$/\1/p' <<<"$output")
	grep -q "^${addr#0x}-" "/proc/$PID/maps"
	[[ $(call munmap "$addr" 65536) == *' = 0' ]]
	unharmed_end
	[ "$(where "$PID")" = "$(cat "$T/where")" ]
}

@test "a call that fails: errno by name, exit 1; the result as JSON" {
	start_program sleep 1000
	unharmed_begin
	run call openat -100 '&/nonexistent' 0
	[ "$status" = 1 ]
	[ "$output" = 'openat(-100, "/nonexistent", 0) = -1 ENOENT (No such file or directory)' ]
	run call --json close 99
	[ "$status" = 1 ]
	jq -e '.syscall == "close" and .number == 3 and .result == -1 and .errno == "EBADF" and .args == ["99"]' <<<"$output"
	call --json getcwd '&buf:64' 64 >"$T/json"
	jq -e ".result == $((${#DIR} + 1)) and .task == $PID" "$T/json"
	[[ $(jq -r '.buffers[0].hex' "$T/json") == "$(printf %s "$DIR" | od -An -v -tx1 | tr -d ' \n')"00* ]]
	# By number, and with bytes: clock_nanosleep would sleep, so lseek and a timespec for utimensat.
	[ "$(call 39)" = "getpid() = $PID" ]
	run call 100000
	[[ $status = 1 && $output == 'syscall 100000() = -1 ENOSYS '* ]]
	[[ $(call utimensat -100 "&out.txt" '&hex:00ca9a3b0000000000000000000000000065cd1d000000000000000000000000' 0) == *' = 0'* ]]
	[ "$(stat -c %X:%Y "$DIR/out.txt")" = 1000000000:500000000 ]
	unharmed_end
}

@test "arguments by name: constants, several of them, with numbers" {
	start_program sleep 1000
	[ "$(call openat AT_FDCWD "&$T/made" 'O_RDWR|O_CREAT|O_EXCL' 0640)" = "openat(AT_FDCWD, \"$T/made\", O_RDWR|O_CREAT|O_EXCL, 0640) = 3" ]
	[ -f "$T/made" ]
	[ "$(call lseek 3 7 SEEK_END)" = 'lseek(3, 7, SEEK_END) = 7' ]
	[[ $(call fcntl 3 F_SETFL 'O_APPEND|0x800') == *' = 0' ]]
	grep -q '^flags:.*0106002' "/proc/$PID/fdinfo/3" # with O_LARGEFILE, as the kernel shows it
	[[ $(call close 3) == *' = 0' ]]
	for arg in O_RDWRX O_RDW '|O_RDWR' 'O_RDWR|' 'O_RDWR||O_CREAT' '1|' '1|x' SIG; do
		EXIT=100 refused usage "$BIN/criu-freeze" exec -t "$PID" lseek 3 0 "$arg"
	done
	call kill "$PID" SIGTERM
	wait_for 5 gone "$PID"
}

@test "standard output that cannot be written: exit 1, and what the call returned" {
	start_program sleep 1000
	for option in '' --json; do
		# shellcheck disable=SC2016,SC2086
		run bash -c 'exec "$@" >/dev/full' - "$CRIU" exec -t "$PID" $option getpid
		[ "$status" = 1 ]
		[[ $output == *"standard output: the call was made and returned $PID, but this could not be written: No space left on device"* ]]
	done
}

@test "wrong arguments are told by name, and nothing is stopped" {
	start_program sleep 1000
	unharmed_begin
	for args in 'bogus' 'close x' 'close 1x' 'close 0x10000000000000000' 'read 0 &buf:0 1' 'read 0 &buf:-1 1' 'read 0 &buf:600000 1' \
		'read 0 &hex:abc 1' 'read 0 &hex:zz 1' 'read 1 2 3 4 5 6 7' ''; do
		# shellcheck disable=SC2086
		EXIT=100 refused usage "$BIN/criu-freeze" exec -t "$PID" $args
	done
	EXIT=100 refused usage "$BIN/criu-freeze" exec getpid
	refused usage call bogus
	[[ $output == *"there is no system call of that name here"* ]]
	unharmed_end
	kill "$PID"
	wait_for 5 gone "$PID"
	refused no-such-task call getpid
	PID=2 refused kernel-thread call getpid
}

@test "calls that would end, copy or confuse the task are refused by name" {
	start_program sleep 1000
	unharmed_begin
	for args in 'exit 0' 'exit_group 0' 'fork' 'vfork' 'clone 0' 'clone3 0 0' 'execve &/bin/true 0 0' 'execveat 0 0 0 0 0' rt_sigreturn \
		restart_syscall 'rt_sigprocmask 0 0 0 8' 'rt_sigsuspend 0 8' 'ppoll 0 0 0 &hex:0000000000000000 8' \
		'arch_prctl 0x1002 0' 'nanosleep &buf:16 0' 'poll 0 0 100'; do
		# shellcheck disable=SC2086
		refused call-forbidden call $args
		[[ $output == *"${args%% *} cannot be made in it: "* ]]
	done
	# By number: of a call that the kernel answers with SIGILL, and exit by its other number.
	for nr in 335 0x4000003c; do
		refused call-forbidden call $nr
		[[ $output == *" cannot be made in it: "* ]]
	done
	# The program sleeps in clock_nanosleep: a poll of its own would make it forget that; select does not.
	[[ $(call select 0 0 0 0 '&hex:00000000000000001027000000000000') == *' = 0'* ]]
	unharmed_end
}

@test "a call that blocks is broken off after --timeout, and by ^C; the task sleeps on" {
	start_program "$PYTHON" -c 'import os
r, w = os.pipe()
print("up", flush=True)
print(os.read(r, 100), flush=True)'
	wait_for 5 has_line "$DIR/out.txt" up
	unharmed_begin
	where "$PID" >"$T/where"
	refused call-timeout call --timeout 1 read 3 '&buf:10' 10
	[[ $output == *"read did not end within 1 s and was broken off"* ]]
	"$PYTHON" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$CRIU" exec -t "$PID" --timeout 0 pause 3>&- &
	exec=$!
	wait_for 5 grep -q '^34 ' "/proc/$PID/syscall"
	kill -INT $exec
	code=0
	wait $exec || code=$?
	[ $code = 130 ]
	[ "$(where "$PID")" = "$(cat "$T/where")" ]
	unharmed_end
	[[ $(call write 4 '&end' 3) == *' = 3' ]]
	wait_for 5 has_line "$DIR/out.txt" "b'end'"
}

@test "killed in the middle of a call that sleeps: the task ends the call and goes on" {
	start_victim threads
	"$CRIU" exec -t "$PID" --timeout 0 select 0 0 0 0 '&hex:0000000000000000400d030000000000' 3>&- &
	exec=$!
	wait_for 5 grep -q '^23 ' "/proc/$PID/syscall"
	kill -KILL $exec
	wait_for 5 runs "$PID"
	victim_finish
}

@test "threads: each can be named; all the others run on as they were" {
	start_victim threads
	unharmed_begin
	for task in "/proc/$PID/task"/*; do
		tid=${task##*/}
		[ "$("$CRIU" exec -t "$tid" gettid)" = "gettid() = $tid" ]
		[ "$("$CRIU" exec -t "$tid" getpid)" = "getpid() = $PID" ]
	done
	unharmed_end
	victim_finish
}

@test "programs with seccomp; a program with all sorts of signals" {
	for victim in seccomp signals; do
		start_victim $victim
		unharmed_begin
		for pid in $(tree_of "$PID"); do
			for _ in 1 2 3; do
				[ "$("$CRIU" exec -t "$pid" getpid)" = "getpid() = $pid" ]
			done
		done
		unharmed_end
		victim_finish
		rm -rf "$DIR"
	done
}

@test "whatever call the task waits in, it goes on waiting, and its signals arrive" {
	for wait in pause sigsuspend epoll poll sleep read readr; do
		start_victim restart $wait
		where "$PID" >"$T/where"
		[ "$(call getpid)" = "getpid() = $PID" ]
		[ "$(where "$PID")" = "$(cat "$T/where")" ] || fail "$wait"
		[ "$(cat "$DIR/out.txt")" = ready ] || fail "$wait"
		kill -USR1 "$PID"
		wait_for 5 has_line "$DIR/out.txt" handler
		kill -KILL "$PID"
		rm -rf "$DIR"
	done
}

@test "a stopped task stays stopped" {
	start_program sleep 1000
	kill -STOP "$PID"
	wait_for 5 grep -q '^State:.*T (stopped)' "/proc/$PID/status"
	tree_state "$PID" >"$T/before"
	[ "$(call getpid)" = "getpid() = $PID" ]
	wait_for 5 grep -q '^State:.*T (stopped)' "/proc/$PID/status"
	tree_state "$PID" >"$T/after"
	diff "$T/before" "$T/after"
	kill -CONT "$PID"
	wait_for 5 grep -q '^State:.*S' "/proc/$PID/status"
}

@test "children are not stopped, and the shell that calls can be the task" {
	start_program bash -c 'sleep 1000 & wait'
	wait_for 5 grep -q . "/proc/$PID/task/$PID/children"
	child=$(tree_of "$PID" | tail -n 1)
	before=$(grep ctxt "/proc/$child/status")
	[ "$(call getpid)" = "getpid() = $PID" ]
	[ "$before" = "$(grep ctxt "/proc/$child/status")" ]
	# shellcheck disable=SC2016
	run bash -c 'echo "getpid() = $$"; "$0" exec -t $$ getpid; exit $?' "$CRIU"
	[ "$status" = 0 ]
	[ "${lines[0]}" = "${lines[1]}" ]
}

@test "a held tree: its holder makes the call; another task, and a task held for someone else" {
	start_victim threads
	unharmed_begin
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&-
	[ "$(call -D "$IMG" getpid)" = "getpid() = $PID" ]
	[[ $(call -D "$IMG" openat -100 '&/etc/passwd' 0) == 'openat(-100, "/etc/passwd", 0) = '* ]]
	fd=$(find "/proc/$PID/fd" -lname /etc/passwd)
	[[ $(call -D "$IMG" --json read "${fd##*/}" '&buf:5' 5 | jq -r '.buffers[0].hex') == 726f6f743a ]]
	call -D "$IMG" close "${fd##*/}"
	refused call-forbidden call -D "$IMG" exit 0
	refused call-timeout call -D "$IMG" --timeout 1 pause
	grep -q 'tracing stop' "/proc/$PID/status"
	# Not named: it is told who has it.
	refused task-traced call getpid
	[[ $output == *"(criu-holder) (it is held for a dump: name its images directory with -D, or let it go with criu-freeze thaw -t $PID)"* ]]
	[ "$("$CRIU" exec -D "$IMG" -t $$ getpid)" = "getpid() = $$" ]
	"$BIN/criu-freeze" thaw -D "$IMG" -W "$WORK"
	unharmed_end
	victim_finish
}

# A file server of which nobody gets an answer while it is stopped: who waits for one cannot be stopped either.
dead_mount()
{
	requires_root
	requires_command bindfs
	mkdir -p "$T/under" "$T/mnt"
	: >"$T/under/file"
	DIR=$T/server start_program bindfs -f "$T/under" "$T/mnt"
	server=$PID
	wait_for 10 mountpoint -q "$T/mnt" || skip "no FUSE"
}

@test "a call that does not even break off: the tree is thawed, the thread comes home when the call ends" {
	dead_mount
	start_victim threads
	tid=$(ls "/proc/$PID/task" | tail -n 1)
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -v4 3>&-
	kill -STOP "$server"
	run "$CRIU" exec -t "$tid" -D "$IMG" --timeout 1 openat -100 "&$T/mnt/file" 0
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *'[call-timeout]'* ]]
	# The holder serves others, and knows where the thread is.
	[ "$("$CRIU" exec -t "$PID" -D "$IMG" getpid)" = "getpid() = $PID" ]
	run "$CRIU" exec -t "$tid" -D "$IMG" getpid
	[[ $status = 1 && $output == *'a system call in it did not end'* ]] || fail "$output"
	"$BIN/criu-freeze" thaw -D "$IMG" -W "$WORK"
	wait_for 10 runs "$PID"
	kill -CONT "$server"
	wait_for 10 runs "$PID/task/$tid"
	victim_finish
}

@test "the end of the lease and SIGTERM are seen while the holder waits for a call in a task" {
	start_program sleep 1000
	for by in lease signal; do
		sleep 1000 3>&- &
		lease=$!
		"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -v4 --lease $lease 3>&-
		holder=$("$BIN/criu-freeze" status --json -D "$IMG" -W "$WORK" | jq .holder)
		"$CRIU" exec -t "$PID" -D "$IMG" pause >"$T/said" 2>&1 3>&- &
		exec=$!
		wait_for 10 grep -q '^State:.*S (sleeping)' "/proc/$PID/status"
		if [ $by = lease ]; then
			kill $lease
		else
			kill -TERM "$holder"
		fi
		! wait $exec
		cat "$T/said"
		grep -q 'whoever asked for the tree has ended' "$T/said"
		wait_for 10 runs "$PID"
		wait_for 10 gone "$holder"
		kill $lease 2>/dev/null || :
		rm -rf "$IMG" && mkdir "$IMG"
	done
}
