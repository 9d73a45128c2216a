# SPDX-License-Identifier: GPL-2.0-or-later
crit_LIBS := image pb base
crit_LDLIBS := -l:libprotobuf-c.a -l:libyajl_s.a -l:libjansson.a -l:libz.a
crit_OBJS := $O/gen/report-page.o

# crit report's page in one piece. Its policy names the style and the script by their hashes: nothing else is run.
csp_hash = $(shell { echo; cat $1; } | sha256sum | cut -c-64 | tr a-f A-F | basenc --base16 -d | base64)
$O/gen/report-page.html: tools/crit/report/page.html tools/crit/report/page.css tools/crit/report/page.js
	$(call say,PAGE)mkdir -p $(@D) && sed -e 's,@STYLE_HASH@,$(call csp_hash,tools/crit/report/page.css),' \
		-e 's,@SCRIPT_HASH@,$(call csp_hash,tools/crit/report/page.js),' -e '/@CSS@/{r tools/crit/report/page.css' -e 'd}' \
		-e '/@JS@/{r tools/crit/report/page.js' -e 'd}' $< >$@
$O/gen/report-page.o: $O/gen/report-page.html lib/common/blob/embed.S
	$(call say,EMBED)$(CC) -c -DBLOB=report_page -DBLOB_FILE='"$<"' -o $@ lib/common/blob/embed.S
