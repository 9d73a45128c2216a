/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arguments and results of criu-freeze exec.
 *
 * Theory of operation: all memory that the call needs is laid out in one block, which is copied into the task before
 * the call and out of it afterwards: "&string" and "&str:string" (with a NUL), "&hex:BYTES" and "&buf:N" (zeroes),
 * the last two printed afterwards. Names come from the kernel's header at build time (syscalls.def); numbers work for
 * all others.
 */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "exec.h"
#include "image/manifest.h"
#include "restart.h"

enum { ERRNO_MAX = 4095, ALIGN = 16, ROW = 16, ARCH_SET_GS_CODE = 0x1001, ARCH_SET_FS_CODE = 0x1002 };
enum { SYS_URETPROBE = 335, X32 = 0x40000000 /* __X32_SYSCALL_BIT */ };

static const struct name {
	long nr;
	const char *name;
} names[] = {
#define S(nr, name) { nr, name },
#include "syscalls.def"
#undef S
};

/* ---- reading ---- */

static int usage(struct cr_err *e, const char *word, const char *why)
{
	char object[160];

	snprintf(object, sizeof(object), "argument \"%.120s\"", word);
	return cr_err_set(e, CR_E_USAGE, 0, object, "%s", why);
}

/* Decimal, 0x, 0 (octal); negative ones as the 64 bits that a program would pass. @stop: what must stand behind it */
static bool number_until(const char *s, char stop, uint64_t *ret)
{
	bool negative = s[0] == '-';
	char *end;

	if (!isdigit((unsigned char)s[negative]))
		return false;
	errno = 0;
	*ret = negative ? (uint64_t)strtoll(s, &end, 0) : strtoull(s, &end, 0);
	return !errno && *end == stop;
}

static bool number(const char *s, uint64_t *ret)
{
	return number_until(s, 0, ret);
}

/* "O_RDWR|O_CREAT|0x800" */
static bool value(const char *s, uint64_t *ret)
{
	uint64_t part;

	*ret = 0;
	for (;; s++) {
		size_t len = strcspn(s, "|");

		if (!number_until(s, s[len], &part) && !exec_constant(s, len, &part))
			return false;
		*ret |= part;
		s += len;
		if (!*s)
			return true;
	}
}

static int find(const char *word, struct exec_call *c, struct cr_err *e)
{
	uint64_t nr;

	if (number(word, &nr) && nr <= INT32_MAX) {
		c->nr = (long)nr;
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (names[i].nr == c->nr)
				c->name = names[i].name;
		return 0;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i].name, word)) {
			c->nr = names[i].nr;
			c->name = names[i].name;
			return 0;
		}
	cr_err_set(e, CR_E_USAGE, 0, word, "there is no system call of that name here");
	cr_err_remedy(e, "syscalls(2) lists them; one that is newer than this build can be given by its number");
	return -EINVAL;
}

/* Room for @len bytes. */
static int reserve(struct exec_call *c, struct exec_arg *a, size_t len, struct cr_err *e)
{
	if (len > EXEC_MEM_MAX - c->used)
		return usage(e, a->text, "all arguments together may have 512 KiB");
	a->memory = true;
	a->at = c->used;
	a->len = len;
	c->used = (c->used + len + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	return 0;
}

static int text_arg(struct exec_call *c, struct exec_arg *a, const char *s, struct cr_err *e)
{
	size_t len = strlen(s) + 1;
	int err = reserve(c, a, len, e);

	if (!err)
		memcpy(c->mem + a->at, s, len);
	return err;
}

static int digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower(c) - 'a' + 10 : -1;
}

static int hex_arg(struct exec_call *c, struct exec_arg *a, const char *s, struct cr_err *e)
{
	size_t len = strlen(s) / 2;
	int err = len && strlen(s) == 2 * len ? reserve(c, a, len, e)
					      : usage(e, a->text, "two hexadecimal digits are a byte");

	for (size_t i = 0; !err && i < len; i++) {
		if (digit(s[2 * i]) < 0 || digit(s[2 * i + 1]) < 0)
			return usage(e, a->text, "two hexadecimal digits are a byte");
		c->mem[a->at + i] = (uint8_t)(digit(s[2 * i]) << 4 | digit(s[2 * i + 1]));
	}
	a->shown = true;
	return err;
}

static int arg(struct exec_call *c, struct exec_arg *a, struct cr_err *e)
{
	const char *s = a->text;
	uint64_t n;

	if (*s != '&')
		return value(s, &a->value) ? 0
					   : usage(e, s,
						   "it is neither a number, nor a constant that is known, nor &string, "
						   "&buf:SIZE, &hex:BYTES");
	s++;
	if (!strncmp(s, "str:", 4))
		return text_arg(c, a, s + 4, e);
	if (!strncmp(s, "hex:", 4))
		return hex_arg(c, a, s + 4, e);
	if (strncmp(s, "buf:", 4) != 0)
		return text_arg(c, a, s, e);
	a->shown = true;
	if (s[4] == '-' || !number(s + 4, &n) || !n || n > EXEC_MEM_MAX)
		return usage(e, a->text, "&buf: needs a size of 1 to 524288 bytes");
	return reserve(c, a, n, e);
}

