/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mutations that keep the framing of images whole, so that what is inside gets its share. */
#ifndef TEST_FUZZ_MUTATE_H
#define TEST_FUZZ_MUTATE_H

#include "fuzz.h"

static inline uint32_t fuzz_rand(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 8;
}

static inline uint32_t get_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void put_u32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* Replace [at, at + old) by @len bytes of @with. Return: the new size, or 0 when it does not fit. */
static inline size_t fuzz_splice(uint8_t *data, size_t size, size_t max, size_t at, size_t old, const uint8_t *with,
				 size_t len)
{
	if (size - old + len > max)
		return 0;
	memmove(data + at + len, data + at + old, size - at - old);
	memcpy(data + at, with, len);
	return size - old + len;
}

static inline size_t varint_len(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}

static inline size_t varint_get(const uint8_t *p, size_t len, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < len && i < 10; i++) {
		*ret |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if (!(p[i] & 0x80))
			return i + 1;
	}
	return 0;
}

static inline void varint_put(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)v | 0x80;
	*p = (uint8_t)v;
}

/*
 * Mutate a protobuf message in place: a random field of it, or one inside that when it looks like a message.
 * Return: the new length, at most @max.
 */
static inline size_t mutate_message(uint8_t *p, size_t len, size_t max, unsigned *seed, int depth)
{
	struct field {
		size_t at, body, end;
		bool string;
	} v[64], *f;
	size_t n = 0, at = 0, body, got;
	uint8_t *copy;
	uint64_t key, value;

	while (at < len && n < 64) {
		size_t k = varint_get(p + at, len - at, &key), w = 0;

		if (!k)
			break;
		f = &v[n];
		f->at = at;
		f->string = (key & 7) == 2;
		if ((key & 7) == 0)
			w = varint_get(p + at + k, len - at - k, &value);
		else if ((key & 7) == 1)
			w = 8;
		else if ((key & 7) == 5)
			w = 4;
		else if (f->string)
			w = varint_get(p + at + k, len - at - k, &value);
		if (!w || w > len - at - k || (f->string && value > len - at - k - w))
			break;
		f->body = at + k + (f->string ? w : 0);
		f->end = at + k + w + (f->string ? value : 0);
		at = f->end;
		n++;
	}
	if (!n || fuzz_rand(seed) % 8 == 0)
		return LLVMFuzzerMutate(p, len, max);
	f = &v[fuzz_rand(seed) % n];
	body = f->end - f->body;
	switch (fuzz_rand(seed) % 8) {
	case 0: /* without it */
		return fuzz_splice(p, len, max, f->at, f->end - f->at, p, 0);
	case 1: /* twice */
		copy = malloc(f->end - f->at);
		memcpy(copy, p + f->at, f->end - f->at);
		got = fuzz_splice(p, len, max, f->end, 0, copy, f->end - f->at);
		free(copy);
		return got ? got : len;
	}
	/* Its value, with the length in front of it set right. */
	copy = malloc(body + 128);
	memcpy(copy, p + f->body, body);
	if (f->string && body && depth < 8 && fuzz_rand(seed) % 4)
		got = mutate_message(copy, body, body + 100, seed, depth + 1);
	else
		got = LLVMFuzzerMutate(copy, body, body + 100);
	if (f->string) {
		size_t k = varint_get(p + f->at, len - f->at, &key);
		size_t w = varint_len(got);
		uint8_t *whole = malloc(w + got);

		varint_put(whole, got);
		memcpy(whole + w, copy, got);
		got = fuzz_splice(p, len, max, f->at + k, f->end - f->at - k, whole, w + got);
		free(whole);
	} else {
		got = fuzz_splice(p, len, max, f->body, body, copy, got);
	}
	free(copy);
	return got ? got : len;
}

/* Mutate entries (32-bit length, message) from @at on. Return: the new size. */
static inline size_t mutate_entries(uint8_t *data, size_t size, size_t max, size_t at, unsigned *seed)
{
	size_t v[64], n = 0, from = at, got;
	uint32_t len;
	uint8_t *copy;

	while (size - at >= 4 && n < 64 && get_u32(data + at) <= size - at - 4) {
		v[n++] = at;
		at += 4 + get_u32(data + at);
	}
	if (!n || fuzz_rand(seed) % 8 == 0)
		return from < size ? from + LLVMFuzzerMutate(data + from, size - from, max - from) : size;
	at = v[fuzz_rand(seed) % n];
	len = get_u32(data + at);
	copy = malloc(len + 128 + 4);
	memcpy(copy, data + at, len + 4);
	switch (fuzz_rand(seed) % 16) {
	case 0: /* once more */
		got = fuzz_splice(data, size, max, at, 0, copy, len + 4);
		break;
	case 1: /* without it */
		got = fuzz_splice(data, size, max, at, len + 4, copy, 0);
		break;
	default:
		got = mutate_message(copy + 4, len, len + 128, seed, 0);
		put_u32(copy, (uint32_t)got);
		got = fuzz_splice(data, size, max, at, len + 4, copy, got + 4);
		break;
	}
	free(copy);
	return got ? got : size;
}

#endif
