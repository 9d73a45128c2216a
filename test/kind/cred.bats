#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Credentials and limits: coverage rows C1-C4, C7-C9.

load ../lib

status_of()
{
	grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs)' "/proc/$1/status"
	cat "/proc/$1/oom_score_adj" "/proc/$1/limits" "/proc/$1/loginuid" 2>/dev/null || true
}

@test "cred: ids, groups, capabilities, securebits, limits, dumpable, of processes and a thread (C1-C4, C7-C9)" {
	start_victim creds
	child=$(fact child)
	before=$(status_of "$PID") child_before=$(status_of "$child")
	dump
	restore
	[ "$(status_of "$PID")" = "$before" ]
	[ "$(status_of "$child")" = "$child_before" ]
	victim_finish
}

@test "cred: three times in a row" {
	start_victim creds
	cycle 3
	victim_finish
}

@test "cred: refused at restore: a capability that the restore lacks is named" {
	requires_command setpriv
	start_program sleep 1000
	dump
	run setpriv --bounding-set -net_raw "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[ "$status" = 1 ]
	grep -a 'had CAP_NET_RAW, .*\[privilege\]' "$WORK/restore.log"
	[ ! -d "/proc/$PID" ]
	restore
}