int exec_parse(char **words, int n, struct exec_call *ret, struct cr_err *e)
{
	int err;

	*ret = (struct exec_call){ 0 };
	if (n < 1)
		return cr_err_set(e, CR_E_USAGE, 0, "exec", "the system call is missing");
	if (n - 1 > EXEC_ARGS)
		return cr_err_set(e, CR_E_USAGE, 0, words[0], "a system call has at most %d arguments", EXEC_ARGS);
	err = find(words[0], ret, e);
	if (err)
		return err;
	ret->mem = calloc(1, EXEC_MEM_MAX);
	if (!ret->mem)
		return cr_err_nomem(e);
	for (ret->nr_args = 0; !err && ret->nr_args < (unsigned)n - 1; ret->nr_args++) {
		ret->arg[ret->nr_args].text = words[ret->nr_args + 1];
		err = arg(ret, &ret->arg[ret->nr_args], e);
	}
	return err;
}

void exec_place(struct exec_call *c, uint64_t addr)
{
	for (unsigned i = 0; i < c->nr_args; i++)
		if (c->arg[i].memory)
			c->arg[i].value = addr + c->arg[i].at;
}

/* ---- what cannot be made ---- */

/* @bad_arg: refused only when this argument is not 0; -1: always */
static const struct refusal {
	long nr;
	int bad_arg;
	const char *reason, *remedy;
} refusals[] = {
	{ SYS_exit, -1, "it ends the thread", "kill the process: kill PID" },
	{ SYS_exit_group, -1, "it ends the process", "kill the process: kill PID" },
	{ SYS_execve, -1, "it replaces the program whose registers have to be put back", "start the program yourself" },
	{ SYS_execveat, -1, "it replaces the program whose registers have to be put back",
	  "start the program yourself" },
	{ SYS_fork, -1, "the copy would run the program from its middle", "make a copy with criu dump -R and restore" },
	{ SYS_vfork, -1, "the copy would run the program from its middle",
	  "make a copy with criu dump -R and restore" },
	{ SYS_clone, -1, "the copy would run the program from its middle",
	  "make a copy with criu dump -R and restore" },
	{ SYS_clone3, -1, "the copy would run the program from its middle",
	  "make a copy with criu dump -R and restore" },
	{ SYS_rt_sigreturn, -1, "it takes all registers from a signal frame, and there is none",
	  "change registers with a debugger" },
	{ SYS_URETPROBE, -1, "the kernel ends whoever makes it, but for code that it has put there itself",
	  "remove the probe where it was set" },
	{ SYS_restart_syscall, -1, "it would take the place of the call that the thread was interrupted in",
	  "let the thread run: the kernel makes it" },
	{ SYS_rt_sigprocmask, -1, "all signals are blocked during the call, and the mask is put back behind it",
	  "SigBlk in /proc/PID/status shows the mask; only the program can change it" },
	{ SYS_rt_sigsuspend, -1, "a signal handler cannot run in the middle of the call",
	  "let the program wait for signals itself" },
	{ SYS_ppoll, 3, "a signal handler cannot run in the middle of the call", "pass 0 as the signal mask" },
	{ SYS_pselect6, 5, "a signal handler cannot run in the middle of the call", "pass 0 as the signal mask" },
	{ SYS_epoll_pwait, 4, "a signal handler cannot run in the middle of the call", "pass 0 as the signal mask" },
	{ 441 /* epoll_pwait2 */, 4, "a signal handler cannot run in the middle of the call",
	  "pass 0 as the signal mask" },
};

/* Each thread remembers one sleep, to go on with after an interruption. */
static bool sleeps(long nr)
{
	return nr == SYS_nanosleep || nr == SYS_clock_nanosleep || nr == SYS_poll || nr == SYS_futex;
}

static int refuse(const struct exec_call *c, const char *object, const char *reason, const char *remedy,
		  struct cr_err *e)
{
	if (c->name)
		cr_err_set(e, CR_E_CALL_FORBIDDEN, 0, object, "%s cannot be made in it: %s", c->name, reason);
	else
		cr_err_set(e, CR_E_CALL_FORBIDDEN, 0, object, "call %ld cannot be made in it: %s", c->nr, reason);
	cr_err_remedy(e, "%s", remedy);
	return -EPERM;
}

