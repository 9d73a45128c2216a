#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2016
# crit report: the page is drawn by a browser without an error and without a request, whatever the names are, with a thousand tasks too.
load ../lib
load ../golden/small
load crit

# The page as it is when its script has run, in $T/dom; $T/log has what the browser said. What is drawn when it comes into view is there
# only if the browser makes its frames before it answers: without the option that says so one page in some tens lacked them.
browse()
{
	HOME=$T/home timeout 120 chromium-headless-shell --headless --no-sandbox --disable-gpu --enable-logging=stderr --v=0 \
		--disable-background-networking --no-first-run --user-data-dir="$T/home" --log-net-log="$T/net.json" \
		--window-size=1280,2000 --run-all-compositor-stages-before-draw --virtual-time-budget=10000 --dump-dom "file://$1" >"$T/dom" 2>"$T/log" </dev/null 3>&-
}

# All is drawn, nothing was complained of and nothing asked for.
good_page()
{
	browse "$1" || { cat "$T/log"; return 1; }
	grep -q '<html[^>]* data-state="drawn"' "$T/dom" || { head -c 3000 "$T/dom"; cat "$T/log"; return 1; }
	grep -q '<html[^>]* data-requests="0"' "$T/dom"
	absent "$T/log" -i CONSOLE || return 1
	# What the browser itself asks its makers for is none of the page's.
	grep -o '"url":"[^"]*"' "$T/net.json" | grep -v -e '"file:' -e 'https://[a-z.]*\(google\|gvt1\|googleapis\)\.com' -e '"chrome' >"$T/urls" || true
	absent "$T/urls" .
}

# absent FILE GREP-ARGUMENT...: no such line ("!" does not fail a test)
absent()
{
	local file=$1
	shift
	if LC_ALL=C grep "$@" "$file"; then
		echo "is there: $*"
		return 1
	fi
}

# JSON of the page
data()
{
	sed -n 's/.*id="data">\(.*\)<\/script>/\1/p' "$1"
}

@test "the small checkpoint: every section is drawn" {
	requires_command chromium-headless-shell
	small_checkpoint "$IMG"
	"$CRIT" report "$IMG" -o "$T/report.html"
	good_page "$T/report.html"
	for id in tree task share sockets times needs warnings images; do
		grep -q "<section id=\"$id\" aria-label=" "$T/dom" || { echo "$id"; return 1; }
	done
	for text in 'worker' 'private memory' '/srv/app/data.log' 'pipe\[601\] (write end)' '127.0.0.1:8080' 'criu-collect' 'its accept queue has' \
		'class="region tipped"' 'class="peer"' '@log #605' 'until all were frozen'; do
		grep -q -- "$text" "$T/dom" || { echo "not there: $text"; return 1; }
	done
	[ "$(stat -c %a "$T/report.html")" = 600 ]
	"$CRIT" report "$IMG" | cmp - "$T/report.html"
}

@test "what a user does: search, fold, choose a task, open lists, point at things" {
	requires_command chromium-headless-shell
	small_checkpoint "$IMG"
	"$CRIT" report "$IMG" -o "$T/report.html"
	# A copy that lets one more script run, which does it and looks at what happens.
	{
		sed '/Content-Security-Policy/d; /<\/html>/d' "$T/report.html"
		echo '<script>'
		cat "$BATS_TEST_DIRNAME/crit-report.js"
		echo '</script></html>'
	} >"$T/used.html"
	good_page "$T/used.html"
	grep -q '<html[^>]* data-used="1"' "$T/dom" || { grep banner "$T/dom"; return 1; }
}

@test "names that are hostile are text, in the file and on the page" {
	requires_command chromium-headless-shell
	small_checkpoint "$IMG"
	rm "$IMG/manifest.json"
	evil='</script><img src=http://192.0.2.1/x onerror=document.documentElement.dataset.evil=1><script>document.documentElement.dataset.evil=2</script><!--'
	"$CRIT" decode -i "$IMG/core-100.img" | sed "s#\"comm\": \"server\"#\"comm\": \"$evil\"#" | "$CRIT" encode -o "$IMG/core-100.img"
	"$CRIT" edit "$IMG/files.img" "[id=10].reg.name=/$evil"
	"$CRIT" edit "$IMG/files.img" '[id=9].usk.name==00<script>alert(1)</script>'
	# a byte that is no text, a change of the direction of writing, the end of a line
	"$CRIT" decode -i "$IMG/files.img" | sed 's,/srv/app/out.txt,/srv/\\udce4\\u202etxt\\u2028,g' | "$CRIT" encode -o "$IMG/files.img"
	"$CRIT" report "$IMG" -o "$T/report.html"
	# The page's own three ends of scripts, no more: nothing of the data ends one.
	[ "$(grep -o '</script' "$T/report.html" | wc -l)" = "$(grep -o '</script' "$BUILD/gen/report-page.html" | wc -l)" ]
	data "$T/report.html" >"$T/data"
	absent "$T/data" -q '[<>&]'
	data "$T/report.html" | jq -r '.tasks[0].comm' | grep -qF "$evil"
	good_page "$T/report.html"
	absent "$T/dom" data-evil
	absent "$T/dom" '<img'
	grep -qF '&lt;script&gt;alert(1)' "$T/dom"
	grep -qF '/srv/\xe4\u202etxt' "$T/dom"
}

