#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What people do to a dump that is going on: ^C, a stopped or killed holder, a directory that is removed, limits. The tree runs
# on or can be let go, what was done is told, and nothing stays behind.
load ../lib

freeze()
{
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" "$@" 3>&-
}

verb()
{
	"$BIN/criu-freeze" "$@" -D "$IMG" -W "$WORK"
}

tracer()
{
	awk '/^TracerPid/ { print $2 }' "/proc/${1:-$PID}/status"
}

untraced()
{
	[ "$(tracer)" = 0 ]
}

traced()
{
	! untraced
}

# Nothing but images and logs is in the directory; what a stage was writing in the moment of its death may be.
nothing_left()
{
	[ -z "$(cd "$IMG" && find . -name '.?*' ! -name '.manifest.json.*')" ] || fail "left: $(ls -a "$IMG")"
	[ -z "$(cd "$WORK" && find . -name '.holder*')" ]
}

says()
{
	[[ $output == *"$1"* ]] || fail "no such message: $1"
}

# A task that takes a while to dump.
start_large()
{
	start_program "$PYTHON" -c "import time
x = bytearray(b'a') * (400 << 20)
x[::4096] = bytes(i & 255 for i in range(len(x) // 4096))
print('ready', flush=True)
time.sleep(1000)"
	wait_for 30 has_line "$DIR/out.txt" ready
}

# interrupt SIGNAL WHOM: a dump of the wrapper, when the tree is held. Return: it was not over yet. WHOM: group or shell
interrupt()
{
	local pid status=0
	rm -rf "$IMG" && mkdir "$IMG"
	# A shell has its background processes ignore ^C.
	env --default-signal=INT setsid "$CRIU" dump -R -t "$PID" -D "$IMG" >"$T/dump.txt" 2>&1 3>&- &
	pid=$!
	wait_for 20 traced
	kill -"$1" -- "$([ "$2" = shell ] || echo -)$pid" 2>/dev/null
	wait "$pid" || status=$?
	wait_for 5 untraced
	output=$(cat "$T/dump.txt")
	echo "$2 $1: $status $output"
	[ "$status" -ne 0 ] || return 1
	[ "$status" -eq $((128 + $(kill -l "$1"))) ]
}

@test "^C, SIGTERM and SIGHUP in the middle of a dump: told, the tree runs, nothing is left" {
	local sig whom
	start_large
	unharmed_begin
	for sig in INT TERM HUP; do
		for whom in group shell; do
			for _ in {1..8}; do
				! interrupt $sig $whom || break
			done
			says "dump: SIG$sig came (make the dump again; the tree runs on) [interrupted]"
			says "Dumping FAILED."
			[ "$(grep -c '^Error' "$T/dump.txt")" -eq 2 ]
			[ ! -e "$IMG/inventory.img" ]
			nothing_left
			[ "$(jq -r .error.code "$IMG/manifest.json")" = interrupted ]
		done
	done
	unharmed_end
}

@test "SIGTERM in the last step of a dump, before the seal" {
	start_victim threads
	unharmed_begin
	freeze
	for tool in criu-collect criu-parasite criu-pages; do
		"$BIN/$tool" -D "$IMG" -W "$WORK"
	done
	local holder end status=0
	holder=$(tracer)
	kill -STOP "$holder"
	CRIU_LOG_OPEN=1 "$BIN/criu-freeze" end --as-criu -D "$IMG" -W "$WORK" >"$T/end.txt" 2>&1 3>&- &
	end=$!
	wait_for 20 grep -q holder-stopped "$T/end.txt"
	kill -TERM "$end"
	kill -CONT "$holder"
	wait "$end" || status=$?
	output=$(cat "$T/end.txt")
	echo "$output"
	[ "$status" -eq 143 ]
	says "dump: SIGTERM came"
	[ ! -e "$IMG/inventory.img" ]
	nothing_left
	unharmed_end
	victim_finish
}

@test "SIGTERM while the images are made durable: no seal, the tree runs" {
	requires_command strace
	start_victim threads
	unharmed_begin
	freeze
	for tool in criu-collect criu-parasite criu-pages; do
		"$BIN/$tool" -D "$IMG" -W "$WORK"
	done
	local end status=0
	CRIU_LOG_OPEN=1 strace -qq -o "$T/strace" -e trace=fsync -e inject=fsync:delay_enter=300000 \
		"$BIN/criu-freeze" end --as-criu -D "$IMG" -W "$WORK" >"$T/end.txt" 2>&1 3>&- &
	wait_for 10 grep -q fsync "$T/strace"
	end=$(pgrep -P $! -x criu-freeze)
	kill -TERM "$end"
	wait $! || status=$?
	output=$(cat "$T/end.txt")
	echo "$output"
	[ "$status" -eq 143 ]
	says "dump: SIGTERM came"
	[ ! -e "$IMG/inventory.img" ]
	nothing_left
	unharmed_end
	victim_finish
}

@test "a stage that is stopped or hears no SIGTERM does not keep the wrapper" {
	local status=0
	start_large
	unharmed_begin
	"$CRIU" dump -R -t "$PID" -D "$IMG" >"$T/dump.txt" 2>&1 3>&- &
	local dump=$!
	wait_for 10 traced
	wait_for 10 criu_is_there criu-pages "$dump"
	kill -STOP "$pid_of"
	kill -TERM "$dump"
	wait "$dump" || status=$?
	[ "$status" -eq 143 ]
	untraced
	nothing_left
	unharmed_end
	run timeout -s KILL 20 env --block-signal=TERM "$CRIU" dump -t 4194304 -D "$IMG" 3>&-
	[ "$status" -eq 1 ]
	says "[no-such-task]"
}

@test "the end of criu-freeze that runs a command lets the tree run" {
	start_program sleep 1000
	unharmed_begin
	"$BIN/criu-freeze" -t "$PID" -D "$IMG" -W "$WORK" -- sleep 1000 3>&- &
	local freeze=$!
	wait_for 10 traced
	wait_for 10 criu_is_there sleep "$freeze"
	kill -KILL "$freeze"
	wait "$freeze" || true
	wait_for 5 untraced
	wait_for 5 nothing_left
	kill "$pid_of"
	unharmed_end
}

@test "a command with the tree held that ends it: its status counts" {
	start_program sleep 1000
	run freeze -- sh -c "for tool in criu-collect criu-parasite criu-pages 'criu-freeze end'; do
		$BIN/\$tool -D $IMG -W $WORK || exit 1
	done; exit 42"
	echo "$output"
	[ "$status" -eq 42 ]
	wait_for 5 gone "$PID"
	check_images
}

@test "a wrapper that is killed: the holder lets the tree go and leaves nothing of the stages" {
	start_program sleep 1000
	unharmed_begin
	freeze --lease "$(sleep 1000 >/dev/null 2>&1 3>&- & echo $!)"
	kill -KILL "$(pgrep -n -x sleep)"
	wait_for 5 untraced
	wait_for 5 nothing_left
	freeze
	kill -TERM "$(tracer)"
	wait_for 5 nothing_left
	unharmed_end
}

@test "the images directory removed while the tree is held: it is let go by its pid" {
	start_victim threads
	unharmed_begin
	freeze
	rm -rf "$IMG"
	run verb thaw
	[ "$status" -eq 1 ]
	says "(name the directory of the dump with -D, or the root of the tree: criu-freeze thaw -t PID) [dir-missing]"
	traced
	verb thaw -t "$PID"
	untraced
	mkdir "$IMG"
	freeze
	rm -rf "$IMG"
	mkdir "$IMG"
	run verb thaw
	[ "$status" -eq 1 ]
	says "criu-freeze thaw -t PID) [not-held]"
	# A stopped holder, too.
	kill -STOP "$(tracer)"
	verb thaw -t "$PID"
	untraced
	run verb thaw -t "$PID"
	[ "$status" -eq 1 ]
	says "task $PID: nobody holds it (nothing is to be done: it runs) [not-held]"
	unharmed_end
	victim_finish
}

@test "thaw -t of a task that another tracer has, or that is not there: refused" {
	start_program sleep 1000
	"$PYTHON" -c "import ctypes, time
assert ctypes.CDLL(None).ptrace(0x4206, $PID, 0, 0) == 0
time.sleep(1000)" 3>&- &
	local other=$!
	wait_for 5 traced
	run verb thaw -t "$PID"
	[ "$status" -eq 1 ]
	says "task $PID: process $other traces it, which is no holder"
	kill "$other"
	wait "$other" || true
	run verb thaw -t 4194304
	[ "$status" -eq 1 ]
	says "[no-such-task]"
}

@test "thaw -t while the directory has another holder: both trees are let go by their names" {
	start_program sleep 1000
	local first=$PID second
	freeze
	mkdir "$T/other"
	second=$(setsid sleep 1000 >/dev/null 2>&1 3>&- <&- & echo $!)
	"$BIN/criu-freeze" -t "$second" -D "$T/other" 3>&-
	verb thaw -t "$second"
	[ "$(tracer "$second")" = 0 ]
	traced
	verb thaw -t "$first"
	untraced
	kill "$second"
}

@test "the directory removed in the middle of a dump: told, the tree runs" {
	start_large
	unharmed_begin
	"$CRIU" dump -t "$PID" -D "$IMG" >"$T/dump.txt" 2>&1 3>&- &
	local pid=$! status=0
	wait_for 20 traced
	# A stage may put a file into it between the last unlink and the rmdir.
	wait_for 20 rm -rf "$IMG" 2>/dev/null
	wait "$pid" || status=$?
	output=$(cat "$T/dump.txt")
	echo "$output"
	[ "$status" -eq 1 ]
	says "Dumping FAILED."
	says "make the dump again"
	[[ $output != *"finished dump"* ]]
	unharmed_end
}

@test "a holder that somebody has stopped: who waits for it says so, and goes on with it" {
	start_victim threads
	unharmed_begin
	freeze
	local holder thaw
	holder=$(tracer)
	kill -STOP "$holder"
	verb thaw >"$T/thaw.txt" 2>&1 3>&- &
	thaw=$!
	wait_for 20 grep -q 'holder-stopped' "$T/thaw.txt"
	grep -F "holder: process $holder does not answer: it is stopped (let it go on: kill -CONT $holder; or end it, and the tree runs on: kill -KILL $holder)" "$T/thaw.txt"
	kill -CONT "$holder"
	wait "$thaw"
	nothing_left
	unharmed_end
	victim_finish
}

@test "thaw -t with a holder that somebody has stopped: it lets the tree go" {
	start_program sleep 1000
	freeze
	kill -STOP "$(tracer)"
	timeout 20 "$BIN/criu-freeze" thaw -t "$PID" -D "$IMG"
	untraced
	nothing_left
}

@test "a stage of another lease by hand: refused at once, and the dead man's time goes on" {
	start_program sleep 1000
	freeze --hold-time 3
	for _ in 1 2; do
		run timeout 5 "$BIN/criu-collect" --wait --lease $$ -D "$IMG" -W "$WORK"
		[ "$status" -eq 1 ]
		says "it holds the tree of another dump: Device or resource busy (wait for it; if it is this one, give all its programs the same --lease) [dir-busy]"
		sleep 1
	done
	wait_for 3 untraced
}

@test "stop keeps the tree, and the dump whose it is may end it" {
	start_program sleep 1000
	freeze --lease $$
	for tool in criu-collect criu-parasite criu-pages; do
		"$BIN/$tool" -D "$IMG" -W "$WORK"
	done
	verb stop
	verb end --lease $$
	wait_for 5 gone "$PID"
	check_images
	restore
	rm -rf "$IMG" && mkdir "$IMG"
	freeze -- "$BIN/criu-freeze" stop -D "$IMG" -W "$WORK"
	untraced
}

# stopped_dump: one that has been stopped (^Z) while the tree is held. Sets dump.
stopped_dump()
{
	local try
	for try in {1..8}; do
		rm -rf "$IMG" && mkdir "$IMG"
		setsid "$CRIU" dump -R -t "$PID" -D "$IMG" >"$T/dump.txt" 2>&1 3>&- &
		dump=$!
		wait_for 20 traced
		kill -STOP -- "-$dump" 2>/dev/null
		traced && return
		kill -CONT -- "-$dump" 2>/dev/null
		wait "$dump" || fail "dump $try"
	done
	fail "each dump was over before it was stopped"
}

@test "a dump that is stopped (^Z) goes on when it is told to; meanwhile the tree can be let go" {
	local status=0
	start_large
	unharmed_begin
	stopped_dump
	sleep 1
	traced
	kill -CONT -- "-$dump"
	wait "$dump"
	check_images
	stopped_dump
	"$BIN/criu-freeze" thaw -t "$PID" -D "$IMG"
	untraced
	kill -CONT -- "-$dump"
	wait "$dump" || status=$?
	output=$(cat "$T/dump.txt")
	echo "$output"
	[ "$status" -eq 1 ]
	says "Dumping FAILED."
	[ ! -e "$IMG/inventory.img" ]
	nothing_left
	unharmed_end
}

@test "thaw after the death of the holder: done, told, nothing is left" {
	start_victim threads
	unharmed_begin
	freeze
	kill -KILL "$(tracer)"
	wait_for 5 untraced
	run verb thaw
	[ "$status" -eq 0 ]
	says "the holder had died, and the tree has run since"
	nothing_left
	run verb thaw
	[ "$status" -eq 1 ]
	unharmed_end
	victim_finish
}

@test "another user asks the holder: refused by who it is" {
	requires_root
	start_program sleep 1000
	freeze
	mkdir "$T/bin"
	cp "$BIN/criu-freeze" "$T/bin"
	chmod 755 "$IMG"
	run setpriv --reuid 65534 --clear-groups "$T/bin/criu-freeze" status -D "$IMG"
	echo "$output"
	[ "$status" -eq 1 ]
	says "[access-denied]"
	chmod 666 "$IMG/.holder"
	run setpriv --reuid 65534 --clear-groups "$T/bin/criu-freeze" thaw -D "$IMG"
	[ "$status" -eq 1 ]
	says "holder: process $(tracer) is of user 0, and answers that user and root alone"
	says "(run as that user, or as root) [privilege]"
	run setpriv --reuid 65534 --clear-groups "$T/bin/criu-freeze" thaw -t "$PID" -D "$T/none"
	[ "$status" -eq 1 ]
	says "(run as its user, or as root) [privilege]"
	traced
	verb thaw
}

@test "no more processes for the wrapper: told with the limit" {
	requires_root
	start_program sleep 1000
	mkdir "$T/bin"
	cp "$BIN"/criu "$BIN"/criu-* "$T/bin"
	run setpriv --reuid 61239 --clear-groups sh -c "ulimit -p 1 2>/dev/null || ulimit -u 1; exec $T/bin/criu dump -t $PID -D $IMG" 3>&-
	echo "$output"
	[ "$status" -eq 1 ]
	says "ulimit -u, pids.max of the cgroup; the tree runs on) [limit-processes]"
}

# A vfork parent, which a dump waits for.
start_slow()
{
	start_program "$PYTHON" -c 'import ctypes, os
libc = ctypes.CDLL(None)
if libc.vfork() == 0:
    print("up", flush=True)
    libc.sleep(1000)
    os._exit(0)'
	wait_for 5 has_line "$DIR/out.txt" up
	child=$(cat "/proc/$PID/task/$PID/children")
	child=${child% }
}

criu_is_there()
{
	pid_of=$(pgrep -x "$1" -P "$2")
}

@test "the holder is ended while it stops the tree: told with the signal, nothing is left" {
	start_slow
	freeze 2>"$T/freeze.txt" &
	local freeze=$! status=0
	wait_for 10 traced
	kill -KILL "$(tracer)"
	wait "$freeze" || status=$?
	output=$(cat "$T/freeze.txt")
	echo "$output"
	[ "$status" -ne 0 ]
	says "holder: it was ended by SIGKILL; the tree runs (see dmesg (out of memory)"
	says "raise ulimit -s"
	untraced
	nothing_left
	kill "$child"
}

@test "a manifest that a stage was writing when it was killed is removed with .stage" {
	start_program sleep 1000
	freeze
	touch "$IMG/.manifest.json.4194304" "$IMG/.manifest.json.$$"
	verb thaw
	[ ! -e "$IMG/.manifest.json.4194304" ] && [ -e "$IMG/.manifest.json.$$" ]
	rm "$IMG/.manifest.json.$$"
	nothing_left
}

@test "criu-freeze is killed in a dump: told, nothing is left" {
	start_slow
	"$CRIU" dump -t "$PID" -D "$IMG" >"$T/dump.txt" 2>&1 3>&- &
	local dump=$! status=0
	wait_for 10 traced
	wait_for 10 criu_is_there criu-freeze "$dump"
	kill -KILL "$pid_of"
	wait "$dump" || status=$?
	output=$(cat "$T/dump.txt")
	echo "$output"
	[ "$status" -eq 1 ]
	says "criu-freeze, criu-collect, criu-parasite, criu-pages: ended without a word before the work was done"
	says "Dumping FAILED."
	wait_for 5 untraced
	nothing_left
	kill "$child"
}

@test "a directory without room for files is named; a manifest that is a link to nothing is no missing one" {
	start_program sleep 1000
	run "$CRIU" dump -t "$PID" -D /proc 3>&-
	[ "$status" -eq 1 ]
	says "images directory /proc: cannot write it"
	ln -s nowhere "$IMG/manifest.json"
	run "$BIN/criu-restore" -D "$IMG"
	[ "$status" -eq 2 ]
	says "manifest.json: it is a symbolic link to a file that is not there"
	run "$BIN/crit" verify "$IMG"
	says "manifest.json: it is a symbolic link to a file that is not there"
}
