#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A program with a uprobe in it (perf, bpftrace, systemtap): [uprobes] in its memory, --allow-uprobes.
load ../lib

TRACING=/sys/kernel/tracing

setup()
{
	common_setup
	requires_root
	[ -w "$TRACING/uprobe_events" ] || skip "this kernel has no uprobe events"
	PROBE=crtest_$$_$BATS_TEST_NUMBER
}

remove_probe()
{
	[ -d "$TRACING/events/uprobes/$PROBE" ] || return 0
	echo 0 >"$TRACING/events/uprobes/$PROBE/enable"
	echo "-:uprobes/$PROBE" >>"$TRACING/uprobe_events"
}

teardown()
{
	# A skipped test has no probe.
	[ -z "${PROBE-}" ] || remove_probe
	common_teardown
}

has_uprobes()
{
	grep -q '\[uprobes\]$' "/proc/$PID/maps"
}

hits()
{
	awk -v p="$PROBE" '$2 == p { print $3 }' "$TRACING/uprobe_profile"
}

# The probe is on a copy, so that nobody else is traced.
start_probed()
{
	cp "$VICTIMS/probed" "$T/probed"
	start_program "$T/probed"
	wait_for 10 has_line "$DIR/out.txt" ready
	echo "p:uprobes/$PROBE $T/probed:$(fact offset)" >>"$TRACING/uprobe_events"
	echo 1 >"$TRACING/events/uprobes/$PROBE/enable"
	wait_for 10 has_uprobes
}

@test "uprobes: refused without --allow-uprobes, at the dump and at the restore" {
	start_probed
	unharmed_begin
	refused_dump mapping-kind
	[[ $output == *'[uprobes]'*--allow-uprobes* ]]
	unharmed_end
	rm -rf "$WORK"
	mkdir "$WORK"
	dump --allow-uprobes
	refused option-as-at-dump "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[[ $output == *'pass --allow-uprobes'* ]]
	restore --allow-uprobes
	victim_finish
}

@test "uprobes: the probe goes on to be hit after the restore" {
	start_probed
	dump --allow-uprobes
	restore --allow-uprobes
	# shellcheck disable=SC2034
	before=$(hits)
	wait_for 10 eval '[ "$(hits)" -gt "$before" ]'
	dump --allow-uprobes
	restore --allow-uprobes
	victim_finish
}

@test "uprobes: a probe that is gone at the restore leaves no breakpoint" {
	start_probed
	dump --allow-uprobes
	remove_probe
	restore --allow-uprobes
	victim_finish
}
