#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# crit: JSON and back, byte for byte, and what it says of things that are wrong.
load ../lib
load ../golden/small
load crit

# Little-endian bytes of 32-bit words: a head, sizes.
words()
{
	local w
	for w; do
		printf '%b' "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((w & 255)) $((w >> 8 & 255)) $((w >> 16 & 255)) $((w >> 24 & 255)))"
	done
}

# utsns image with the bytes of stdin as its only entry
utsns()
{
	cat >"$T/entry"
	words 0x54564319 0x54473203 "$(stat -c %s "$T/entry")"
	cat "$T/entry"
}

refuse_json()
{
	run bash -c 'printf %s "$2" | "$1" encode -o "$3/out.img"' - "$CRIT" "$1" "$T"
	[ "$status" = 1 ] || { echo "exit $status: $1"; return 1; }
	[[ $output == *"$2"* ]] || { echo "$output"; return 1; }
	[ ! -e "$T/out.img" ]
}

@test "decode --pretty prints what CRIU's crit prints, for every fixture" {
	requires_fixtures
	for json in "$FIXTURES"/*/decode/*.json; do
		img=${json%/decode/*}/img/$(basename "$json" .json)
		"$CRIT" decode --pretty -i "$img" -o "$T/out.json"
		cmp "$T/out.json" "$json"
	done
}

@test "decode and encode give back the same bytes, for every fixture, plain and pretty, in pipes and files" {
	requires_fixtures
	for json in "$FIXTURES"/*/decode/*.json; do
		img=${json%/decode/*}/img/$(basename "$json" .json)
		"$CRIT" encode -i "$json" -o "$T/out.img"
		cmp "$T/out.img" "$img"
		"$CRIT" decode <"$img" | "$CRIT" encode | cmp - "$img"
	done
}

@test "a way through jq, which has no integers beyond 2^53" {
	json='{"magic": "MEMFD_INODE", "entries": [{"name": "n", "uid": 4294967295, "gid": 0, "size": 18446744073709551615, "shmid": 1, "seals": 0, "inode_id": 9007199254740993}]}'
	"$CRIT" encode <<<"$json" >"$T/a"
	"$CRIT" decode --quote-large <"$T/a" | jq . | "$CRIT" encode | cmp - "$T/a"
	"$CRIT" decode --quote-large <"$T/a" | grep -q '"uid": 4294967295, .*"size": "18446744073709551615"'
	requires_fixtures
	for json in "$FIXTURES"/*/decode/{core,files,ipcns-var,mm}*.json; do
		[ -e "$json" ] || continue
		img=${json%/decode/*}/img/$(basename "$json" .json)
		"$CRIT" decode --quote-large -i "$img" | jq -c . | "$CRIT" encode | cmp - "$img"
	done
}

@test "plain decode is one line, as json.dump() writes it" {
	requires_fixtures
	for img in "$FIXTURES"/{files/img/files.img,tree/img/pstree.img,counter/img/seccomp.img}; do
		"$CRIT" decode -i "$img" >"$T/plain"
		[ "$(wc -l <"$T/plain")" = 1 ]
		"$PYTHON" -c 'import json, sys; t = sys.stdin.read(); sys.exit(json.dumps(json.loads(t)) + "\n" != t)' <"$T/plain"
		"$CRIT" decode -i "$img" -o "$T/file"
		[ "$(wc -l <"$T/file")" = 0 ]
	done
}

@test "integers up to 2^64-1 and below 0" {
	json='{"magic": "MEMFD_INODE", "entries": [{"name": "n", "uid": 4294967295, "gid": 0, "size": 18446744073709551615, "shmid": 1, "seals": 0, "inode_id": 9223372036854775808}]}'
	[ "$("$CRIT" encode <<<"$json" | "$CRIT" decode)" = "$json" ]
	json='{"magic": "FILE_LOCKS", "entries": [{"flag": 1, "type": 1, "pid": -1, "fd": -2147483648, "start": -9223372036854775808, "len": 9223372036854775807}]}'
	[ "$("$CRIT" encode <<<"$json" | "$CRIT" decode)" = "$json" ]
	refuse_json "${json/-2147483648/-2147483649}" "entries[0].fd: -2147483649 is out of range"
}

@test "numbers are accepted as numbers, hex, decimal text and names" {
	"$CRIT" encode -o "$T/a" <<<'{"magic": "VMAS", "entries": [{"start": 4096, "end": "0x2000", "pgoff": "7", "shmid": 0, "prot": 3, "flags": "MAP_PRIVATE | MAP_ANON", "status": "VMA_AREA_REGULAR|VMA_ANON_PRIVATE", "fd": -1}]}'
	"$CRIT" encode -o "$T/b" <<<'{"magic": "VMAS", "entries": [{"start": "4096", "end": 8192, "pgoff": 7, "shmid": 0, "prot": "PROT_READ | PROT_WRITE", "flags": 34, "status": 513, "fd": "-1"}]}'
	cmp "$T/a" "$T/b"
	[ "$("$CRIT" show "$T/a" | grep -c '"MAP_PRIVATE | MAP_ANON"')" = 1 ]
}

@test "devices and addresses, both ways" {
	"$CRIT" encode -o "$T/a" <<<'{"magic": "IRMAP_CACHE", "entries": [{"dev": "254:1048575", "inode": 1, "path": "/x"}]}'
	"$CRIT" show "$T/a" | grep -q '"dev": "254:1048575"'
	"$CRIT" decode <"$T/a" | grep -q "\"dev\": $(((0xfff00 << 12) | (254 << 8) | 0xff)),"
	sk='{"magic": "INETSK", "entries": [{"id": 1, "ino": 2, "family": "INET", "type": "STREAM", "proto": "TCP", "state": "LISTEN", "src_port": 1, "dst_port": 0, "flags": "0x2", "backlog": 5, "src_addr": ["ADDR"], "fown": {"uid": 0, "euid": 0, "signum": 0, "pid_type": 0, "pid": 0}, "opts": {"so_sndbuf": 1, "so_rcvbuf": 1, "so_snd_tmo_sec": 0, "so_snd_tmo_usec": 0, "so_rcv_tmo_sec": 0, "so_rcv_tmo_usec": 0}}]}'
	for address in 127.0.0.1 ::1 2001:db8::5; do
		"$CRIT" encode -o "$T/b" <<<"${sk/ADDR/$address}"
		"$CRIT" show "$T/b" | grep -q "\"$address\""
		"$CRIT" decode <"$T/b" | "$CRIT" encode | cmp - "$T/b"
	done
	refuse_json "${sk/ADDR/127.0.0.256}" '"127.0.0.256" is no address'
}

@test "unknown fields survive" {
	# nodename "a", domainname "b", field 77: varint 300; 78: "xyz"; 79: 64 bits
	printf '\x0a\x01a\x12\x01b\xe8\x04\xac\x02\xf2\x04\x03xyz\xf9\x04abcdefgh' | utsns >"$T/a"
	"$CRIT" decode -i "$T/a" -o "$T/json"
	grep -q '"__unknown": \[{"number": 77, "wiretype": 0, "data": "rAI=\\n"}' "$T/json"
	"$CRIT" encode -i "$T/json" | cmp - "$T/a"
	"$CRIT" decode --pretty -i "$T/a" | "$CRIT" encode | cmp - "$T/a"
	refuse_json "$(sed 's/rAI=/rKw=/' "$T/json")" "data is not of that wiretype"
}

@test "strings that are not UTF-8, with NUL, with surrogates survive" {
	printf '\x0a\x0ca\xe4\x00\xc3\xa4\xed\xb2\x80\xf0\x9f\x98\x80\x12\x00' | head -c 14 >"$T/e"
	printf '\x12\x04\x7f"\\\n' >>"$T/e"
	utsns <"$T/e" >"$T/a"
	"$CRIT" decode -i "$T/a" -o "$T/json"
	grep -qF 'a\udce4\u0000\u00e4\udced\udcb2\udc80' "$T/json"
	"$CRIT" encode -i "$T/json" | cmp - "$T/a"
	LC_ALL=C grep -q '[^ -~]' "$T/json" && return 1
	"$PYTHON" -c 'import json, sys; json.load(open(sys.argv[1]))' "$T/json"
}

@test "quoted-printable names of sockets" {
	requires_fixtures
	run "$CRIT" show "$FIXTURES/sockets/img/files.img"
	[[ $output == *'"name": "=00fx-abstract"'* ]]
}

@test "segments with in_pagemaps: all of them are there, an empty extra" {
	json='{"magic": "IPCNS_SHM", "entries": ['
	one='{"desc": {"key": 1, "uid": 0, "gid": 0, "cuid": 0, "cgid": 0, "mode": 384, "id": 0}, "size": 20480, "in_pagemaps": true, "extra": ""}'
	[ "$("$CRIT" encode <<<"$json$one, $one]}" | "$CRIT" decode)" = "$json$one, $one]}" ]
	old='{"desc": {"key": 1, "uid": 0, "gid": 0, "cuid": 0, "cgid": 0, "mode": 384, "id": 0}, "size": 5, "extra": "YWJjZGU=\n"}'
	[ "$("$CRIT" encode <<<"$json$old, $old]}" | "$CRIT" decode)" = "$json$old, $old]}" ]
	"$CRIT" encode <<<"$json$old]}" >"$T/a"
	[ "$(tail -c 8 "$T/a" | tr '\0' .)" = abcde... ]
}

@test "TCP streams, BPF maps, semaphores, messages" {
	for json in \
		'{"magic": "TCP_STREAM", "entries": [{"inq_len": 3, "inq_seq": 1, "outq_len": 2, "outq_seq": 1, "opt_mask": 7, "snd_wscale": 7, "mss_clamp": 1460, "extra": {"inq": "YWJj\n", "outq": "ZGU=\n"}}]}' \
		'{"magic": "BPFMAP_DATA", "entries": [{"map_id": 1, "keys_bytes": 2, "values_bytes": 3, "count": 1, "extra": "YWJjZGU=\n"}]}' \
		'{"magic": "IPCNS_SEM", "entries": [{"desc": {"key": 1, "uid": 0, "gid": 0, "cuid": 0, "cgid": 0, "mode": 1, "id": 0}, "nsems": 3, "extra": [1, 65535, 0]}]}' \
		'{"magic": "IPCNS_MSG", "entries": [{"desc": {"key": 1, "uid": 0, "gid": 0, "cuid": 0, "cgid": 0, "mode": 1, "id": 0}, "qbytes": 9, "qnum": 2, "extra": [{"mtype": 1, "msize": 2}, "YWI=\n", {"mtype": 2, "msize": 0}, ""]}]}'; do
		"$CRIT" encode <<<"$json" >"$T/a"
		[ "$("$CRIT" decode <"$T/a")" = "$json" ]
		[ "$("$CRIT" info "$T/a" | tr -dc 0-9)" = 1 ]
		run "$CRIT" show --nopl "$T/a"
		[ "$status" = 0 ]
	done
	refuse_json '{"magic": "IPCNS_SEM", "entries": [{"desc": {"key": 1, "uid": 0, "gid": 0, "cuid": 0, "cgid": 0, "mode": 1, "id": 0}, "nsems": 3, "extra": [1, 65536, 0]}]}' 65535
}

@test "info counts entries, not payloads" {
	requires_fixtures
	[ "$("$CRIT" info "$FIXTURES/sockets/img/sk-queues.img")" = "$(printf '{\n    "magic": "SK_QUEUES",\n    "count": 4\n}')" ]
	[ "$("$CRIT" info "$FIXTURES/files/img/ghost-file-2.img" | tr -dc 0-9)" = 3 ]
	[ "$("$CRIT" info "$FIXTURES/files/img/pagemap-shmem-86335.img" | tr -dc 0-9)" = 1 ]
	[ "$("$CRIT" info "$FIXTURES/namespaces/img/ipcns-msg-11.img" | tr -dc 0-9)" = 1 ]
}

@test "a directory where an image is due, and the reverse: exit 1, what to name instead" {
	copy_of tree
	for verb in "info $IMG" "decode -i $IMG" "encode -i $IMG"; do
		run "$CRIT" $verb
		[ "$status" = 1 ]
		[[ $output == *"is a directory, not a file (name an image in it, or use crit show DIR)"* ]] || { echo "$output"; return 1; }
	done
	for verb in "verify $IMG/mm-24030.img" "report $IMG/mm-24030.img" "x $IMG/mm-24030.img ps" "core $IMG/mm-24030.img 24030" \
		"diff $IMG $IMG/mm-24030.img" "diff --fields $IMG/mm-24030.img $IMG" "verify $T/none"; do
		run "$CRIT" $verb
		[ "$status" = 1 ] || [ "${verb%% *}:$status" = diff:2 ]
		[[ $output == *"(name the directory of a checkpoint"*"[dir-missing]" ]] || { echo "$verb: $output"; return 1; }
	done
}

@test "an empty image is called empty, one that ends inside its magic truncated" {
	copy_of tree
	for n in 0 2 6; do
		head -c $n "$FIXTURES/tree/img/mm-24030.img" >"$IMG/mm-24030.img"
		for verb in "show $IMG/mm-24030.img" "decode -i $IMG/mm-24030.img" "info $IMG/mm-24030.img" "verify $IMG"; do
			run "$CRIT" $verb
			[ "$status" = 2 ]
			[[ $n = 0 && $output == *"mm-24030.img: "*"is empty"* || $output == *"ends after $n bytes, inside its magic"* ]] ||
				{ echo "$verb: $output"; return 1; }
			[[ $output != *"magic 0x0"* ]]
		done
	done
}

@test "decode and encode do not replace what they read" {
	copy_of tree
	"$CRIT" decode -i "$IMG/mm-24030.img" -o "$T/x.json"
	ln -s x.json "$T/link.json"
	cp "$T/x.json" "$T/before.json"
	run "$CRIT" decode -i "$IMG/mm-24030.img" -o "$IMG/../img/mm-24030.img"
	[ "$status" = 100 ]
	[[ $output == *"would replace"* ]]
	run "$CRIT" encode -i "$T/link.json" -o "$T/x.json"
	[ "$status" = 100 ]
	cmp "$T/before.json" "$T/x.json"
	cmp "$FIXTURES/tree/img/mm-24030.img" "$IMG/mm-24030.img"
}

@test "show DIR: what a restore needs is said as a need" {
	requires_fixtures
	[[ $("$CRIT" show "$FIXTURES/counter/img") == *"  pid         24010 (must be free)"* ]]
	[[ $("$CRIT" show "$FIXTURES/files/img") == *"  pid         24050-24051 (2, all must be free)"* ]]
	[ "$("$CRIT" show --json "$FIXTURES/counter/img" | jq -r '.needs[] | select(.kind == "pid").detail')" = 'must be free' ]
}

@test "show --nopl: sizes" {
	requires_fixtures
	run "$CRIT" show --nopl "$FIXTURES/files/img/ghost-file-2.img"
	[[ $output == *'"extra": "... <4KB>"'* ]]
	run bash -c '"$1" decode --nopl <"$2"' - "$CRIT" "$FIXTURES/tree/img/pipes-data.img"
	[[ $output == *'"extra": "... <4KB>"'* ]]
}

@test "show DIR and x" {
	requires_fixtures
	run "$CRIT" show "$FIXTURES/tree/img"
	[[ $output == *"4 tasks, 4 threads, 19 descriptors, 15 open files, 39 mappings, 48 pages"* ]]
	[[ $output == *zombie*fx-tree-z* ]]
	run "$CRIT" x "$FIXTURES/tree/img" ps
	[ "${lines[0]}" = "    PID   PGID    SID   COMM" ]
	[ "${lines[2]}" = "  24031  24031  24030       fx-tree-b" ]
	run "$CRIT" x "$FIXTURES/files/img" fds
	[[ $output == *"1: /tmp/criu-fixture/files/out.txt"*"pipe[7519097]"*"EVENTPOLL.14"*"cwd: /tmp/criu-fixture/files"* ]]
	run "$CRIT" x "$FIXTURES/counter/img" mems
	[[ $output == *"exe /tmp/criu-fixture/counter/prog"*"[vdso]"* ]]
	run "$CRIT" x "$FIXTURES/counter/img" rss
	[[ $output == *"401000        1 pages"* ]]
	run "$CRIT" x "$FIXTURES/sockets/img" sk
	[[ $output == *"INET STREAM TCP LISTEN 127.0.0.1:24681"* ]]
}

@test "show DIR: a failed dump says why, a dry run that it is one; an empty directory is no checkpoint" {
	mkdir "$T/none" "$T/early"
	run "$CRIT" show "$T/none"
	[ "$status" = 2 ]
	[[ $output == *"[no-checkpoint]" ]]
	echo '{"format": 1, "state": "failed", "error": {"code": "file-lock", "object": "task 7", "reason": "it locks", "remedy": "do so"}}' \
		>"$T/early/manifest.json"
	run "$CRIT" show "$T/early"
	[ "$status" = 2 ]
	[[ $output == *"did not come to its end: task 7: it locks (do so) [not-sealed]" ]]
	small_checkpoint "$T/img"
	cp "$T/img/manifest.json" "$T/sealed"
	jq '.state = "failed" | .error = {code: "dir-full", object: "pages-1.img", reason: "full"}' "$T/sealed" >"$T/img/manifest.json"
	"$CRIT" show "$T/img" | grep -qx 'Failed     pages-1.img: full \[dir-full\]'
	jq '.options.check_only = true | .needs = [{kind: "mount", path: "/dev", fstype: "devtmpfs"}]' "$T/sealed" >"$T/img/manifest.json"
	"$CRIT" show "$T/img" | grep -q 'by a dry run (--check-only)'
	"$CRIT" show "$T/img" | grep -qx '  mount       /dev (devtmpfs)'
}

@test "images that are damaged: exit 2, what could not be read is told in text and JSON, the rest is shown" {
	small_checkpoint "$T/img"
	[ "$("$CRIT" show --json "$T/img" | jq -c .damaged)" = '[]' ]
	"$CRIT" show "$T/img" 2>&1 >"$T/out" | diff /dev/null -
	cp -r "$T/img" "$T/bad"
	# In the second task's fdinfo the last entry is cut; the mappings of the first are none; one core is gone.
	truncate -s -1 "$T/bad/fdinfo-2.img"
	printf '\377\377' | dd of="$T/bad/mm-100.img" bs=1 seek=10 conv=notrunc status=none
	rm "$T/bad/core-110.img"
	echo '{' >"$T/bad/manifest.json"
	for verb in show "x ps" "x --json ps" "x mems" "x --json mems" "x fds" "x --json fds" report diff; do
		# shellcheck disable=SC2086
		set -- $verb
		case $verb in
		x*) args=("${@:1:$#-1}" "$T/bad" "${!#}") want=core-110 ;;
		diff) args=(diff --no-pages "$T/img" "$T/bad") want=core-110 ;;
		*) args=("$verb" "$T/bad") want=core-110 ;;
		esac
		[[ $verb != *mems ]] || want=mm-100
		[[ $verb != *fds ]] || want=fdinfo-2
		"$CRIT" "${args[@]}" >"$T/out" 2>"$T/err" && status=0 || status=$?
		[ "$status" = 2 ] || { echo "crit $verb: exit $status"; return 1; }
		[ -s "$T/out" ]
		grep -q "^crit: not all could be looked at: $want.img: " "$T/err" || { echo "crit $verb"; cat "$T/err"; return 1; }
	done
	"$CRIT" show --json "$T/bad" >"$T/json" 2>"$T/err" || [ $? = 2 ]
	[ "$(jq -r '.damaged[].file' "$T/json" | sort | tr '\n' ' ')" = 'core-110.img fdinfo-2.img manifest.json mm-100.img ' ]
	jq -e '.damaged[] | select(.file == "core-110.img") | .problem == "is missing" and .code == "image-missing"' "$T/json"
	jq -e '.damaged | length == 4 and all(.[]; .problem != "" and .code != "")' "$T/json"
	jq -e '(.tasks | length) == 3 and .tasks[0].threads == 2' "$T/json"
	"$CRIT" show "$T/bad" 2>/dev/null >"$T/out" || [ $? = 2 ]
	grep -q '^Damaged    4 images could not be read whole' "$T/out"
	# Each task has what it is about: a descriptor table that two share is damage of both.
	"$CRIT" x --json "$T/bad" mems >"$T/json" 2>/dev/null || [ $? = 2 ]
	[ "$(jq -c 'map([.damaged[].file])' "$T/json")" = '[["mm-100.img"],[],[]]' ]
	"$CRIT" x --json "$T/bad" fds >"$T/json" 2>/dev/null || [ $? = 2 ]
	jq -e '[.[] | select(.damaged | length > 0)] | length >= 1 and all(.[]; .fds | length > 0)' "$T/json"
	# Of a list of tasks that breaks off, all have it; without any there is nothing to show.
	cp -r "$T/img" "$T/cut"
	truncate -s -1 "$T/cut/pstree.img"
	"$CRIT" x --json "$T/cut" ps >"$T/json" 2>/dev/null || [ $? = 2 ]
	[ "$(jq -c 'map([.damaged[].file])' "$T/json")" = '[["pstree.img"],["pstree.img"]]' ]
	truncate -s 14 "$T/cut/pstree.img"
	run "$CRIT" show "$T/cut"
	[ "$status" = 2 ]
	[[ $output == "crit: pstree.img: ends at byte "*"inside entry 0 "* ]]
	cp -r "$T/img" "$T/lazy"
	"$CRIT" decode -i "$T/img/pagemap-100.img" | jq '.entries[1:][] |= (.flags = "PE_LAZY")' | "$CRIT" encode -o "$T/lazy/pagemap-100.img"
	"$CRIT" diff "$T/img" "$T/lazy" 2>&1 >"$T/out" | grep -q '^crit: [0-9]* pages could not be compared'
}

@test "many damaged images: the first are told one by one, the JSON has all" {
	small_checkpoint "$T/img"
	"$CRIT" decode -i "$T/img/pstree.img" | jq '.entries += [range(200; 230) | {pid: ., ppid: 100, pgid: 100, sid: 100, threads: [.]}]' |
		"$CRIT" encode -o "$T/img/pstree.img"
	"$CRIT" show --json "$T/img" >"$T/json" 2>"$T/err" || [ $? = 2 ]
	[ "$(jq '[.damaged[] | select(.file | startswith("core-2"))] | length' "$T/json")" = 30 ]
	[ "$(grep -c '^crit: not all could be looked at: [a-z]*-[0-9]*.img: ' "$T/err")" = 10 ]
	grep -qE '^crit: not all could be looked at: [0-9]+ more images$' "$T/err"
}

@test "show DIR cuts long lists of needs, and says where all are" {
	small_checkpoint "$T/img"
	"$CRIT" decode -i "$T/img/files.img" | jq '.entries += [range(1000; 1030) | {type: "REG", id: ., reg:
		{id: ., flags: "0x0", pos: 0, fown: {uid: 0, euid: 0, signum: 0, pid_type: 0, pid: 0}, name: "/many/\(.)"}}]' |
		"$CRIT" encode -o "$T/img/files.img"
	"$CRIT" show "$T/img" >"$T/out"
	more=$(sed -n 's/^ *and \([0-9]*\) more (crit show --json has all)$/\1/p' "$T/out")
	[ "$("$CRIT" show --json "$T/img" | jq '[.needs[] | select(.kind == "file")] | length')" = $((more + 12)) ]
}

@test "output that cannot be written is an error of every verb" {
	small_checkpoint "$T/img"
	cp -r "$T/img" "$T/img2"
	"$CRIT" edit "$T/img2/core-100.img" tc.comm=other
	cp -r "$T/img" "$T/bad"
	echo >>"$T/bad/files.img"
	for verb in "show img" "show --json img" "x img ps" "x img mems" "x --json img fds" "info img/pstree.img" "show img/pstree.img" \
		"report img" "diff --fields img img2" "verify bad" "core -o - img 100"; do
		(cd "$T" && eval "'$CRIT' $verb" >/dev/full 2>err) && { echo "crit $verb"; return 1; }
		grep -q 'cannot be written.*No space left' "$T/err" || { echo "crit $verb"; cat "$T/err"; return 1; }
		(cd "$T" && eval "'$CRIT' $verb" >&- 2>err) && { echo "crit $verb"; return 1; }
		grep -q 'cannot be written.*Bad file descriptor' "$T/err" || { echo "crit $verb"; cat "$T/err"; return 1; }
	done
	(cd "$T" && ulimit -f 1 && "$CRIT" report -o page.html img 2>err) && return 1
	grep -q 'cannot be written: File too large' "$T/err"
	[ -z "$(find "$T" -name 'page.html*')" ]
	# Files that are written do not get the number of what was closed.
	for verb in "edit img2/core-100.img tc.comm=third" "decode -i img/pstree.img -o json" "encode -i json -o pstree.img" "report -o r.html img" "core -o core img 100"; do
		(cd "$T" && eval "'$CRIT' $verb" <&- >&- 2>err) || { echo "crit $verb"; cat "$T/err"; return 1; }
	done
	cmp "$T/pstree.img" "$T/img/pstree.img"
}

@test "JSON that is wrong: exit 1, where it is, and no file" {
	refuse_json '{"magic": "PSTREE",
"entries": [{"pid": 1,, "ppid": 0}]}' "line 2, near column 23"
	refuse_json '{"magic": "PSTREE", "entries": [{"pid": 1, "ppid": 0, "pgid": 1' "premature EOF"
	refuse_json '' "premature EOF"
	refuse_json '{"magic": "PSTREE", "entries": []} {}' "trailing garbage"
	refuse_json '{"magic": "PSTREE", "entries": [{"pid": 1, "ppid": 0, "pgid": 1}]}' 'lacks "sid"'
	refuse_json '{"magic": "PSTREE", "entries": [{"pid": 1, "pid": 1, "ppid": 0, "pgid": 1, "sid": 1}]}' '"pid" stands twice'
	refuse_json '{"magic": "PSTREE", "entries": [{"pit": 1}]}' 'has no field "pit"'
	refuse_json '{"magic": "PSTREE", "entries": [{"pid": 1.5, "ppid": 0, "pgid": 1, "sid": 1}]}' 'entries[0].pid: "1.5" is no value'
	refuse_json '{"magic": "PSTREE", "entries": [{"pid": null, "ppid": 0, "pgid": 1, "sid": 1}]}' 'is null'
	refuse_json '{"magic": "NOTHING", "entries": []}' 'no image has the magic "NOTHING"'
	refuse_json '{"entries": [], "magic": "PSTREE"}' '"entries" stands before "magic"'
	refuse_json '{"magic": "PIPES_DATA", "entries": [{"pipe_id": 1, "bytes": 5, "extra": "QQ=="}]}' "has 1 bytes, but the entry says 5"
	refuse_json '{"magic": "PIPES_DATA", "entries": [{"pipe_id": 1, "bytes": 5}]}' 'lacks its "extra"'
	refuse_json '{"magic": "PIPES_DATA", "entries": [{"pipe_id": 1, "bytes": 5, "extra": "Q-=="}]}' "is not base64"
	refuse_json '{"magic": "UTSNS", "entries": [{"nodename": "a", "domainname": "b"}, {"nodename": "a", "domainname": "b"}]}' "one too many"
}

@test "a failed encode leaves the old file, and its mode is kept by one that works" {
	echo old >"$T/img.img"
	chmod 640 "$T/img.img"
	run "$CRIT" encode -i /dev/null -o "$T/img.img"
	[ "$status" = 1 ]
	[ "$(cat "$T/img.img")" = old ]
	[ "$(find "$T" -name 'img.img*' | wc -l)" = 1 ]
	"$CRIT" encode -o "$T/img.img" <<<'{"magic": "PSTREE", "entries": []}'
	[ "$(stat -c %a "$T/img.img")" = 640 ]
	"$CRIT" encode -o "$T/new.img" <<<'{"magic": "PSTREE", "entries": []}'
	[ "$(stat -c %a "$T/new.img")" = 600 ]
}

@test "images that are wrong: exit 2, and which entry" {
	printf 'hello world' >"$T/a"
	run "$CRIT" decode -i "$T/a"
	[ "$status" = 2 ]
	[[ $output == *"unknown magic 0x6c6c6568"*"raw data"* ]]
	: | utsns | head -c 10 >"$T/a"
	run "$CRIT" decode -i "$T/a"
	[ "$status" = 2 ]
	[[ $output == *"image-truncated"* ]]
	printf '\x0a\x7fab' | utsns >"$T/a"
	run "$CRIT" info "$T/a"
	[ "$status" = 0 ]
	run "$CRIT" decode -i "$T/a" -o "$T/b"
	[ "$status" = 2 ]
	[[ $output == *"entry 0: is not a utsns_entry"* ]]
	[ ! -e "$T/b" ]
	run "$CRIT" x "$T" ps
	[ "$status" = 2 ]
	[[ $output == *"no pstree.img"* ]]
}

@test "what no restore would take is decoded, and encoded again with --lenient" {
	printf '\x0a\x01a' | utsns >"$T/a" # no domainname
	"$CRIT" decode -i "$T/a" -o "$T/json"
	run "$CRIT" encode -i "$T/json" -o "$T/b"
	[ "$status" = 1 ]
	"$CRIT" encode --lenient -i "$T/json" | cmp - "$T/a"
}

@test "large payloads pass through" {
	head -c 3000000 /dev/urandom >"$T/data"
	{
		words 0x54564319 0x56453709 7
		printf '\x08\x05\x10\xc0\x8d\xb7\x01' # pipe 5, 3000000 bytes
		cat "$T/data"
	} >"$T/a"
	"$CRIT" decode <"$T/a" | "$CRIT" encode | cmp - "$T/a"
	"$CRIT" decode --pretty -i "$T/a" -o "$T/json"
	"$CRIT" encode -i "$T/json" -o "$T/b"
	cmp "$T/a" "$T/b"
}

# Verbs and options, one a line, as "VERB OPTION".
options_of_help()
{
	"$CRIT" --help | sed -n 's/^  crit \([a-z]*\) /\1 /p' | while read -r verb rest; do
		echo "$verb"
		grep -o -- ' *[[(]-[-a-z]*\| --[-a-z]*' <<<" $rest" | tr -d ' [(' | sed "s/^/$verb /"
	done | sort -u
}

options_of_man()
{
	sed -n '/^\.SH SYNOPSIS/,/^\.SH DESCRIPTION/p' "$TOP/tools/crit/crit.1" | sed 's/\\-/-/g' | awk '
		/^\.B crit / { verb = $3; print verb }
		/^\.RB? / { for (i = 2; i <= NF; i++) if ($i ~ /^-/) print verb, $i }' | grep -v -e '^--' | sort -u
}

options_of_completion()
{
	# shellcheck disable=SC1091
	( . "$TOP/tools/crit/crit.bash"
	  COMP_WORDS=(crit '') COMP_CWORD=1
	  _crit
	  printf '%s\n' "${COMPREPLY[@]}" | grep -v -e '^-' | while read -r verb; do
		echo "$verb"
		COMP_WORDS=(crit "$verb" -) COMP_CWORD=2
		[ "$verb" != x ] || COMP_CWORD=3 COMP_WORDS=(crit x dir -)
		_crit
		[ ${#COMPREPLY[@]} = 0 ] || printf "$verb %s\n" "${COMPREPLY[@]}"
	done ) | sort -u
}

# What getopt_long() of each verb takes: the verb is the file's name.
options_of_code()
{
	for file in "$TOP"/tools/crit/*.c; do
		grep -o '{ "[-a-z]*", [a-z]*_argument' "$file" | sed "s/{ \"\([-a-z]*\)\".*/$(basename "$file" .c) --\1/"
	done | sort -u
}

@test "--help, man page, completion and code name the same verbs and options" {
	options_of_help >"$T/help"
	options_of_man >"$T/man"
	options_of_completion >"$T/completion"
	options_of_code >"$T/code"
	[ "$(grep -c ' ' "$T/code")" -gt 20 ]
	diff "$T/help" "$T/man"
	# Every option of the code is completed, and nothing else that is long.
	diff <(grep -e ' --' "$T/completion") "$T/code"
	# Each option of --help and of the code has its paragraph in the man page.
	sed -n '/^\.SH OPTIONS/,/^\.SH EXIT/p' "$TOP/tools/crit/crit.1" | sed 's/\\-/-/g' | grep -A1 '^\.TP' | grep -o -- '-[-a-z]\+' | sort -u >"$T/paragraphs"
	for option in $(cat "$T/help" "$T/code" | sed -n 's/^[a-z]* -/-/p' | sort -u); do
		grep -qx -- "$option" "$T/paragraphs" || { echo "man page: $option"; return 1; }
	done
	# And the verbs of the one are those of the other.
	diff <(grep -v ' ' "$T/help") <(grep -v ' ' "$T/completion")
	sed -n '/^\.SH VERBS/,/^\.SH OPTIONS/p' "$TOP/tools/crit/crit.1" | sed '/^\.RS/,/^\.RE/d' | grep -A1 '^\.TP' | sed -n 's/^\.BI* "*\([a-z]*\).*/\1/p' | sort -u >"$T/verbs"
	diff <(grep -v ' ' "$T/help") "$T/verbs"
}

@test "usage: exit 100; --help and --version: 0" {
	for args in "" bogus "decode --bogus" "decode file" "encode x" info "info a b" show "x dir" "x dir bogus"; do
		# shellcheck disable=SC2086
		run "$CRIT" $args
		[ "$status" = 100 ] || { echo "$status: $args"; return 1; }
	done
	run "$CRIT" --version
	[ "$status" = 0 ]
	run "$CRIT" --help
	[ "$status" = 0 ]
	for option in --help -h --version; do
		"$CRIT" $option >/dev/full 2>"$T/err" && { echo "$option"; return 1; }
		grep -q 'cannot be written.*No space left' "$T/err"
		"$CRIT" $option >&- 2>"$T/err" && { echo "$option"; return 1; }
	done
	for verb in core decode diff edit encode info report show verify x; do
		run "$CRIT" $verb --help
		[ "$status" = 0 ]
		[[ $output == "Usage: crit $verb "* ]]
		"$CRIT" $verb --help >/dev/full 2>"$T/err" && { echo "$verb --help"; return 1; }
		grep -q 'cannot be written.*No space left' "$T/err"
	done
}
