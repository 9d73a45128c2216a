#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Names and rights: who may dump and restore what, by which names, and what a hostile directory can do.
load ../lib

setup()
{
	common_setup
	requires_root
	# Where this user can read it, wherever the sources are.
	mkdir "$T/bin"
	cp "$BIN"/criu "$BIN"/criu-* "$T/bin"
	chown 65534:65534 "$DIR" "$IMG" "$WORK"
}

# A user without privileges, with the capabilities "$1" ("-all", "+checkpoint_restore").
as_user()
{
	local caps=$1
	shift
	setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps="$caps" --ambient-caps="$caps" -- "$@"
}

# start_user_victim CAPS NAME
start_user_victim()
{
	cp "$VICTIMS/$2" "$T/bin"
	: >"$DIR/out.txt"
	chown 65534:65534 "$DIR/out.txt"
	start_program setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps="$1" --ambient-caps="$1" -- "$T/bin/$2"
	wait_for "${READY_SECONDS:-20}" has_line "$DIR/out.txt" ready || fail "$2 is not ready"
}

# What `dump` and `restore` of lib.bash call.
criu_as_user()
{
	printf '#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=%s --ambient-caps=%s -- %s "$@" %s\n' \
		"$1" "$1" "$T/bin/criu" "$2" >"$T/criu"
	chmod 755 "$T/criu"
	CRIU=$T/criu
}

@test "a user with CAP_CHECKPOINT_RESTORE carries own trees with --unprivileged" {
	local name
	criu_as_user +checkpoint_restore --unprivileged
	for name in pipe threads timers epoll eventfd signals timerfd tree inet; do
		echo "# $name"
		start_user_victim +checkpoint_restore "$name"
		dump
		restore
		grep -q '^Uid:[[:space:]]65534' "/proc/$PID/status"
		victim_finish
		rm -rf "$IMG" "$DIR/go"
		mkdir -p "$IMG"
		chown 65534:65534 "$IMG"
		: >"$DIR/out.txt"
	done
}

@test "an ordinary program of that user, which has no capability: it comes back without one" {
	criu_as_user +checkpoint_restore --unprivileged
	start_user_victim -all threads
	dump
	restore
	[ "$(sed -n 's/^Cap\(Inh\|Prm\|Eff\|Amb\):[[:space:]]*//p' "/proc/$PID/status" | sort -u)" = 0000000000000000 ]
	victim_finish
}

@test "without a capability, or without --unprivileged: refused before anything is touched" {
	start_user_victim -all pipe
	unharmed_begin
	criu_as_user -all ''
	refused_dump privilege
	[[ $output == *"neither CAP_SYS_ADMIN nor CAP_CHECKPOINT_RESTORE"* ]]
	criu_as_user -all --unprivileged
	refused_dump privilege
	criu_as_user +checkpoint_restore ''
	refused_dump privilege
	[[ $output == *"pass --unprivileged"* ]]
	unharmed_end
	[ -z "$(ls -A "$IMG")" ]
	victim_finish
}

@test "a HOME of another user holds no configuration for this one" {
	mkdir -m 700 "$T/home" "$T/home/.criu"
	echo "no-such-option" >"$T/home/.criu/default.conf"
	run env HOME="$T/home" setpriv --reuid 65534 --regid 65534 --clear-groups -- "$T/bin/criu-check" explain pid-taken
	[ "$status" = 0 ]
	run env HOME="$T/home" "$T/bin/criu-check" explain pid-taken
	[ "$status" != 0 ]
}

@test "a restore without rights: refused, nothing is made" {
	start_user_victim +checkpoint_restore pipe
	criu_as_user +checkpoint_restore --unprivileged
	dump
	criu_as_user -all --unprivileged
	refused privilege "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	criu_as_user +checkpoint_restore ''
	refused privilege "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	gone "$PID"
}

@test "--unprivileged: a task of another user is refused" {
	start_victim pipe
	unharmed_begin
	criu_as_user +checkpoint_restore --unprivileged
	refused_dump stop-denied
	unharmed_end
	victim_finish
}

@test "--unprivileged: what needs more is refused by name: seccomp filters" {
	start_user_victim +checkpoint_restore seccomp
	unharmed_begin
	criu_as_user +checkpoint_restore --unprivileged
	refused_dump privilege
	[[ $output == *filters* ]]
	unharmed_end
}

