# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # used by the tests; set by run
# What the tests of --check-only share: programs to dump, processes in the way, what a report has to say.

CRIT=$BIN/crit

teardown()
{
	local m

	for m in $(awk -v own="$T/" 'index($5, own) == 1 { print $5 }' /proc/self/mountinfo); do umount -l "$m" || true; done
	for m in "${CGROUPS[@]}"; do rmdir "$m" 2>/dev/null || true; done
	for m in "${HELPERS[@]}"; do kill -KILL "$m" 2>/dev/null && wait "$m" 2>/dev/null || true; done
	common_teardown
}

# PREFIX: what a check is run by.
CGROUPS=() HELPERS=() PREFIX=()

# ---- programs to dump ----
# A Python program in the test's directory, which says when it is ready.
start_python()
{
	printf '%s\nprint("ready", flush=True)\nimport time\ntime.sleep(1000)\n' "$1" >"$T/program.py"
	start_program "$PYTHON" "$T/program.py"
	wait_for 10 has_line "$DIR/out.txt" ready || fail "the program is not ready"
}

# A process of this test, outside of the tree.
start_helper()
{
	printf '%s\nprint("ready", flush=True)\nimport time\ntime.sleep(1000)\n' "$1" >"$T/helper.py"
	(cd "$DIR" && exec "$PYTHON" "$T/helper.py" >"$T/helper.out" 2>&1 3>&-) &
	HELPERS+=($!)
	wait_for 10 has_line "$T/helper.out" ready || { cat "$T/helper.out" >&2; fail "the helper is not ready"; }
}

# The usual: dumped for real, so that nothing is in the way.
checkpoint()
{
	start_program sleep 1000
	dump
}

# ---- looking at a check ----
check()
{
	run "${PREFIX[@]}" "$CRIU" restore --check-only --json -D "$IMG" -W "$WORK" -o check.log "$@" 3>&-
	REPORT=$output
	echo "$REPORT" >"$T/report.json"
	"$PYTHON" "$TOP/test/check-manifest" "$TOP/proto/check-only.schema.json" "$T/report.json" ||
		{ cat "$T/report.json" "$WORK/check.log" >&2; fail "the report is not as its schema says"; }
}

# Nothing is in the way.
check_fine()
{
	check "$@"
	[ "$status" = 0 ] && [ "$(jq -r .result "$T/report.json")" = ok ] || { echo "$REPORT" >&2; fail "exit status $status"; }
}

# @1: code; @2: part of its object; @3: the area
found()
{
	jq -e --arg code "$1" --arg object "$2" --arg area "$3" --arg severity "${4:-refused}" '.findings | map(select(.code == $code and
		(.object | contains($object)) and .area == $area and .severity == $severity)) | length == 1' "$T/report.json" >/dev/null ||
		{ jq .findings "$T/report.json" >&2; fail "no finding [$1] of $3 about $2"; }
}

# The same, and it is the only one.
check_finds()
{
	local code=$1 object=$2 area=$3
	shift 3
	check "$@"
	[ "$status" = 1 ] || { echo "$REPORT" >&2; fail "exit status $status"; }
	found "$code" "$object" "$area"
	[ "$(jq '.findings | length' "$T/report.json")" = 1 ] || { echo "$REPORT" >&2; fail "more was found"; }
}

# All findings name this process as who is in the way: by pid, command line, parent, start; and what to do.
named_holder()
{
	local started

	started=$(date -d "$(ps -o lstart= -p "$1")" '+%Y-%m-%d %H:%M') || return 1
	jq -e --arg p "$1" --arg parent $$ --arg t "$started" '.findings | length > 0 and all(
		(.reason | startswith("it is in use by python3") and contains("(process \($p): \"") and contains("helper.py\", parent \($parent) (")
			and contains(", started \($t)")) and (.remedy | startswith("end process \($p), ")))' "$T/report.json" >/dev/null ||
		{ jq .findings "$T/report.json" >&2; fail "process $1 is not named"; }
}

# pretend FILE TEXT...: files of /proc that say something else, to the next checks only.
pretend()
{
	# shellcheck disable=SC2016
	printf '%s\n' 'set -e' 'n=0' 'while [ "$1" != -- ]; do' '	printf "%b\n" "$2" >"$0.$((++n))"' '	mount --bind "$0.$n" "$1"' '	shift 2' 'done' \
		'shift' 'exec "$@"' >"$T/pretend"
	PREFIX=(unshare -m bash "$T/pretend" "$@" --)
}
