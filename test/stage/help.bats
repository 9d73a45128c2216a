#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# --help, man page and completion of each program name the same verbs and options (crit: crit.bats).
load ../lib

TOOLS="criu-freeze criu-collect criu-parasite criu-pages criu-restore criu-check criu-ns criu"

help_options()
{
	"$BIN/$1" --help | sed -n 's/^ *\(-[A-Za-z],\)\{0,1\} *\(--[a-z][a-z-]*\).*/\2/p' | sort -u
}

# Options start a paragraph of the page.
man_options()
{
	sed -n '/^\.TP/{n; p}' "$TOP/tools/$1/$1.8" | sed 's/\\-/-/g' | grep -o -- '--[a-z][a-z-]*' | sort -u
}

# complete_with WORD...: what the completion offers for the last word.
complete_with()
{
	PATH=$BIN:$PATH bash -c '. "$0"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_criu "$1" "${@: -1}" "${*: -2:1}"
		printf "%s\n" "${COMPREPLY[@]}"' "$TOP/tools/criu/criu.bash" "$@" | sort -u
}

@test "options: --help = man page = completion, for each program" {
	for tool in $TOOLS; do
		help_options "$tool" >"$T/help"
		[ "$(wc -l <"$T/help")" -gt 5 ]
		man_options "$tool" >"$T/man"
		diff "$T/help" "$T/man" || fail "$tool: --help and man page differ"
		complete_with "$tool" -- >"$T/completion"
		diff "$T/help" "$T/completion" || fail "$tool: --help and completion differ"
	done
}

@test "options: each is for some program, and for all of them under the name criu" {
	for tool in $TOOLS; do
		[ "$tool" = criu ] || [ "$tool" = criu-ns ] || help_options "$tool"
	done | sort -u >"$T/tools"
	help_options criu >"$T/criu"
	grep -v '^OPT(LATER' "$TOP/lib/common/base/options.def" | sed -n 's/^OPT([A-Z]*, *[a-z_]*, *"\([^"]*\)".*/--\1/p' | sort >"$T/table"
	diff "$T/table" "$T/tools"
	[ -z "$(comm -23 "$T/tools" "$T/criu")" ]
}

# Verbs: in --help two blanks before, two behind; in the page in bold; and known to the program.
verbs_agree()
{
	local tool=$1

	cat >"$T/help"
	[ -s "$T/help" ]
	complete_with "$tool" '' >"$T/completion"
	diff "$T/help" "$T/completion" || fail "$tool: verbs of --help and completion differ"
	while read -r verb; do
		sed 's/\\-/-/g' "$TOP/tools/$tool/$tool.8" | grep -qE "^(\.(B|BR|BI|RB|IB|SS) .*|.*\\\\fB).*\b$verb\b" || fail "$tool: the page does not have $verb"
		run "$BIN/$tool" "$verb" --help
		[ "$status" = 0 ] || fail "$tool $verb: $output"
	done <"$T/help"
}

@test "verbs of criu-freeze, criu-check, criu-ns and criu: --help = man page = completion" {
	for tool in criu-freeze criu-check criu-ns; do
		"$BIN/$tool" --help | sed -n '/^Options:/q; s/^  \([a-z][a-z-]*\)  .*/\1/p' | sort -u | verbs_agree $tool
	done
	"$CRIU" --help | sed -n '/^Options:/q; s/^  criu \([a-z][a-z-]*\) .*/\1/p' | sort -u | verbs_agree criu
	# Nothing more than these is known.
	for tool in criu-freeze criu-check criu-ns criu; do
		run "$BIN/$tool" no-such-verb -D "$IMG"
		[ "$status" != 0 ]
	done
}

@test "completion: codes behind explain, values of options, directories" {
	complete_with criu explain pid- | grep -qx pid-taken
	[ "$(complete_with criu restore --file-validation f)" = filesize ]
	mkdir "$T/some-images"
	[ "$(complete_with criu restore -D "$T/some")" = "$T/some-images" ]
	complete_with criu-freeze -t '' | grep -qx $$
}

@test "a value that may be missing is shown as it is to be written" {
	for tool in $TOOLS; do
		"$BIN/$tool" --help | grep -E -- '--[a-z-]+\[[A-Z]' && fail "$tool: no = before the value"
	done
	"$CRIU" --help | grep -q -- ' --cpu-cap\[=LIST\] '
	"$CRIU" --help | grep -q -- ' -v, --verbosity\[=N\] '
}

@test "--help and --version that cannot be written are an error, and which one" {
	for tool in $TOOLS crit; do
		for option in --help --version; do
			if "$BIN/$tool" $option >/dev/full 2>"$T/err"; then
				fail "$tool $option: it ends with 0"
			fi
			# What a shell's echo says of it differs.
			grep -qE 'standard output: cannot be written.*No space left|echo: .*error' "$T/err" || fail "$tool $option: $(cat "$T/err")"
			if "$BIN/$tool" $option >&- 2>"$T/err"; then
				fail "$tool $option, standard output closed: it ends with 0"
			fi
			[ -s "$T/err" ]
		done
	done
	for verb in 'check --feature list' 'explain cpu' 'dump --help'; do
		# shellcheck disable=SC2086
		! "$CRIU" $verb >&- 2>"$T/err" || fail "criu $verb, standard output closed: it ends with 0"
		[ -s "$T/err" ]
	done
	for verb in "crit show" "criu-freeze seal" "criu-check explain"; do
		# shellcheck disable=SC2086
		! "$BIN/"$verb --help >/dev/full 2>"$T/err" || fail "$verb --help: it ends with 0"
		grep -q 'standard output: cannot be written' "$T/err"
	done
}

@test "the page of criu says which options are to come, and which have a --no-NAME" {
	sed 's/\\-/-/g' "$TOP/tools/criu/criu.8" >"$T/page"
	sed -n 's/^OPT(LATER, *[a-z_]*, *"\([^"]*\)".*/--\1/p' "$TOP/lib/common/base/options.def" | sort >"$T/later"
	sed -n '/^\.SH NOT SUPPORTED YET/,/^\.SH CONF/p' "$T/page" | sed -n '/^\.TP/{n; p}' | grep -o -- '--[a-z][a-z-]*' | sort | diff "$T/later" -
	# Each of them is refused by its name.
	while read -r option; do
		refused option-unsupported "$BIN/criu-restore" "$option" 1
		[[ $output == *"$option is not supported yet"* ]] || fail "$option: $output"
	done <"$T/later"
	for verb in pre-dump lazy-pages page-server service swrk dedup; do
		run "$CRIU" "$verb"
		[ "$status" = 1 ]
		[[ $output == *"$verb is not supported yet"* ]]
		grep -q "\b$verb\b" <(sed -n '/^\.SH NOT SUPPORTED YET/,/^\.TP/p' "$T/page") || fail "the page does not say it of $verb"
	done
	sed -n 's/^OPT(BOOL, *[a-z_]*, *"\([^"]*\)".*/\1/p' "$TOP/lib/common/base/options.def" | sort >"$T/bool"
	sed -n '/^\.B --no-NAME/,/^\.SH/p' "$T/page" | tail -n +3 | grep -v '^\.' | tr -d '.,' | tr ' ' '\n' | sort | diff "$T/bool" -
	while read -r name; do
		run "$BIN/criu-restore" "--no-$name" --version
		[ "$status" = 0 ] || fail "--no-$name: $output"
	done <"$T/bool"
}
