#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# criu explain, the registry of causes, and the one record of a failure in log, manifest.json and restore.json.
load ../lib

ERRORS=$TOP/lib/common/base/errors.def

explain()
{
	"$CRIU" explain "$@"
}

# The code that a text leads to first, if it is found as a whole.
code_of()
{
	explain --json "$@" | jq -er 'select(.match != "words" and .match != "none").causes[0].code'
}

@test "explain: a code: cause, remedy, options, exit code" {
	run explain session-outside
	[ "$status" = 0 ]
	[[ $output == *"session or group of the outside"*"What to do:"*"--shell-job"*"Exit code:  1"* ]] || { echo "$output"; return 1; }
	run explain image-magic pid-taken
	[ "$status" = 0 ]
	[[ $output == *image-magic*"Exit code:  2"*pid-taken* ]]
	run explain stopped-task
	[[ $output == *"not supported yet"* ]]
}

@test "explain: without a word all causes are listed" {
	run explain
	[ "$status" = 0 ]
	[ "${#lines[@]}" = "$(grep -c '^[EL](' "$ERRORS")" ]
	[ "$(explain --json | jq '.causes | length')" = "${#lines[@]}" ]
}

@test "explain: CRIU's words, in any case, with other numbers, in a line of its log, without the punctuation" {
	[ "$(code_of 'Pid 12 do not match expected 34')" = pid-taken ]
	[ "$(code_of Pid 12 "do" not match expected 34)" = pid-taken ]
	# An option in a message is part of it, also without quotes.
	[ "$(code_of Connected TCP socket, consider using --tcp-established option)" = socket-connected ]
	[ "$(code_of Cant create link remap for x. Use --link-remap)" = file-link-remap ]
	[ "$(code_of "(00.123456) Error (criu/cr-restore.c:1234): pid 7 DO NOT match expected 99 (task 7)")" = pid-taken ]
	[ "$(code_of 'Error (criu/sk-inet.c:212): inet: Connected TCP socket, consider using --tcp-established option.')" = socket-connected ]
	[ "$(code_of 'Cant fork for 1234')" = pid-taken ]
	[ "$(code_of '(00.1) Error (criu/files-reg.c:1831): File usr/lib/libc.so.6 has bad size 123 (expect 456)')" = file-changed ]
}

# Written by hand from what each message of CRIU means, and not from phrases.def.
counterparts()
{
	cat <<-'EOF'
	session-outside|is not a session leader. Consider using --shell-job
	socket-connected|Connected TCP socket, consider using --tcp-established
	socket-peer-outside|External socket is used. Consider using --ext-unix-sk
	socket-peer-outside|Can't dump half of stream unix connection
	terminal terminal-session|Found dangling tty with sid
	terminal terminal-session|Found slave peer index N without correspond master
	file-lock|Some file locks are hold by dumping tasks! You can try --file-locks
	file-link-remap|Can't create link remap for X. Use --link-remap
	ghost-limit|Can't dump ghost file ... increase limit
	file-hidden mount-unreachable|Can't lookup mount=N for fd
	mount-external|Mount N:... has unreachable sharing
	mount-external|doesn't have a proper root mount
	mount-external|is autodetected external mount. Try --ext-mount-map auto
	filesystem-unknown|FS mnt X dev Y root Z unsupported
	root-missing|The --root option is required to restore a mount namespace
	pid-taken|Can't fork for N
	pid-taken|Pid N do not match expected M
	file-changed|File X has bad size A (expect B)
	file-mode|bad mode
	file-changed|bad build-ID
	file-missing|Can't open file X on restore
	stop-denied task-traced|Unable to interrupt task: N
	stop-denied task-traced|Unseizable non-zombie N found, state S
	self-in-tree|The criu itself is within dumped tree.
	sigtrap-pending|Can't dump the N thread with a pending SIGTRAP
	freeze-timeout|Timeout reached. Try to interrupt
	image-magic|Magic doesn't match
	image-magic|Head magic doesn't match
	image-truncated|Unexpected EOF on
	image-version|Not supported images version
	image-version|Too old image, no longer supported
	image-parent|No parent image found, though parent directory is set
	image-parent|Missing X in parent pagemap
	cgroup|Corrupted root cgset
	cgroup|cgroupd: ...
	cgroup|Aborting restore due to ...
	cpu|CPU instruction capabilities do not match run time
	cpu|FPU: ...
	option-as-at-dump|Need to set the --tcp-close options
	option-as-at-dump|Dumped with --allow-uprobes
	socket-protocol|Unsupported proto 262 for socket
	fd-kind|Can't dump file N of that type
	injection|Can't infect (pid: N) with parasite
	page-read|vmsplice
	page-read|Can't dump page with parasite
	privilege|Running as non-root requires '--unprivileged'
	privilege|CRIU needs to have the CAP_SYS_ADMIN or the CAP_CHECKPOINT_RESTORE capability
	plugin-missing|Missing required plugin
	deprecated|Deprecated functionality (X) rejected
	stopped-task|Stopped tasks are not supported
	EOF
}

