/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/opts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

#define PARSE(...)                                                                      \
	({                                                                              \
		static const char *v[] = { "tool", __VA_ARGS__, NULL };                 \
		o = (struct cr_opts){ 0 };                                              \
		e = (struct cr_err){ 0 };                                               \
		cr_opts_parse((int)(sizeof(v) / sizeof(v[0])) - 1, (char **)v, &o, &e); \
	})

static struct cr_opts o;
static struct cr_err e;

static void words(void)
{
	ok(!PARSE("dump", "-t", "12", "-D", "img") && o.tree == 12 && !strcmp(o.images_dir, "img"),
	   "values behind letters");
	ok(o.nr_words == 1 && !strcmp(o.words[0], "dump") && o.rest == 1, "a word");
	ok(!PARSE("--tree=12", "-Dimg", "dump", "--images-dir=other") && !strcmp(o.images_dir, "other"),
	   "the last one counts");
	ok(!PARSE("restore", "-d", "--", "sh", "-c", "x") && o.nr_words == 4 && o.rest == 1 && o.restore_detached,
	   "words behind --");
	ok(!PARSE("-dSRj") && o.restore_detached && o.restore_sibling && o.leave_running && o.shell_job,
	   "letters in one word");
	ok(!PARSE("-dD", "img") && o.restore_detached && !strcmp(o.images_dir, "img"),
	   "a value behind several letters");
	ok(!PARSE("-") && o.nr_words == 1, "a dash is a word");
	ok(!PARSE("exec", "-100", "-d") && o.nr_words == 2 && o.restore_detached, "so is a negative number");
	ok(o.timeout == -1 && o.tree == -1 && o.close_fd == -1, "numbers that were not given are -1");
}

static void verbosity(void)
{
	ok(!PARSE("x") && o.verbosity == 2, "verbosity 2");
	ok(!PARSE("-v") && o.verbosity == 3, "-v");
	ok(!PARSE("-vv") && o.verbosity == 4, "-vv");
	ok(!PARSE("-v4") && o.verbosity == 4, "-v4");
	ok(!PARSE("-v0") && o.verbosity == 0, "-v0");
	ok(!PARSE("--verbosity=3") && o.verbosity == 3, "--verbosity=3");
	ok(!PARSE("--verbosity", "3") && o.verbosity == 3 && o.nr_words == 1, "--verbosity takes no word");
	ok(!PARSE("-v4d") && o.verbosity == 4 && o.restore_detached, "-v4d");
	ok(PARSE("-v99999999999999999999") < 0 && e.code == CR_E_USAGE, "a number that is too large");
}

static void refused(void)
{
	ok(PARSE("--lazy-pages") < 0 && e.code == CR_E_OPTION_UNSUPPORTED &&
		   strstr(e.reason, "--lazy-pages is not supported yet"),
	   "--lazy-pages");
	ok(PARSE("--external", "mnt[]", "-t", "1") < 0 && e.code == CR_E_OPTION_UNSUPPORTED, "--external");
	ok(PARSE("-l") < 0 && strstr(e.reason, "--file-locks is not supported yet"), "-l");
	ok(!PARSE("--no-lazy-pages"), "--no-lazy-pages is what is done");
	ok(PARSE("--no-external") < 0 && e.code == CR_E_USAGE, "--no-external is none");
	ok(PARSE("--bogus") < 0 && e.code == CR_E_USAGE && strstr(e.reason, "--bogus"), "an unknown option is named");
	ok(PARSE("-q") < 0 && strstr(e.reason, "-q"), "an unknown letter is named");
	ok(PARSE("--tre", "1") < 0 && e.code == CR_E_USAGE, "no abbreviations");
	ok(PARSE("--tree") < 0 && e.code == CR_E_USAGE, "a missing value");
	ok(PARSE("-t") < 0 && e.code == CR_E_USAGE, "a missing value of a letter");
	ok(PARSE("--tree", "0") < 0 && PARSE("--tree", "x") < 0 && PARSE("-t", "3x") < 0 && PARSE("-t", "") < 0,
	   "no numbers");
	ok(PARSE("--leave-running=1") < 0, "a value too much");
	ok(PARSE("--no-leave-running") < 0, "no --no-NAME for a flag");
	ok(!PARSE("-d", "--no-restore-detached") && !o.restore_detached, "--no-NAME");
}

