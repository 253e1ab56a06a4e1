/* SPDX-License-Identifier: Apache-2.0
 *
 * client-words.c - the words that are searched for. Which of them a mail has is found without the
 * index: byte by byte.
 */
#include "scenarios/format/client-words.h"

#include "sim/oracle/history.h"

/* Every generated mail is made of the first ones; senders are rare. */
static const char *const probes[CLIENT_WORDS] = { "account", "agenda", "budget", "customer",
	"expunge", "invoice", "meeting", "monday", "project", "quarter", "sincerely", "tomorrow",
	"travel", "version", "week", "octet", "multipart", "sender7", "sender77", "sender123",
	"sender500", "example", "plain", "zebra" };

struct lab_view client_word(size_t index)
{
	return lab_view_cstr(probes[index]);
}

static bool is_word_byte(uint8_t c)
{
	uint8_t lower = c | 0x20;

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
}

static bool has_word(struct lab_view mail, struct lab_view word)
{
	for (size_t i = 0; i + word.len <= mail.len; i++) {
		if ((mail.ptr[i] | 0x20) != (word.ptr[0] | 0x20) ||
			(i > 0 && is_word_byte(mail.ptr[i - 1])) ||
			(i + word.len < mail.len && is_word_byte(mail.ptr[i + word.len])))
			continue;
		if (lab_view_eq_nocase(lab_view_sub(mail, i, word.len), word))
			return true;
	}
	return false;
}

uint64_t client_words(struct lab_view mail)
{
	uint64_t words = HISTORY_WORDS_KNOWN;

	for (size_t i = 0; i < CLIENT_WORDS; i++) {
		if (has_word(mail, client_word(i)))
			words |= UINT64_C(1) << i;
	}
	return words;
}
