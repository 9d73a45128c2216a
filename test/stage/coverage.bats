#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# doc/coverage.md agrees with the list of kernel resources, with the registry of errors and with the tests.
load ../lib

# "id|state|how|test" per row.
rows()
{
	sed -n 's/^| \([A-Z][0-9]*\) | .* | \(carried\|refused\|not yet\) | \([^|]*\) | \([^|]*\) |$/\1|\2|\3|\4/p' "$TOP/doc/coverage.md"
}

# The ids that titles of tests name, "FILE ID" per line; A2-A4 is A2 A3 A4.
titles()
{
	grep -H '^@test' "$TOP"/test/*/*.bats | awk -v top="$TOP/" '{
		file = substr($0, 1, index($0, ":") - 1)
		sub(top, "", file)
		rest = $0
		while (match(rest, /[^A-Za-z0-9][A-M][0-9]+(-[A-M][0-9]+)?/)) {
			id = substr(rest, RSTART + 1, RLENGTH - 1)
			rest = substr(rest, RSTART + RLENGTH)
			n = split(id, part, "-")
			from = substr(part[1], 2) + 0
			to = n == 2 ? substr(part[2], 2) + 0 : from
			for (i = from; i <= to; i++) print file, substr(id, 1, 1) i
		}
	}' | sort -u
}

@test "every row of the list is here once, and no other" {
	requires_shared
	diff <(grep -oE '^\| [A-M][0-9]+ \|' "$SHARED/facts/coverage.md" | tr -d '| ' | sort) <(rows | cut -d'|' -f1 | sort)
}

@test "what is carried or refused names a test whose title names the id" {
	titles >"$T/titles"
	bad=0
	while IFS='|' read -r id state _ file; do
		[ "$state" != "not yet" ] || continue
		grep -qxF "$file $id" "$T/titles" || { echo "$id: $state, but no test of $file names it"; bad=1; }
	done < <(rows)
	[ $bad = 0 ]
}

@test "an id in the title of a test is carried or refused here" {
	bad=0
	while read -r file id; do
		rows | grep -qE "^$id\|(carried|refused)\|" || { echo "$file names $id, which is not carried"; bad=1; }
	done < <(titles)
	[ $bad = 0 ]
}

@test "a refusal names an error of the registry" {
	bad=0
	while IFS='|' read -r id state how _; do
		[ "$state" = refused ] || continue
		name=$(sed -n 's/.*\[\([a-z-]*\)\].*/\1/p' <<<"$how")
		[ -n "$name" ] && grep -q "\"$name\"" "$TOP/lib/common/base/errors.def" || { echo "$id: $how"; bad=1; }
	done < <(rows)
	[ $bad = 0 ]
}
