#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2086
# crit x --json; and all verbs on a directory of 10 GiB, in bounded memory.
load ../lib
load ../golden/small
load crit

@test "x --json says what x says" {
	requires_fixtures
	img=$FIXTURES/sockets/img
	[ "$("$CRIT" x --json "$img" ps | jq -c '.[0] | [.pid, .ppid, .comm, .threads]')" = '[24060,0,"fx-sockets",[24060]]' ]
	[ "$("$CRIT" x "$img" fds --json | jq -r '.[0] | .cwd, .fds[0].file')" = '/tmp/criu-fixture/sockets
/dev/null' ]
	[ "$("$CRIT" x --json "$img" fds | jq '.[0].fds | length')" = "$("$CRIT" x "$img" fds | grep -c '^.*[0-9]: ')" ]
	[ "$("$CRIT" x --json "$img" mems | jq -r '.[0].mappings | last | .start + " " + .prot + " " + .what')" = \
		'0xffffffffff600000 --x [vsyscall]' ]
	[ "$("$CRIT" x --json "$img" rss | jq '[.[0].runs[].pages] | add * 4096')" = "$(stat -c %s "$img"/pages-1.img)" ]
	[ "$("$CRIT" x --json "$img" sk | jq '.[0].sockets | length')" = "$("$CRIT" x "$img" sk | grep -c ': ')" ]
	for what in ps fds fd mems mem rss sk; do
		for img in "$FIXTURES"/*/img; do
			"$CRIT" x --json "$img" $what | jq . >"$T/out"
		done
	done
	run "$CRIT" x --json "$img" what
	[ "$status" = 100 ]
}

# jq cannot hold a lone surrogate: the text of the document.
@test "--json of x, show and diff: names are the real ones, whatever is in them" {
	copy_of tree
	"$CRIT" decode -i "$IMG/files.img" | sed 's,"/dev/null","/dev/a\\n\\\\x0a\\udce4\\u00e4",' | "$CRIT" encode -o "$IMG/files.img"
	name='/dev/a\n\\x0a\udce4\u00e4'
	"$CRIT" decode -i "$IMG/files.img" | grep -qF "\"$name\""
	"$CRIT" edit "$IMG/core-24030.img" $'tc.comm=a\xe4\\x0a'
	"$CRIT" x --json "$IMG" fds | grep -qF "\"file\": \"$name\""
	"$CRIT" x --json "$IMG" ps | grep -qF '"comm": "a\udce4\\x0a"'
	"$CRIT" show --json "$IMG" | grep -qF "\"object\": \"$name\""
	"$CRIT" show --json "$IMG" | grep -qF '"comm": "a\udce4\\x0a"'
	"$CRIT" diff --json --no-pages "$FIXTURES/tree/img" "$IMG" >"$T/diff" || true
	grep -qF "\"new\": \"$name, position" "$T/diff"
	# for people it stays on its line
	"$CRIT" x "$IMG" fds | grep -qF '/dev/a\x0a\x0a'
	"$CRIT" report "$IMG" | grep -qF '/dev/a\\x0a\\x0a'
	# an abstract name has NULs
	copy_of sockets
	name=$("$CRIT" decode -i "$IMG/files.img" | jq -r '[.entries[].usk.name? // "" | select(startswith("=00"))][0]')
	[[ $name == =00* ]]
	"$CRIT" decode -i "$IMG/files.img" | sed "s,\"$name\",\"=00a=00=C0=80b=00\"," | "$CRIT" encode -o "$IMG/files.img"
	"$CRIT" x --json "$IMG" sk | grep -qF ' @a\u0000\udcc0\udc80b\u0000)]'  ||
		"$CRIT" x --json "$IMG" sk | grep -qF ' @a\u0000\udcc0\udc80b\u0000]'
}

# A task with 10 GiB in 650,000 runs of pages.
@test "10 GiB: each verb comes to its end with some megabytes of memory" {
	small_checkpoint "$IMG"
	rm "$IMG/manifest.json"
	"$PYTHON" - "$IMG" <<-'END'
		import os, struct, sys
		def varint(v):
		    out = b''
		    while v > 127:
		        out += bytes([v & 127 | 128])
		        v >>= 7
		    return out + bytes([v])
		img = sys.argv[1]
		out = [struct.pack('<II', 0x54564319, 0x56084025), struct.pack('<I', 2), b'\x08\x01']
		runs, pages = 650000, 4
		for k in range(runs):
		    entry = b'\x08' + varint(0x10000000000 + k * (pages + 1) * 4096) + b'\x10\x04\x20\x04\x28\x04'
		    out.append(struct.pack('<I', len(entry)) + entry)
		open(img + '/pagemap-100.img', 'wb').write(b''.join(out))
		os.truncate(img + '/pages-1.img', runs * pages * 4096)
	END
	end=$(printf %d $((0x10000000000 + 650000 * 5 * 4096)))
	"$CRIT" edit "$IMG/mm-100.img" "vmas=[{\"start\":1099511627776,\"end\":$end,\"pgoff\":0,\"shmid\":0,\"prot\":3,\"flags\":34,\"status\":513,\"fd\":-1}]"
	cp "$IMG/pagemap-100.img" "$T/before"
	[ "$(stat -c %s "$IMG/pages-1.img")" = 10649600000 ]
	for verb in "show $IMG" "show --json $IMG" "report $IMG" "x $IMG ps" "x $IMG mems" "x $IMG rss" "x --json $IMG rss" "verify $IMG" "info $IMG/pagemap-100.img" \
		"diff --no-pages $IMG $IMG" "edit $IMG/pagemap-100.img [5].nr_pages=4" "decode -i $IMG/pagemap-100.img"; do
		"$PYTHON" "$BATS_TEST_DIRNAME/measure.py" "$T/time" "$CRIT" $verb
		echo "$verb: $(cat "$T/time")"
		read -r _ kib <"$T/time"
		grep -q __asan_init "$CRIT" || [ "$kib" -lt 65536 ]
	done
	cmp "$T/before" "$IMG/pagemap-100.img"
}
