/* SPDX-License-Identifier: Apache-2.0
 *
 * crc.h - the cyclic redundancy checks of S3 (s3 1.9): reflected, starting from and ending with all
 * bits inverted. Published check values over "123456789": CRC32 cbf43926, CRC32C e3069283,
 * CRC64NVME ae8b14860a799888.
 */
#ifndef LAB_BASE_CRC_H
#define LAB_BASE_CRC_H

#include "core/base/view.h"

enum lab_crc_kind {
	LAB_CRC32,    /* IEEE 802.3 */
	LAB_CRC32C,   /* Castagnoli */
	LAB_CRC64NVME /* NVM Express */
};

/* Bytes of the result: 4, 4, 8. */
size_t lab_crc_size(enum lab_crc_kind kind);
/* Of what `before` is the CRC of (0: nothing) and then `data`. */
uint64_t lab_crc(enum lab_crc_kind kind, uint64_t before, struct lab_view data);
/* Of a first part and a second part of `second_len` bytes, from the CRCs of each. */
uint64_t lab_crc_combine(
	enum lab_crc_kind kind, uint64_t first, uint64_t second, uint64_t second_len);

#endif
