#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Hostile input (doc/fuzzing.md): the corpora of the fuzz programs, and damaged image directories; all with sanitizers.
load ../lib

corpus()
{
	run env ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 "$BUILD/san/fuzz/$1" "$TOP/test/fuzz/corpus/$1"
	echo "$output"
	[ "$status" = 0 ]
}

@test "corpus: images" {
	corpus image
}

@test "corpus: image directories: plan, verify, show, x, core" {
	corpus plan
}

@test "corpus: manifest and other files beside images" {
	corpus manifest
}

@test "corpus: JSON for crit" {
	corpus json
}

@test "corpus: options" {
	corpus options
}

@test "corpus: text of /proc" {
	corpus proc
}

@test "corpus: netlink" {
	corpus netlink
}

@test "corpus: protocol of the holder" {
	corpus holder
}

@test "a corpus program fails when an input crashes" {
	printf 'not an input' >"$T/file"
	run "$BUILD/san/fuzz/image" "$T/none"
	[ "$status" != 0 ]
	run "$BUILD/san/fuzz/image" "$T/file"
	[ "$status" = 0 ]
}

@test "damaged directories: no crash, no hang, no memory beyond a bound, nothing written" {
	local name

	requires_root
	for name in pipe threads memfd; do
		start_victim "$name"
		dump
		mv "$IMG" "$T/$name"
		mkdir "$IMG"
		rm -rf "$DIR"
		mkdir "$DIR"
	done
	run "$PYTHON" "$TOP/test/fuzz/mutate-images.py" --bin "$BUILD/san/bin" --count "${MUTATE:-12}" --seed "${SEED:-1}" \
		"$T/pipe" "$T/threads" "$T/memfd" 3>&-
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *"0 failures"* ]]
}