@test "a manifest that is hostile, or none" {
	requires_command chromium-headless-shell
	small_checkpoint "$IMG"
	jq -c '.host.node = "</script><script>" | .stages[0].name = "<!--<script>" | .stages[1].seconds = "x" | .stages[2].warnings = [1, {"object": ["<"]}, {"reason": "</script>"}] |
		.needs += [{"kind": "</script>"}, 7] | .created = 5' "$IMG/manifest.json" >"$T/m"
	mv "$T/m" "$IMG/manifest.json"
	"$CRIT" report "$IMG" -o "$T/report.html"
	data "$T/report.html" >"$T/data"
	absent "$T/data" -q '[<>&]'
	good_page "$T/report.html"
	echo '[' >"$IMG/manifest.json"
	rm "$IMG/fs-110.img"
	run "$CRIT" report "$IMG" -o "$T/report.html"
	[ "$status" = 2 ]
	good_page "$T/report.html"
	grep -q '2 images could not be read whole' "$T/dom"
	grep -q '<code>fs-110.img</code>: is missing' "$T/dom"
	rm "$IMG/manifest.json" "$IMG/inventory.img"
	"$CRIT" report "$IMG" -o "$T/report.html" || [ $? = 2 ]
	good_page "$T/report.html"
	grep -q 'this is no finished checkpoint' "$T/dom"
}

# N tasks below the root of the small checkpoint
many_tasks()
{
	small_checkpoint "$IMG"
	rm "$IMG/manifest.json" "$IMG/core-111.img"
	"$PYTHON" - "$IMG" "$1" "$CRIT" <<-'END'
		import json, os, subprocess, sys
		img, n, crit = sys.argv[1], int(sys.argv[2]), sys.argv[3]
		read = lambda name: json.loads(subprocess.check_output([crit, 'decode', '-i', f'{img}/{name}']))
		def write(name, doc):
		    subprocess.run([crit, 'encode', '-o', f'{img}/{name}'], input=json.dumps(doc).encode(), check=True)
		tree = read('pstree.img')
		tree['entries'] = tree['entries'][:1]
		for k in range(n - 1):
		    pid = 1000 + k
		    tree['entries'].append({'pid': pid, 'ppid': 100 if k % 10 == 0 else 1000 + k // 10 * 10, 'pgid': 100, 'sid': 100, 'threads': [pid]})
		    for name in 'core', 'ids', 'mm', 'fs', 'pagemap':
		        os.link(f'{img}/{name}-110.img', f'{img}/{name}-{pid}.img')
		write('pstree.img', tree)
	END
}

@test "1,000 tasks: some megabytes, drawn" {
	requires_command chromium-headless-shell
	many_tasks 1000
	"$PYTHON" "$BATS_TEST_DIRNAME/measure.py" "$T/time" "$CRIT" report "$IMG" -o "$T/report.html"
	read -r _ kib <"$T/time"
	echo "$(stat -c %s "$T/report.html") bytes, $kib KiB of memory"
	[ "$(stat -c %s "$T/report.html")" -lt 3000000 ]
	grep -q __asan_init "$CRIT" || [ "$kib" -lt 131072 ]
	[ "$(data "$T/report.html" | jq '.tasks | length')" = 1000 ]
	good_page "$T/report.html"
	grep -q 'The first 500 of [0-9,]* findings: crit verify DIR lists all' "$T/dom"
	grep -q '100 children' "$T/dom"
	# Not all rows are made at once.
	[ "$(grep -o '<tr class="pick' "$T/dom" | wc -l)" -lt 300 ]
	grep -q 'tasks: server, worker' "$T/dom" || grep -q '999 tasks: worker' "$T/dom"
}

@test "65,000 mappings: the page stays small and says what it leaves out" {
	requires_command chromium-headless-shell
	small_checkpoint "$IMG"
	rm "$IMG/manifest.json"
	"$CRIT" decode -i "$IMG/mm-100.img" | "$PYTHON" -c '
import json, sys
mm = json.load(sys.stdin)
vmas = mm["entries"][0]["vmas"]
vmas[8:8] = [{"start": 0x20000000 + 8192 * k, "end": 0x20000000 + 8192 * k + 4096, "pgoff": 0, "shmid": 0, "prot": 3 - k % 2, "flags": 34, "status": 513, "fd": -1} for k in range(65000)]
json.dump(mm, sys.stdout)' | "$CRIT" encode -o "$IMG/mm-100.img"
	[ -z "$("$CRIT" verify "$IMG")" ]
	"$CRIT" report "$IMG" -o "$T/report.html"
	[ "$(stat -c %s "$T/report.html")" -lt 3000000 ]
	[ "$(data "$T/report.html" | jq '.tasks[0] | .mappings, ([.maps[][8]] | add) + (.cut // 0)' | uniq | wc -l)" = 1 ]
	good_page "$T/report.html"
}

@test "wrong usage; no checkpoint, and no file" {
	run "$CRIT" report
	[ "$status" = 100 ]
	run "$CRIT" report --bogus "$T"
	[ "$status" = 100 ]
	run "$CRIT" report "$T" -o "$T/report.html"
	[ "$status" = 2 ]
	[[ $output == *no-checkpoint* ]] || { echo "$output"; return 1; }
	[ ! -e "$T/report.html" ]
}
