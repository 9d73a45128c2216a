/* SPDX-License-Identifier: GPL-2.0-or-later */
/* criu explain CODE: what the registry of causes (lib/common/base/errors.def) says of it. */
#include <stdio.h>

#include "verbs.h"

int verb_explain(const struct cr_opts *o, char **words, int nr, int *code, struct cr_err *e)
{
	enum cr_code c = nr == 1 ? cr_code_by_name(words[0]) : CR_E_NONE;
	struct cr_err known = { .code = c };

	if (nr < 1)
		return cr_err_set(e, CR_E_USAGE, 0, "criu explain", "a code or a message is missing");
	if (c == CR_E_NONE) {
		printf("%s: not known here\n", words[0]);
		*code = CR_REFUSED;
		return 0;
	}
	printf("%s (exit %d)\n  %s\n  What to do: %s.\n", words[0], cr_code_exit(c), cr_code_meaning(c),
	       cr_err_get_remedy(&known));
	return 0;
}
