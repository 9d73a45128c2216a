# SPDX-License-Identifier: GPL-2.0-or-later
# make bench [ROUNDS=5] [WORKLOAD=sleep]: ratios measured in one run; needs root and a quiet machine.
BENCHES := $(patsubst bench/%.c,%,$(wildcard bench/*.c))
$O/bench/bench-%: bench/%.c
	$(call say,CC)mkdir -p $(@D) && $(CC) $(CFLAGS) -std=gnu17 -D_GNU_SOURCE $(WARN) -Wno-discarded-qualifiers -Wno-write-strings -o $@ $< -pthread
.PHONY: bench
bench: all $(BENCHES:%=$O/bench/bench-%)
	$(Q)$O/bench/bench-bench $O/bin $O/bench $(or $(ROUNDS),5) $(WORKLOAD)
