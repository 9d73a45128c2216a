#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Devices without state: row E24.
load ../lib

@test "dev: null, zero, full, random, urandom (E24)" {
	start_victim dev
	dump
	restore
	[ "$(readlink "/proc/$PID/fd/$(fact zero)")" = /dev/zero ]
	victim_finish
}

@test "dev: three times in a row, from a directory that was moved" {
	start_victim dev
	cycle 3
	victim_finish
}
