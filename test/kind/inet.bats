#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Internet sockets without a TCP connection: rows G1, G10-G16.
load ../lib

@test "inet: listening TCP, bound and fresh sockets, UDP, options (G1, G10, G12, G14-G16)" {
	start_victim inet
	dump
	restore
	"$PYTHON" -c "import socket,sys; l = open(\"/proc/net/tcp\").read(); sys.exit(\":%04X 00000000:0000 0A\" % int(sys.argv[1]) not in l)" "$(fact port)"
	victim_finish
}

@test "inet: three times in a row, from a directory that was moved" {
	start_victim inet
	cycle 3
	victim_finish
}

@test "inet: refused: a TCP connection (G11)" {
	start_victim inet connected
	unharmed_begin
	refused_dump socket-connected
	unharmed_end
	victim_finish
}

@test "inet: an address that somebody else has now is said at the restore" {
	start_victim inet
	dump
	"$PYTHON" -c 'import socket,sys,time; s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(1); print("up", flush=True); time.sleep(100)' "$(fact port)" >"$T/up" 3>&- &
	wait_for 5 has_line "$T/up" up
	refused address-taken "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[[ $output == *"127.0.0.1:$(fact port): it is in use by python3"*" (process $!: "*"end process $!, "* ]]
	[ ! -d "/proc/$PID" ]
	kill %%
	wait %% || true
	restore
	victim_finish
}
