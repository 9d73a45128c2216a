# SPDX-License-Identifier: GPL-2.0-or-later
# make fuzz, make fuzz-run [T=image] [SECONDS=1200], make fuzz-merge [T=image]: libFuzzer on the parsers (doc/fuzzing.md); needs
# clang. The corpora are run by `make test`, too, by any compiler: test/fuzz/replay.c.
# make test-mutate [N=200]: damaged image directories, tools with sanitizers.
DEPS_FUZZ := clang libclang-rt-14-dev
FUZZ := image manifest options json proc netlink holder plan
SECONDS ?= 1200
T ?=
# Tools whose objects are linked, archives beside theirs, functions that the program replaces.
FUZZ_image_TOOLS := crit
FUZZ_manifest_LIBS := kind-restore kind-image blob trace image proc base pb
FUZZ_options_LIBS := base
FUZZ_options_WRAP := close read_file_at
FUZZ_json_TOOLS := crit
FUZZ_proc_LIBS := proc base
FUZZ_netlink_LIBS := proc base
FUZZ_netlink_WRAP := nl_connect nl_send_simple recvmsg
FUZZ_holder_TOOLS := criu-freeze
FUZZ_holder_WRAP := remote_load remote_look remote_map remote_run remote_unmap trace_get_xstate trace_peek_siginfo trace_seccomp_filter \
	trace_seccomp_flags trace_detach trace_set_regs kill waitpid
FUZZ_plan_TOOLS := crit criu-restore

FUZZ_LDLIBS := -l:libprotobuf-c.a -l:libjansson.a -l:libyajl_s.a -l:libnl-3.a -l:libz.a
# Set by `make fuzz` to libFuzzer's main(); ours otherwise.
FUZZ_ENGINE ?=
FUZZ_MAIN := $(if $(FUZZ_ENGINE),,$O/test/fuzz/replay.o)

# A tool as one object. One program has two of them: what both have gets another name.
$O/fuzz/tool-%.o:
	$(Q)mkdir -p $(@D) && ld -r -o $@ $^ && $(OBJCOPY) --redefine-sym main=tool_main_$(subst -,_,$*) $(FUZZ_RENAME) $@
$O/fuzz/tool-crit.o: FUZZ_RENAME := --redefine-sym verify_files=crit_verify_files
$(foreach t,crit criu-freeze criu-restore,$(eval $O/fuzz/tool-$t.o: $(call objs,$(wildcard tools/$t/*.c))))
$O/test/fuzz/%.o: CPPFLAGS += -Itest/fuzz -Itools/crit -Itools/criu-freeze -Itools/criu-restore
define fuzz_program
$O/fuzz/$1: $O/test/fuzz/$1.o $(FUZZ_MAIN) $(FUZZ_$1_TOOLS:%=$O/fuzz/tool-%.o) \
	$(foreach t,$(FUZZ_$1_TOOLS),$($t_OBJS)) $(sort $(patsubst %,$O/lib/lib%.a,$(FUZZ_$1_LIBS) $(foreach t,$(FUZZ_$1_TOOLS),$($t_LIBS))))
	$$(call say,LD)mkdir -p $$(@D) && $(CC) $$(ALL_CFLAGS) $(FUZZ_ENGINE) -o $$@ $$(filter %.o,$$^) $(patsubst %,-Wl$(comma)--wrap=%,$(FUZZ_$1_WRAP)) \
		-Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(FUZZ_LDLIBS) $$(ALL_LDFLAGS)
endef
comma := ,
$(foreach f,$(FUZZ),$(eval $(call fuzz_program,$f)))

# With sanitizers: the programs that test/stage/hostile.bats runs.
test-programs: san-programs
.PHONY: san-programs test-mutate
san-programs:
	@+$(MAKE) --no-print-directory O=$O/san SAN=1 CFLAGS='-O1 -g' $O/san/bin/crit $O/san/bin/criu-restore fuzz-programs
test-mutate: deps-test
	@$(MAKE) --no-print-directory test-programs
	@BUILD=$(abspath $O) MUTATE=$N $O/test/victim/reaper bats -f damaged test/stage/hostile.bats

.PHONY: fuzz fuzz-run fuzz-merge fuzz-programs deps-fuzz
fuzz-programs: $(FUZZ:%=$O/fuzz/%)
deps-fuzz:
	@$(call apt_deps,$(DEPS_BUILD) $(DEPS_FUZZ))
fuzz: deps-fuzz
	@$(MAKE) --no-print-directory O=$O/fuzz CC=clang SAN=1 CFLAGS='-O1 -g' FUZZ_ENGINE=-fsanitize=fuzzer \
		SANFLAGS='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer' fuzz-programs
fuzz-run: fuzz
	@test/fuzz/run $O/fuzz/fuzz $(SECONDS) $(or $T,$(FUZZ))
fuzz-merge: fuzz
	@test/fuzz/run -m $O/fuzz/fuzz $(or $T,$(FUZZ))
