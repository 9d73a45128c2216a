# SPDX-License-Identifier: GPL-2.0-or-later
# make lint: all checks run even when one fails; mk/lint.sh does the work. make lint-tidy etc. run one.
export FLAGS = -std=gnu17 $(CPPFLAGS)
LINT := spdx format layers headers sizes ptrace shell cppcheck analyzer tidy
.PHONY: lint $(LINT:%=lint-%)
lint: deps-lint
	@$(MAKE) --no-print-directory -s $(GENERATED) >/dev/null
	@CC='$(CC)' O='$O' mk/lint.sh $(LINT)
$(LINT:%=lint-%): lint-%: $(GENERATED)
	@CC='$(CC)' O='$O' mk/lint.sh $*