int exec_allowed(const struct exec_call *c, uint64_t rax, const char *object, struct cr_err *e)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];

		if (r->nr == c->nr && (r->bad_arg < 0 || c->arg[r->bad_arg].memory || c->arg[r->bad_arg].value))
			return refuse(c, object, r->reason, r->remedy, e);
	}
	if (c->nr & X32)
		return refuse(c, object, "it is one of the x32 ABI, which has other names for what is refused",
			      "give the number of the same call in 64-bit code", e);
	if (c->nr == SYS_arch_prctl && (c->arg[0].value == ARCH_SET_FS_CODE || c->arg[0].value == ARCH_SET_GS_CODE))
		return refuse(c, object, "these registers are put back behind the call",
			      "change registers with a debugger", e);
	if (sleeps(c->nr) && (int64_t)rax == -K_ERESTART_RESTARTBLOCK)
		return refuse(c, object, "it sleeps itself, and would forget for how long",
			      "use select or ppoll with a time limit, or another thread of the process (-t TID)", e);
	return 0;
}

/* ---- printing ---- */

static bool failed(int64_t ret)
{
	return ret < 0 && ret >= -ERRNO_MAX;
}

static void print_text(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c == '\n')
			fputs("\\n", stdout);
		else if (c < ' ' || c >= 0x7f)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void print_bytes(const uint8_t *p, size_t len)
{
	for (size_t at = 0; at < len; at += ROW) {
		size_t n = len - at < ROW ? len - at : ROW;

		printf("  %05zx ", at);
		for (size_t i = 0; i < ROW; i++)
			i < n ? printf(" %02x", p[at + i]) : printf("   ");
		fputs("  |", stdout);
		for (size_t i = 0; i < n; i++)
			putchar(p[at + i] >= ' ' && p[at + i] < 0x7f ? p[at + i] : '.');
		puts("|");
	}
}

static void print_lines(const struct exec_call *c, int64_t ret)
{
	if (c->name)
		printf("%s(", c->name);
	else
		printf("syscall %ld(", c->nr);
	for (unsigned i = 0; i < c->nr_args; i++) {
		fputs(i ? ", " : "", stdout);
		if (!c->arg[i].memory)
			fputs(c->arg[i].text, stdout);
		else if (c->arg[i].shown)
			printf("[%zu bytes]", c->arg[i].len);
		else
			print_text((const char *)c->mem + c->arg[i].at);
	}
	if (failed(ret))
		printf(") = -1 %s (%s)\n", strerrorname_np((int)-ret) ? strerrorname_np((int)-ret) : "?",
		       strerror((int)-ret));
	else if (ret > 0xffff || ret < 0)
		printf(") = %lld (0x%llx)\n", (long long)ret, (unsigned long long)ret);
	else
		printf(") = %lld\n", (long long)ret);
	for (unsigned i = 0; i < c->nr_args; i++)
		if (c->arg[i].shown) {
			printf("argument %u:\n", i + 1);
			print_bytes(c->mem + c->arg[i].at, c->arg[i].len);
		}
}

static json_t *json_hex(const uint8_t *p, size_t len)
{
	char *s = malloc(2 * len + 1);
	json_t *j;

	for (size_t i = 0; s && i < len; i++)
		snprintf(s + 2 * i, 3, "%02x", p[i]);
	j = s ? json_stringn(s, 2 * len) : NULL;
	free(s);
	return j;
}

static int print_json(const struct exec_call *c, pid_t tid, int64_t ret, struct cr_err *e)
{
	json_t *args = json_array(), *out = json_array(), *j;
	int err = 0;

	for (unsigned i = 0; i < c->nr_args; i++) {
		const struct exec_arg *a = &c->arg[i];

		err |= json_array_append_new(args, json_bytes(a->text, strlen(a->text)));
		if (a->shown)
			err |= json_array_append_new(out, json_pack("{s:i, s:o}", "argument", (int)i + 1, "hex",
								    json_hex(c->mem + a->at, a->len)));
	}
	j = json_pack("{s:i, s:I, s:o, s:I, s:o}", "task", (int)tid, "number", (json_int_t)c->nr, "args", args,
		      "result", (json_int_t)(failed(ret) ? -1 : ret), "buffers", out);
	if (!j || err) {
		json_decref(j);
		return cr_err_nomem(e);
	}
	if (c->name)
		json_object_set_new(j, "syscall", json_string(c->name));
	if (failed(ret)) {
		const char *name = strerrorname_np((int)-ret);

		json_object_set_new(j, "errno", name ? json_string(name) : json_integer(-ret));
		json_object_set_new(j, "message", json_string(strerror((int)-ret)));
	}
	return json_print(j, e);
}

int exec_print(const struct exec_call *c, pid_t tid, int64_t ret, bool json, struct cr_err *e)
{
	if (json)
		return print_json(c, tid, ret, e);
	print_lines(c, ret);
	return cr_err_stdout(e);
}
