#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The criu command line: what needs no tree to be dumped.
load ../lib

OPTIONS=$TOP/lib/common/base/options.def

# The rows of options.def: "long kind who takes-a-word" per line.
rows()
{
	sed -n 's/^OPT(\([A-Z]*\), *[a-z_]*, *"\([^"]*\)", *\([^,]*\), *\("[^"]*"\|NULL\), *\([A-Z_ |]*\),.*/\2 \1 \4/p' "$OPTIONS"
}

@test "version: the level of CRIU first, then ours" {
	run "$CRIU" --version
	[ "$status" = 0 ]
	[ "${lines[0]}" = "Version: 4.2" ]
	[[ ${lines[1]} == "criu-pipeline "[0-9]* ]]
	run "$CRIU" -V
	[ "$status" = 0 ]
}

@test "no command, two commands, an unknown one: usage on stdout, exit 1" {
	while IFS='|' read -r args told; do
		# shellcheck disable=SC2086
		run bash -c '"$0" '"$args"' 2>"$1"' "$CRIU" "$T/err"
		[ "$status" = 1 ]
		[[ $output == *Usage:* ]]
		[ "$(cat "$T/err")" = "criu: $told" ] || { cat "$T/err"; fail "$args"; }
	done <<-'END'
		|a command is missing
		-t 5|a command is missing
		bogus|there is no command bogus
		dump restore|dump: the word restore is one too many (does an option before it lack its value?)
		dump -t -D img|dump: the word img is one too many (does an option before it lack its value?)
		dump -t 1 -- true|dump: the word after -- is one too many (does an option before it lack its value?)
	END
}

@test "an unknown option: usage on stdout, exit 1, and it is named" {
	for command in dump restore; do
		run "$CRIU" $command --bogus -D "$IMG"
		[ "$status" = 1 ]
		[[ $output == *--bogus* && $output == *[Uu]sage* ]]
	done
}

@test "-h prints every option of the table, exit 0" {
	run "$CRIU" -h
	[ "$status" = 0 ]
	while read -r name kind _; do
		grep -q -- "--$name\b" <<<"$output" || { echo "no --$name ($kind)"; return 1; }
	done < <(rows)
	run "$CRIU" dump --help
	[ "$status" = 0 ]
}

@test "commands that come later are refused by name" {
	for command in pre-dump lazy-pages page-server service dedup; do
		run "$CRIU" -D "$IMG" $command
		[ "$status" = 1 ]
		[[ $output == *"$command is not supported yet"* ]]
	done
	run "$CRIU" show
	[ "$status" = 255 ]
	[[ $output == *crit* ]]
}

@test "options that come later are refused by name, before anything is stopped" {
	start_program sleep 1000
	rows | grep ' LATER ' >"$T/later"
	[ -s "$T/later" ]
	while read -r name _ arg; do
		value=()
		[ "$arg" = NULL ] || [[ $arg == '"['*']"' ]] || value=(x)
		run "$CRIU" dump -t "$PID" -D "$IMG" "--$name" "${value[@]}"
		[ "$status" = 1 ] || { echo "--$name: $status"; return 1; }
		[[ $output == *"--$name is not supported yet"* ]] || { echo "--$name: $output"; return 1; }
		[ "$(grep -c 'is not supported yet' <<<"$output")" = 1 ] || { echo "$output"; return 1; }
	done <"$T/later"
	run "$CRIU" restore -D "$IMG" --lazy-pages
	[ "$status" = 1 ]
	[[ $output == *"--lazy-pages is not supported yet"* ]]
	runs "$PID"
	[ -z "$(ls -A "$IMG")" ]
}

@test "every option of CRIU's command line is known, with its --no- form" {
	requires_shared
	sed -n '/^## 2\./,/^## 3\./p' "$SHARED/facts/cli.md" | grep -E '^\| -' | awk -F' \\| ' '{ print $1 "|" $2 }' >"$T/list"
	while IFS='|' read -r _ names arg; do
		for name in $(grep -o -- '--[a-z][a-z-]*' <<<"$names"); do
			# The parser of all tools; --help keeps them from having an effect.
			run "$BIN/criu-freeze" "$name" x --help
			[[ $output != *"unknown option"* ]] || { echo "$name"; return 1; }
			[[ $arg == *bool* ]] || continue
			run "$BIN/criu-freeze" "--no-${name#--}" --help
			[[ $status = 0 && $output != *"unknown option"* ]] || { echo "--no-${name#--}"; return 1; }
		done
	done <"$T/list"
	[ "$(wc -l <"$T/list")" -gt 60 ]
}

