/* SPDX-License-Identifier: Apache-2.0
 *
 * base.h - everything below the seam, in one include. See README.md for what is where.
 */
#ifndef LAB_BASE_H
#define LAB_BASE_H

#include "core/base/assert.h"
#include "core/base/error.h"
#include "core/base/view.h"
#include "core/base/heap.h"
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/reader.h"
#include "core/base/hash.h"
#include "core/base/map.h"
#include "core/base/digest.h"
#include "core/base/calendar.h"
#include "core/base/event.h"
#include "core/base/json.h"
#include "core/base/histogram.h"
#include "core/base/http-message.h"

#include <inttypes.h>

#define LAB_USEC UINT64_C(1000)
#define LAB_MSEC UINT64_C(1000000)
#define LAB_SEC UINT64_C(1000000000)
#define LAB_MINUTE (60 * LAB_SEC)

#define LAB_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define LAB_MIN(a, b) ((a) < (b) ? (a) : (b))
#define LAB_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
