# SPDX-License-Identifier: GPL-2.0-or-later
criu-check_LIBS := kind-image trace image proc base pb
criu-check_LDLIBS := -l:libprotobuf-c.a -l:libjansson.a -l:libnl-3.a -lpthread

# The texts of our own errors, so that `criu explain` finds them.
REASON_SOURCES := $(sort $(wildcard lib/common/*/*.c lib/kind/*/*.c tools/*/*.c))
$O/gen/reasons.def: tools/criu-check/reasons.awk $(REASON_SOURCES)
	$(call say,AWK)mkdir -p $(@D) && awk -f $^ | LC_ALL=C sort -u > $@
$O/tools/criu-check/explain-find.o: $O/gen/reasons.def
GENERATED += $O/gen/reasons.def

# The registry as a page. It is committed, because people read it where no compiler is; a test compares it.
.PHONY: doc
doc: $O/bin/criu-check
	$O/bin/criu-check explain --markdown > doc/troubleshooting.md
