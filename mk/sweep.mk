# SPDX-License-Identifier: GPL-2.0-or-later
# make test-kill [N=2000] [SEED=1]: the kill sweep (doc/reliability.md); test/sweep/kill.bats runs a short one in make test.
N ?= 200
SEED ?= 1
SWEEP_PROGRAMS := $(patsubst %.c,$O/%,$(wildcard test/sweep/*.c))
$O/test/sweep/%: test/sweep/%.c
	$(call say,TEST)mkdir -p $(@D) && $(CC) -std=gnu17 -O2 -g $(WARN) -D_GNU_SOURCE -MMD -MP -MT $@ -o $@ $<
test-programs: $(SWEEP_PROGRAMS)

.PHONY: test-kill
test-kill: deps-test
	@$(MAKE) --no-print-directory test-programs
	@BUILD=$(abspath $O) $O/test/victim/reaper test/sweep/kill.py -n $N --seed $(SEED)
