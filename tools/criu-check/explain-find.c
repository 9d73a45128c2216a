/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: finding the cause that a text means.
 *
 * Texts are compared as lists of words in lower case. What differs from run to run is left out: tokens with digits,
 * single letters, punctuation, and in formats of ours the conversions. A message is found when all its words are in the
 * text, in order, whatever stands between (names, a stamp, "Error (file:line)"); the message with the most letters
 * wins. Messages are CRIU's (phrases.def) and our own (reasons.def, taken from the sources by reasons.awk).
 *
 * Before that, a code is looked for: as the whole text, or in brackets as the log has it. Where our message is that of any
 * system call, or none is found, the text of an errno behind it decides. After it, causes are ranked by the words that
 * they have in common with the text; a word that few causes have counts more.
 */
#include "explain.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 32, TEXT_MAX = 4096, WORDS_MAX = 512, SHARE = 1000, ERRNO_MAX = 134 };

static const struct message {
	enum cr_code code;
	const char *text;
} phrases[] = {
#define P(text_, name) { CR_E_##name, text_ },
#include "phrases.def"
#undef P
}, reasons[] = {
#define R(name, text_) { CR_E_##name, text_ },
#include "reasons.def"
#undef R
};
enum { NR_PHRASES = sizeof(phrases) / sizeof(phrases[0]), NR_REASONS = sizeof(reasons) / sizeof(reasons[0]) };

struct words {
	char text[TEXT_MAX];
	const char *v[WORDS_MAX];
	size_t n;
};

/* Behind a conversion of printf(3), which begins at @s. */
static const char *behind_conversion(const char *s)
{
	s++;
	s += strspn(s, "-+ #0123456789.*hlzjtL");
	return *s ? s + 1 : s;
}

/* The next word that counts, in lower case. Return: its length, 0: no more. */
static size_t next_word(const char **pos, char ret[WORD_MAX])
{
	const char *s = *pos;

	while (*s) {
		bool digit = false;
		size_t n = 0;

		if (*s == '%' && s[1] && !isspace((unsigned char)s[1])) {
			s = behind_conversion(s);
			continue;
		}
		for (; isalnum((unsigned char)*s) || *s == '_' || (n && *s == '\'' && isalpha((unsigned char)s[1]));
		     s++) {
			digit |= isdigit((unsigned char)*s) != 0;
			if (*s != '\'' && n < WORD_MAX - 1)
				ret[n++] = (char)tolower((unsigned char)*s);
		}
		if (n > 1 && !digit) {
			ret[n] = 0;
			*pos = s;
			return n;
		}
		if (!n)
			s++;
	}
	*pos = s;
	return 0;
}

static void split(const char *text, struct words *ret)
{
	char word[WORD_MAX];
	size_t used = 0, len;

	ret->n = 0;
	while (ret->n < WORDS_MAX && (len = next_word(&text, word)) && used + len + 1 <= TEXT_MAX) {
		ret->v[ret->n++] = memcpy(ret->text + used, word, len + 1);
		used += len + 1;
	}
}

/* Are all words of @message in @q, in order? Return: their letters, 0: no. @ret_words: how many */
static size_t holds(const struct words *q, const char *message, size_t *ret_words)
{
	size_t at = 0, letters = 0, len;
	char word[WORD_MAX];

	*ret_words = 0;
	while ((len = next_word(&message, word))) {
		while (at < q->n && strcmp(q->v[at], word))
			at++;
		if (at++ == q->n)
			return 0;
		letters += len;
		++*ret_words;
	}
	return letters;
}

struct best {
	enum cr_code *v;
	size_t n, score;
};

static void offer(struct best *b, enum cr_code code, size_t score)
{
	if (!score || score < b->score)
		return;
	if (score > b->score) {
		b->score = score;
		b->n = 0;
	}
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i] == code)
			return;
	if (b->n < EXPLAIN_MAX)
		b->v[b->n++] = code;
}

/* @least: words that a message must have to mean anything */
static void search(const struct words *q, const struct message *v, size_t n, size_t least, struct best *b)
{
	for (size_t i = 0; i < n; i++) {
		size_t words, letters = holds(q, v[i].text, &words);

		/* One that is the whole text is good however short it is. */
		if (words >= least || (words && words == q->n))
			offer(b, v[i].code, letters);
	}
}

/* "... [pid-taken]": the last one that is a code. */
static enum cr_code in_brackets(const char *text)
{
	enum cr_code found = CR_E_NONE;
	char name[WORD_MAX * 2];

	for (const char *s = strchr(text, '['); s; s = strchr(s, '[')) {
		size_t n = strcspn(++s, "]");
		enum cr_code code;

		if (n >= sizeof(name) || s[n] != ']')
			continue;
		memcpy(name, s, n);
		name[n] = 0;
		code = cr_code_by_name(name);
		found = code == CR_E_NONE ? found : code;
	}
	return found;
}

/* ---- a few words ---- */

/* @word in @text: 2 as a word, 1 as the beginning of one, 0 not */
static unsigned has_word(const char *text, const char *word)
{
	size_t want = strlen(word), len;
	char w[WORD_MAX];
	unsigned ret = 0;

	while ((len = next_word(&text, w))) {
		if (!strcmp(w, word))
			return 2;
		if (want >= 4 && len > want && !strncmp(w, word, want))
			ret = 1;
	}
	return ret;
}

