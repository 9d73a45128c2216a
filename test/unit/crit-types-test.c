/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crit decode | crit encode of every type of image, with every field of every message: what a descriptor knows is written as
 * protobuf, with the largest values, bytes that are no text and payloads, and must come back the same.
 */
#include "image/image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

enum { DEEPEST = 5, ROOM = 8 << 20 };

struct out {
	uint8_t *p;
	size_t len;
};

static void put(struct out *o, const void *data, size_t len)
{
	if (o->len + len > ROOM)
		exit(1);
	memcpy(o->p + o->len, data, len);
	o->len += len;
}

static void put_varint(struct out *o, uint64_t v)
{
	do {
		uint8_t byte = (v & 127) | (v > 127 ? 128 : 0);

		put(o, &byte, 1);
		v >>= 7;
	} while (v);
}

/* What says how much stands behind an entry; and zero for the fields that say that nothing does. */
static bool of_payload(const char *message, const char *field, bool largest, uint64_t *ret)
{
	static const struct {
		const char *message, *field;
		uint64_t value;
	} rows[] = {
		{ "pipe_data_entry", "bytes", 5 },	  { "sk_packet_entry", "length", 4 },
		{ "tcp_stream_entry", "inq_len", 3 },	  { "tcp_stream_entry", "outq_len", 2 },
		{ "bpfmap_data_entry", "keys_bytes", 2 }, { "bpfmap_data_entry", "values_bytes", 3 },
		{ "ipc_sem_entry", "nsems", 3 },	  { "ipc_shm_entry", "size", 5 },
		{ "ipc_msg_entry", "qnum", 2 },		  { "ipc_msg", "msize", 3 },
		{ "ghost_chunk_entry", "len", 6 },
	};

	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++)
		if (!strcmp(rows[k].message, message) && !strcmp(rows[k].field, field)) {
			*ret = rows[k].value;
			return true;
		}
	if (!strcmp(message, "ipc_shm_entry") && !strcmp(field, "in_pagemaps")) {
		*ret = largest;
		return true;
	}
	if (!strcmp(message, "ghost_file_entry") && !strcmp(field, "chunks")) {
		*ret = largest;
		return true;
	}
	return false;
}

static uint64_t number_of(const ProtobufCFieldDescriptor *f, bool largest)
{
	const ProtobufCEnumDescriptor *e = f->descriptor;

	switch (f->type) {
	case PROTOBUF_C_TYPE_BOOL:
		return largest;
	case PROTOBUF_C_TYPE_ENUM:
		return (uint64_t)(int64_t)e->values[largest ? e->n_values - 1 : 0].value;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SINT32:
		return largest ? UINT32_MAX : 1;
	default: /* int32 and int64: -1 */
		return largest ? UINT64_MAX : 1;
	}
}

static void put_message(struct out *o, const ProtobufCMessageDescriptor *d, bool largest, int depth);

static void put_field(struct out *o, const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f,
		      bool largest, int depth)
{
	static const char text[] = "n\xc3\xa4me \xe4\xff\"\\\n<", bytes[] = "\0=\xff\xe4 a";
	struct out inner = { 0 };
	uint64_t v = 0;

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
		put_varint(o, (uint64_t)f->id << 3 | 2);
		v = f->type == PROTOBUF_C_TYPE_STRING ? sizeof(text) - 1 : sizeof(bytes) - 1;
		put_varint(o, v);
		put(o, f->type == PROTOBUF_C_TYPE_STRING ? text : bytes, v);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		inner.p = malloc(ROOM);
		put_message(&inner, f->descriptor, largest, depth + 1);
		put_varint(o, (uint64_t)f->id << 3 | 2);
		put_varint(o, inner.len);
		put(o, inner.p, inner.len);
		free(inner.p);
		break;
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
		v = number_of(f, largest);
		put_varint(o,
			   (uint64_t)f->id << 3 |
				   (f->type == PROTOBUF_C_TYPE_FIXED32 || f->type == PROTOBUF_C_TYPE_SFIXED32 ? 5 : 1));
		put(o, &v, f->type == PROTOBUF_C_TYPE_FIXED32 || f->type == PROTOBUF_C_TYPE_SFIXED32 ? 4 : 8);
		break;
	default:
		put_varint(o, (uint64_t)f->id << 3);
		put_varint(o, of_payload(d->name, f->name, largest, &v) ? v : number_of(f, largest));
	}
}

