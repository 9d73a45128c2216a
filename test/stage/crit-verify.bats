#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2086,SC2016
# crit verify: held against ../shared/tools/imgcheck on changed images; and what it checks in addition.
load ../lib
load crit

# A manifest as the seal writes it; the checksums are computed by python.
make_manifest()
{
	"$PYTHON" - "$IMG" <<-'END'
		import json, os, sys
		def crc32c(data):
		    crc = 0xffffffff
		    for byte in data:
		        crc ^= byte
		        for _ in range(8):
		            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
		    return crc ^ 0xffffffff
		img = sys.argv[1]
		files = []
		for name in sorted(os.listdir(img)):
		    data = open(os.path.join(img, name), 'rb').read()
		    if name.endswith('.img'):
		        files.append({'name': name, 'size': len(data)})
		        if not name.startswith('pages-'):
		            files[-1]['crc32c'] = '%08x' % crc32c(data)
		json.dump({'format': 1, 'state': 'sealed', 'files': files}, open(os.path.join(img, 'manifest.json'), 'w'))
	END
}

verify()
{
	run "$CRIT" verify "$IMG"
	echo "$output"
}

@test "as strict as imgcheck, on fixtures changed in known and random ways" {
	[ -x "$SHARED/tools/imgcheck" ] || skip "../shared is not there"
	"$PYTHON" -c 'import google.protobuf' 2>/dev/null || skip "needs python3-protobuf"
	"$PYTHON" "$BATS_TEST_DIRNAME/crit-verify.py" "$CRIT" "$SHARED"
}

@test "fixtures: nothing to say, exit 0; several directories" {
	requires_fixtures
	run "$CRIT" verify "$FIXTURES"/*/img
	[ "$status" = 0 ]
	[ -z "$output" ]
}

@test "all findings at once, in text and JSON; --quiet leaves warnings out" {
	copy_of counter
	rm "$IMG/fs-24010.img"
	truncate -s -4096 "$IMG/pages-1.img"
	echo x >"$IMG/strange"
	verify
	[ "$status" = 2 ]
	[ "${#lines[@]}" = 3 ]
	[[ $output == *"$IMG/pagemap-24010.img: pages-1.img has "* ]]
	[[ $output == *"$IMG/pstree.img: entry 0: fs-24010.img is missing"* ]]
	[[ $output == *"$IMG/strange: warning: no image type has this name"* ]]
	"$CRIT" verify --json "$IMG" >"$T/json" || [ $? = 2 ]
	[ "$(jq -r '.[] | [.file, .entry, .level] | @csv' "$T/json")" = '"pagemap-24010.img",,"error"
"pstree.img",0,"error"
"strange",,"warning"' ]
	[ "$("$CRIT" verify --json --quiet "$IMG" | jq length)" = 2 ]
}

@test "warnings alone: exit 0" {
	copy_of counter
	echo x >"$IMG/strange"
	verify
	[ "$status" = 0 ]
	[ "${#lines[@]}" = 1 ]
}

@test "the manifest: sizes, checksums, files that are missing or were added" {
	copy_of tree
	make_manifest
	verify
	[ "$status" = 0 ] && [ -z "$output" ]
	# another comm: no other check could see it
	"$CRIT" decode -i "$IMG/core-24030.img" | sed 's/"comm": "\([a-z]\)/"comm": "Z/g' | "$CRIT" encode -o "$IMG/core-24030.img"
	verify
	[ "$status" = 2 ]
	[ "${#lines[@]}" = 1 ]
	[[ $output == *"core-24030.img: its checksum is "*" in manifest.json" ]]
	copy_of tree
	make_manifest
	mv "$IMG/seccomp.img" "$IMG/cpuinfo.img"
	verify
	[[ $output == *"seccomp.img: is in manifest.json, but missing here"* ]]
	[[ $output == *"cpuinfo.img: warning: is not in manifest.json"* ]]
	echo '{"format":1,"state":"open"}' >"$IMG/manifest.json"
	verify
	[ "$status" = 2 ]
	[[ $output == *"manifest.json: is not sealed"* ]]
	echo '{' >"$IMG/manifest.json"
	verify
	[[ $output == *"manifest.json: line 2"* ]]
}

@test "the chain of parents: findings there, a ring, a link that leads nowhere" {
	copy_of counter
	cp -r "$IMG" "$T/parent"
	ln -s ../parent "$IMG/parent"
	verify
	[ "$status" = 0 ] && [ -z "$output" ]
	cp -r "$T/parent" "$T/grand"
	ln -s ../grand "$T/parent/parent"
	truncate -s 100 "$T/grand/mm-24010.img"
	verify
	[ "$status" = 2 ]
	[[ $output == *"$IMG/parent/parent/mm-24010.img: entry 0: ends at byte"* ]]
	ln -sfn ../img "$T/grand/parent"
	verify
	[[ $output == *"$IMG/parent/parent/parent: warning: leads back here"* ]]
	ln -sfn ../nowhere "$IMG/parent"
	verify
	[ "$status" = 0 ]
	[[ $output == *"$IMG/parent: warning: leads to no directory"* ]]
}

@test "a dump of our own is well-formed, with its checksums" {
	requires_root
	[ -x "$VICTIMS/pipe" ] || skip "make test-programs first"
	start_victim pipe
	dump
	verify
	[ "$status" = 0 ]
	[ -z "$output" ]
	restore
	victim_finish
}

@test "no directory: exit 1; wrong usage: 100; names from images are printed safely" {
	run "$CRIT" verify "$T/none"
	[ "$status" = 1 ]
	run "$CRIT" verify
	[ "$status" = 100 ]
	mkdir "$T/x"
	printf x >"$T/x/"$'a\e[31m.img'
	run "$CRIT" verify "$T/x"
	[ "$status" = 2 ]
	[[ $output == *'a\x1b[31m.img: no image type has this name'* ]]
}