codes_of()
{
	explain --json "$@" | jq -er 'select(.match == "phrase") | [.causes[].code] | sort | join(" ")'
}

@test "explain: every phrase that users search for has its counterpart, and the right one" {
	counterparts >"$T/pairs"
	while IFS='|' read -r codes phrase; do
		[ "$(codes_of "$phrase")" = "$codes" ] || fail "$phrase: $(codes_of "$phrase"), not $codes"
		# As it would stand in a log.
		[ "$(codes_of "(00.012345) Error (criu/x.c:1): $(sed 's/\b[NMABXYZ]\b/4711/g' <<<"$phrase"): 17")" = "$codes" ] || fail "$phrase in a log"
	done <"$T/pairs"
	requires_shared
	sed -n '/^## 3\. Errors/,/^## 4\./p' "$SHARED/facts/stats-and-logs.md" | grep '^| "' | sed 's/^| \(.*\) | [^|]*|$/\1/' |
		grep -o '"[^"]*"' | tr -d '"' | sort >"$T/phrases"
	cut -d'|' -f2 "$T/pairs" | sort | diff "$T/phrases" -
}

@test "explain: our own messages of a system call: the text of its errno decides" {
	[ "$(code_of 'task 12 (sh): its smaps cannot be read: No such process')" = task-gone ]
	[ "$(code_of 'x: cannot be opened: Permission denied')" = access-denied ]
	[ "$(code_of 'x: cannot be read: Input/output error')" = io-error ]
	[ "$(code_of 'whatever: No space left on device')" = disk-full ]
	[ "$(code_of 'Too many open files')" = limit-files ]
	[ "$(code_of 'x: cannot be looked at: Numerical result out of range')" = system ]
	# Behind a message that says more, it decides nothing.
	[ "$(code_of 'Error (x.c:1): Cant open file x on restore: Permission denied')" = file-missing ]
}

@test "explain: our own messages: a line of the log, or the text alone" {
	[ "$(code_of '(00.000123) Error (criu-freeze/start.c:1): criu-freeze: task 9 (x): whatever (do this) [task-traced]')" = task-traced ]
	[ "$(code_of 'task 12 (sh): it is a thread of process 7')" = pid-of-thread ]
	[ "$(code_of 'task 12 (sh): its security label is foo_t')" = lsm-label ]
	PID=4194303
	"$CRIU" dump -t $PID -D "$IMG" -W "$WORK" -o dump.log || true
	[ "$(code_of "$(grep -a 'Error (' "$WORK/dump.log" | head -n 1)")" = no-such-task ]
}

@test "explain: a few words: the likely ones are listed, exit 1; nothing at all" {
	run explain ghost file too large
	[ "$status" = 1 ]
	[[ $output == *ghost-limit* ]]
	[ "$(explain --json file lock | jq -r '.match + " " + .causes[0].code')" = "words file-lock" ]
	run explain xyzzy plugh
	[ "$status" = 1 ]
	[[ $output == *"Nothing is known"* ]]
	[ "$(explain --json xyzzy | jq -r .match)" = none ]
	# Any bytes, and what ends in the middle.
	for text in 'a[' '[' '[]' '[pid-taken' '%' 'x %' '%%%l' "'" "it''s" '[x] ['; do
		run explain "$text"
		[ "$status" = 1 ] || fail "$text: $output"
	done
	head -c 20000 /dev/urandom | tr '\000' ' ' >"$T/noise"
	run explain "$(cat "$T/noise")"
	[ "$status" -le 1 ]
	run explain --json $'\xff\xfe "\\ [' '%s %n %'
	[ "$status" = 1 ]
	jq -e .text <<<"$output"
}

