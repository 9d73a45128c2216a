/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel constants and structures that are newer than the headers of the oldest build machine. Ours are prefixed CR_ /
 * cr_. */
#ifndef CR_BARE_UAPI_H
#define CR_BARE_UAPI_H

#include <stdint.h>

/* <linux/ptrace.h> */
#define CR_PTRACE_SECCOMP_GET_METADATA		   0x420d
#define CR_PTRACE_GET_RSEQ_CONFIGURATION	   0x420f /* 5.13 */
#define CR_PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211 /* 6.4 */
struct cr_sud_config {
	uint64_t mode, selector, offset, len;
};
struct cr_seccomp_metadata {
	uint64_t filter_off;
	uint64_t flags;
};

/* <linux/prctl.h>: memory that may not become executable, 6.3 */
#define CR_PR_SET_MDWE 65
#define CR_PR_GET_MDWE 66
/* Merging of all the memory of a process (KSM), 6.4 */
#define CR_PR_SET_MEMORY_MERGE 67
#define CR_PR_GET_MEMORY_MERGE 68

/* <linux/elf.h>: shadow stack pointer, 6.6 */
#define CR_NT_X86_SHSTK 0x204

/* <linux/fs.h>: PROCMAP_QUERY on a descriptor of /proc/PID/maps, 6.11 */
struct cr_procmap_query {
	uint64_t size;
	uint64_t query_flags;
	uint64_t query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor;
	uint32_t vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
#define CR_PROCMAP_QUERY		      0xc0686611u /* _IOWR('f', 17, struct procmap_query) */
#define CR_PROCMAP_QUERY_VMA_EXECUTABLE	      0x04
#define CR_PROCMAP_QUERY_COVERING_OR_NEXT_VMA 0x10
_Static_assert(sizeof(struct cr_procmap_query) == 104, "procmap_query is the kernel's");

/* <linux/fs.h>: PAGEMAP_SCAN on a descriptor of /proc/PID/pagemap, 6.7 */
struct cr_page_region {
	uint64_t start, end;
	uint64_t categories;
};
struct cr_pm_scan_arg {
	uint64_t size;
	uint64_t flags;
	uint64_t start, end;
	uint64_t walk_end;
	uint64_t vec;
	uint64_t vec_len;
	uint64_t max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};
#define CR_PAGEMAP_SCAN	   0xc0606610u /* _IOWR('f', 16, struct pm_scan_arg) */
#define CR_PAGE_IS_FILE	   (1 << 2)
#define CR_PAGE_IS_PRESENT (1 << 3)
#define CR_PAGE_IS_SWAPPED (1 << 4)
#define CR_PAGE_IS_PFNZERO (1 << 5)
#define CR_PAGE_IS_HUGE	   (1 << 6)
#define CR_PAGE_IS_GUARD   (1 << 8) /* 6.15 */
_Static_assert(sizeof(struct cr_pm_scan_arg) == 96, "pm_scan_arg is the kernel's");

#endif
