#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Valgrind on the programs that read images: no use of what was not set, no access beyond, no block lost at the end.
load ../lib

clean()
{
	timeout -k 5 120 valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
		--log-file="$T/valgrind.txt" "$@" >"$T/out.txt" || [ $? != 99 ] || { grep "^==" "$T/valgrind.txt"; echo "$*"; return 1; }
}

@test "crit and criu-restore --plan under valgrind: a checkpoint, and a damaged one" {
	requires_command valgrind
	[ ! -e "$BUILD/.sanitized" ] || skip "a build with sanitizers"
	local name verb
	start_victim tree
	dump -R
	for name in "core-$PID" files "pagemap-$PID"; do
		clean "$BUILD/dyn/crit" decode -i "$IMG/$name.img"
	done
	for verb in ps fds mems rss sk; do
		clean "$BUILD/dyn/crit" x "$IMG" "$verb"
	done
	clean "$BUILD/dyn/crit" decode -i "$IMG/files.img" -o "$T/files.json"
	clean "$BUILD/dyn/crit" encode -i "$T/files.json" -o "$T/files.img"
	cmp "$T/files.img" "$IMG/files.img"
	clean "$BUILD/dyn/crit" show "$IMG"
	clean "$BUILD/dyn/crit" verify "$IMG"
	clean "$BUILD/dyn/crit" diff "$IMG" "$IMG"
	clean "$BUILD/dyn/crit" core -o "$T/core" "$IMG" "$PID"
	clean "$BUILD/dyn/crit" report -o "$T/report.html" "$IMG"
	clean "$BUILD/dyn/criu-restore" --plan -D "$IMG"
	clean "$BUILD/dyn/criu-restore" --plan --json -D "$IMG"
	truncate -s -3 "$IMG/files.img"
	clean "$BUILD/dyn/crit" show "$IMG"
	clean "$BUILD/dyn/crit" verify "$IMG"
	clean "$BUILD/dyn/criu-restore" --plan -D "$IMG"
	victim_finish
}
