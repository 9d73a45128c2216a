# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion of crit. test/stage/crit.bats compares it with crit --help.
_crit()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]-} words=''

	case $COMP_CWORD:$verb in
	1:*) words='core decode diff edit encode info report show verify x --help --version' ;;
	*:core) words='-o --out --output' ;;
	*:decode) words='-i --in --input -o --out --output --pretty --nopl --quote-large' ;;
	*:diff) words='--json --no-pages --fields' ;;
	*:edit) words='-n --dry-run -d --delete --set-root-pid --set-pid --remap-address --rename-path' ;;
	*:encode) words='-i --in --input -o --out --output --lenient' ;;
	*:report) words='-o --out --output' ;;
	*:show) words='--json --nopl' ;;
	*:verify) words='--json --quiet' ;;
	3:x) words='ps fds mems rss sk --json' ;;
	esac
	if [ "$verb" = x ] && [ "$COMP_CWORD" = 2 ]; then
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
	elif [[ $COMP_CWORD != 1 && $verb != x && $cur != -* || $prev == -[io] ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	fi
}
complete -F _crit crit
