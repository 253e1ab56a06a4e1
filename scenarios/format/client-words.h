/* SPDX-License-Identifier: Apache-2.0
 *
 * client-words.h - the words that clients search for; the index is judged by who has them.
 */
#ifndef SCENARIOS_CLIENT_WORDS_H
#define SCENARIOS_CLIENT_WORDS_H

#include "core/base/base.h"

#define CLIENT_WORDS 24

/* Words that are searched for, by number. */
struct lab_view client_word(size_t index);
/* Which of them are in a mail, as bits. */
uint64_t client_words(struct lab_view mail);

#endif
