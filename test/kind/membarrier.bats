#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
load ../lib

@test "membarrier: registrations (B17)" {
	start_victim membarrier
	cycle 2
	victim_finish
}