@test "values that CRIU does not have are refused, and those that come later by name" {
	start_program sleep 1000
	unharmed_begin
	for option in manage-cgroups=bogus file-validation=size network-lock=x timeout=-1 timeout=1s tree=0; do
		refused usage "$CRIU" dump -t "$PID" -D "$IMG" "--$option"
	done
	for option in manage-cgroups=full manage-cgroups=strict manage-cgroups=props network-lock=iptables; do
		refused option-unsupported "$CRIU" dump -t "$PID" -D "$IMG" "--$option"
		[[ $output == *"--$option is not supported yet"* ]]
	done
	unharmed_end
	[ -z "$(ls -A "$IMG")" ]
}

@test "what is wrong with a directory or the log is told once, and with the option that mends it" {
	start_program sleep 1000
	for args in "-D $T/none:-D" "-D $IMG -W $T/none:-W" "-D $IMG -o none/log:-o"; do
		# shellcheck disable=SC2086
		run "$CRIU" dump -t "$PID" ${args%:*}
		[ "$status" = 1 ]
		[ "$(grep -c '\[dir-' <<<"$output")" = 1 ] || { echo "$output"; return 1; }
		[[ $output == *" with ${args##*:})"* || $output == *" with ${args##*:},"* ]] || { echo "$output"; return 1; }
	done
}

@test "the wrapper knows which options take the next word" {
	rows | while read -r name kind arg; do
		[ "$arg" = NULL ] || [[ $arg == '"['*']"' ]] || [ "$name" = tree ] || echo "$name"
	done | sort >"$T/table"
	sed -n '/^\t--tree | /,/) want=1/p' "$TOP/tools/criu/criu" | grep -o -- '--[a-z-]*' | sed 's/^--//' | grep -vx tree | sort >"$T/wrapper"
	diff "$T/table" "$T/wrapper"
}

@test "the man page names all options" {
	rows | awk '{print $1}' | sort >"$T/table"
	# Options start a paragraph in the page: .BR \-\-name or .B \-\-name
	sed -n 's/\\-/-/g; /^\.TP/{n; p}' "$TOP/tools/criu/criu.8" | sed 's/\\-/-/g' | grep -o -- '--[a-z][a-z-]*' | sed 's/^--//' | sort -u >"$T/man"
	diff "$T/table" "$T/man"
}

@test "the command may stand before or behind the options" {
	for args in "-D $IMG/none restore -d" "restore -d -D $IMG/none" "-d restore -D$IMG/none" "-D $IMG/none -v4 -d restore --"; do
		# shellcheck disable=SC2086
		run "$CRIU" $args
		[ "$status" = 1 ]
		[[ $output == *"$IMG/none"* && $output == *"[dir-missing]"* ]]
	done
}

@test "an installed wrapper finds its tools through a symbolic link" {
	mkdir "$T/bin"
	ln -s "$CRIU" "$T/bin/criu"
	run "$T/bin/criu" restore -D "$IMG"
	[ "$status" = 1 ]
	[[ $output == *no-checkpoint* ]]
	run env PATH="$T/bin:$PATH" criu restore -D "$IMG"
	[[ $output == *no-checkpoint* ]]
}

@test "make install: programs, man pages, completion; criu works from there; make uninstall leaves nothing" {
	requires_command make
	make -s -C "$TOP" O="$BUILD" install DESTDIR="$T/root" PREFIX=/opt/x
	root=$T/root/opt/x
	for tool in criu criu-freeze criu-collect criu-parasite criu-pages criu-restore crit; do
		[ -x "$root/bin/$tool" ]
		[ -e "$root/share/bash-completion/completions/$tool" ]
		compgen -G "$root/share/man/man[18]/$tool.[18]" >/dev/null || { echo "no man page of $tool"; return 1; }
		bash -c '. "$1"; complete -p "$2"' - "$root/share/bash-completion/completions/$tool" "$tool"
	done
	start_program sleep 1000
	CRIU=$root/bin/criu dump
	CRIU=$root/bin/criu restore
	make -s -C "$TOP" O="$BUILD" uninstall DESTDIR="$T/root" PREFIX=/opt/x
	[ -z "$(find "$T/root" ! -type d)" ]
}

