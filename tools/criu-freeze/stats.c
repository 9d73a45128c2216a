/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stats.h"

#include <stdio.h>
#include <string.h>

#include "image/image.h"
#include "stats.pb-c.h"

/* A fact of a stage's row; 0 when it is not there. */
static uint64_t fact(json_t *m, const char *stage, const char *name)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(m, "stages"), i, row)
	{
		const char *s = json_string_value(json_object_get(row, "name"));

		if (s && !strcmp(s, stage))
			return (uint64_t)json_integer_value(json_object_get(row, name));
	}
	return 0;
}

static void print_us(const char *what, uint32_t us)
{
	printf("%s: %u us\n", what, us);
}

static void print_count(const char *what, uint64_t n)
{
	printf("%s: %llu (0x%llx)\n", what, (unsigned long long)n, (unsigned long long)n);
}

static void display(const DumpStatsEntry *d)
{
	puts("Displaying dump stats:");
	print_us("Freezing time", d->freezing_time);
	print_us("Frozen time", d->frozen_time);
	print_us("Memory dump time", d->memdump_time);
	print_us("Memory write time", d->memwrite_time);
	print_us("IRMAP resolve time", d->irmap_resolve);
	print_count("Memory pages scanned", d->pages_scanned);
	print_count("Memory pages skipped from parent", d->pages_skipped_parent);
	print_count("Memory pages written", d->pages_written);
	print_count("Lazy memory pages", d->pages_lazy);
}

int stats_dump(int work, json_t *m, uint32_t freezing_us, uint32_t frozen_us, int print, struct cr_err *e)
{
	StatsEntry stats = STATS_ENTRY__INIT;
	DumpStatsEntry d = DUMP_STATS_ENTRY__INIT;

	d.freezing_time = freezing_us;
	d.frozen_time = frozen_us;
	d.memdump_time = (uint32_t)fact(m, "criu-pages", "memdump_time");
	d.memwrite_time = (uint32_t)fact(m, "criu-pages", "memwrite_time");
	d.pages_scanned = fact(m, "criu-pages", "pages_scanned");
	d.pages_written = fact(m, "criu-pages", "pages_written");
	d.pages_lazy = fact(m, "criu-pages", "pages_lazy");
	d.has_irmap_resolve = 1;
	d.has_shpages_scanned = d.has_shpages_skipped_parent = d.has_shpages_written = 1;
	d.shpages_scanned = fact(m, "criu-pages", "shpages_scanned");
	d.shpages_written = fact(m, "criu-pages", "shpages_written");
	stats.dump = &d;
	if (print)
		display(&d);
	return img_write_one(work, IMG_STATS_DUMP, 0, &stats, e);
}
