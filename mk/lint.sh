#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Static checks, called by make lint: mk/lint.sh CHECK... Each prints what is wrong; exit 1 when any does.
set -u
cd "$(dirname "$0")/.." || exit 1
: "${CC:=gcc}" "${FLAGS:=}" "${O:=build}"
jobs=2
# What is tracked is checked: elsewhere all would be well.
git rev-parse --git-dir >/dev/null || exit 1

tracked()
{
	git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [ -e "$f" ] && printf '%s\n' "$f"; done
}

# Every file says its licence in its first lines.
spdx()
{
	tracked | grep -vxE "LICENSE|test/fuzz/corpus/.*" | xargs -d '\n' awk '
		FNR <= 5 && /SPDX-License-Identifier: GPL-2.0-or-later/ { has[FILENAME] = 1 }
		FNR == 5 { nextfile }
		END { for (i = 1; i < ARGC; i++) if (!(ARGV[i] in has)) print ARGV[i] ": no SPDX line" }'
}

format()
{
	tracked '*.c' '*.h' | xargs clang-format --dry-run -Werror 2>&1 | grep -E 'error:' | head -n 50
}

# A folder may include only folders before it, and itself; kinds meet only in lib/kind/*.h and lib/kind/file.
layers()
{
	tracked 'lib/*.c' 'lib/*.h' 'tools/*.c' 'tools/*.h' | xargs awk '
	function rank(d) { return (d in r) ? r[d] : 0 }
	BEGIN {
		split("bare base proc image blob trace hold", n, " ")
		for (i in n) r[n[i]] = i + 0
	}
	FNR == 1 {
		split(FILENAME, p, "/")
		mine = p[1] == "tools" ? 99 : p[2] == "kind" ? 50 : rank(p[3])
		kind = p[2] == "kind" && p[4] != "" ? p[3] : ""
	}
	/^[ \t]*#[ \t]*include[ \t]*"/ {
		split($0, q, "\"")
		inc = q[2]
		if (inc !~ /\//) next
		sub(/^lib\//, "", inc); sub(/^common\//, "", inc)
		split(inc, d, "/")
		theirs = d[1] == "kind" ? 50 : d[1] == "tools" ? 99 : rank(d[1])
		if (theirs > mine)
			print FILENAME ":" FNR ": layer: includes " q[2]
		if (kind != "" && d[1] == "kind" && d[3] != "" && d[2] != kind && d[2] != "file")
			print FILENAME ":" FNR ": kinds do not include each other: " q[2]
	}'
	# Generated types are for .c files, and for headers that only one folder sees.
	tracked 'lib/*.h' 'tools/*.h' | grep -v -e '-internal\.h$' | xargs grep -nE '#include ".*\.pb-c\.h"' | sed 's/$/: generated types in a header/'
}

# Each header compiles alone. FLAGS is a list of words.
headers()
{
	tracked 'lib/*.h' 'tools/*.h' | grep -v '/arch/' |
		xargs -P "$jobs" -I{} sh -c "printf '#include \"%s\"\n' '{}' | $CC $FLAGS -I. -Wall -fsyntax-only -x c - 2>&1 | sed 's|^<stdin>|{} (alone)|'"
}

sizes()
{
	tracked '*.c' '*.h' '*.sh' '*.bats' '*.bash' | xargs wc -l | awk '$2 != "total" && $1 > 1000 { print $2 ": " $1 " lines, more than 1000" }'
	# A function starts at "{" in column 1 and ends at "}" in column 1 (clang-format sees to it); tables (= {) are not counted.
	tracked '*.c' '*.h' | xargs awk '
	FNR == 1 { start = 0 }
	/^[A-Za-z_].*\(/ { head = $0 }
	/^\{/ { start = FNR }
	/^\}/ { if (start && FNR - start > 100) print FILENAME ":" start ": function of " FNR - start " lines: " head; start = 0 }'
}

ptrace()
{
	tracked 'lib/*.c' 'lib/*.h' 'tools/*.c' 'tools/*.h' | grep -v '^lib/common/trace/' |
		xargs grep -nE '(^|[^_[:alnum:]"])ptrace\(' | grep -vE '^[^:]+:[0-9]+:[[:space:]]*(\*|/\*|//)' | grep -vE '/\*.*ptrace\(' |
		sed 's/$/: ptrace outside of lib\/common\/trace/'
}

shell()
{
	shellcheck -s sh tools/criu/criu
	tracked '*.sh' test/run test/demo .ci/run 'test/*.bash' | xargs shellcheck -s bash -x -S warning
	tracked '*.bats' | xargs -r shellcheck -s bats -x -P test -S warning
	tracked 'tools/*.bash' | xargs shellcheck -s bash
}

cppcheck_run()
{
	# unusedStructMember and the like are style; these switches say what is wanted and what is not.
	cppcheck --quiet --error-exitcode=1 -j "$jobs" --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --suppress=unmatchedSuppression --suppressions-list=mk/cppcheck.suppressions \
		-D_GNU_SOURCE -D__x86_64__ -D__linux__ -UAF_VSOCK -DCR_VERSION='"x"' \
		--library=mk/cppcheck.cfg -Ilib/common -Ilib -Iproto lib tools 2>&1
}

# One that was killed has found nothing, which is not the same as clean.
tidy()
{
	{
		tracked 'lib/*.c' 'tools/*.c' | xargs -P "$jobs" -n 2 sh -c "out=\$(clang-tidy --quiet \"\$@\" -- $FLAGS -w 2>/dev/null); s=\$?; \
			printf '%s\n' \"\$out\" | grep -E '(warning|error):' || [ \$s = 0 ] || echo \"\$*: clang-tidy ended with status \$s\"" sh ||
			echo "clang-tidy did not come to its end"
	} | sed "s|^$PWD/||" | sort -u
}

# gcc's static analyzer. What it is wrong about stands in mk/analyzer.known, with the reason: "FILE FUNCTION WARNING: reason".
analyzer()
{
	tracked 'lib/*.c' 'tools/*.c' | grep -v /blob/ | xargs -P "$jobs" -n 4 sh -c \
		"for f; do out=\$(LC_ALL=C $CC $FLAGS -O2 -fanalyzer -c -o /dev/null \"\$f\" 2>&1 | grep -E 'In function |Wanalyzer'); printf '%s\n' \"\$out\"; done" sh |
		awk -F "'" '/In function / { fn = $2 }
		     /warning:.*Wanalyzer/ { f = $0; sub(/:.*/, "", f); w = $0; sub(/.*\[-W/, "", w); sub(/\].*/, "", w); print f, fn, w }' |
		sort -u | grep -vxF -f <(sed -n "s/: .*//p" mk/analyzer.known)
}

bad=0
for check; do
	start=$SECONDS
	fn=$check
	[ "$check" = cppcheck ] && fn=cppcheck_run
	out=$($fn)
	if [ -n "$out" ]; then
		printf '%s\n' "$out" | head -n 100
		echo "lint: $check: failed ($((SECONDS - start)) s)"
		bad=1
	else
		echo "lint: $check: ok ($((SECONDS - start)) s)"
	fi
done
exit $bad