static void put_message(struct out *o, const ProtobufCMessageDescriptor *d, bool largest, int depth)
{
	for (unsigned int k = 0; k < d->n_fields; k++) {
		const ProtobufCFieldDescriptor *f = &d->fields[k];

		if (depth >= DEEPEST && f->label != PROTOBUF_C_LABEL_REQUIRED)
			continue;
		put_field(o, d, f, largest, depth);
		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			put_field(o, d, f, !largest, depth);
	}
}

static void put_entry(struct out *o, const ProtobufCMessageDescriptor *d, bool largest)
{
	struct out inner = { .p = malloc(ROOM) };
	uint32_t size;

	put_message(&inner, d, largest, 0);
	size = inner.len;
	put(o, &size, sizeof(size));
	put(o, inner.p, inner.len);
	free(inner.p);
}

/* One message of a queue: mtype, msize, the text, up to 8 bytes. */
static void put_queued(struct out *o)
{
	static const uint8_t packed[] = { 4, 0, 0, 0, 0x08, 7, 0x10, 3, 'a', 0xff, 'b', 0, 0, 0, 0, 0 };

	put(o, packed, sizeof(packed));
}

static void put_payload(struct out *o, enum img_type type, unsigned int entry, bool largest)
{
	static const uint8_t data[8] = { 1, 0xff, 3, 0, 5, 0, 0, 0 };

	switch (img_table[type].payload) {
	case IMG_PL_FIELD:
		put(o, data, !strcmp(img_table[type].payload_field, "bytes") ? 5 : 4);
		break;
	case IMG_PL_TCP:
	case IMG_PL_BPF:
		put(o, data, 5);
		break;
	case IMG_PL_SHM:
		if (!largest)
			put(o, data, 8); /* 5, padded to 4 */
		break;
	case IMG_PL_SEM:
		put(o, (const uint16_t[]){ 1, 0xffff, 3, 0 }, 8);
		break;
	case IMG_PL_MSG:
		put_queued(o);
		put_queued(o);
		break;
	case IMG_PL_GHOST:
		if (largest && entry)
			put(o, data, 6);
		else if (!largest)
			put(o, data, 7); /* the rest of the file */
		break;
	case IMG_NOPL:
		break;
	}
}

static bool same_again(const char *name, const char *options)
{
	char command[1024];

	snprintf(command, sizeof(command),
		 "\"$BUILD/bin/crit\" decode %s -i a/%s | \"$BUILD/bin/crit\" encode -o b/%s && cmp a/%s b/%s >&2",
		 options, name, name, name, name);
	return system(command) == 0;
}

static void one_type(int dir, enum img_type type, bool largest)
{
	const struct img_info *info = &img_table[type];
	struct out o = { .p = malloc(ROOM) };
	bool one = !info->rest || (info->payload == IMG_PL_GHOST && !largest);
	char name[IMG_NAME_MAX];
	struct img_writer w;
	struct cr_err e;

	for (unsigned int k = 0; k < (one ? 1u : 3u); k++) {
		put_entry(&o, img_descriptor(type, k), k == 2 && info->payload == IMG_NOPL ? !largest : largest);
		put_payload(&o, type, k, largest);
	}
	img_name(type, 5, name);
	if (img_create(dir, type, 5, &w, &e) < 0 || img_put_bytes(&w, o.p, o.len, &e) < 0 || img_finish(&w, &e) < 0)
		exit(1);
	ok(same_again(name, ""), "%s, %s values", name, largest ? "the largest" : "small");
	ok(same_again(name, "--pretty"), "%s, --pretty", name);
	ok(same_again(name, "--quote-large"), "%s, --quote-large", name);
	free(o.p);
}

int main(void)
{
	char tmp[] = "/tmp/crit-types-XXXXXX", command[64];
	int dir;

	if (!mkdtemp(tmp) || chdir(tmp) < 0 || mkdir("a", 0700) < 0 || mkdir("b", 0700) < 0)
		return 1;
	dir = open("a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int type = 0; type < IMG_TYPES; type++)
		for (int largest = 0; img_table[type].first && largest < 2; largest++)
			one_type(dir, type, largest);
	close(dir);
	snprintf(command, sizeof(command), "rm -rf %s", tmp);
	if (system(command))
		return 1;
	return tap_done();
}
