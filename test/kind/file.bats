#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Descriptors of kinds that are carried, in states that are not: each is refused by name, and left as it was.
load ../lib

# refused_state ERROR WHAT: the message names the task and the descriptor.
refused_state()
{
	start_victim fdrefuse "$2"
	unharmed_begin
	refused_dump "$1"
	[[ $output == *"task $PID"*"fd $(fact fd)"* ]] || { echo "$output"; fail "the message does not name task and descriptor"; }
	unharmed_end
	victim_finish
}

@test "file: refused: a packet pipe (E11)" {
	refused_state packet-pipe packet-pipe
}

@test "file: refused: data in a FIFO whose reader is outside (E12)" {
	refused_state pipe-end-outside fifo-reader
}

@test "file: refused: an epoll that watches what its task has closed (E14)" {
	refused_state epoll-target epoll-closed
}

@test "file: refused: a device that holds state (E24)" {
	[ -r /dev/kmsg ] || skip "no /dev/kmsg"
	refused_state fd-kind kmsg
}

@test "file: refused: a deleted file larger than the limit (E7)" {
	refused_state ghost-limit ghost-large
}

@test "file: refused: a unix listener with a connection that nobody accepted (G4)" {
	refused_state connection-pending unix-pending
}

@test "file: refused: a unix socket whose peer is outside (G3)" {
	refused_state socket-peer-outside unix-peer
}

@test "file: refused: a unix socket with SO_PEEK_OFF (G5)" {
	refused_state socket-state peek-off
}

@test "file: refused: a TCP listener with a connection that nobody accepted (G10)" {
	refused_state connection-pending tcp-pending
}

@test "file: refused: a corked UDP socket (G16)" {
	refused_state socket-state udp-cork
}

@test "file: refused: a socket of another network namespace (G2)" {
	refused_state namespace netns
}

@test "file: all the reasons are told, not the first one only" {
	cat >"$T/three.py" <<-'EOF'
		import os, socket, time
		a = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
		b = os.open("/dev/kmsg", os.O_RDONLY)
		c = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
		print("three", flush=True)
		time.sleep(100)
	EOF
	start_program "$PYTHON" "$T/three.py"
	wait_for 5 has_line "$DIR/out.txt" three
	unharmed_begin
	refused_dump fd-kind
	[[ $output == *"netlink sockets"* && $output == *"character devices 1:11"* && $output == *"raw sockets"* ]]
	unharmed_end
}
