# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion of criu and its tools. The options are those that the program itself tells (--help); test/stage/help.bats
# compares verbs and options with --help and the man pages.
_criu()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=''

	case $prev in
	-D | --images-dir | -W | --work-dir | --prev-images-dir | -L | --libdir | -r | --root | --irmap-scan-path | --cgroup-yard)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	-o | --log-file | --config | --pidfile | --action-script | --cgroup-props-file | --tls-ca* | --tls-cert | --tls-key)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-t | --tree | --lease)
		mapfile -t COMPREPLY < <(cd /proc && compgen -G '[0-9]*' -- "$cur")
		return
		;;
	--file-validation) words='filesize buildid' ;;
	--network-lock) words='nftables skip' ;;
	--feature) words=$("$1" check --feature list 2>/dev/null) ;;
	explain) words=$("$1" explain 2>/dev/null | cut -d' ' -f1) ;;
	cpuinfo) words='dump check' ;;
	esac
	if [ -z "$words" ]; then
		case $1 in
		*criu-freeze) words='exec seal kill thaw stop status cont unlock end' ;;
		*criu-ns) words='restore check dump pre-dump' ;;
		*criu-check) words='check cpuinfo explain' ;;
		*criu) words='dump restore exec check cpuinfo explain' ;;
		esac
	fi
	case $cur in
	-*) words=$("$1" --help 2>/dev/null | sed -n 's/^ *\(-[A-Za-z],\)\{0,1\} *\(--[a-z-]*\).*/\2/p') ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _criu criu criu-freeze criu-collect criu-parasite criu-pages criu-restore criu-check criu-ns
