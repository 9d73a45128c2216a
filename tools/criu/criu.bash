# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion of criu and its tools. test/stage/wrapper.bats compares the options with lib/common/base/options.def.
_criu()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=''
	local options="--tree --images-dir --work-dir --log-file --verbosity --log-pid --config --no-default-config --pidfile
		--display-stats --action-script --leave-running --leave-stopped --shell-job --timeout --restore-detached
		--restore-sibling --exec-cmd --manage-cgroups --file-validation --skip-file-rwx-check --allow-uprobes --close --network-lock --version --help --wait --expect --lease --hold-time
		--force --no-sync --checksum --check-only --plan --json --as-criu --dry-run --markdown --undo --stream --prev-images-dir --libdir --enable-fs
		--track-mem --pre-dump-mode --evasive-devices --unprivileged --daemon --external --freeze-cgroup --cgroup-root --cgroup-props --cgroup-props-file
		--cgroup-dump-controller --cgroup-yard --tcp-established --tcp-close --skip-in-flight --ext-unix-sk
		--page-server --address --port --ps-socket --force-irmap --irmap-scan-path --auto-dedup --file-locks
		--link-remap --ghost-limit --ghost-fiemap --cpu-cap --lazy-pages --inherit-fd --root --join-ns --empty-ns
		--veth-pair --ext-mount-map --enable-external-sharing --enable-external-masters --skip-mnt --lsm-profile
		--lsm-mount-context --weak-sysctls --mntns-compat-mode --status-fd --tls --tls-cacert --tls-cacrl --tls-cert
		--tls-key --tls-no-cn-verify --feature --extra --experimental --all --deprecated --ms"

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
	--file-validation)
		mapfile -t COMPREPLY < <(compgen -W 'filesize buildid' -- "$cur")
		return
		;;
	--network-lock)
		mapfile -t COMPREPLY < <(compgen -W 'nftables skip' -- "$cur")
		return
		;;
	esac
	case $1 in
	*criu-freeze) words='seal kill thaw stop status cont end unlock exec' ;;
	*criu) words='dump restore exec check cpuinfo' ;;
	*criu-check) words='check cpuinfo explain' ;;
	esac
	case $cur in
	-*) words=$options ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _criu criu criu-freeze criu-collect criu-parasite criu-pages criu-restore
