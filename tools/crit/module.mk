# SPDX-License-Identifier: GPL-2.0-or-later
crit_LIBS := image pb base
crit_LDLIBS := -l:libprotobuf-c.a -l:libyajl_s.a -l:libjansson.a -l:libz.a
