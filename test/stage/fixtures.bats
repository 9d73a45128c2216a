#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Image sets made by CRIU 4.2 itself, restored here: ../shared/fixtures/criu-4.2 (its README says what each holds).
load ../lib

# A copy of the fixtures with hard limits that this machine has, where they are above ours and cannot be raised: how many
# processes and signals there may be follows from the size of the memory, so a machine that is like that of the dump has others.
shared_here()
{
	local core limit own edit

	cp -r "$SHARED/fixtures/criu-4.2" "$T/fixtures"
	chmod -R u+w "$T/fixtures"
	for core in "$T/fixtures/$1/img"/core-*.img; do
		for limit in nproc=6 sigpending=11; do
			own=$(prlimit -o HARD --noheadings --"${limit%=*}" | tr -d ' ')
			[ "$own" != unlimited ] || continue
			edit=$("$BIN/crit" decode --quote-large -i "$core" | jq -r --argjson i "${limit#*=}" --argjson own "$own" \
				'.entries[0].tc.rlimits.rlimits[$i] // {} | to_entries[] | select(.value | type == "number" and . > $own)
				| "tc.rlimits.rlimits[\($i)].\(.key)=\($own)"')
			# shellcheck disable=SC2086
			[ -z "$edit" ] || "$BIN/crit" edit "$core" $edit
		done
	done
}

# The fixtures have fixed pids: a pid namespace of their own, one at a time on the machine.
restore_fixture()
{
	requires_shared
	requires_root
	shared_here "$1"
	exec 8>/tmp/criu-fixture.lock
	flock 8
	run timeout 120 unshare -p -f -m --mount-proc -n sh -c "ip link set lo up; exec '$T/fixtures/fixture' restore '$CRIU' $1 8>&- 3>&-"
	exec 8>&-
	echo "$output"
	[ "$status" = 0 ] || { tail -n 30 /tmp/criu-fixture/"$1"/*.log /tmp/criu-fixture/"$1"/work/*.log; return 1; } 2>/dev/null
	[[ $output == *ok* ]]
}

@test "fixture: counter" {
	restore_fixture counter
}

@test "fixture: threads" {
	restore_fixture threads
}

@test "fixture: tree" {
	restore_fixture tree
}

@test "fixture: signals-timers" {
	restore_fixture signals-timers
}