@test "dump and restore of sleep, with log, pid file, and stats" {
	start_program sleep 1000
	dump
	grep -q 'Dumping finished successfully' "$WORK/dump.log"
	grep -q 'Version: 4.2' "$WORK/dump.log"
	[ -s "$WORK/stats-dump" ]
	[ "$(stat -c %a "$WORK/dump.log")" = 600 ]
	restore --pidfile pid
	[ "$(cat "$WORK/pid")" = "$PID" ]
	grep -q 'Restore finished successfully. Tasks resumed.' "$WORK/restore.log"
	[ -s "$WORK/stats-restore" ]
	[ "$(cat "/proc/$PID/comm")" = sleep ]
}

@test "configuration files: HOME's, CRIU_CONFIG_FILE, --config, and the command line wins" {
	start_program sleep 1000
	mkdir -p "$T/home/.criu"
	printf 'log-file "conf.log"\nverbosity 4 # most\nwork-dir %s\n' "$WORK" >"$T/home/.criu/default.conf"
	HOME=$T/home run "$CRIU" dump -t "$PID" -D "$IMG"
	echo "$output"
	[ "$status" = 0 ]
	grep -q 'Dumping finished successfully' "$WORK/conf.log"
	wait_for 5 gone "$PID"
	printf 'bogus-option\n' >"$T/bad.conf"
	run "$CRIU" restore -d -D "$IMG" --config "$T/bad.conf"
	[ "$status" = 1 ]
	[[ $output == *bogus-option* ]]
	run "$CRIU" restore -d -D "$IMG" --config "$T/not-there.conf" -W "$WORK"
	[ "$status" = 0 ]
}

@test "statistics that cannot be written do not fail a dump or a restore" {
	start_program sleep 1000
	mount -t tmpfs -o size=4k criu-test "$WORK"
	truncate -s 4096 "$WORK/full" && echo full | dd of="$WORK/full" conv=notrunc status=none
	run "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" --display-stats
	dumped=$status
	said=$output
	wait_for 5 gone "$PID" || true
	run "$CRIU" restore -d -D "$IMG" -W "$WORK" --display-stats
	umount "$WORK"
	[ "$dumped" = 0 ] || { echo "$said"; return 1; }
	[[ $said == *"Frozen time:"* && $said == *stats-dump*-W*"[dir-full]"* ]] || { echo "$said"; return 1; }
	[ "$status" = 0 ] || { echo "$output"; return 1; }
	[[ $output == *"Pages restored:"* && $output == *stats-restore* ]] || { echo "$output"; return 1; }
	[ -e "/proc/$PID" ]
}

@test "dump -R leaves the tree running, and a later dump replaces the checkpoint" {
	start_program sleep 1000
	dump -R
	runs "$PID"
	id=$(jq -r .id "$IMG/manifest.json")
	dump
	[ "$(jq -r .id "$IMG/manifest.json")" != "$id" ]
	restore
}

@test "dump -s leaves the tree stopped" {
	start_program sleep 1000
	dump -s
	grep -q '^State:.*T (stopped)' "/proc/$PID/status"
	kill -CONT "$PID"
	runs "$PID"
}

@test "restore without -d waits for the root task and returns 0" {
	start_program sleep 3
	dump
	run timeout 20 "$CRIU" restore -D "$IMG" -W "$WORK" -o restore.log
	[ "$status" = 0 ]
	gone "$PID"
}

@test "restore -d -S: the root task is a child of the caller" {
	start_program sleep 1000
	dump
	bash -c '"$0" restore -d -S -D "$1" -W "$2" -o restore.log || exit 1; grep "^PPid:[[:space:]]*$$\$" "/proc/$3/status"' "$CRIU" "$IMG" "$WORK" "$PID"
}

@test "restore --exec-cmd: the command is the parent" {
	start_program sleep 1000
	dump
	run "$CRIU" restore -D "$IMG" -W "$WORK" -o restore.log --exec-cmd -- sh -c "grep PPid /proc/$PID/status >$T/ppid; echo \$\$ >$T/self; exit 7"
	[ "$status" = 7 ]
	[ "$(awk '{print $2}' "$T/ppid")" = "$(cat "$T/self")" ]
}