static void lists(void)
{
	ok(!PARSE("--action-script", "a", "--action-script=b") && o.action_script.n == 2 && !o.action_script.v[2] &&
		   !strcmp(o.action_script.v[1], "b"),
	   "a list");
	ok(!PARSE("--manage-cgroups", "soft") && !strcmp(o.manage_cgroups, "") && o.nr_words == 1,
	   "an optional value is glued");
	ok(!PARSE("--manage-cgroups=ignore") && !strcmp(o.manage_cgroups, "ignore"), "and given");
	ok(PARSE("--manage-cgroups=strict") < 0 && e.code == CR_E_OPTION_UNSUPPORTED &&
		   strstr(e.reason, "--manage-cgroups=strict is not supported yet"),
	   "a value that comes later");
	ok(PARSE("--manage-cgroups=bogus") < 0 && e.code == CR_E_USAGE && strstr(e.reason, "bogus"),
	   "a value that is none");
	ok(PARSE("--file-validation", "size") < 0 && !PARSE("--file-validation", "filesize"), "words are whole words");
	ok(!PARSE("--no-manage-cgroups") || e.code == CR_E_USAGE, "--no-manage-cgroups does not crash");
}

static void close_option(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), again;
	char text[16];
	static const char *v[] = { "tool", "--close", NULL, NULL };

	snprintf(text, sizeof(text), "%d", fd);
	v[2] = text;
	ok(!cr_opts_parse(3, (char **)v, &o, &e) && fcntl(fd, F_GETFD) < 0, "--close closes at once");
	again = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(again);
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (!f || fputs(text, f) < 0 || fclose(f))
		perror(path);
}

static void config(void)
{
	static char dir[] = "/tmp/opts-test-XXXXXX";
	static char file[64], home[80], own[80];

	if (!mkdtemp(dir))
		return;
	snprintf(file, sizeof(file), "%s/conf", dir);
	snprintf(own, sizeof(own), "%s/.criu", dir);
	mkdir(own, 0700);
	snprintf(home, sizeof(home), "%s/.criu/default.conf", dir);
	setenv("HOME", dir, 1);
	put(home, "timeout 7\nshell-job\n");
	put(file, "# comment\n\n  log-file   \"a \\\"b\\\" c\" # more\ntree 5#x\nwork-dir "
		  "\"\"\r\nno-shell-job\nverbosity 4\n");
	ok(!PARSE("--") && o.timeout == 7 && o.shell_job, "the default file of HOME");
	ok(!PARSE("--no-default-config") && o.timeout == -1, "--no-default-config");
	ok(!PARSE("--config", file) && o.timeout == -1 && o.tree == 5 && !strcmp(o.log_file, "a \"b\" c") &&
		   !strcmp(o.work_dir, "") && o.verbosity == 4,
	   "--config instead of the default files");
	ok(!PARSE("--config", file, "-t", "9", "-v2") && o.tree == 9 && o.verbosity == 2, "the command line wins");
	setenv("CRIU_CONFIG_FILE", file, 1);
	ok(!PARSE("x") && o.timeout == 7 && o.tree == 5 && !o.shell_job, "CRIU_CONFIG_FILE comes after HOME's");
	unsetenv("CRIU_CONFIG_FILE");
	ok(!PARSE("--config", "/nonexistent/x"), "a missing file is no error");
	put(file, "\ntree 5 6\n");
	ok(PARSE("--config", file) < 0 && strstr(e.reason, "nsupported configuration file format") &&
		   strstr(e.object, "conf:2"),
	   "words too many, with the line");
	put(file, "log-file \"x\n");
	ok(PARSE("--config", file) < 0 && e.code == CR_E_USAGE, "a quote is missing");
	put(file, "dump\n");
	ok(PARSE("--config", file) < 0 && strstr(e.reason, "dump"), "no commands");
	put(file, "lazy-pages\n");
	ok(PARSE("--config", file) < 0 && e.code == CR_E_OPTION_UNSUPPORTED, "refused by name in a file too");
	unlink(file);
	unlink(home);
	rmdir(own);
	rmdir(dir);
}

int main(void)
{
	setenv("HOME", "/nonexistent", 1);
	unsetenv("CRIU_CONFIG_FILE");
	words();
	verbosity();
	refused();
	lists();
	close_option();
	config();
	return tap_done();
}
