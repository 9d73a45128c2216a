#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Real programs, dumped and restored three times in a row, the image directory moved each time, their state checked from outside.
load ../lib

# The numbers in seq.txt are 1, 2, 3 ... without gap or repeat.
sequence_whole()
{
	awk 'NR != $1 { print "line " NR ": " $0; bad = 1; exit } END { exit bad }' "$DIR/seq.txt" || fail "the sequence has a gap or a repeat"
}

# Between the cycles: it goes on.
between_cycles()
{
	local n
	[ -e "$DIR/seq.txt" ] || return 0
	n=$(wc -l <"$DIR/seq.txt")
	wait_for 10 more_lines "$((n + 20))" || fail "the program does not go on"
	sequence_whole
}

more_lines()
{
	[ "$(wc -l <"$DIR/seq.txt")" -ge "$1" ]
}

start_and_wait()
{
	start_program "$@"
	wait_for 60 has_line "$DIR/out.txt" ready || fail "not ready: $*"
}

finish_with_sequence()
{
	FINISH_SECONDS=60 victim_finish
	sequence_whole
	[ "$(wc -l <"$DIR/seq.txt")" = "$(fact seq)" ]
}

@test "python3: threads, a large dict, files open for append, timers" {
	start_and_wait "$PYTHON" "$TOP/test/real/state.py"
	cycle 3
	finish_with_sequence
	[ "$(grep -c '^ok ' "$DIR/out.txt")" = 7 ]
}

@test "node: an event loop" {
	requires_command node
	start_and_wait "$(command -v node)" "$TOP/test/real/loop.js"
	cycle 3
	finish_with_sequence
	[ "$(grep -c '^ok ' "$DIR/out.txt")" = 5 ]
}

@test "Go: three thousand goroutines" {
	start_and_wait "$BUILD/test/real/goroutines"
	cycle 3
	finish_with_sequence
	[ "$(grep -c '^ok ' "$DIR/out.txt")" = 4 ]
}

@test "java: a JVM under load" {
	requires_command java
	start_and_wait "$(command -v java)" -Xmx256m -cp "$BUILD/test/real" Load
	cycle 3
	finish_with_sequence
	[ "$(grep -c '^ok ' "$DIR/out.txt")" = 3 ]
}

@test "bash: producer | filter | consumer, with data in the pipes" {
	cat >"$T/pipeline.sh" <<-'END'
		n=40000
		i=0
		while [ $((i += 1)) -le $n ]; do echo "$i"; done | sed -u 's/$/ filtered/' | while read -r line; do
			echo "$line" >>result.txt
			[ $((${line% *} % 100)) != 0 ] || sleep 0.01
		done
		echo done
	END
	start_program bash "$T/pipeline.sh"
	wait_for 10 test -s "$DIR/result.txt"
	for i in 1 2 3; do
		n=$(wc -l <"$DIR/result.txt")
		[ "$n" -lt 38000 ] || fail "too slow: the pipeline is nearly done"
		sleep 0.3
		cycle 1
		wait_for 10 result_grows "$n" || fail "the pipeline does not go on"
	done
	FINISH_SECONDS=60 victim_finish
	diff <(seq 40000 | sed 's/$/ filtered/') "$DIR/result.txt"
}

result_grows()
{
	[ "$(wc -l <"$DIR/result.txt")" -gt "$1" ]
}

free_port()
{
	"$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

redis()
{
	redis-cli -h 127.0.0.1 -p "$port" "$@"
}

redis_is_up()
{
	[ "$(redis ping)" = PONG ]
}

no_clients()
{
	# Nobody but us in the list; our own connection is gone from the server when it has seen its end.
	[ "$(redis client list | wc -l)" = 1 ]
}

# The server has only its listening sockets; connections that it has not yet closed would be refused.
no_connection()
{
	! ss -Htnp state established state close-wait "sport = :$port" 2>/dev/null | grep -q .
}

all_keys()
{
	awk -v n=200000 'BEGIN { for (i = 0; i < n; i += 1000) { printf "MGET"; for (k = i; k < i + 1000; k++) printf " key:%d", k; print "" } }' |
		redis | awk '$0 != "value-" NR - 1 "-" (NR - 1) * 7 { print "key " NR - 1 ": " $0; exit 1 } END { if (NR != 200000) exit 1 }'
}

@test "redis-server: 200,000 keys, append-only file" {
	requires_command redis-server
	port=$(free_port)
	start_program "$(command -v redis-server)" --port "$port" --bind 127.0.0.1 --save '' --appendonly yes --dir "$DIR" --daemonize no
	wait_for 10 redis_is_up
	awk 'BEGIN { for (i = 0; i < 200000; i++) printf "SET key:%d value-%d-%d\r\n", i, i, i * 7 }' | redis --pipe | grep -q 'errors: 0'
	for i in 1 2 3; do
		wait_for 10 no_clients
		wait_for 10 no_connection
		cycle 1
		wait_for 10 redis_is_up
		all_keys || fail "keys are lost or changed"
		[ "$(redis set "after:$i" "$i")" = OK ]
		[ "$(redis dbsize)" = $((200000 + i)) ]
	done
	# What was written after the restores is in the append-only file: a fresh server reads it all.
	redis shutdown nosave || true
	wait_for 10 gone "$PID"
	start_program "$(command -v redis-server)" --port "$port" --bind 127.0.0.1 --save '' --appendonly yes --dir "$DIR" --daemonize no
	wait_for 20 redis_is_up
	[ "$(redis dbsize)" = 200003 ]
	all_keys
}

@test "sqlite3: in the middle of a transaction that is committed after the restore" {
	requires_command sqlite3
	# Locks by fcntl(2) come later and are refused until then, so sqlite locks by a file here.
	cat >"$T/script.sql" <<-'END'
		PRAGMA cache_size = 50;
		CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
		INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i, 'old ' || i FROM n;
		BEGIN;
		UPDATE t SET v = 'new ' || id;
		INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1001 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i, 'new ' || i FROM n;
		.print ready
		.shell while [ ! -e go ]; do sleep 0.05; done
		INSERT INTO t VALUES (50001, 'new 50001');
		COMMIT;
		.print done
	END
	mkdir -p "$DIR"
	start_program sh -c 'exec sqlite3 -vfs unix-dotfile db <"$0"' "$T/script.sql"
	wait_for 20 has_line "$DIR/out.txt" ready
	cycle 3
	[ -e "$DIR/db-journal" ]
	victim_finish
	run sqlite3 "$DIR/db" "SELECT count(*), sum(v = 'new ' || id) FROM t; PRAGMA integrity_check;"
	[ "$output" = "50001|50001
ok" ]
}
