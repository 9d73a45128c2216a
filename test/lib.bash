# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2119,SC2120,SC2154
# What all bats files use: `load ../lib` in test/*/*.bats. It sets up a directory of its own per test ($T), starts victims
# there, dumps and restores them, and looks afterwards whether anything was left: processes, mounts, files.
#
#   start_victim NAME [ARG...]   build/test/victim/NAME in $DIR ($T/v); waits for its "ready"; sets $PID
#   start_program CMD...         any program as leader of its own session in $DIR, output to out.txt; sets $PID
#   dump [OPTION...]             criu dump -t $PID -D $IMG; checks the images; the tree must be gone (unless -R or -s)
#   restore [OPTION...]          criu restore -d -D $IMG; the same pid must be there
#   cycle [N]                    dump, move the image directory, restore: N times (3)
#   victim_finish                touch go, wait for "done", no FAIL line
#   refused NAME CMD...          CMD must end with 1, or EXIT=N, and name the error [NAME]; its output is in $output
#   unharmed_begin / unharmed_end   maps, descriptors and state of the tree must be the same before and after a refusal
#   wait_for SECONDS CMD...      until CMD succeeds
#   requires_shared, requires_command NAME, requires_root

TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
BUILD=${BUILD:-$TOP/build}
SHARED=${SHARED:-$TOP/../shared}
BIN=$BUILD/bin
CRIU=$BIN/criu
VICTIMS=$BUILD/test/victim
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3
# No configuration file of the machine has a say.
export CRIU_CONFIG_FILE='' HOME=/nonexistent
unset CRIU_LOG_OPEN

setup()
{
	common_setup
}

teardown()
{
	common_teardown
}

common_setup()
{
	T=$(mktemp -d "${TMPDIR:-/tmp}/criu-test.XXXXXX")
	chmod 755 "$T"
	DIR=$T/v IMG=$T/img WORK=$T/work LOG_LEVEL=${LOG_LEVEL:--v4}
	PID='' EXPECT_LEFT=''
	mkdir "$DIR" "$IMG" "$WORK"
	# Found again in /proc/PID/environ, after a restore too.
	export CR_TEST_ID=$T
	mounts=$(mount_list)
}

mount_list()
{
	cut -d' ' -f4- /proc/self/mountinfo | sort
}

# Pids of all processes of this test: they run in its directory, or have its mark in their environment. Its shells and what
# they run just now (same process group, and no tool of ours) are not meant.
test_pids()
{
	local pid stat comm

	{
		find /proc -maxdepth 2 -path '/proc/[0-9]*/cwd' \( -lname "$T/*" -o -lname "$T" \) 2>/dev/null
		grep -alzxF "CR_TEST_ID=$T" /proc/[0-9]*/environ 2>/dev/null
	} | cut -d/ -f3 | sort -un | while read -r pid; do
		[ "$pid" != "$$" ] && [ "$pid" != "$BASHPID" ] || continue
		# No ps: it costs more than all the rest of a short test.
		{ stat=$(<"/proc/$pid/stat"); } 2>/dev/null || continue
		comm=${stat#*\(}
		comm=${comm%\)*}
		# shellcheck disable=SC2086
		set -- ${stat##*\) }
		case $comm in
		criu | criu-*) echo "$pid" ;;
		*) [ "$3" = "$TEST_PGID" ] || echo "$pid" ;;
		esac
	done
}

