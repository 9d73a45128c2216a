# SPDX-License-Identifier: GPL-2.0-or-later
# make test-faults [N=200|all] [ERRORS=turn|all] [MODES='dump restore leave stages'] [RESUME=1]: the sweep of failing system calls, N
# runs a mode; all: each call once, with ERRORS=all once for each of its errors (doc/reliability.md).
# make test-kill [N=2000] [SEED=1] [JOBS=2]: the kill sweep (doc/reliability.md); test/sweep/kill.bats runs a short one in make test.
N ?= 200
SEED ?= 1
SWEEP_PROGRAMS := $(patsubst %.c,$O/%,$(wildcard test/sweep/*.c))
$O/test/sweep/%: test/sweep/%.c
	$(call say,TEST)mkdir -p $(@D) && $(CC) -std=gnu17 -O2 -g $(WARN) -D_GNU_SOURCE -Itest/victim -MMD -MP -MT $@ -o $@ $< -pthread
test-programs: $(SWEEP_PROGRAMS)

.PHONY: test-kill test-faults test-soak
test-kill: deps-test
	@$(MAKE) --no-print-directory test-programs
	@BUILD=$(abspath $O) $O/test/victim/reaper test/sweep/kill.py -n $N -j $(JOBS) --seed $(SEED)

# Results: $O/test/faults.MODE.LANE, one line a run, and $O/test/faults.MODE.report. Memory is quicker than a disk.
FAULTS_DIR ?= $(if $(wildcard /dev/shm),/dev/shm/criu-faults,$(abspath $O)/test/faults.d)
MODES ?= dump restore leave stages
ERRORS ?= turn
test-faults: deps-test
	@$(MAKE) --no-print-directory test-programs
	@python3 test/sweep/faults.py --build $(abspath $O) --dir $(FAULTS_DIR) --out $(abspath $O)/test/faults --seed $(SEED) \
		--lanes $(JOBS) --errors $(ERRORS) $(MODES:%=--mode %) $(if $(filter all,$N),,--points $N) $(if $(RESUME),--resume)

# make test-soak [N=300]: one tree dumped and restored N times, in a pid namespace (nobody else takes its pids); then test/stage/load.bats with 1,000 tasks of 5 threads, more races.
test-soak: deps-test
	@$(MAKE) --no-print-directory test-programs
	@BUILD=$(abspath $O) unshare --pid --fork --mount-proc --kill-child $O/test/victim/reaper python3 test/sweep/soak.py -n $(if $(filter command line,$(origin N)),$N,300) --save $O/test/soak.json
	@BUILD=$(abspath $O) CROWD_TASKS=1000 BOMB_TASKS=300 RACES=100 RACE_RESTORES=50 SOAK=20 test/run -v test/stage/load.bats