@test "explain: output that cannot be written is an error, and which one" {
	for args in "" --markdown pid-taken "--json pid-taken" "--json"; do
		# shellcheck disable=SC2086
		explain $args >/dev/full 2>"$T/err" && { echo "explain $args"; return 1; }
		grep -q 'standard output: cannot be written' "$T/err" || { echo "explain $args"; cat "$T/err"; return 1; }
	done
}

@test "registry: names are unique, each option exists, causes to come are raised by nobody, all others by somebody" {
	sed -n 's/^[EL](\([A-Z_]*\), "\([a-z0-9-]*\)", CR_.*/\2 \1/p' "$ERRORS" | sort >"$T/codes"
	[ "$(wc -l <"$T/codes")" = "$(grep -c '^[EL](' "$ERRORS")" ]
	[ -z "$(cut -d' ' -f1 "$T/codes" | uniq -d)" ]
	explain --json | jq -r '.causes[].options[].name' | sort -u >"$T/known"
	grep '^[EL](' "$ERRORS" | sed -n 's/.*, "\(--[a-z -]*\)")$/\1/p' | tr ' ' '\n' | sort -u >"$T/named"
	diff "$T/named" "$T/known"
	grep -rhoE 'CR_E_[A-Z_]+' --include='*.c' --include='*.h' "$TOP/lib" "$TOP/tools" | sed 's/^CR_E_//' | sort -u >"$T/used"
	sed -n 's/^L(\([A-Z_]*\),.*/\1/p' "$ERRORS" | sort >"$T/later"
	[ -z "$(comm -12 "$T/later" "$T/used")" ] || { comm -12 "$T/later" "$T/used"; fail "raised, but marked as to come"; }
	sed -n 's/^E(\([A-Z_]*\),.*/\1/p' "$ERRORS" | sort >"$T/raised"
	[ -z "$(comm -23 "$T/raised" "$T/used")" ] || { comm -23 "$T/raised" "$T/used"; fail "raised by nobody"; }
}

@test "registry: every meaning is a sentence, every remedy can stand in brackets" {
	explain --json | jq -r '.causes[] | .code + "\t" + .meaning + "\t" + .remedy' >"$T/rows"
	while IFS=$'\t' read -r code meaning remedy; do
		[[ $meaning == [A-Z]*. ]] || fail "$code: $meaning"
		[[ -n $remedy && $remedy != *. && $remedy != [A-Z][a-z]* ]] || fail "$code: $remedy"
	done <"$T/rows"
}

@test "doc/troubleshooting.md is what the registry says (make doc)" {
	explain --markdown | diff - "$TOP/doc/troubleshooting.md"
}

# record_agrees FILE LOG CODE: the error of the record, put together, is in a line of the log.
record_agrees()
{
	jq -r '.error | .object + ": " + .reason + (if .system then ": " + .system else "" end) + " (" + .remedy + ") [" + .code + "]"' "$1" >"$T/text"
	grep -a '^\(([0-9.]*) \)\?\( *[0-9]*: \)\?Error (' "$2" | grep -aqF -- "$(cat "$T/text")" || { cat "$T/text" "$2"; fail "log and record differ"; }
	[ "$(jq -r .error.code "$1")" = "$3" ]
	[ "$(code_of "$(grep -aF -- "$(cat "$T/text")" "$2")")" = "$3" ]
}

@test "one record: the line of the log beginning with Error ( and manifest.json say the same" {
	start_victim refuse userfaultfd
	refused_dump fd-kind
	record_agrees "$IMG/manifest.json" "$WORK/dump.log" fd-kind
	victim_finish
	rm -rf "$IMG" "$WORK" "$DIR"
	mkdir "$IMG" "$WORK" "$DIR"
	start_victim refuse leader-dead
	refused_dump leader-dead
	record_agrees "$IMG/manifest.json" "$WORK/dump.log" leader-dead
	victim_finish
}

@test "one record: likewise restore.json" {
	start_program sleep 1000
	dump
	mv "$DIR/out.txt" "$DIR/away"
	EXIT=1 refused file-missing "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	record_agrees "$WORK/restore.json" "$WORK/restore.log" file-missing
}
