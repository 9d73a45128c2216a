#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Unix sockets: rows G1, G3-G7.
load ../lib

@test "unix: pairs, queues, options, names, listeners, half-closed and closed peers, removed and relative names (G1, G3-G5, G7, G8)" {
	start_victim unix
	dump
	restore
	[ "$(stat -c %a "$(fact path)")" = 751 ]
	victim_finish
}

@test "unix: three times in a row, from a directory that was moved" {
	start_victim unix
	cycle 3
	victim_finish
}

@test "unix: refused: a descriptor in a queue (G6)" {
	start_victim unix rights
	unharmed_begin
	refused_dump socket-queue
	unharmed_end
	victim_finish
}

@test "unix: a name that somebody else has now is said at the restore" {
	start_victim unix
	dump
	rm "$(fact path)"
	"$PYTHON" -c "import socket,sys,time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1); time.sleep(100)" "$(fact path)" 3>&- &
	wait_for 5 test -S "$(fact path)"
	refused address-taken "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[[ $output == *"$(fact path): it is in use by python3"*" (process $!: "*"end process $!, "* ]]
	kill %%
	restore
	victim_finish
}

@test "unix: a dump leaves the way queues are peeked at as it was (SO_PEEK_OFF)" {
	start_program "$PYTHON" -c 'import os, socket, time
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a.send(b"one")
a.send(b"three")
print("up", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
off = b.getsockopt(socket.SOL_SOCKET, 42)
print("result", off, b.recv(10, socket.MSG_PEEK), b.recv(10, socket.MSG_PEEK), flush=True)'
	wait_for 5 has_line "$DIR/out.txt" up
	dump -R
	dump -R
	: >"$DIR/go"
	wait_for 5 has_line "$DIR/out.txt" "result -1 b'one' b'one'"
}
