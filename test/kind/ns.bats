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

@test "ns: network" {
	refused_namespace netns net
}

@test "ns: uts" {
	refused_namespace utsns uts
}

@test "ns: ipc" {
	refused_namespace ipcns ipc
}

@test "ns: mount" {
	refused_namespace mntns mnt
}

@test "ns: pid" {
	refused_namespace pidns pid
}

@test "ns: user" {
	refused_namespace userns user
}

@test "ns: cgroup" {
	refused_namespace cgroupns cgroup
}
