/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/live/live-certificates.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY_SECONDS 86400

static X509 *certificate_new(EVP_PKEY *key, const char *name, long serial)
{
	X509 *certificate = X509_new();
	X509_NAME *subject = certificate == NULL ? NULL : X509_get_subject_name(certificate);

	if (subject != NULL && X509_set_version(certificate, 2) == 1 &&
		ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial) == 1 &&
		X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY_SECONDS) != NULL &&
		X509_gmtime_adj(X509_getm_notAfter(certificate), DAY_SECONDS) != NULL &&
		X509_set_pubkey(certificate, key) == 1 &&
		X509_NAME_add_entry_by_txt(
			subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) == 1)
		return certificate;
	X509_free(certificate);
	return NULL;
}

static bool extend(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;

	X509_EXTENSION_free(extension);
	return done;
}

static bool write_file(const char *path, X509 *certificate, EVP_PKEY *key)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	bool done = file != NULL && PEM_write_X509(file, certificate) == 1;

	if (done && key != NULL)
		done = PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;
	if (file != NULL)
		done = fclose(file) == 0 && done;
	return done;
}

static bool make(const char *names, EVP_PKEY *ca_key, EVP_PKEY *key, X509 *ca, X509 *certificate,
	const struct live_certificates *files)
{
	return X509_set_issuer_name(ca, X509_get_subject_name(ca)) == 1 &&
	       extend(ca, NID_basic_constraints, "critical,CA:TRUE") &&
	       X509_sign(ca, ca_key, EVP_sha256()) > 0 &&
	       X509_set_issuer_name(certificate, X509_get_subject_name(ca)) == 1 &&
	       extend(certificate, NID_subject_alt_name, names) &&
	       X509_sign(certificate, ca_key, EVP_sha256()) > 0 &&
	       write_file(files->ca_file, ca, NULL) &&
	       write_file(files->cert_file, certificate, key);
}

int live_certificates_make(const char *directory, const char *names, struct live_certificates *ret,
	struct lab_error *err)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	X509 *ca = certificate_new(ca_key, "oboxlab run CA", 1);
	X509 *certificate = certificate_new(key, "oboxlab run", 2);
	bool done;

	(void)snprintf(ret->ca_file, sizeof(ret->ca_file), "%s/ca.pem", directory);
	(void)snprintf(ret->cert_file, sizeof(ret->cert_file), "%s/server.pem", directory);
	done = ca_key != NULL && key != NULL && ca != NULL && certificate != NULL &&
	       make(names, ca_key, key, ca, certificate, ret);
	X509_free(ca);
	X509_free(certificate);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	return done ? 0 : lab_fail(err, LAB_IO, "no certificates for the run in %s", directory);
}
