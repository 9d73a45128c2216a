/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crit show: an image for reading; of a directory, an overview of the checkpoint in it. */
#include "show.h"

#include <getopt.h>
#include <stddef.h>
#include <sys/stat.h>

#include "crit.h"

int crit_show(int argc, char *argv[])
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "nopl", no_argument, NULL, 'n' },
						 { 0 } };
	bool json = false, nopl = false;
	struct stat st;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?')
			return crit_usage("show", "wrong options");
		json = json || c == 'j';
		nopl = nopl || c == 'n';
	}
	if (argc - optind != 1)
		return crit_usage("show", "needs one image or directory");
	if (!stat(argv[optind], &st) && S_ISDIR(st.st_mode))
		return show_dir(argv[optind], json);
	/* An image is shown as JSON anyway. */
	return decode_file(argv[optind], NULL, DECODE_PRETTY | (nopl ? DECODE_NOPL : 0));
}