@test "images: a link that leads out of the directory is not followed; one within it is" {
	start_victim pipe
	dump
	mv "$IMG/files.img" "$T/files.img"
	ln -s "$T/files.img" "$IMG/files.img"
	refused image-corrupt "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[[ $output == *files.img*"leads out of the directory"* ]]
	run "$BIN/crit" x "$IMG" fds
	[ "$status" != 0 ]
	[[ $output == *"leads out of the directory"* ]]
	ln -sf ../files.img "$IMG/files.img"
	refused image-corrupt "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	ln -sf /proc/self/fd/0 "$IMG/files.img"
	refused image-corrupt "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	cp "$T/files.img" "$IMG/files.saved"
	ln -sf files.saved "$IMG/files.img"
	restore
	victim_finish
}

@test "images: a name that climbs by .. is refused" {
	start_victim reg
	dump
	"$BIN/crit" decode -i "$IMG/files.img" -o "$T/files.json"
	sed 's|"name":"'"$DIR"'/|"name":"'"$DIR"'/../v/|; s|"name": "'"$DIR"'/|"name": "'"$DIR"'/../v/|' "$T/files.json" >"$T/climbs.json"
	run cmp -s "$T/files.json" "$T/climbs.json"
	[ "$status" = 1 ]
	"$BIN/crit" encode --lenient -i "$T/climbs.json" -o "$IMG/files.img"
	refused image-corrupt "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[[ $output == *"has a .. in it"* ]]
	gone "$PID"
}

@test "images: a dump writes through no link that somebody put there" {
	local name
	start_victim pipe
	echo "not to be changed" >"$T/target"
	mkdir "$T/elsewhere"
	for name in manifest.json manifest.json.tmp .manifest.json.tmp inventory.img .inventory.img.tmp files.img pstree.img \
		"core-$PID.img" pages-1.img extra.json .extra.json.tmp .holder .holder.tmp stats-dump; do
		ln -s "$T/target" "$IMG/$name"
	done
	ln -s "$T/elsewhere" "$IMG/.stage"
	run "$CRIU" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log -R
	[ "$(cat "$T/target")" = "not to be changed" ]
	[ -z "$(ls -A "$T/elsewhere")" ]
	[ "$(stat -c %a "$T/target")" = 644 ]
	rm -f "$IMG"/.stage "$IMG"/.holder* "$IMG"/.*.tmp
	victim_finish
}

@test "the holder's socket: other users are turned away" {
	start_victim pipe
	chmod 777 "$IMG"
	"$BIN/criu-freeze" -t "$PID" -D "$IMG"
	[ "$(stat -c %a "$IMG/.holder")" = 600 ]
	# Even if somebody opens the way.
	chmod 777 "$IMG/.holder"
	run as_user +checkpoint_restore "$T/bin/criu-freeze" status -D "$IMG"
	[ "$status" != 0 ]
	run as_user +checkpoint_restore "$T/bin/criu-freeze" thaw -D "$IMG"
	[ "$status" != 0 ]
	grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$PID/status"
	"$BIN/criu-freeze" thaw -D "$IMG"
	victim_finish
}

@test "no program is looked for by PATH" {
	start_victim pipe
	mkdir "$T/evil"
	local name
	for name in criu-freeze criu-collect criu-parasite criu-pages criu-restore readlink dirname sh env nft iptables mount; do
		printf '#!/bin/sh\necho %s >>%s\n' "$name" "$T/ran" >"$T/evil/$name"
		chmod 755 "$T/evil/$name"
	done
	ln -s "$CRIU" "$T/link"
	cd "$T/evil"
	PATH=$T/evil:/nonexistent "$T/link" dump -t "$PID" -D "$IMG" -W "$WORK" -o dump.log 3>&-
	PATH=$T/evil:/nonexistent "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log 3>&-
	[ ! -e "$T/ran" ]
	victim_finish
}

@test "images hold memory and keys: nobody else may read them" {
	umask 0
	start_victim memfd
	dump
	[ -z "$(find "$IMG" -type f -perm /077)" ]
	restore
	victim_finish
}
