#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2086,SC2143,SC2010,SC1010
# crit edit: values of an image by path, in an editor; and of whole directories, with all references.
load ../lib
load crit

# The value at a jq path of an image.
value()
{
	"$CRIT" decode -i "$IMG/$1" | jq -r "$2"
}

# Change the JSON of an image by sed.
sed_image()
{
	"$CRIT" decode -i "$IMG/$1" | sed "$2" | "$CRIT" encode -o "$IMG/$1"
}

# Must fail with a text, and leave the image as it is.
refuse()
{
	local want=$1 img=$2
	shift 2
	cp "$IMG/$img" "$T/before"
	run "$CRIT" edit "$IMG/$img" "$@"
	[ "$status" = 1 ] || { echo "exit $status: $*: $output"; return 1; }
	[[ $output == *"$want"* ]] || { echo "$*: $output"; return 1; }
	cmp "$T/before" "$IMG/$img"
}

@test "numbers, text, names of enumerations and flags, booleans, lists; several at once" {
	copy_of tree
	"$CRIT" edit "$IMG/core-24030.img" tc.comm=hello tc.exit_code=0x1f 'thread_core.creds.groups+=5' 'thread_core.creds.groups+=6' \
		thread_core.sched_nice=-3
	[ "$(value core-24030.img '.entries[0] | [.tc.comm, .tc.exit_code, .thread_core.creds.groups, .thread_core.sched_nice] | @json')" = \
		'["hello",31,[5,6],-3]' ]
	"$CRIT" edit "$IMG/mm-24030.img" 'vmas[0].prot=PROT_READ | PROT_WRITE' thp_disabled=true mm_saved_auxv='[33, 18446744073709551615]'
	[ "$(value mm-24030.img '.entries[0] | [.vmas[0].prot, .thp_disabled] | @json')" = '[3,true]' ]
	"$CRIT" decode -i "$IMG/mm-24030.img" | grep -q '"mm_saved_auxv": \[33, 18446744073709551615\]'
	"$CRIT" edit "$IMG/inventory.img" lsmtype=SELINUX
	[ "$(value inventory.img '.entries[0].lsmtype')" = SELINUX ]
	"$CRIT" edit -d 'thread_core.creds.groups[0]' -d tc.loginuid "$IMG/core-24030.img"
	[ "$(value core-24030.img '.entries[0] | [.thread_core.creds.groups, .tc.loginuid] | @json')" = '[[6],null]' ]
}

@test "entries by number, by value, all of them; elements of lists by value; messages and addresses" {
	copy_of sockets
	"$CRIT" edit "$IMG/files.img" '[id=2].reg.name=/x y' 'entries[0].reg.pos=7' '[isk.src_port=24681].isk.src_addr=127.0.0.9'
	[ "$(value files.img '.entries[] | select(.id == 2 and .reg) | .reg.name')" = '/x y' ]
	[ "$(value files.img '.entries[0].reg.pos')" = 7 ]
	"$CRIT" show "$IMG/files.img" | grep -q '"127.0.0.9"'
	"$CRIT" edit "$IMG/fdinfo-2.img" '[*].flags=1'
	[ "$(value fdinfo-2.img '[.entries[].flags] | unique | @json')" = '[1]' ]
	copy_of signals-timers
	"$CRIT" edit "$IMG/core-24040.img" 'tc.timers.posix[it_id=0].isec=9' 'tc.timers.real={"isec":1,"iusec":2,"vsec":3,"vusec":4}'
	[ "$(value core-24040.img '.entries[0].tc.timers.posix[] | select(.it_id == 0) | .isec')" = 9 ]
	[ "$(value core-24040.img '.entries[0].tc.timers.real.vusec')" = 4 ]
}

# Names as decode prints them, for grep -F.
names()
{
	"$CRIT" decode -i "$IMG/files.img" | grep -o '"name": "[^"]*"'
}

