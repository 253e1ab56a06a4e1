/* SPDX-License-Identifier: Apache-2.0
 *
 * heap-private.h - what heap.c and heap-snapshot.c share: how a pool keeps its memory.
 */
#ifndef LAB_BASE_HEAP_PRIVATE_H
#define LAB_BASE_HEAP_PRIVATE_H

#include "core/base/base-private.h"

#define POOL_MAGIC 0x4c504f4fu
#define HEAP_MAGIC 0x4c484541u
#define CHUNK_BYTES ((size_t)64 * 1024)
#define SEGMENT_BYTES (16 * CHUNK_BYTES)
#define SMALL_BINS 44
#define BINS 176 /* up to 2^48 bytes */

struct free_block;

/* Directly in front of every pointer that we hand out. */
struct block {
	uint32_t size; /* asked for; of small blocks only */
	uint8_t bin;
	uint8_t state;
	uint16_t owner; /* the heap's tag: catches a free into another heap */
};
_Static_assert(sizeof(struct block) == 8, "payloads are aligned to 16 behind it");

/* Ends at 8 modulo 16, so that the first block's payload is aligned. */
struct chunk {
	struct chunk *next;
	struct chunk *next_segment; /* of the first chunk of a segment */
	size_t segment_bytes;       /* 0 in all others */
};
_Static_assert(sizeof(struct chunk) == 24, "see above");

struct large {
	struct large *next, *prev;
	struct lab_heap *heap;
	size_t bytes; /* mapped */
	size_t size;  /* asked for */
	struct block block;
};
_Static_assert(sizeof(struct large) == 48, "payloads are aligned to 16 behind it");

struct lab_pool {
	uint32_t magic;
	uint16_t next_tag;
	bool has_fill;
	bool pinned; /* by a snapshot: nothing may be unmapped */
	uint8_t fill;
	size_t bytes, max_bytes;
	size_t heap_count;
	struct chunk *chunks;   /* recycled */
	struct chunk *segments; /* all, by their first chunk */
	uint8_t *segment_at;    /* what is left of the newest segment */
	size_t segment_left;
	struct large *dropped; /* of dropped heaps, not yet sorted into free_large */
	struct large *free_large[BINS];
};

struct lab_heap {
	uint32_t magic;
	uint16_t tag;
	struct lab_pool *pool;
	size_t used, max_bytes;
	uint8_t *bump;
	size_t bump_left;
	struct chunk *chunk_first, *chunk_last;
	struct large large; /* sentinel of the ring */
	lab_heap_exhausted_fn on_exhausted;
	void *exhausted_ctx;
	struct free_block *free[SMALL_BINS];
};

/* Gives large blocks that are only kept for later back to the operating system. */
void lab_pool_release_large(struct lab_pool *pool);

#endif
