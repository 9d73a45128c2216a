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
	run explain page-read
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

@test "explain: every phrase that users search for has its counterpart" {
	requires_shared
	sed -n '/^## 3\. Errors/,/^## 4\./p' "$SHARED/facts/stats-and-logs.md" | grep '^| "' | sed 's/^| \(.*\) | [^|]*|$/\1/' |
		grep -o '"[^"]*"' | tr -d '"' >"$T/phrases"
	[ "$(wc -l <"$T/phrases")" -gt 40 ]
	while read -r phrase; do
		code_of "$phrase" >"$T/code" || { echo "not found: $phrase"; return 1; }
		# As it would stand in a log.
		code_of "(00.012345) Error (criu/x.c:1): $(sed 's/\b[NMABXYZ]\b/4711/g' <<<"$phrase"): 17" >"$T/again"
		diff "$T/code" "$T/again"
	done <"$T/phrases"
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
