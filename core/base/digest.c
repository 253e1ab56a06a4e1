/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetching an algorithm and making a context cost more than hashing a header, so each thread keeps
 * one context for each kind. */
#include "core/base/digest.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "core/base/assert.h"

#define KINDS 4
#define BLOCK_BYTES_MAX 128

static const struct {
	const char *name;
	size_t size, block_size;
} digests[KINDS] = {
	[LAB_MD5] = { "MD5", 16, 64 },
	[LAB_SHA1] = { "SHA1", 20, 64 },
	[LAB_SHA256] = { "SHA256", 32, 64 },
	[LAB_SHA512] = { "SHA512", 64, 128 },
};

struct contexts {
	EVP_MD *md[KINDS];
	EVP_MD_CTX *ctx[KINDS];
};

static __thread struct contexts *own_contexts;
static CRYPTO_THREAD_LOCAL contexts_key; /* only so that they go when their thread ends */
static CRYPTO_ONCE contexts_once = CRYPTO_ONCE_STATIC_INIT;

static void contexts_free(void *_contexts)
{
	struct contexts *contexts = _contexts;

	if (contexts == NULL)
		return;
	for (unsigned kind = 0; kind < KINDS; kind++) {
		EVP_MD_CTX_free(contexts->ctx[kind]);
		EVP_MD_free(contexts->md[kind]);
	}
	OPENSSL_free(contexts);
}

static void contexts_init_key(void)
{
	lab_assert(CRYPTO_THREAD_init_local(&contexts_key, contexts_free) == 1);
}

static struct contexts *contexts_new(void)
{
	struct contexts *contexts = OPENSSL_zalloc(sizeof(*contexts));

	lab_assert(contexts != NULL);
	for (unsigned kind = 0; kind < KINDS; kind++) {
		contexts->md[kind] = EVP_MD_fetch(NULL, digests[kind].name, NULL);
		contexts->ctx[kind] = EVP_MD_CTX_new();
		lab_assert(contexts->md[kind] != NULL);
		lab_assert(contexts->ctx[kind] != NULL);
	}
	lab_assert(CRYPTO_THREAD_run_once(&contexts_once, contexts_init_key) == 1);
	lab_assert(CRYPTO_THREAD_set_local(&contexts_key, contexts) == 1);
	return contexts;
}

/* The digest of two views, one behind the other. */
static void digest_two(
	enum lab_digest_kind kind, struct lab_view first, struct lab_view second, uint8_t *out)
{
	if (own_contexts == NULL)
		own_contexts = contexts_new();
	EVP_MD_CTX *ctx = own_contexts->ctx[kind];
	bool ok = EVP_DigestInit_ex2(ctx, own_contexts->md[kind], NULL) == 1;

	if (first.len > 0)
		ok = ok && EVP_DigestUpdate(ctx, first.ptr, first.len) == 1;
	if (second.len > 0)
		ok = ok && EVP_DigestUpdate(ctx, second.ptr, second.len) == 1;
	ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	lab_assert(ok);
}

size_t lab_digest_size(enum lab_digest_kind kind)
{
	lab_assert(kind < KINDS);
	return digests[kind].size;
}

void lab_digest(enum lab_digest_kind kind, struct lab_view data, uint8_t *out)
{
	lab_assert(kind < KINDS);
	digest_two(kind, data, (struct lab_view){ 0 }, out);
}

/* RFC 2104. On contexts that are kept it costs a third less than EVP_MAC. */
void lab_hmac(enum lab_digest_kind kind, struct lab_view key, struct lab_view data, uint8_t *out)
{
	uint8_t short_key[BLOCK_BYTES_MAX] = { 0 };
	uint8_t pad[BLOCK_BYTES_MAX];
	uint8_t inner[LAB_DIGEST_MAX];

	lab_assert(kind < KINDS);
	size_t block = digests[kind].block_size;
	if (key.len > block)
		lab_digest(kind, key, short_key);
	else if (key.len > 0)
		memcpy(short_key, key.ptr, key.len);
	for (size_t i = 0; i < block; i++)
		pad[i] = short_key[i] ^ 0x36;
	digest_two(kind, lab_view_of(pad, block), data, inner);
	for (size_t i = 0; i < block; i++)
		pad[i] = short_key[i] ^ 0x5c;
	digest_two(kind, lab_view_of(pad, block), lab_view_of(inner, digests[kind].size), out);
	OPENSSL_cleanse(short_key, sizeof(short_key));
	OPENSSL_cleanse(pad, sizeof(pad));
}
