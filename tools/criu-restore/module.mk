# SPDX-License-Identifier: GPL-2.0-or-later
criu-restore_LIBS := kind-restore kind-image blob trace image proc base pb
criu-restore_OBJS := $O/blob/restorer.o
criu-restore_LDLIBS := -l:libprotobuf-c.a -l:libjansson.a -l:libnl-3.a -lpthread