common_teardown()
{
	local left='' pid pids n problems='' p

	[ -n "${T-}" ] && [ -d "$T" ] || return 0
	TEST_PGID=$(cut -d' ' -f5 "/proc/$$/stat")
	pids=$(test_pids)
	# A tool that is still there although its work ended.
	if [ -z "$EXPECT_LEFT" ]; then
		for pid in $pids; do
			case $(cat "/proc/$pid/comm" 2>/dev/null) in
			criu | criu-*) left="$left $pid($(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null))" ;;
			esac
		done
		[ -z "$left" ] || problems="tools left behind:$left"
		# A dump that was ended by force may leave its unfinished images, but no socket.
		p=$(find "$T" -name '.holder*' 2>/dev/null | tr '\n' ' ')
		for n in "$T"/*/inventory.img; do
			[ -e "$n" ] || continue
			n=${n%/*}
			p=$p$(find "$n" -maxdepth 1 -name '.?*' | tr '\n' ' ')
		done
		[ -z "$p" ] || problems="$problems; files left behind: $p"
	fi
	for n in 1 2 3 4 5 6 7 8 9 10; do
		[ -n "$pids" ] || break
		# shellcheck disable=SC2086
		kill -KILL $pids 2>/dev/null
		sleep 0.0$n
		pids=$(test_pids)
	done
	[ -z "$pids" ] || problems="$problems; processes that do not end: $pids"
	# What is new, and not of another test that runs beside this one.
	p=$(comm -13 <(echo "$mounts") <(mount_list) | awk -v own="$T/" '$2 !~ /\/criu-test\./ || index($2, own) == 1')
	[ -z "$p" ] || problems="$problems; mounts: $p"
	if [ -n "${KEEP-}" ]; then
		echo "# kept: $T"
	else
		rm -rf "$T"
	fi
	[ -z "$problems" ] || { echo "left behind: $problems" >&2; return 1; }
}

# ---- prerequisites ----
requires_shared()
{
	[ -d "$SHARED/tools" ] || skip "../shared is not there"
}

requires_root()
{
	[ "$(id -u)" = 0 ] || skip "not root"
}

requires_command()
{
	command -v "$1" >/dev/null || skip "$1 is not installed"
}

# ---- small helpers ----
fail()
{
	echo "FAILED: $*" >&2
	local f
	for f in "$WORK"/dump.log "$WORK"/restore.log "$DIR"/out.txt; do
		[ -s "$f" ] || continue
		echo "--- $f" >&2
		grep -aE 'Error|Warn' "$f" | head -n 20 >&2
		tail -n 12 "$f" >&2
	done
	return 1
}

wait_for()
{
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@" 2>/dev/null; do
		[ $SECONDS -lt $end ] || { echo "not in time: $*" >&2; return 1; }
		sleep 0.02
	done
}

has_line()
{
	grep -aqxE -- "$2" "$1"
}

gone()
{
	local pid
	for pid; do
		[ ! -e "/proc/$pid" ] || return 1
	done
}

# All processes below and including $1. Without a process for each: trees are large, and the machine may be busy.
tree_of()
{
	local pid list kids
	for pid; do
		echo "$pid"
		for list in "/proc/$pid/task"/*/children; do
			kids=()
			{ read -ra kids <"$list"; } 2>/dev/null || : # no newline at its end
			[ ${#kids[@]} = 0 ] || tree_of "${kids[@]}"
		done
	done
}

# ---- victims ----
# Nothing of bats' own is to be in the tree.
close_others()
{
	local fd

	for fd in /proc/self/fd/*; do
		fd=${fd##*/}
		[ "$fd" -le 2 ] || eval "exec $fd>&-" 2>/dev/null
	done
}

start_program()
{
	mkdir -p "$DIR"
	: >>"$DIR/out.txt"
	(
		cd "$DIR" || exit 1
		close_others
		# The shell between ends, so that the reaper above is the parent.
		setsid "$@" </dev/null >>out.txt 2>&1 &
		echo $! >pid
	)
	PID=$(cat "$DIR/pid")
	rm -f "$DIR/pid"
	wait_for 5 leader_or_gone "$PID" || fail "$1 did not start"
}

leader_or_gone()
{
	gone "$1" || [ "$(cut -d' ' -f6 "/proc/$1/stat")" = "$1" ]
}

start_victim()
{
	local name=$1
	shift
	start_program "$VICTIMS/$name" "$@"
	wait_for "${READY_SECONDS:-20}" has_line "$DIR/out.txt" ready || fail "$name is not ready"
}

fact()
{
	sed -n "s/^fact $1 //p" "$DIR/out.txt" | tail -n 1
}

victim_finish()
{
	: >"$DIR/go"
	wait_for "${FINISH_SECONDS:-20}" has_line "$DIR/out.txt" "done" || fail "the victim did not come to its end"
	! grep -a '^FAIL' "$DIR/out.txt" || fail "the victim found errors"
	wait_for 5 gone "$PID" || fail "the victim does not exit"
}

