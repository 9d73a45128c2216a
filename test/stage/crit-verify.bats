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

@test "bytes behind the last entry have the number of the entry that they would be" {
	copy_of tree
	n=$("$CRIT" info "$IMG/fdinfo-2.img" | jq .count)
	printf xxxxxxxx >>"$IMG/fdinfo-2.img"
	verify
	[ "$status" = 2 ]
	[ "$output" = "$IMG/fdinfo-2.img: entry $n: says it is 2021161080 bytes long, more than 64 MiB" ]
}

@test "pages that are missing are called missing, without a manifest too" {
	copy_of tree
	rm "$IMG/pages-1.img"
	verify
	[ "$status" = 2 ]
	[[ $output == *": pages-1.img, with "*" pages, is missing"* ]]
	[[ $output != *"has 0 bytes"* ]]
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

# Each line: a fixture, an image, and a change to its JSON that no tree of processes, or no image of one, can have.
# What is after # is a part of what crit verify says.
NO_TREE='
tree pstree [1].pgid=0                                # zero is none
tree pstree [1].sid=0                                 # zero is none
tree pstree [1].pid=24030                             # pid 24030 is not unique
tree pstree [1].ppid=99                               # parent 99 does not come before
tree pstree [3].ppid=0                                # only the first task is the root
tree pstree [0].sid=24033                             # its session 24033 is led from inside its tree
tree pstree [0].sid=24031                             # its session 24031 is led from inside its tree
tree pstree [0].pgid=24031                            # it leads its session, but is in group 24031
tree pstree [1].sid=24033                             # its session 24033 depends on itself
tree pstree [1].sid=4242,[1].pgid=24030               # the leader of its group 24030 is in another session
tree pstree [3].sid=4242                               # the leader of its group 24030 is in another session
tree pstree [2].pgid=24030                            # it leads its session, but is in group 24030
tree pstree [3].pgid=24033                            # the leader of its group 24033 is in another session
tree pstree [3].sid=24031,[3].pgid=24032              # of its session 24031, task 24031 is no leader
tree pstree [3].sid=4242,[3].pgid=4343,[1].pgid=4343  # the leader of its group 4343 is in another session
tree core-24031 [0].tc.task_state=6                   # its parent 24031 is a zombie
tree core-24030 [0].tc.task_state=2                   # is a zombie
tree core-24031 [0].tc.task_state=4                   # task_state 4
tree core-24031 [0].tc=null                           # tc belongs to the leader
tree core-24031 [0].thread_core=null                  # no thread_core
tree core-24031 [0].thread_info=null                  # X86_64 thread with no registers
tree mm-24031 [0].vmas=[]                             # no mappings
tree core-24031 [0].thread_core.seccomp_mode="filter"  # without a filter
signals-timers core-24040 [0].tc.signals_s.signals[0].siginfo="ZEROS" # a queued signal has number 0
threads pstree [0].threads[2]=24021                   # a tid is not unique
threads pstree [0].threads[2]=0                       # core-0.img is missing
threads pstree [0].threads[0]=24099                   # the leader is not among the threads
threads pstree [0].pgid=24021                         # it leads its session, but is in group 24021
threads pstree [0].sid=24021                          # its session 24021 is led from inside its tree
'

# change IMAGE PATH=VALUE[,PATH=VALUE...]: as crit edit, but of values that it would refuse.
change()
{
	"$CRIT" decode -i "$IMG/$1.img" | "$PYTHON" -c 'if True:
		import json, re, sys
		image = json.load(sys.stdin)
		for path, value in re.findall(r"([^=]+)=([^,]+),?", sys.argv[1]):
		    *steps, last = [int(s) if s.isdigit() else s for s in re.findall(r"\w+", path)]
		    at = image["entries"]
		    for step in steps:
		        at = at[step]
		    at[last] = json.loads(value)
		    if at[last] is None:
		        del at[last]
		json.dump(image, sys.stdout)' "$2" >"$T/json"
	"$CRIT" encode -i "$T/json" -o "$IMG/$1.img"
}

@test "what a restore calls a bad image is an error here: tasks, groups, sessions" {
	requires_fixtures
	while read -r name image edit text; do
		[ -n "$name" ] || continue
		copy_of "$name"
		change "$image" "${edit/ZEROS/$(head -c 128 /dev/zero | base64 -w 0)}"
		run "$BIN/criu-restore" --plan -D "$IMG"
		[ "$status" = 2 ] && [[ $output == *"[image-"* ]] || fail "$name $image $edit: the plan: $output"
		verify
		[ "$status" = 2 ] || fail "$name $image $edit: no error, but the plan says: $("$BIN/criu-restore" --plan -D "$IMG" 2>&1)"
		[[ $output == *"${text#\# }"* ]] || fail "$name $image $edit"
	done <<<"$NO_TREE"
}

@test "sessions and groups that are right: of the outside, without a leader, older than the parent's" {
	for edit in [0].sid=4242,[1].sid=4242,[3].sid=4242 [1].pgid=4242 [1].sid=4242,[1].pgid=4242 [2].sid=24030,[2].pgid=24030 \
		[1].sid=24031,[3].ppid=24031; do
		copy_of tree
		change pstree "$edit"
		"$BIN/criu-restore" --plan --shell-job -D "$IMG"
		verify
		[ "$status" = 0 ] && [ -z "$output" ] || fail "$edit"
	done
}

@test "a pid namespace of its own begins with pid 1; one that --external named need not" {
	copy_of namespaces
	run "$CRIT" edit "$IMG" --set-root-pid 5
	[ "$status" = 2 ]
	[[ $output == *"pstree.img: entry 0: the root has a pid namespace of its own, but pid 5, not 1"* ]]
	id=$("$CRIT" decode -i "$IMG/ids-1.img" | jq .entries[0].pid_ns_id)
	echo '{"magic": "PIDNS", "entries": [{"ext_key": "pid[1]:x"}]}' | "$CRIT" encode -o "$IMG/pidns-$id.img"
	"$CRIT" edit "$IMG" --set-root-pid 5
	verify
	[ "$status" = 0 ] && [ -z "$output" ]
	rm "$IMG/pidns-$id.img"
	verify
	[ "$status" = 2 ]
	[ "${#lines[@]}" = 1 ]
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