@test "names that are not UTF-8: by their bytes, and by the form that decode prints" {
	copy_of sockets
	sed_image files.img 's,"/tmp/criu-fixture/sockets/prog","/tmp/na\\udce4me/prog",'
	names | grep -qF '/tmp/na\udce4me/prog'
	"$CRIT" edit "$IMG/files.img" $'[reg.name=/tmp/na\xe4me/prog].reg.pos=7'
	"$CRIT" edit "$IMG/files.img" '[reg.name=/tmp/na\udce4me/prog].reg.flags=3'
	[ "$(value files.img '[.entries[] | select(.reg.pos == 7 and .reg.flags == 3)] | length')" = 1 ]
	# the same name in the other form is no change
	[ -z "$("$CRIT" edit -n "$IMG/files.img" $'[reg.pos=7].reg.name=/tmp/na\xe4me/prog')" ]
	[ -z "$("$CRIT" edit -n "$IMG/files.img" '[reg.pos=7].reg.name=/tmp/na\udce4me/prog')" ]
	"$CRIT" edit "$IMG" --rename-path $'/tmp/na\xe4me=/tmp/\xe5'
	names | grep -qF '/tmp/\udce5/prog'
	"$CRIT" edit "$IMG" --rename-path '/tmp/\udce5=/tmp/z\udce6z'
	names | grep -qF '/tmp/z\udce6z/prog'
	[ "$("$CRIT" decode -i "$IMG/files.img" | "$CRIT" encode | sha256sum)" = "$(sha256sum <"$IMG/files.img")" ]
}