# ---- dump and restore ----
check_images()
{
	"$PYTHON" "$TOP/test/check-manifest" "$TOP/proto/manifest.schema.json" "$IMG/manifest.json" || fail "manifest.json"
	[ ! -x "$SHARED/tools/imgcheck" ] || "$SHARED/tools/imgcheck" "$IMG" >"$T/imgcheck.txt" 2>&1 || { cat "$T/imgcheck.txt" >&2; fail imgcheck; }
	"$BIN/crit" verify --quiet "$IMG" >"$T/verify.txt" 2>&1 || { cat "$T/verify.txt" >&2; fail "crit verify"; }
	check_round_trip
}

# Every image is the same again after crit decode | crit encode. Of the largest directories, a part.
check_round_trip()
{
	local f n=0

	for f in "$IMG"/*.img "$IMG"/stats-dump; do
		case ${f##*/} in
		pages-* | *.tar.gz.img | ifaddr-* | route-* | route6-* | rule-* | *tables-* | netns-ct-* | netns-exp-*) continue ;; # raw
		esac
		[ -f "$f" ] || continue
		[ $((n += 1)) -le "${ROUND_TRIPS:-100}" ] || break
		"$BIN/crit" decode -i "$f" | "$BIN/crit" encode | cmp -s - "$f" || fail "crit decode | crit encode: ${f##*/}"
	done
}

dump()
{
	local pids option keep=''

	pids=$(tree_of "$PID")
	for option; do
		case $option in -R | -s | --leave-running | --leave-stopped) keep=1 ;; esac
	done
	mkdir -p "$IMG" "$WORK"
	"$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log "$LOG_LEVEL" "$@" 3>&- || fail "criu dump ended with $?"
	check_images || return 1
	# shellcheck disable=SC2086
	[ -n "$keep" ] || wait_for 5 gone $pids || fail "the tree is still there"
	! grep -a '^.\{0,12\}Error' "$WORK/dump.log" || fail "errors in the log of a dump that succeeded"
}

restore()
{
	"$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log "$LOG_LEVEL" "$@" 3>&- || fail "criu restore ended with $?"
	[ -d "/proc/$PID" ] || fail "the root task $PID is not there"
}

cycle()
{
	local i
	for ((i = 1; i <= ${1:-3}; i++)); do
		dump || return 1
		mv "$IMG" "$T/img.$i" && IMG=$T/img.$i
		restore || return 1
		rm -rf "$IMG"
		IMG=$T/img.next.$i
		between_cycles || return 1
	done
}

# A test may look at the program here.
between_cycles()
{
	:
}

# ---- refusals ----
refused()
{
	local name=$1 want=${EXIT:-1}
	shift
	run "$@"
	[ -s "$WORK/dump.log" ] && output="$output
$(cat "$WORK/dump.log")"
	[ -s "$WORK/restore.log" ] && output="$output
$(cat "$WORK/restore.log")"
	[ "$status" = "$want" ] || { echo "$output"; fail "exit status $status, not $want: $*"; }
	[[ $output == *"[$name]"* ]] || { echo "$output"; fail "no error of the name [$name]: $*"; }
}

refused_dump()
{
	local name=$1
	shift
	refused "$name" "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log "$LOG_LEVEL" "$@"
	[ ! -e "$IMG/inventory.img" ] || fail "there is an inventory.img after a failed dump"
}

# What a dump that fails must leave as it was.
tree_state()
{
	local pid fd
	for pid in $(tree_of "$1"); do
		echo "== $pid"
		cat "/proc/$pid/maps"
		for fd in "/proc/$pid/fd"/*; do
			echo "$fd $(readlink "$fd") $(grep -E '^(flags|mnt_id|ino)' "${fd/\/fd\//\/fdinfo\/}" | tr '\n' ' ')"
		done
		grep -E '^(TracerPid|SigBlk|SigIgn|SigCgt|Threads|Seccomp):' "/proc/$pid/status"
	done
}

unharmed_begin()
{
	tree_state "$PID" >"$T/before"
}

unharmed_end()
{
	wait_for 5 runs "$PID" || fail "the tree does not run on"
	tree_state "$PID" >"$T/after"
	diff "$T/before" "$T/after" || fail "the tree is not as it was"
}

runs()
{
	grep -qE '^State:[[:space:]]+[RSDIZ] ' "/proc/$1/status" && grep -q '^TracerPid:[[:space:]]*0$' "/proc/$1/status"
}
