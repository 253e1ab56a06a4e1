/* SPDX-License-Identifier: Apache-2.0
 *
 * testing-certificates.h - for tests only: certificates and keys as PEM files in a directory, made
 * when they are needed. Include after core/env/live/test-support.h.
 */
#ifndef LAB_ENV_LIVE_TESTING_CERTIFICATES_H
#define LAB_ENV_LIVE_TESTING_CERTIFICATES_H

#include <stdio.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* Where this program keeps them. */
static char testing_directory[64];

static inline void testing_directory_make(void)
{
	(void)snprintf(testing_directory, sizeof(testing_directory), "/tmp/lab-tls-XXXXXX");
	assert_non_null(mkdtemp(testing_directory));
}

static inline int testing_directory_remove(void)
{
	return nftw(testing_directory, bed_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* Of a file in it; good for the next 15 calls. */
static inline const char *testing_path(const char *name)
{
	static char paths[16][128];
	static unsigned next;
	char *path = paths[next++ % 16];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", testing_directory, name);
	return path;
}

/* Who signs; signed by itself. */
struct testing_ca {
	X509 *certificate;
	EVP_PKEY *key;
	char file[128];
};

struct testing_certificate {
	const char *names;    /* "DNS:a.example,IP:127.0.0.1", NULL: none */
	bool expired;         /* an hour ago */
	const char *password; /* of the key file */
};

static inline void testing_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static inline X509 *testing_x509(EVP_PKEY *key, const char *name, bool expired)
{
	static long serial;
	X509 *certificate = X509_new();
	X509_NAME *subject = X509_get_subject_name(certificate);

	assert_int_equal(X509_set_version(certificate, 2), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), -7200));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), expired ? -3600 : 3600));
	assert_int_equal(X509_set_pubkey(certificate, key), 1);
	assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
				 (const unsigned char *)name, -1, -1, 0),
		1);
	return certificate;
}

static inline void testing_write(
	const char *path, X509 *certificate, EVP_PKEY *key, const char *password)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	if (certificate != NULL)
		assert_int_equal(PEM_write_X509(file, certificate), 1);
	if (key != NULL)
		assert_int_equal(
			PEM_write_PrivateKey(file, key, password == NULL ? NULL : EVP_aes_128_cbc(),
				(const unsigned char *)password,
				password == NULL ? 0 : (int)strlen(password), NULL, NULL),
			1);
	assert_int_equal(fclose(file), 0);
}

static inline void testing_ca_make(struct testing_ca *ca, const char *name)
{
	(void)snprintf(ca->file, sizeof(ca->file), "%s/%s.pem", testing_directory, name);
	ca->key = EVP_EC_gen("P-256");
	ca->certificate = testing_x509(ca->key, name, false);
	assert_int_equal(
		X509_set_issuer_name(ca->certificate, X509_get_subject_name(ca->certificate)), 1);
	testing_extension(ca->certificate, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(ca->certificate, ca->key, EVP_sha256()) > 0);
	testing_write(ca->file, ca->certificate, NULL, NULL);
}

static inline void testing_ca_done(struct testing_ca *ca)
{
	X509_free(ca->certificate);
	EVP_PKEY_free(ca->key);
}

/* NAME.pem and NAME.key. */
static inline void testing_certificate_make(
	const struct testing_ca *ca, const char *name, const struct testing_certificate *settings)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = testing_x509(key, name, settings->expired);
	char path[128];

	assert_int_equal(
		X509_set_issuer_name(certificate, X509_get_subject_name(ca->certificate)), 1);
	if (settings->names != NULL)
		testing_extension(certificate, NID_subject_alt_name, settings->names);
	assert_true(X509_sign(certificate, ca->key, EVP_sha256()) > 0);
	(void)snprintf(path, sizeof(path), "%s/%s.pem", testing_directory, name);
	testing_write(path, certificate, NULL, NULL);
	(void)snprintf(path, sizeof(path), "%s/%s.key", testing_directory, name);
	testing_write(path, NULL, key, settings->password);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

#endif
