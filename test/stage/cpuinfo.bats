#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# criu cpuinfo, --cpu-cap, and what a restore makes of a CPU that is another one. There is only one here: the images are
# edited so that they ask for what it lacks. 3dnow (word 1, bit 31) and MPX (component 3) are in no CPU and kernel of today.
load ../lib

CRIT=$BIN/crit
CHECK=$BIN/criu-check

# capability N: this word of the image
capability()
{
	"$CRIT" show "$IMG/cpuinfo.img" | jq ".entries[0].x86_entry[0].capability[$1]"
}

# The image asks for 3dnow.
want_3dnow()
{
	"$CRIT" edit "$IMG/cpuinfo.img" "x86_entry[0].capability[1]=$(($(capability 1) | 1 << 31))"
}

schema()
{
	"$PYTHON" "$TOP/test/check-manifest" "$TOP/proto/$1.schema.json" "$2"
}

# A checkpoint of a sleeping program, with cpuinfo.img.
checkpoint()
{
	start_program sleep 1000
	dump --cpu-cap
}

@test "dump: an image as CRIU writes it" {
	run "$CRIU" cpuinfo dump -D "$IMG"
	[ "$status" = 0 ]
	[ -z "$output" ]
	[ "$(ls -A "$IMG")" = cpuinfo.img ]
	"$CRIT" show "$IMG/cpuinfo.img" | jq .entries[0].x86_entry[0] >"$T/image"
	[ "$(jq -r .capability_ver "$T/image")" = 2 ]
	[ "$(jq '.capability | length' "$T/image")" = 19 ]
	[ "$(jq -r .cpu_family "$T/image")" = "$(awk -F': ' '/^cpu family/ { print $2; exit }' /proc/cpuinfo)" ]
	[ "$(jq -r .model "$T/image")" = "$(awk -F': ' '/^model\t/ { print $2; exit }' /proc/cpuinfo)" ]
	[ "$(jq -r .stepping "$T/image")" = "$(awk -F': ' '/^stepping/ { print $2; exit }' /proc/cpuinfo)" ]
	# By the instruction itself: under some hypervisors the kernel was told another name than programs are.
	[ "$(jq -r .model_id "$T/image")" = "$("$VICTIMS/cpuid" | tr -s ' ' | sed 's/^ //; s/ $//')" ]
	# CRIU leaves SSE out.
	[ $(($(jq .xfeatures_mask "$T/image") & 3)) = 1 ]
}

@test "dump --cpu-cap=none writes no image, as CRIU" {
	run "$CRIU" cpuinfo dump -D "$IMG" --cpu-cap=none
	[ "$status" = 0 ]
	[ -z "$(ls -A "$IMG")" ]
}

@test "the names are those of /proc/cpuinfo" {
	"$CRIU" cpuinfo dump -D "$IMG"
	"$CRIT" decode -i "$IMG/cpuinfo.img" | jq '.entries[0].x86_entry[0].capability = [range(19) | 0]' | "$CRIT" encode -o "$T/zero"
	mv "$T/zero" "$IMG/cpuinfo.img"
	run "$CRIU" cpuinfo check --json -D "$IMG"
	[ "$status" = 0 ]
	jq -r '.differences[] | select(.on == "this") | .name' <<<"$output" | grep -v '^word ' | sort >"$T/ours"
	grep -m1 '^flags' /proc/cpuinfo | cut -d: -f2 | tr ' ' '\n' | grep . | sort >"$T/flags"
	# What the CPU says and the kernel hides, as it has switched it off or it is broken.
	comm -23 "$T/ours" "$T/flags" >"$T/only"
	[ "$(wc -l <"$T/only")" -lt 15 ] || { cat "$T/only"; return 1; }
	for name in fpu sse2 cx16; do
		grep -qx "$name" "$T/ours"
	done
	# Instruction sets that the kernel shows and we do not know, but those in words that CRIU's image does not have.
	comm -13 "$T/ours" "$T/flags" | grep -E '^(avx|sse|amx|sha|vaes|bmi|fma|gfni|aes|adx)' | grep -vxE 'avx_vnni|avx512_bf16|avx_ifma|sha512|avx_vnni_int8|avx_ne_convert|amx_fp16|amx_complex' >"$T/unknown" || true
	[ ! -s "$T/unknown" ] || { cat "$T/unknown"; return 1; }
}