static unsigned more(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

static unsigned code_has(enum cr_code code, const char *word)
{
	const struct cr_err e = { .code = code };
	unsigned ret = has_word(cr_code_name(code), word);

	ret = more(ret, has_word(cr_code_meaning(code), word));
	ret = more(ret, has_word(cr_err_get_remedy(&e), word));
	ret = more(ret, has_word(cr_code_options(code), word));
	for (size_t i = 0; i < NR_PHRASES && ret < 2; i++)
		if (phrases[i].code == code)
			ret = more(ret, has_word(phrases[i].text, word));
	for (size_t i = 0; i < NR_REASONS && ret < 2; i++)
		if (reasons[i].code == code)
			ret = more(ret, has_word(reasons[i].text, word));
	return ret;
}

static bool is_filler(const char *word)
{
	static const char *const fillers[] = { "the",  "is",	"it",	"of",	"to",	 "in",	 "an",
					       "and",  "for",	"on",	"not",	"cant",	 "with", "that",
					       "this", "error", "warn", "criu", "cannot" };

	for (size_t i = 0; i < sizeof(fillers) / sizeof(fillers[0]); i++)
		if (!strcmp(fillers[i], word))
			return true;
	return false;
}

static size_t by_words(const struct words *q, enum cr_code ret[EXPLAIN_MAX])
{
	unsigned score[CR_E_COUNT] = { 0 }, best = 0;
	size_t n = 0;

	for (size_t i = 0; i < q->n && i < 24; i++) {
		unsigned has[CR_E_COUNT] = { 0 }, all = 0;

		if (is_filler(q->v[i]))
			continue;
		for (unsigned c = 1; c < CR_E_COUNT; c++)
			all += !!(has[c] = code_has((enum cr_code)c, q->v[i]));
		for (unsigned c = 1; c < CR_E_COUNT; c++)
			score[c] += has[c] ? has[c] * SHARE / all +
						     has_word(cr_code_name((enum cr_code)c), q->v[i]) * SHARE / 4
					   : 0;
	}
	for (; n < EXPLAIN_MAX; n++) {
		unsigned top = 0;

		for (unsigned c = 1; c < CR_E_COUNT; c++)
			if (score[c] > score[top])
				top = c;
		if (!top || score[top] < best / 3)
			break;
		best = n ? best : score[top];
		ret[n] = (enum cr_code)top;
		score[top] = 0;
	}
	return n;
}

/*
 * The cause that the system's own text tells, which stands at the end of a message: "X: cannot be read: No space left on
 * device". CR_E_SYSTEM: there is none.
 */
static enum cr_code by_errno(const char *text)
{
	struct cr_err e = { .code = CR_E_SYSTEM };
	size_t most = 0;

	for (int err = 1; err < ERRNO_MAX; err++) {
		const char *s = strerrordesc_np(err), *at = s ? strcasestr(text, s) : NULL;

		if (!at || strlen(s) <= most || (at != text && at[-1] != ' ') || (at - text > 1 && at[-2] != ':'))
			continue;
		most = strlen(s);
		cr_err_set(&e, CR_E_SYSTEM, err, "", "%s", s);
	}
	return e.code;
}

/* A system call that failed: what it was about says less than its errno. @b: the messages that fit, or none */
static void prefer_errno(struct best *b, const char *text)
{
	enum cr_code code = by_errno(text), old[EXPLAIN_MAX];
	size_t n = b->n;

	if (code == CR_E_SYSTEM)
		return;
	memcpy(old, b->v, n * sizeof(*old));
	b->v[0] = code;
	b->n = 1;
	for (size_t i = 0; i < n && b->n < EXPLAIN_MAX; i++)
		if (old[i] != code && old[i] != CR_E_SYSTEM)
			b->v[b->n++] = old[i];
}

static bool has(const struct best *b, enum cr_code code)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i] == code)
			return true;
	return false;
}

size_t explain_find(const char *text, enum cr_code ret[EXPLAIN_MAX], enum explain_how *ret_how)
{
	struct best theirs = { .v = ret }, ours = { .v = (enum cr_code[EXPLAIN_MAX]){ CR_E_NONE } };
	enum cr_code code = cr_code_by_name(text);
	struct words q;

	if (code == CR_E_NONE)
		code = in_brackets(text);
	*ret_how = EXPLAIN_CODE;
	if (code != CR_E_NONE) {
		ret[0] = code;
		return 1;
	}
	split(text, &q);
	search(&q, phrases, NR_PHRASES, 1, &theirs);
	search(&q, reasons, NR_REASONS, 3, &ours);
	if (!ours.n || has(&ours, CR_E_SYSTEM))
		prefer_errno(&ours, text);
	*ret_how = EXPLAIN_PHRASE;
	if (ours.n && (ours.score > theirs.score || !theirs.n)) {
		memcpy(ret, ours.v, ours.n * sizeof(*ret));
		theirs.n = ours.n;
		*ret_how = EXPLAIN_MESSAGE;
	}
	if (!theirs.n) {
		theirs.n = by_words(&q, ret);
		*ret_how = theirs.n ? EXPLAIN_WORDS : EXPLAIN_NONE;
	}
	return theirs.n;
}

const char *explain_phrase(enum cr_code code, size_t *pos)
{
	while (*pos < NR_PHRASES)
		if (phrases[(*pos)++].code == code)
			return phrases[*pos - 1].text;
	return NULL;
}
