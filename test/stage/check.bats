#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# criu check: CRIU's names, words and exit codes; that each feature is really tried; that nothing is left of it.
load ../lib

CHECK=$BIN/criu-check

PARTLY='Looks good but some kernel features are missing
which, depending on your process tree, may cause
dump or restore failure.'

schema()
{
	"$PYTHON" "$TOP/test/check-manifest" "$TOP/proto/check.schema.json" "$1"
}

# The document of --all, into $T/all.
all_json()
{
	run "$CRIU" check --all --json -o "$T/log"
	echo "$output" >"$T/all"
	schema "$T/all"
}

# verdict CATEGORY...: what a check of these must say
verdict()
{
	jq -r --argjson list "[$(IFS=,; echo "$*")]" '
		[.features[] | select(.supported | not) | select(.name != "apparmor_stacking" or .reason != "AppArmor is not enabled")
			| .category] as $missing
		| if $missing | index(1) then "bad" elif $list - ($list - $missing) != [] then "partly" else "good" end' "$T/all"
}

@test "verdicts: the words and exit codes of CRIU" {
	all_json
	[ "$(jq -r .verdict "$T/all")" = "$(verdict 1 2 3)" ]
	while read -r options; do
		categories=(1)
		case $options in *extra* | *all*) categories+=(2) ;; esac
		case $options in *experimental* | *all*) categories+=(3) ;; esac
		# shellcheck disable=SC2086
		run bash -c '"$0" check -o "$@"' "$CRIU" "$T/log" $options
		case $(verdict "${categories[@]}") in
		good) [ "$status" = 0 ] && [ "$output" = "Looks good." ] ;;
		partly) [ "$status" = 1 ] && [ "$output" = "$PARTLY" ] ;;
		bad) [ "$status" = 1 ] && [ "$output" = "Does not look good." ] ;;
		esac || { echo "$options: $status: $output"; return 1; }
	done <<-END

		--extra
		--experimental
		--extra --experimental
		--all
	END
	[ "$("$CRIU" check --extra --no-extra -o "$T/log")" = "$("$CRIU" check -o "$T/log")" ]
}

@test "what is missing is told with what it means and what it takes" {
	all_json
	"$CRIU" check --all >"$T/out" 2>"$T/err" || true
	jq -r '.features[] | select((.supported | not) and .category > 0) | select(.name != "apparmor_stacking")
		| "\(.name) is not supported: \(.reason). \(.meaning) It takes \(.remedy)."' "$T/all" >"$T/want"
	while read -r line; do
		grep -qF "$line" "$T/err" || { echo "not told: $line"; cat "$T/err"; return 1; }
	done <"$T/want"
}

@test "--json: the categories that were asked for, each row once, no other text" {
	all_json
	[ "$(jq -r '.features[].name' "$T/all" | sort | uniq -d)" = "" ]
	[ "$(jq '[.features[] | select(.category > 0) | select(.meaning == "" or .remedy == "")] | length' "$T/all")" = 0 ]
	run "$CRIU" check --json
	[ "$(jq -c '[.features[].category] | unique' <<<"$output")" = '[0,1]' ]
	[ "$(jq -r '.features[] | select(.category == 0) | .name' <<<"$output")" = breakpoints ]
	run "$CRIU" check --json --experimental
	[ "$(jq -c '[.features[].category] | unique' <<<"$output")" = '[0,1,3]' ]
}

@test "--feature list: every name that CRIU has, with its release" {
	"$CRIU" check --feature list >"$T/list"
	all_json
	jq -r '.features[].name' "$T/all" | sort | diff - <(sort "$T/list")
	requires_shared
	sed -n '/^Feature names (45), since:/,/^$/p' "$SHARED/facts/cli.md" | tail -n +2 | tr ',' '\n' | sed 's/(.*)//' |
		sed -n 's/^ *\([a-z0-9_-]*\) \([0-9.]*\).*/\1 \2/p' | sort >"$T/facts"
	[ "$(wc -l <"$T/facts")" = 45 ]
	jq -r '.features[] | select(.since) | "\(.name) \(.since)"' "$T/all" | sort | diff "$T/facts" -
}

@test "--feature NAME: the text and the exit code of each" {
	all_json
	while read -r name supported; do
		run "$CRIU" check --feature "$name"
		if [ "$supported" = true ]; then
			[ "$status" = 0 ] && [ "$output" = "$name is supported" ]
		else
			[ "$status" = 1 ] && [[ $output == *"$name is not supported: "* ]]
		fi || { echo "$name: $status: $output"; return 1; }
	done < <(jq -r '.features[] | "\(.name) \(.supported)"' "$T/all")
	run "$CRIU" check --json --feature external_net_ns
	[ "$status" = 0 ]
	[ "$(jq -c '[.verdict, .features[].name]' <<<"$output")" = '["good","external_net_ns"]' ]
}

