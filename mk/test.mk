# SPDX-License-Identifier: GPL-2.0-or-later
# make deps, make test, make check-one T=FILE. Tests run from $O/test; nothing is installed but Debian packages.

# ---- Debian packages by name ----
DEPS_BUILD := gcc libc6-dev linux-libc-dev binutils make protobuf-c-compiler libprotobuf-c-dev libjansson-dev libyajl-dev libnl-3-dev zlib1g-dev
DEPS_TEST := bats python3 python3-protobuf python3-jsonschema procps util-linux iproute2 redis-server redis-tools sqlite3 golang-go \
	default-jdk-headless nodejs jq gdb valgrind bindfs chromium-headless-shell fonts-dejavu-core strace
DEPS_LINT := clang-format clang-tidy cppcheck shellcheck git

# Asks for nothing when all is there, so that it may be a prerequisite. A fresh machine has no package lists yet.
define apt_deps
missing=; for p in $1; do \
	case $$(dpkg-query -W -f='$${Status}' $$p 2>/dev/null) in *' ok installed') ;; *) missing="$$missing $$p" ;; esac; done; \
[ -z "$$missing" ] || { sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; echo "installing:$$missing" >&2; \
	$$sudo apt-get -qq update >&2; $$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >&2; }
endef
.PHONY: mutate deps deps-test deps-lint test test-programs check-one demo bench-deps
deps:
	@$(call apt_deps,$(DEPS_BUILD))
deps-test:
	@$(call apt_deps,$(DEPS_BUILD) $(DEPS_TEST))
deps-lint:
	@$(call apt_deps,$(DEPS_BUILD) $(DEPS_LINT))

# ---- programs that tests use ----
# A unit test links the layers below the kinds; a line "LIBS: kind-restore ..." in a comment adds archives.
TEST_LIBS := $(foreach l,hold trace proc image pb base,$O/lib/lib$l.a)
TEST_LDLIBS := -l:libprotobuf-c.a -l:libjansson.a -l:libyajl_s.a -l:libnl-3.a -lpthread
UNIT_TESTS := $(patsubst %.c,$O/%,$(wildcard test/unit/*-test.c))
KERNEL_TESTS := $(patsubst %.c,$O/%,$(wildcard test/kernel/*.c))
VICTIMS := $(patsubst %.c,$O/%,$(wildcard test/victim/*.c))
GO_VICTIMS := $(patsubst %.go,$O/%,$(wildcard test/real/*.go))
JAVA_VICTIMS := $(patsubst %.java,$O/%.class,$(wildcard test/real/*.java))

# The tools that valgrind runs, linked dynamically: it must see libc's malloc (test/stage/valgrind.bats).
define dynamic_tool
$O/dyn/$1: $(call objs,$(wildcard tools/$1/*.c)) $$($1_OBJS) $$(foreach l,$$($1_LIBS),$O/lib/lib$$l.a)
	$$(call say,LD)mkdir -p $$(@D) && $(CC) $$(ALL_CFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
		$$($1_LDLIBS) $$(subst -static-pie,-pie,$$(ALL_LDFLAGS))
endef
DYNAMIC := crit criu-restore
$(foreach t,$(DYNAMIC),$(eval $(call dynamic_tool,$t)))

define unit_test
$O/test/unit/$1: test/unit/$1.c $(TEST_LIBS) $2
	$$(call say,TEST)mkdir -p $$(@D) && $(CC) $$(ALL_CFLAGS) $$(CPPFLAGS) -I. -Itest/unit -MMD -MP -MT $$@ -o $$@ $$< \
		-Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(TEST_LDLIBS) $$(ALL_LDFLAGS) $$(quiet_ld)
endef
extra_libs = $(patsubst %,$O/lib/lib%.a,$(shell sed -n 's/.*LIBS: \([a-z -]*\).*/\1/p' test/unit/$1.c))
$(foreach t,$(UNIT_TESTS:$O/test/unit/%=%),$(eval $(call unit_test,$t,$(call extra_libs,$t))))
# Ordinary programs, as users have them: not static, not hardened in a way of ours. A line "LDFLAGS: ..." in a comment adds flags.
$O/test/victim/% $O/test/kernel/%: LINE = $(shell sed -n 's/.*LDFLAGS: \([^*]*\).*/\1/p' $<)
$O/test/victim/%: test/victim/%.c
	$(call say,VICTIM)mkdir -p $(@D) && $(CC) -std=gnu17 -O2 -g $(WARN) -D_GNU_SOURCE -MMD -MP -MT $@ -o $@ $< -pthread $(LINE)
$O/test/kernel/%: test/kernel/%.c
	$(call say,TEST)mkdir -p $(@D) && $(CC) -std=gnu17 -O2 -g $(WARN) -D_GNU_SOURCE -Ilib/common -Itest/unit -MMD -MP -MT $@ -o $@ $< -pthread $(LINE)
$O/test/real/%: test/real/%.go
	$(call say,GO)mkdir -p $(@D) && GO111MODULE=off GOFLAGS= GOCACHE=$(abspath $O)/go-cache go build -o $@ $<
$O/test/real/%.class: test/real/%.java
	$(call say,JAVAC)mkdir -p $(@D) && javac -d $(@D) $<

test-programs: all $(DYNAMIC:%=$O/dyn/%) $(UNIT_TESTS) $(KERNEL_TESTS) $(VICTIMS) $(GO_VICTIMS) $(JAVA_VICTIMS)

# ---- running ----
# How many test files, or runs of a sweep, at a time.
JOBS ?= 2
BATS_FILES := $(wildcard test/stage/*.bats test/kind/*.bats test/sweep/*.bats test/real/*.bats test/wrapper/*.bats)
test: deps-test
	@$(MAKE) --no-print-directory test-programs
	@BUILD=$(abspath $O) JOBS=$(JOBS) test/run $(UNIT_TESTS) $(KERNEL_TESTS) $(BATS_FILES)

# One test: make check-one T=test/kind/pipe.bats [F='name of the test']
check-one: test-programs
	@BUILD=$(abspath $O) FILTER='$F' test/run -v $(patsubst test/%.c,$O/test/%,$T)

# make mutate KIND=pipe: does a test fail when a hook of lib/kind/pipe is removed?
mutate: deps-test
	@test/mutate.py --build $(abspath $O)/mutate $(KIND)

demo: deps-test
	@$(MAKE) --no-print-directory all $O/test/victim/reaper
	@BUILD=$(abspath $O) test/demo
