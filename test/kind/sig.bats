#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Signals: coverage rows B8-B11.

load ../lib

@test "sig: pending signals with siginfo, queues, masks, handlers, altstack (B8-B11)" {
	start_victim signals
	dump
	restore
	victim_finish
}

@test "sig: a second process sees the same masks" {
	start_victim signals
	before=$(grep -E '^(Sig|Shd)' "/proc/$PID/status" | grep -v SigQ)
	dump
	restore
	[ "$(grep -E '^(Sig|Shd)' "/proc/$PID/status" | grep -v SigQ)" = "$before" ]
	victim_finish
}
