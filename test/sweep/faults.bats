#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Failing system calls, in the short form: some of the points, the same in each run (make test-faults N=all has them all).
load ../lib

sweep()
{
	requires_root
	run "$PYTHON" "$TOP/test/sweep/faults.py" --build "$BUILD" --dir "$T/faults" --out "$T/out" "$@" 3>&-
	echo "$output"
	[ "$status" = 0 ]
	# The injector let something fail, and that was seen.
	grep -q ' failed ' "$T"/out.*.0
	grep -q ' survived ' "$T"/out.*.0
}

@test "a dump, each run another system call of ours fails: the tree runs on, or is dumped" {
	sweep --mode dump --points "${FAULTS:-120}"
}

@test "a restore, each run another system call of ours fails: all or nothing" {
	sweep --mode restore --points "${FAULTS:-120}"
}
