/* SPDX-License-Identifier: Apache-2.0
 *
 * watched.h - does ASan, TSan or valgrind look on? They do more in a process than its program says.
 */
#ifndef LAB_BASE_WATCHED_H
#define LAB_BASE_WATCHED_H

#include <stdbool.h>

bool lab_is_watched(void);

#endif
