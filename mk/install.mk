# SPDX-License-Identifier: GPL-2.0-or-later
# make install [DESTDIR=] [PREFIX=/usr/local]: programs, man pages, completion.
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
MAN_PAGES := $(wildcard tools/*/*.8 tools/*/*.1)
.PHONY: install uninstall
install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(COMPLETIONDIR)
	install -m 755 $(TOOLS:%=$O/bin/%) $(DESTDIR)$(BINDIR)
	sed 's/@VERSION@/$(VERSION)/; s|@BINDIR@|$(BINDIR)|' tools/criu/criu > $(DESTDIR)$(BINDIR)/criu
	chmod 755 $(DESTDIR)$(BINDIR)/criu
	$(foreach m,$(MAN_PAGES),install -D -m 644 $m $(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $m))/$(notdir $m) &&) true
	install -m 644 tools/criu/criu.bash $(DESTDIR)$(COMPLETIONDIR)/criu
	install -m 644 tools/crit/crit.bash $(DESTDIR)$(COMPLETIONDIR)/crit
	$(foreach t,$(filter-out crit,$(TOOLS)),ln -sf criu $(DESTDIR)$(COMPLETIONDIR)/$t &&) true
uninstall:
	rm -f $(foreach t,$(TOOLS) criu,$(DESTDIR)$(BINDIR)/$t $(DESTDIR)$(COMPLETIONDIR)/$t)
	$(foreach m,$(MAN_PAGES),rm -f $(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $m))/$(notdir $m);)
