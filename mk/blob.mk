# SPDX-License-Identifier: GPL-2.0-or-later
# Blobs: code that runs inside a task without libc. tools/TOOL/blob/*.[cS] (plus lib/kind/*/restorer.c or parasite.c where the
# tool's row below says so) become $O/blob/NAME.bin, then $O/blob/NAME.o with NAME_blob_start and NAME_blob_end for the tool.
# No SAN, no fortify, no stack protector: there is nothing to call. -mno-sse: registers of the task are not ours.
# Its flags are gcc's.
BLOB_CC := $(if $(findstring clang,$(CC)),gcc,$(CC))
BLOB_CFLAGS := -std=gnu17 -O2 -g $(WARN) -ffreestanding -fpie -fvisibility=hidden -fno-jump-tables -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -fno-exceptions -fcf-protection=none -U_FORTIFY_SOURCE \
	-mgeneral-regs-only -nostdlib -nostartfiles

BLOB_restorer_SRC := $(wildcard tools/criu-restore/blob/*.c tools/criu-restore/blob/*.S)
BLOB_parasite_SRC := $(wildcard tools/criu-parasite/blob/*.c tools/criu-parasite/blob/*.S lib/kind/*/parasite.c)

$O/blob/o/%.o: %.c
	$(call say,BLOBCC)mkdir -p $(@D) && $(BLOB_CC) $(BLOB_CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<
$O/blob/o/%.o: %.S
	$(call say,BLOBAS)mkdir -p $(@D) && $(BLOB_CC) $(BLOB_CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<
define blob
$O/blob/$1.elf: $(patsubst %.S,$O/blob/o/%.o,$(patsubst %.c,$O/blob/o/%.o,$(BLOB_$1_SRC))) lib/common/blob/blob.lds
	$$(call say,BLOBLD)$(BLOB_CC) $(BLOB_CFLAGS) -Wl,-pie,--no-dynamic-linker,-z,norelro,-z,noexecstack,--build-id=none,--orphan-handling=place \
		-Wl,-T,lib/common/blob/blob.lds -o $$@ $$(filter %.o,$$^)
$O/blob/$1.bin: $O/blob/$1.elf
	$$(call say,OBJCOPY)$(OBJCOPY) -O binary -j .blob $$< $$@
$O/blob/$1.o: $O/blob/$1.bin lib/common/blob/embed.S
	$$(call say,EMBED)$(BLOB_CC) -c -DBLOB=$1_blob -DBLOB_FILE='"$O/blob/$1.bin"' -o $$@ lib/common/blob/embed.S
endef
$(foreach b,restorer parasite,$(eval $(call blob,$b)))

# The builder of the restorer's program is ordinary C of the tool.
$(eval $(call archive,blob,$(call objs,$(wildcard lib/common/blob/*.c))))