@test "several features at a time, and the list, also as JSON" {
	run "$CRIU" check --feature external_net_ns --feature link_nsid
	[ "$status" = 0 ] && [ "$output" = 'external_net_ns is supported
link_nsid is supported' ]
	run "$CRIU" check --feature external_net_ns --feature link_nsid --json
	[ "$(jq -c '[.verdict, .features[].name]' <<<"$output")" = '["good","external_net_ns","link_nsid"]' ]
	EXIT=1 refused usage "$CRIU" check --feature external_net_ns --feature bogus
	"$CRIU" check --feature list >"$T/list"
	"$CRIU" check --feature list --json >"$T/list.json"
	jq -r '.features[].name' "$T/list.json" | diff - "$T/list"
}

@test "an unknown feature: CRIU's words, exit 1" {
	refused usage "$CRIU" check --feature no_such_thing
	[[ $output == *"Unknown feature no_such_thing"*"criu check --feature list"* ]]
	EXIT=100 refused usage "$CHECK" check --feature no_such_thing
	refused usage "$CRIU" check --feature ''
	run "$CRIU" check bogus
	[ "$status" = 1 ]
}

@test "the kernel's configuration says the same" {
	[ -r /proc/config.gz ] || skip "this kernel does not tell its configuration"
	all_json
	zcat /proc/config.gz >"$T/config"
	# What int 0x80 cannot enter is not there, whatever the configuration says (test/victim/compat.c).
	start_program "$VICTIMS/compat"
	wait_for 20 has_line "$DIR/out.txt" 'ready|none.*'
	! grep '^none' "$DIR/out.txt" || sed -i '/^CONFIG_IA32_EMULATION=/d' "$T/config"
	# A module may be absent; what is built in must be found, and what is not there must not.
	while read -r name option; do
		value=$(sed -n "s/^$option=//p" "$T/config")
		supported=$(jq -r --arg n "$name" '.features[] | select(.name == $n) | .supported' "$T/all")
		case $value in
		y) [ "$supported" = true ] ;;
		'') [ "$supported" = false ] ;;
		esac || { echo "$name: $supported, $option=$value"; return 1; }
	done <<-END
		mem_dirty_track CONFIG_MEM_SOFT_DIRTY
		net_diag_raw CONFIG_INET_RAW_DIAG
		uffd CONFIG_USERFAULTFD
		nftables CONFIG_NF_TABLES
		aio_remap CONFIG_AIO
		timens CONFIG_TIME_NS
		compat_cr CONFIG_IA32_EMULATION
		autofs CONFIG_AUTOFS_FS
		kcmp CONFIG_KCMP
		get_rseq_conf CONFIG_RSEQ
	END
}

@test "features that need a right: without it, they cannot be tested, and all of them are told" {
	requires_command setpriv
	run setpriv --inh-caps -all --bounding-set -net_admin,-sys_admin "$CRIU" check --all
	[ "$status" = 1 ]
	[[ $output == *"Does not look good."* ]]
	for name in tcp_repair timens clone3_set_tid seccomp_suspend tun network_lock_nftables; do
		[[ $output == *"$name could not be tested: "*"Operation not permitted"* ]] || { echo "$name: $output"; return 1; }
	done
	run setpriv --inh-caps -all --bounding-set -net_admin "$CRIU" check --feature tcp_repair --json
	[ "$status" = 1 ]
	[ "$(jq -c '.features[0] | [.supported, .tested]' <<<"$output")" = '[false,false]' ]
}

# System calls that a filter takes away.
@test "features that are really missing are found" {
	# userfaultfd, kcmp, openat2, move_mount, pidfd_getfd, io_setup, clone3, rt_sigqueueinfo, vmsplice
	run "$PYTHON" "$TOP/test/without-calls" 323 312 437 429 438 206 435 129 278 -- "$CHECK" check --all --json
	[ "$status" = 1 ] || { echo "$output"; return 1; }
	[ "$(jq -r .verdict <<<"$output")" = bad ]
	for name in uffd uffd-noncoop kcmp kcmp_epoll openat2 move_mount_set_group pidfd_store aio_remap clone3_set_tid sigqueueinfo vmsplice_unaligned; do
		[ "$(jq -c --arg n $name '.features[] | select(.name == $n) | [.supported, (.reason | contains("not implemented"))]' <<<"$output")" = '[false,true]' ] ||
			{ echo "$name"; jq --arg n $name '.features[] | select(.name == $n)' <<<"$output"; return 1; }
	done
	# memfd_create, prctl, timer_create, timerfd_create
	run "$PYTHON" "$TOP/test/without-calls" 319 222 283 -- "$CHECK" check --all --json
	for name in map_files memfd_hugetlb proc_timers timer_cr_ids timerfd; do
		[ "$(jq -c --arg n $name '.features[] | select(.name == $n) | .supported' <<<"$output")" = false ] || { echo "$name"; return 1; }
	done
}

@test "nothing is left: mounts, devices, namespaces, files, processes" {
	# By their names: other tests run beside this one. Processes: the teardown.
	look()
	{
		cat /proc/self/loginuid
		grep criu-check /proc/self/mountinfo /proc/net/dev /proc/net/unix /proc/modules || true
		compgen -G '/tmp/*criu-check*' || true
		compgen -G '/run/*criu-check*' || true
	}
	look >"$T/before"
	"$CRIU" check --all >/dev/null 2>&1 || true
	look >"$T/after"
	diff "$T/before" "$T/after"
}

none_of_ours()
{
	local pid

	for pid in $(pgrep -x criu-check); do
		! grep -qzxF "CR_TEST_ID=$T" "/proc/$pid/environ" || return 1
	done
}

@test "killed in the middle: no test goes on" {
	for delay in 0.002 0.01 0.03; do
		"$CHECK" check --all >/dev/null 2>&1 3>&- &
		sleep $delay
		kill -KILL $! 2>/dev/null || true
		wait $! 2>/dev/null || true
		wait_for 5 none_of_ours
	done
}

@test "the log goes where -o says, below the images directory" {
	"$CRIU" check -D "$IMG" -o check.log --extra >/dev/null || true
	[ -e "$IMG/check.log" ]
	refused dir-missing "$CRIU" check -D "$T/none"
}

@test "man page and completion name the verbs" {
	run "$CHECK" --help
	[ "$status" = 0 ]
	for verb in check cpuinfo explain; do
		[[ $output == *"criu-check $verb "* ]]
		grep -q "^\.SS $verb" "$TOP/tools/criu-check/criu-check.8"
		grep -q "criu-check) words='.*$verb" "$TOP/tools/criu/criu.bash"
	done
}
