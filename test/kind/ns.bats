#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Namespaces that are not the caller's own are refused by name.

load ../lib

refused_namespace()
{
	start_victim refuse "$1"
	unharmed_begin
	refused_dump namespace
	[[ $output == *"$2"* ]]
	unharmed_end
	victim_finish
}

@test "ns: network (L1-L7)" {
	refused_namespace netns net
}

@test "ns: uts (I3)" {
	refused_namespace utsns uts
}

@test "ns: ipc (I4, J1-J4)" {
	refused_namespace ipcns ipc
}

@test "ns: mount (H1-H12)" {
	refused_namespace mntns mnt
}

@test "ns: pid (I2)" {
	refused_namespace pidns pid
}

@test "ns: user (I1)" {
	refused_namespace userns user
}

@test "ns: cgroup (I6)" {
	refused_namespace cgroupns cgroup
}
