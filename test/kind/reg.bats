#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Named files: rows E1-E10, E29.
load ../lib

# The line KEY of a descriptor's fdinfo, seen from outside.
fdinfo()
{
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$PID/fdinfo/$1"
}

between_cycles()
{
	[ "$(readlink "/proc/$PID/fd/$(fact data)")" = "$DIR/data" ]
	[ "$(fdinfo "$(fact data)" pos)" = 4 ]
}

@test "reg: numbers, sharing, flags, positions, owners, directories, O_PATH (E1-E6)" {
	start_victim reg
	flags=$(fdinfo "$(fact append)" flags)
	fds=$(cd "/proc/$PID/fd" && echo *)
	dump
	restore
	[ "$(cd "/proc/$PID/fd" && echo *)" = "$fds" ]
	[ "$(readlink "/proc/$PID/fd/$(fact data)")" = "$DIR/data" ]
	[ "$(fdinfo "$(fact data)" pos)" = 4 ]
	[ "$(fdinfo "$(fact append)" flags)" = "$flags" ]
	[ "$(readlink "/proc/$PID/fd/$(fact link)")" = "$DIR/link" ]
	victim_finish
}

@test "reg: three times in a row, from a directory that was moved" {
	start_victim reg
	cycle 3
	victim_finish
}

@test "reg: deleted files come back without a name (E7)" {
	start_victim deleted ghost
	dump
	before=$(cd "$DIR" && find . | sort)
	restore
	[ "$(readlink "/proc/$PID/fd/$(fact small)")" = "$DIR/small (deleted)" ]
	[ "$(cd "$DIR" && find . | sort)" = "$before" ]
	[ ! -e "$WORK/.criu-restore.names" ]
	victim_finish
}

@test "reg: deleted files, three times in a row" {
	between_cycles() { :; }
	start_victim deleted ghost
	cycle 3
	victim_finish
}

@test "reg: a file may grow below an appending writer, and not shrink below a position" {
	start_victim reg
	dump
	echo more >>"$DIR/append"
	echo more >>"$DIR/out.txt"
	restore
	pids=$(tree_of "$PID")
	# shellcheck disable=SC2086
	kill -KILL $pids
	# shellcheck disable=SC2086
	wait_for 5 gone $pids
	rm "$WORK/restore.log"
	: >"$DIR/data"
	refused file-changed "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[[ $output == *"$DIR/data"* ]]
	[ ! -d "/proc/$PID" ]
}

@test "reg: what is missing or changed at the restore is named" {
	start_victim reg
	dump
	mv "$DIR/append" "$DIR/hidden"
	refused file-missing "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[[ $output == *"$DIR/append"* ]]
	[ ! -d "/proc/$PID" ]
	mkdir "$DIR/append"
	rm "$WORK/restore.log"
	refused file-changed "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	rmdir "$DIR/append"
	mv "$DIR/hidden" "$DIR/append"
	chmod 604 "$DIR/data"
	rm "$WORK/restore.log"
	refused file-mode "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[[ $output == *0604*0640* ]]
	restore --skip-file-rwx-check
	chmod 640 "$DIR/data"
	victim_finish
}

refused_mode()
{
	start_victim deleted "$2"
	unharmed_begin
	refused_dump "$1"
	unharmed_end
	victim_finish
	rm -rf "$DIR" "$IMG" "$WORK"
	mkdir "$DIR" "$IMG" "$WORK"
}

@test "reg: refused: a deleted name of a file with other names (E8), a removed directory (E9), /proc of a task (E10)" {
	refused_mode file-link-remap linked
	refused_mode dir-removed dir
	refused_mode proc-of-task proc
}

@test "reg: refused: file locks of all kinds and leases (E29)" {
	for kind in posix flock ofd lease; do
		refused_mode file-lock $kind
	done
}
