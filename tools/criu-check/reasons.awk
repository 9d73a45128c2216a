# SPDX-License-Identifier: GPL-2.0-or-later
# Reads C sources, prints R(CODE, "format") for each text that is given to an error together with its code: so that
# `criu explain` finds our own messages. One statement at a time; of cr_err_set() the object is left out.
function texts(code, s, first,    lit)
{
	while (match(s, /"([^"\\]|\\.)*"/)) {
		lit = substr(s, RSTART, RLENGTH)
		s = substr(s, RSTART + RLENGTH)
		if (first-- <= 0 && lit ~ /[a-z] [a-z]/)
			print "R(" code ", " lit ")"
	}
}
function statement(s,    rest, codes, n, i, object)
{
	gsub(/"[ \t]+"/, "", s)
	if (!match(s, /CR_E_[A-Z_]+/))
		return
	rest = substr(s, RSTART)
	object = s ~ /cr_err_set\(/ && rest ~ /^CR_E_[A-Z_]+( : CR_E_[A-Z_]+)?,[^,"]*,[ \t]*"/
	n = 0
	while (match(rest, /^[^"]*CR_E_[A-Z_]+/)) {
		match(rest, /CR_E_[A-Z_]+/)
		codes[++n] = substr(rest, RSTART + 5, RLENGTH - 5)
		rest = substr(rest, RSTART + RLENGTH)
	}
	for (i = 1; i <= n; i++)
		texts(codes[i], rest, object)
}
FNR == 1 { s = "" }
/^[ \t]*(\/?\*|#)/ { next }
/^[ \t]*\{ E[A-Z]+, CR_E_/ { next } # what an errno means (err.c): its text is a remedy
{
	sub(/^[ \t]+/, "")
	s = s " " $0
	if ($0 ~ /[;{}][ \t]*(\/\*.*)?$/) {
		statement(s)
		s = ""
	}
}
