/* SPDX-License-Identifier: Apache-2.0
 *
 * calendar.h - unix seconds to dates and back, in UTC, without the C library's clocks or locales.
 * Years 1970 to 9999; seconds outside of them are clamped.
 */
#ifndef LAB_BASE_CALENDAR_H
#define LAB_BASE_CALENDAR_H

#include "core/base/view.h"

struct lab_date {
	int year, month, day; /* month and day from 1 */
	int hour, minute, second;
	int weekday; /* 0 is Sunday */
};

#define LAB_DATE_TEXT_MAX 40

void lab_date_from_unix(int64_t seconds, struct lab_date *ret);
int64_t lab_date_to_unix(const struct lab_date *date);

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110), "19941106T084937Z" (SigV4),
 * "1994-11-06T08:49:37.000Z" (S3 listings), "06-Nov-1994 08:49:37 +0000" (IMAP). */
void lab_date_http(int64_t seconds, char out[LAB_DATE_TEXT_MAX]);
void lab_date_iso_basic(int64_t seconds, char out[LAB_DATE_TEXT_MAX]);
void lab_date_iso_extended(int64_t millis, char out[LAB_DATE_TEXT_MAX]);
void lab_date_imap(int64_t seconds, char out[LAB_DATE_TEXT_MAX]);
/* 0, or -1 if it is not such a date. HTTP takes RFC 1123, 850 and asctime forms, the numeric
 * zone that S3's SigV2 examples use, and the "UTC" that clients written in Go sign; ISO takes the
 * basic and the extended form. */
int lab_date_parse_http(struct lab_view text, int64_t *ret_seconds);
int lab_date_parse_iso(struct lab_view text, int64_t *ret_seconds);

#endif
