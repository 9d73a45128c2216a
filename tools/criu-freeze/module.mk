# SPDX-License-Identifier: GPL-2.0-or-later
criu-freeze_LIBS := kind-image hold trace image proc base pb
criu-freeze_LDLIBS := -lprotobuf-c -ljansson

# Names of system calls for `exec`, as the kernel's header has them: S(NUMBER, "NAME").
$O/gen/syscalls.def: tools/criu-freeze/module.mk
	$(call say,GEN)mkdir -p $(@D) && echo '#include <asm/unistd_64.h>' | $(CC) -E -dM - | \
		sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$$/S(\2, "\1")/p' | sort -t'(' -k2n >$@ && test -s $@
GENERATED += $O/gen/syscalls.def
$O/tools/criu-freeze/exec-args.o: $O/gen/syscalls.def