@test "restore --exec-cmd: a program that is not there is told before anything is made" {
	start_program sleep 1000
	dump
	for name in /nonexistent/program no-such-program; do
		refused usage "$CRIU" restore -D "$IMG" -W "$WORK" -o restore.log --exec-cmd -- $name
		[[ $output == *"$name"* ]]
		gone "$PID"
	done
	EXIT=100 refused usage "$BIN/criu-restore" -D "$IMG" -W "$WORK" -o restore.log --exec-cmd -- no-such-program
}

@test "restore --log-pid: a log per task; -o -: on standard output; -t: said to mean nothing" {
	start_program sleep 1000
	dump
	restore --log-pid -t 1
	grep -q 'entering the restorer' "$WORK/restore.log.$PID"
	run grep -q 'entering the restorer' "$WORK/restore.log"
	[ "$status" = 1 ]
	grep -q 'Warn.*--tree' "$WORK/restore.log"
	dump -R -o -  >"$T/stdout"
	grep -q 'Dumping finished successfully' "$T/stdout"
}

@test "a restore with no work directory writes no record into the images directory" {
	start_program sleep 1000
	dump
	"$CRIU" restore -d -D "$IMG" -o restore.log 3>&-
	[ ! -e "$IMG/restore.json" ]
	run "$CRIU" restore -d -D "$IMG" -W "$IMG"
	[ "$status" = 1 ]
	[[ $output == *pid-taken* ]]
	[ ! -e "$IMG/restore.json" ]
}

@test "criu restore --plan: by anybody who can read the images" {
	requires_command setpriv
	start_program sleep 1000
	dump
	chmod -R a+rX "$IMG"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$CRIU" restore --plan -D "$IMG"
	[ "$status" = 0 ] || { echo "$output"; return 1; }
	[[ $output == *"$PID live sleep"* ]]
}

@test "action scripts run at each step and see where they are" {
	start_program sleep 1000
	cat >"$T/script" <<-'END'
		#!/bin/sh
		echo "$CRTOOLS_SCRIPT_ACTION ${CRTOOLS_INIT_PID:-none} $(ls -d "$CRTOOLS_IMAGE_DIR")" >>SCRIPT_OUT
	END
	sed -i "s|SCRIPT_OUT|$T/steps|" "$T/script"
	chmod 755 "$T/script"
	dump --action-script "$T/script"
	[ "$(awk '{print $1}' "$T/steps" | tr '\n' ' ')" = "pre-dump post-dump " ]
	: >"$T/steps"
	restore --action-script "$T/script"
	[ "$(awk '{print $1}' "$T/steps" | tr '\n' ' ')" = "pre-restore setup-namespaces post-setup-namespaces post-restore pre-resume post-resume " ]
	grep -q "^post-restore $PID /proc/" "$T/steps"
}

@test "a pre-dump script that fails aborts; a post-dump script's code is the exit code; the tree runs on" {
	start_program sleep 1000
	printf '#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != pre-dump ]\n' >"$T/pre"
	printf '#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != post-dump ] || exit 7\n' >"$T/post"
	chmod 755 "$T/pre" "$T/post"
	unharmed_begin
	refused_dump action-script --action-script "$T/pre"
	unharmed_end
	run "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log --action-script "$T/post"
	[ "$status" = 7 ]
	unharmed_end
}

@test "the wrapper is killed: the tree runs on" {
	start_program sleep 1000
	unharmed_begin
	for delay in 0.001 0.003 0.006 0.01; do
		"$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -R 3>&- &
		sleep $delay
		kill -KILL $! 2>/dev/null || true
		wait $! 2>/dev/null || true
		unharmed_end
	done
	wait_for 5 test ! -e "$IMG/.holder"
}

@test "the stamps of one log have one clock: that of the process whose the lease is, or of the wrapper" {
	run bash -c 'sleep 1.1; "$0" -t 4194303 -D "$1" -v4 --lease $$; true' "$BIN/criu-freeze" "$IMG"
	[ "$(sed -n 's/^(0*\([0-9]*\)\.[0-9]*) .*Version:.*/\1/p' <<<"$output")" -ge 1 ] || fail "$output"
	run bash -c 'sleep 1.1; CRIU_LOG_OPEN=1 "$0" thaw -D "$1" -v4; true' "$BIN/criu-freeze" "$IMG"
	[ "$(sed -n 's/^(0*\([0-9]*\)\.[0-9]*) Error.*/\1/p' <<<"$output" | head -n 1)" -ge 1 ] || fail "$output"
}