@test "names of sockets are compared by their bytes too" {
	copy_of sockets
	name=$(value files.img '[.entries[].usk.name? // "" | select(startswith("/"))][0]')
	[[ $name == /*=00 ]]
	sed_image files.img "s,\"$name\",\"/run/na=E4=3D/s=00\","
	"$CRIT" edit "$IMG/files.img" $'[usk.name=/run/na\xe4=/s].usk.backlog=5'
	[ "$(value files.img '.entries[] | select(.usk.backlog == 5) | .usk.name')" = "/run/na=E4=3D/s=00" ]
	"$CRIT" edit "$IMG" --rename-path $'/run/na\xe4\\==/run/=\xe5'
	[ "$(value files.img '.entries[] | select(.usk.backlog == 5) | .usk.name')" = "/run/=3D=E5/s=00" ]
}

@test "payloads stay; what is not touched keeps its bytes" {
	copy_of tree
	cp "$IMG/pipes-data.img" "$T/old"
	"$CRIT" edit "$IMG/pipes-data.img" '[0].size=131072'
	cmp -s "$T/old" "$IMG/pipes-data.img" && return 1
	"$CRIT" edit "$IMG/pipes-data.img" '[0].size=65536'
	cmp "$T/old" "$IMG/pipes-data.img"
	# nothing changed: the file is not written
	before=$(stat -c %i "$IMG/pipes-data.img")
	"$CRIT" edit "$IMG/pipes-data.img" '[0].size=65536'
	[ "$before" = "$(stat -c %i "$IMG/pipes-data.img")" ]
}

@test "refused: unknown fields, wrong types, no such entry, results that are no good image" {
	copy_of tree
	refuse 'vma_entry has no field "foo"' mm-24030.img 'vmas[0].foo=1'
	refuse '"FOO" is no value for it' mm-24030.img 'vmas[0].prot=FOO'
	refuse 'is out of range' mm-24030.img 'vmas[0].prot=4294967296'
	refuse 'nothing in the image is there' mm-24030.img 'vmas[900].prot=1'
	refuse 'nothing in the image is there' files.img '[id=900].reg.name=/x'
	refuse 'does not say which entry' files.img 'reg.name=/x'
	refuse 'lacks an index' mm-24030.img 'vmas.prot=1'
	refuse 'has an index at what is no list' mm-24030.img 'mm_brk[0]=1'
	refuse 'is a list' mm-24030.img 'mm_saved_auxv=1'
	refuse 'has no fields' mm-24030.img 'mm_brk.x=1'
	refuse 'is no list to append to' mm-24030.img 'mm_brk+=1'
	refuse 'is no JSON value' mm-24030.img 'vmas[0]={'
	refuse 'lacks "mm_brk"' mm-24030.img -d mm_brk
	refuse 'is not there' mm-24030.img -d dumpable -d dumpable
	refuse 'is out of order or overlaps' mm-24030.img 'vmas[1].start=0x1000'
	refuse 'has 5000 bytes, but the entry says 5' pipes-data.img '[0].bytes=5'
	for args in "--rename-path=/a" "--rename-path=/=/a" "--rename-path=/a=/" "--rename-path=/a\\=/b" "--rename-path=a=/b"; do
		run "$CRIT" edit $args "$IMG"
		[ "$status" = 100 ]
		[[ $output == *"needs OLD=NEW, both absolute paths"* ]]
	done
	for args in "" "x.img a.b" "$IMG/mm-24030.img [0.x=1" "--remap-address=1=2 $IMG/mm-24030.img" "$IMG"; do
		run "$CRIT" edit $args
		[ "$status" != 0 ]
	done
	run "$CRIT" edit "$IMG/mm-24030.img" noequals
	[ "$status" = 100 ]
}

@test "--dry-run shows the difference and changes nothing" {
	copy_of tree
	cp -r "$IMG" "$T/copy"
	run "$CRIT" edit --dry-run "$IMG/core-24030.img" tc.comm=hello 'thread_core.creds.groups=[1]'
	[ "$status" = 0 ]
	[ "$output" = '- core-24030.img: [0].tc.comm = "fx-tree-a"
+ core-24030.img: [0].tc.comm = "hello"
+ core-24030.img: [0].thread_core.creds.groups = [1]' ]
	EDITOR='sed -i s/fx-tree-a/by-hand/' run "$CRIT" edit -n "$IMG/core-24030.img"
	[ "$status" = 0 ]
	[[ $output == *'+ core-24030.img: [0].tc.comm = "by-hand"'* ]]
	run "$CRIT" edit -n "$IMG" --set-root-pid 999 --rename-path /tmp/criu-fixture=/srv/fx
	[ "$status" = 0 ]
	[[ $output == *'rename core-24030.img core-999.img'* ]]
	[[ $output == *'+ files.img: [0].reg.name = "/srv/fx/tree/prog"'* ]]
	diff -r "$IMG" "$T/copy"
}

@test "--dry-run: a name that is not UTF-8 is escaped once" {
	copy_of tree
	sed_image files.img 's,"/dev/null","/tmp/na\\udce4\\u00e4me",'
	run "$CRIT" edit -n "$IMG/files.img" '[reg.name=/tmp/na\udce4äme].reg.name=/x'
	[ "$status" = 0 ]
	[[ $output == '- files.img: '*'.reg.name = "/tmp/na\udce4\u00e4me"'* ]]
	run "$CRIT" edit -n "$IMG/files.img" $'[0].reg.name=/\xe4'
	[[ $output == *'+ files.img: [0].reg.name = "/\udce4"'* ]]
}

@test "in an editor: what it leaves is encoded; a mistake keeps the text and the image" {
	copy_of tree
	export TMPDIR=$T/tmp
	mkdir "$TMPDIR"
	EDITOR='sed -i s/fx-tree-a/by-hand/' "$CRIT" edit "$IMG/core-24030.img"
	[ "$(value core-24030.img '.entries[0].tc.comm')" = by-hand ]
	[ -z "$(ls "$TMPDIR")" ]
	cp "$IMG/core-24030.img" "$T/before"
	EDITOR='sed -i s/by-hand/very-long-name-of-a-program/' run "$CRIT" edit "$IMG/core-24030.img"
	[ "$status" = 1 ]
	[[ $output == *"your text is kept as $TMPDIR/"*"/core-24030.img.json"* ]]
	cmp "$T/before" "$IMG/core-24030.img"
	rm -r "${TMPDIR:?}"/*
	EDITOR=false run "$CRIT" edit "$IMG/core-24030.img"
	[ "$status" = 1 ]
	[[ $output == *"false: ended with status 1; nothing was changed (set VISUAL or EDITOR to "*"[editor-failed]" ]]
	cmp "$T/before" "$IMG/core-24030.img"
	[ -z "$(ls "$TMPDIR")" ]
	# what was written is kept, what was removed cannot be
	# shellcheck disable=SC2016
	printf '#!/bin/sh\necho x >>"$1"\nexit 3\n' >"$T/editor"
	chmod +x "$T/editor"
	EDITOR=$T/editor run "$CRIT" edit "$IMG/core-24030.img"
	[[ $output == *"ended with status 3"*"your text is kept as $TMPDIR/"* ]]
	rm -r "${TMPDIR:?}"/*
	for editor in "rm" "false # "; do
		EDITOR=$editor run "$CRIT" edit "$IMG/core-24030.img"
		[ "$status" = 1 ]
		[[ $output != *"is kept"* ]]
		[ -z "$(ls "$TMPDIR")" ]
	done
}

@test "what no task can be without stays in its core" {
	copy_of tree
	refuse 'tc is removed, which no task can be without' core-24030.img -d tc
	refuse 'thread_core' core-24030.img -d thread_core
	EDITOR="sed -i '/\"tc\": {/,/^            },/d'" run "$CRIT" edit "$IMG/core-24030.img"
	[[ $output == *"tc is removed"* ]]
}

@test "in an editor: without a change the image is not written" {
	copy_of tree
	before=$(stat -c %i "$IMG/core-24030.img")
	EDITOR=true run "$CRIT" edit "$IMG/core-24030.img"
	[ "$status" = 0 ]
	[ "$output" = 'crit: nothing was changed' ]
	[ "$before" = "$(stat -c %i "$IMG/core-24030.img")" ]
}

@test "a link to an image stays, the image behind it is changed; its owner and mode stay" {
	requires_root
	copy_of tree
	ln -s img/core-24030.img "$T/link.img"
	chown 65534:65534 "$IMG/core-24030.img"
	chmod 640 "$IMG/core-24030.img"
	"$CRIT" edit "$T/link.img" tc.comm=linked
	[ -L "$T/link.img" ]
	[ "$(value core-24030.img '.entries[0].tc.comm')" = linked ]
	[ "$(stat -c %u:%g:%a "$IMG/core-24030.img")" = 65534:65534:640 ]
	cp "$IMG/core-24030.img" "$T/before"
	run "$CRIT" edit "$T/link.img" tc.comm=again tc.exit_code=-1
	[ "$status" = 1 ]
	cmp "$T/before" "$IMG/core-24030.img"
	run "$CRIT" encode -o "$T/link.img" <<<'{'
	[ "$status" = 1 ]
	cmp "$T/before" "$IMG/core-24030.img"
}

@test "directory: what no image has is refused" {
	copy_of sockets
	cp -r "$IMG" "$T/copy"
	for args in "--remap-address 10.9.9.9=10.9.9.8" "--rename-path /no/such=/x" "--rename-path /tmp=/x --remap-address 127.0.0.1:1=127.0.0.1:2"; do
		run "$CRIT" edit "$IMG" $args
		[ "$status" = 1 ] || { echo "$args: exit $status: $output"; return 1; }
		[[ $output == *"nothing in the checkpoint has it"*"[no-match]" ]]
		diff -r "$IMG" "$T/copy"
	done
	run "$CRIT" edit "$T/none" --set-root-pid 5
	[ "$status" = 1 ]
	[[ $output == *"[no-such-file]" ]]
	mkdir "$T/none"
	run "$CRIT" edit "$T/none" --set-root-pid 5
	[ "$status" = 2 ]
	[[ $output == *"[no-checkpoint]" ]]
}

@test "directory: names in /proc follow the pid" {
	copy_of tree
	"$CRIT" edit "$IMG/files.img" '[reg.name=/dev/null].reg.name=/proc/24030/task/24030/maps' \
		'[reg.name=/tmp/criu-fixture/tree/out.txt].reg.name=/proc/240301/maps'
	"$CRIT" edit "$IMG" --set-root-pid 77
	"$CRIT" decode -i "$IMG/files.img" >"$T/json"
	grep -q '"/proc/77/task/77/maps"' "$T/json"
	grep -q '"/proc/240301/maps"' "$T/json"
}

@test "directory: pids, in images and their names" {
	copy_of files
	"$CRIT" edit "$IMG" --set-root-pid 999 --set-pid 24051=1000
	[ -z "$("$CRIT" verify "$IMG")" ]
	[ "$(value pstree.img '[.entries[] | [.pid, .ppid, .threads[0]]] | @json')" = '[[999,0,999],[1000,999,1000]]' ]
	[ -z "$(ls "$IMG" | grep -e 24050 -e 24051)" ]
	[ -z "$(value filelocks.img '.entries[].pid' | grep -v -x -e 999 -e 1000)" ]
	[ -e "$IMG/inventory.img" ] && [ -z "$(ls -d "$IMG"/.crit* 2>/dev/null)" ]
	run "$CRIT" edit "$IMG" --set-pid 999=1000
	[ "$status" = 1 ]
	[[ $output == *pid-taken* ]]
	run "$CRIT" edit "$IMG" --set-pid 5=6
	[[ $output == *no-such-task* ]]
	copy_of threads
	"$CRIT" edit "$IMG" --set-pid 24021=30
	[ -z "$("$CRIT" verify "$IMG")" ]
	[ "$(value pstree.img '.entries[0].threads | @json')" = '[24020,30,24022,24023]' ]
}

@test "directory: addresses with and without port, paths of files, sockets and mounts" {
	copy_of sockets
	"$CRIT" edit "$IMG" --remap-address 127.0.0.1:24681=10.1.2.3:80
	"$CRIT" show "$IMG/files.img" | grep -A2 '"src_addr"' | grep -q 10.1.2.3
	[ "$(value files.img '[.entries[] | .isk? | select(.) | .src_port] | sort | @json')" = '[80,24682,24683]' ]
	"$CRIT" edit "$IMG" --remap-address 127.0.0.1=127.0.0.2
	[ "$("$CRIT" show "$IMG/files.img" | grep -c '127.0.0.1"')" = 0 ]
	"$CRIT" edit "$IMG" --rename-path /tmp/criu-fixture=/srv/fx
	[ -z "$("$CRIT" decode -i "$IMG/files.img" | grep -o '/tmp/criu-fixture[^"]*')" ]
	"$CRIT" show "$IMG/files.img" | grep -q '"name": "/srv/fx/sockets/prog"'
	[ -z "$("$CRIT" verify "$IMG")" ]
	run "$CRIT" edit "$IMG" --remap-address 127.0.0.1=::1
	[ "$status" = 100 ]
	run "$CRIT" edit "$IMG" --rename-path relative=/x
	[ "$status" = 100 ]
}

@test "directory: --rename-path with = in the old path, and / at the end" {
	copy_of tree
	"$CRIT" edit "$IMG" --rename-path /tmp/criu-fixture/=/tmp/a=b//
	names | grep -qF '"/tmp/a=b/tree/prog"'
	"$CRIT" edit "$IMG" --rename-path '/tmp/a\=b/tree/=/srv/c=d'
	names | grep -qF '"/srv/c=d/prog"'
}

@test "the manifest follows: checksum of an image, names and paths of a directory; it is restored" {
	requires_root
	echo text >"$DIR/open.txt"
	# shellcheck disable=SC2016
	start_program sh -c 'exec 5<open.txt; echo ready; while [ ! -e go ]; do sleep 0.05; done; cat <&5; pwd; echo done'
	wait_for 5 grep -q ready "$DIR/out.txt"
	dump
	name=$("$CRIT" decode -i "$IMG/pstree.img" | jq .entries[0].pid)
	cp -r "$IMG" "$T/other"
	"$CRIT" edit "$T/other" --set-root-pid 77777
	[ "$(jq -c '.tree[0] | [.pid, .threads]' "$T/other/manifest.json")" = '[77777,[77777]]' ]
	[ "$(jq -c '[.stages[].files[]]' "$T/other/manifest.json" | grep -c -- "-$name.img")" = 0 ]
	"$CRIT" edit "$IMG/core-$name.img" tc.comm=renamed thread_core.comm=renamed
	run "$CRIT" verify "$IMG"
	echo "$output"
	[ -z "$output" ]
	mv "$DIR" "$T/moved"
	"$CRIT" edit "$IMG" --rename-path "$DIR=$T/moved"
	run "$CRIT" verify "$IMG"
	echo "$output"
	[ -z "$output" ]
	[ "$(grep -c "\"$DIR" "$IMG/manifest.json")" = 0 ]
	DIR=$T/moved
	restore
	[ "$(cat /proc/"$PID"/comm)" = renamed ]
	touch "$DIR/go"
	wait_for 5 grep -q done "$DIR/out.txt"
	cat "$DIR/out.txt"
	grep -q text "$DIR/out.txt"
}

# What a restore of an edited checkpoint has is what the edit said: pid, address, paths.
@test "directory: another pid, address and path, restored" {
	requires_root
	cat >"$T/server.py" <<-'END'
		import os, socket, sys, time
		s = socket.socket()
		s.bind(('127.0.0.1', 0))
		s.listen()
		log = open('server.log', 'a', buffering=1)
		print('port', s.getsockname()[1], flush=True)
		while not os.path.exists('go'):
		    time.sleep(0.05)
		log.write('%s %d %d\n' % (*s.getsockname(), os.getpid()))
	END
	start_program "$PYTHON" "$T/server.py"
	wait_for 20 grep -q port "$DIR/out.txt"
	port=$(sed -n 's/port //p' "$DIR/out.txt")
	dump
	mv "$DIR" "$T/moved"
	# Another one that is free: below pid_max, far from the numbers that come next.
	new=$((PID > 16000 ? PID - 15000 : PID + 15000))
	while [ -e /proc/$new ]; do
		new=$((new + 1))
	done
	"$CRIT" edit "$IMG" --set-root-pid $new --remap-address "127.0.0.1:$port=127.0.0.7:$port" --rename-path "$DIR=$T/moved"
	check_images
	DIR=$T/moved PID=$new
	restore
	[ "$(readlink "/proc/$PID/cwd")" = "$DIR" ]
	touch "$DIR/go"
	wait_for 20 gone "$PID"
	[ "$(cat "$DIR/server.log")" = "127.0.0.7 $port $new" ]
}
