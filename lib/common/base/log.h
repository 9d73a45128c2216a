/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log: stderr (or the file of -o), one line per event, in CRIU's form, so that tools which read
 * its logs can read ours. Arguments are not evaluated below the level: a log line costs nothing when not asked for.
 */
#ifndef CR_BASE_LOG_H
#define CR_BASE_LOG_H

struct cr_err;

enum { CR_LOG_MSG = 0, CR_LOG_ERROR = 1, CR_LOG_WARN = 2, CR_LOG_INFO = 3, CR_LOG_DEBUG = 4 };

/* The only two globals that modules share: set once by main(). */
extern int cr_log_level;
extern const char *cr_prog;

/* @level: verbosity, 2 unless -v was given. @prog: name of the tool; not copied. */
void cr_log_init(const char *prog, int level);
/* Stamps count from the start of process @pid: several programs that write one log have one clock. */
void cr_log_since(int pid);
/*
 * The descriptor that lines go to, 2 at first. A restored task moves it: its descriptor 2 is its own. Negative: nowhere.
 */
int *cr_log_fd(void);
/* Lines show the pid of the process that writes them (restore's children). */
void cr_log_show_pid(void);
void cr_log_line(int level, const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Print a failure: a line that begins with "Error (", as CRIU's. */
void cr_log_err(const struct cr_err *e, const char *file, int line);

#define cr_log(level, ...)                                                        \
	do {                                                                      \
		if ((level) <= cr_log_level)                                      \
			cr_log_line(level, __FILE_NAME__, __LINE__, __VA_ARGS__); \
	} while (0)
#define log_error(...)	 cr_log(CR_LOG_ERROR, __VA_ARGS__)
#define log_warn(...)	 cr_log(CR_LOG_WARN, __VA_ARGS__)
#define log_info(...)	 cr_log(CR_LOG_INFO, __VA_ARGS__)
#define log_debug(...)	 cr_log(CR_LOG_DEBUG, __VA_ARGS__)
#define log_failure(err) cr_log_err(err, __FILE_NAME__, __LINE__)

#ifndef __FILE_NAME__
#define __FILE_NAME__ (__builtin_strrchr("/" __FILE__, '/') + 1)
#endif

#endif
