/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The caller's terminal (F5): on standard input, output and error, and as /dev/tty. Waits for "go" on the file. */
#include "victim.h"

#include <termios.h>

int main(int argc, char **argv)
{
	int out = argc > 1 ? open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600) : -1, tty;

	/* The results go to a file; the terminal stays where it is, one number up. */
	need(out >= 0 && isatty(0) && dup2(1, 10) == 10 && dup2(out, 1) == 1);
	tty = open("/dev/tty", O_RDWR);
	victim_fact("pid", "%d", getpid());
	victim_ready();
	victim_wait();

	check("standard input", isatty(0));
	check("output", isatty(10) && dprintf(10, "written to the terminal\n") > 0);
	check("/dev/tty", tty < 0 || (isatty(tty) && dprintf(tty, "by its name\n") > 0));
	check("in its session", tcgetsid(0) == getsid(0));
	return victim_done();
}