@test "check: the same CPU fits whatever is asked for" {
	"$CRIU" cpuinfo dump -D "$IMG"
	for cap in --no-default-config --cpu-cap --cpu-cap=all --cpu-cap=cpu --cpu-cap=fpu --cpu-cap=ins --cpu-cap=none --cpu-cap=^cpu --cpu-cap=fpu,ins; do
		run "$CRIU" cpuinfo check -D "$IMG" "$cap"
		[ "$status" = 0 ] || { echo "$cap: $output"; return 1; }
		[[ $output == *"There is no difference."* ]]
	done
}

@test "check: what is missing is named, with what it means; exit 255, by hand 1" {
	"$CRIU" cpuinfo dump -D "$IMG"
	want_3dnow
	run "$CRIU" cpuinfo check -D "$IMG"
	[ "$status" = 255 ] || { echo "$output"; return 1; }
	[[ $output == *"
This CPU lacks (the program may have chosen code by it):
  3dnow  - refused"* ]] || { echo "$output"; return 1; }
	[[ $output == *"Error ("*"cpuinfo.img: this CPU does not fit (--cpu-cap=fpu,ins) ("*") [cpu]"* ]]
	run "$CHECK" cpuinfo check -D "$IMG"
	[ "$status" = 1 ]
}

@test "--cpu-cap: what each form refuses" {
	"$CRIU" cpuinfo dump -D "$IMG"
	cp "$IMG/cpuinfo.img" "$T/own"
	want_3dnow
	cp "$IMG/cpuinfo.img" "$T/code"
	cp "$T/own" "$IMG/cpuinfo.img"
	"$CRIT" edit "$IMG/cpuinfo.img" "x86_entry[0].model=250"
	cp "$IMG/cpuinfo.img" "$T/model"
	cp "$T/own" "$IMG/cpuinfo.img"
	"$CRIT" edit "$IMG/cpuinfo.img" "x86_entry[0].xfeatures_mask=$(($("$CRIT" show "$IMG/cpuinfo.img" | jq .entries[0].x86_entry[0].xfeatures_mask) | 8))"
	cp "$IMG/cpuinfo.img" "$T/state"
	# shellcheck disable=SC2034 # by their names
	while read -r list code model state; do
		for what in code model state; do
			cp "$T/$what" "$IMG/cpuinfo.img"
			[ "$list" = - ] && option=() || option=("--cpu-cap$list")
			run "$CRIU" cpuinfo check -D "$IMG" "${option[@]}"
			[ "$status" = "${!what}" ] || { echo "$list: $what: $status, not ${!what}: $output"; return 1; }
		done
	done <<-END
		-         255 0   255
		=         255 255 255
		=all      255 255 255
		=cpu      255 255 255
		=fpu      0   0   255
		=ins      255 0   0
		=fpu,ins  255 0   255
		=none     0   0   0
		=all,none 0   0   0
		=^cpu     255 0   255
		=all,^cpu 255 0   255
		=^cpu,^ins 0  0   255
		=^all     0   0   0
	END
	for list in x ins,x ^none ^ ','; do
		run "$CRIU" cpuinfo check -D "$IMG" "--cpu-cap=$list"
		[ "$status" = 1 ] || { echo "$list: $status"; return 1; }
		[[ $output == *--cpu-cap*"[usage]"* ]] || { echo "$output"; return 1; }
	done
}

@test "check --json: as the schema says" {
	"$CRIU" cpuinfo dump -D "$IMG"
	want_3dnow
	"$CRIT" edit "$IMG/cpuinfo.img" "x86_entry[0].model=250" "x86_entry[0].capability[9]=$(($(capability 9) & ~1))"
	run "$CRIU" cpuinfo check --json -D "$IMG" -o "$T/log"
	[ "$status" = 255 ]
	echo "$output" >"$T/json"
	schema cpuinfo "$T/json"
	[ "$(jq -c '[.fits, .cpu_cap, .from]' "$T/json")" = '[false,"fpu,ins","cpuinfo.img"]' ]
	jq -c '.differences[] | [.name, .on, .matters, .refused]' "$T/json" >"$T/rows"
	grep -qxF '["3dnow","checkpoint","code",true]' "$T/rows"
	grep -q '^."family [0-9]* model 250","checkpoint","nothing",false' "$T/rows"
	[ "$(head -n 1 "$T/rows")" = '["3dnow","checkpoint","code",true]' ]
	if grep -qw fsgsbase /proc/cpuinfo; then
		grep -qxF '["fsgsbase","this","code",false]' "$T/rows"
	fi
}

@test "check: no image, a broken one, one of another architecture, wrong words" {
	EXIT=1 refused image-missing "$CRIU" cpuinfo check -D "$IMG"
	[[ $output == *"criu cpuinfo dump"* ]]
	EXIT=2 refused image-missing "$CHECK" cpuinfo check -D "$IMG"
	echo '{"magic":"CPUINFO","entries":[{"ppc64_entry":[{"endian":1,"hwcap":[1]}]}]}' | "$CRIT" encode -o "$IMG/cpuinfo.img"
	refused cpu "$CRIU" cpuinfo check -D "$IMG"
	[[ $output == *"not of an x86-64 CPU"* ]]
	"$CRIU" cpuinfo dump -D "$IMG"
	"$CRIT" decode -i "$IMG/cpuinfo.img" | jq '.entries[0].x86_entry[0].capability |= .[:5]' | "$CRIT" encode -o "$T/short"
	cp "$T/short" "$IMG/cpuinfo.img"
	EXIT=2 refused image-corrupt "$CHECK" cpuinfo check -D "$IMG"
	"$CRIT" decode -i "$IMG/cpuinfo.img" | jq '.entries[0].x86_entry[0].capability_ver = 9' | "$CRIT" encode -o "$T/ver"
	cp "$T/ver" "$IMG/cpuinfo.img"
	EXIT=2 refused image-version "$CHECK" cpuinfo check -D "$IMG"
	head -c 30 "$T/ver" >"$IMG/cpuinfo.img"
	run "$CHECK" cpuinfo check -D "$IMG"
	[ "$status" = 2 ]
	refused usage "$CRIU" cpuinfo -D "$IMG"
	refused usage "$CRIU" cpuinfo bogus -D "$IMG"
	refused usage "$CRIU" cpuinfo dump check -D "$IMG"
	refused dir-missing "$CRIU" cpuinfo dump -D "$T/none"
}

@test "a dump has the CPU in the manifest, and writes cpuinfo.img only when asked" {
	start_program sleep 1000
	dump -R
	[ ! -e "$IMG/cpuinfo.img" ]
	"$CRIU" cpuinfo dump -D "$WORK"
	"$CRIT" show "$WORK/cpuinfo.img" | jq -c .entries[0].x86_entry[0].capability >"$T/image"
	jq -c '.host.cpu.capability[:19]' "$IMG/manifest.json" | diff - "$T/image"
	run "$CRIU" cpuinfo check --json -D "$IMG"
	[ "$status" = 0 ]
	[ "$(jq -r .from <<<"$output")" = manifest.json ]
	dump -R --cpu-cap=none
	[ ! -e "$IMG/cpuinfo.img" ]
	dump -R --cpu-cap=ins
	cmp "$IMG/cpuinfo.img" "$WORK/cpuinfo.img"
	jq -e '.files[] | select(.name == "cpuinfo.img" and .crc32c)' "$IMG/manifest.json"
	jq -e '.stages[] | select(.name == "criu-freeze").files | index("cpuinfo.img")' "$IMG/manifest.json"
	# The next dump does not want it.
	dump
	[ ! -e "$IMG/cpuinfo.img" ]
	restore
}

@test "a wrong --cpu-cap is refused before anything is stopped or replaced" {
	start_program sleep 1000
	dump -R
	id=$(jq -r .id "$IMG/manifest.json")
	unharmed_begin
	refused usage "$CRIU" dump -t "$PID" -D "$IMG" --cpu-cap=bogus
	unharmed_end
	[ "$(jq -r .id "$IMG/manifest.json")" = "$id" ]
}

@test "restore: an instruction set is missing: refused by name, unless --cpu-cap lets it pass" {
	checkpoint
	want_3dnow
	refused cpu "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[[ $output == *"it lacks 3dnow: the program may have chosen code by it (cpuinfo.img)"*"--cpu-cap=fpu"* ]] || { echo "$output"; return 1; }
	gone "$PID"
	refused cpu "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log --cpu-cap=ins
	restore --cpu-cap=fpu
	grep -q 'Warn.*it lacks 3dnow' "$WORK/restore.log"
}

@test "restore: without cpuinfo.img the manifest is asked; a checkpoint that does not tell passes" {
	start_program sleep 1000
	dump
	cp "$IMG/manifest.json" "$T/manifest"
	jq '.host.cpu.capability[1] += 2147483648' "$T/manifest" >"$IMG/manifest.json"
	refused cpu "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[[ $output == *"3dnow"*"(manifest.json)"* ]]
	jq '.host.cpu.capability[1] = -1' "$T/manifest" >"$IMG/manifest.json"
	EXIT=1 refused image-corrupt "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	jq 'del(.host.cpu)' "$T/manifest" >"$IMG/manifest.json"
	restore
}

@test "restore --cpu-cap=cpu wants an equal CPU" {
	checkpoint
	"$CRIT" edit "$IMG/cpuinfo.img" "x86_entry[0].model=250"
	refused cpu "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log --cpu-cap=cpu
	[[ $output == *"model 250"* ]]
	restore
}

@test "restore: state that a thread has and this CPU cannot hold: refused, and told apart" {
	checkpoint
	bv=$("$CRIT" show "$IMG/core-$PID.img" | jq -r '.entries[0].thread_info.fpregs.xsave.xstate_bv')
	"$CRIT" edit "$IMG/core-$PID.img" "thread_info.fpregs.xsave.xstate_bv=$((bv | 8))"
	refused cpu "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log
	[[ $output == *"it lacks state of bndregs: the saved state of a thread has it"* ]] || { echo "$output"; return 1; }
	run "$CRIU" cpuinfo check --json -D "$IMG" -o "$T/log"
	[ "$status" = 255 ]
	[ "$(jq -c '.differences[0] | [.name, .matters, .refused]' <<<"$output")" = '["state of bndregs","saved-state",true]' ]
	# What cannot be done is not done, whatever is let pass.
	refused cpu "$CRIU" restore -d -D "$IMG" -W "$WORK" -o restore.log --cpu-cap=none
	gone "$PID"
}

@test "restore --check-only tells all that differs, and starts nothing" {
	checkpoint
	want_3dnow
	run "$CRIU" restore --check-only --json -D "$IMG" -o "$T/log"
	[ "$status" = 1 ]
	jq -e '.findings[] | select(.area == "cpu" and .code == "cpu" and .severity == "refused" and (.reason | contains("3dnow")))' <<<"$output"
	run "$CRIU" restore --check-only --json -D "$IMG" -o "$T/log" --cpu-cap=fpu
	[ "$status" = 0 ]
	jq -e '.findings[] | select(.area == "cpu" and .severity == "warning")' <<<"$output"
	gone "$PID"
}
