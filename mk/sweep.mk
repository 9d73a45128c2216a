# SPDX-License-Identifier: GPL-2.0-or-later
# make test-faults [N=200|all]: the sweep of failing system calls, N runs a mode; all: each error of each call (doc/reliability.md).
# make test-kill [N=2000] [SEED=1] [JOBS=2]: the kill sweep (doc/reliability.md); test/sweep/kill.bats runs a short one in make test.
N ?= 200
SEED ?= 1
JOBS ?= 2
SWEEP_PROGRAMS := $(patsubst %.c,$O/%,$(wildcard test/sweep/*.c))
$O/test/sweep/%: test/sweep/%.c
	$(call say,TEST)mkdir -p $(@D) && $(CC) -std=gnu17 -O2 -g $(WARN) -D_GNU_SOURCE -Itest/victim -MMD -MP -MT $@ -o $@ $< -pthread
test-programs: $(SWEEP_PROGRAMS)

.PHONY: test-kill test-faults test-soak
test-kill: deps-test
	@$(MAKE) --no-print-directory test-programs
	@BUILD=$(abspath $O) $O/test/victim/reaper test/sweep/kill.py -n $N -j $(JOBS) --seed $(SEED)

# In a pid namespace: no other process takes a pid that is to be restored. Results: $O/test/faults.MODE.LANE, one line a run; what could not be let fail and why: $O/test/faults.MODE.points.
test-faults: deps-test
	@$(MAKE) --no-print-directory test-programs
	@unshare --pid --fork --mount-proc --kill-child $O/test/victim/reaper python3 test/sweep/faults.py --build $(abspath $O) --dir $(abspath $O)/test/faults.d --out $(abspath $O)/test/faults \
		--seed $(SEED) $(if $(filter all,$N),--errors all --lanes 2,--points $N)

# make test-soak [N=300]: one tree dumped and restored N times; then test/stage/load.bats with 1,000 tasks of 5 threads, more races.
test-soak: deps-test
	@$(MAKE) --no-print-directory test-programs
	@BUILD=$(abspath $O) $O/test/victim/reaper python3 test/sweep/soak.py -n $(if $(filter command line,$(origin N)),$N,300) --save $O/test/soak.json
	@BUILD=$(abspath $O) CROWD_TASKS=1000 BOMB_TASKS=300 RACES=100 RACE_RESTORES=50 SOAK=20 test/run -v test/stage/load.bats
