/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a restore leaves in the work directory (the current one): pid file, stats-restore, restore.json. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "image/manifest.h"
#include "proc/stat.h"
#include "restore.h"
#include "stats.pb-c.h"

int report_pidfile(struct restore *x, struct cr_err *e)
{
	_cleanup_close_ int fd = -1;
	char text[16], object[192];
	int n, err;

	if (!x->opts.pidfile)
		return 0;
	n = snprintf(text, sizeof(text), "%d", x->plan.tasks[0].pid);
	fd = open(x->opts.pidfile, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	err = fd < 0 ? -errno : 0;
	if (!err) {
		guard_wrote_pidfile(x);
		err = write_full(fd, text, (size_t)n);
		if (err)
			unlink(x->opts.pidfile);
	}
	if (err) {
		snprintf(object, sizeof(object), "pid file %.160s", x->opts.pidfile);
		cr_err_set(e, CR_E_SYSTEM, -err, object, "cannot be written");
		if (err == -EEXIST)
			cr_err_remedy(e, "remove the old pid file, or name another one with --pidfile");
	}
	return err;
}

static void show(const RestoreStatsEntry *s)
{
	printf("Displaying restore stats:\n");
	printf("Pages compared: %llu (0x%llx)\n", (unsigned long long)s->pages_compared,
	       (unsigned long long)s->pages_compared);
	printf("Pages skipped COW: %llu (0x%llx)\n", (unsigned long long)s->pages_skipped_cow,
	       (unsigned long long)s->pages_skipped_cow);
	printf("Pages restored: %llu (0x%llx)\n", (unsigned long long)s->pages_restored,
	       (unsigned long long)s->pages_restored);
	printf("Restore time: %u us\n", s->restore_time);
	printf("Forking time: %u us\n", s->forking_time);
	fflush(stdout);
}

int report_stats(const struct restore *x, struct cr_err *e)
{
	const struct rst_sync *s = x->rst.sync;
	RestoreStatsEntry rs = RESTORE_STATS_ENTRY__INIT;
	StatsEntry all = STATS_ENTRY__INIT;

	rs.pages_compared = s->pages_compared;
	rs.pages_skipped_cow = s->pages_skipped_cow;
	rs.has_pages_restored = true;
	rs.pages_restored = s->pages_restored;
	rs.forking_time = (uint32_t)(x->forked_us - x->fork_us);
	rs.restore_time = (uint32_t)(clock_us() - x->start_us);
	all.restore = &rs;
	if (x->opts.display_stats)
		show(&rs);
	log_info("Writing stats");
	return img_write_one(AT_FDCWD, IMG_STATS_RESTORE, 0, &all, e);
}

/* The images directory is never written; what CRIU puts there too (statistics, log, pid file) is its interface. */
static bool is_images_dir(int work, int img)
{
	struct stat a, b;

	return !fstat(work, &a) && !fstat(img, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* What criu-freeze cont needs to tell these tasks from later ones with their pids. */
static json_t *left_stopped(const struct restore *x)
{
	json_t *list = json_array();

	for (size_t i = 0; i < x->plan.nr_images; i++) {
		const struct plan_task *t = &x->plan.tasks[i];
		_cleanup_close_ int proc = t->state == PLAN_ZOMBIE ? -1 : open_proc_pid(t->pid);
		struct proc_stat st;

		if (proc >= 0 && !proc_stat_read(proc, "stat", &st))
			json_array_append_new(list, json_pack("{s:i, s:I, s:b}", "pid", t->pid, "starttime",
							      (json_int_t)st.starttime, "stopped_before",
							      t->state == PLAN_STOPPED));
	}
	return list;
}

void report_json(struct restore *x, const struct cr_err *failure)
{
	_cleanup_close_ int work = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct cr_report report = {};
	struct cr_err e = {};

	if (work >= 0 && is_images_dir(work, x->rst.img)) {
		log_debug("the work directory is that of the images: no " RESTORE_RECORD_NAME);
		return;
	}
	if (x->plan.nr)
		x->facts.extra = json_pack("{s:i, s:I, s:I}", "pid", x->plan.tasks[0].pid, "processes",
					   (json_int_t)x->plan.nr_live, "threads", (json_int_t)x->plan.nr_threads);
	if (failure)
		cr_report_add(&report, failure);
	for (size_t i = 1; failure && failure->code == CR_E_PID_TAKEN && i < x->taken.n; i++)
		cr_report_add(&report, &x->taken.v[i]);
	if (!failure && x->opts.leave_stopped && x->facts.extra)
		json_object_set_new(x->facts.extra, "left_stopped", left_stopped(x));
	if (x->conflicts && x->facts.extra)
		json_object_set(x->facts.extra, "pid_conflicts", x->conflicts);
	/* The error goes to stderr in any case. */
	if (work < 0 || restore_record_write(work, &x->facts, &report, &e))
		log_warn("restore.json cannot be written: %s", e.code ? e.reason : strerror(errno));
	cr_report_free(&report);
}
