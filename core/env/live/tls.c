/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/live/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

struct live_tls_context {
	SSL_CTX *ctx;
	bool server;
	const char *key_password; /* during live_tls_context_new() only */
};

struct live_tls {
	SSL *ssl;
	BIO *in, *out; /* the SSL's */
};

/* ---- what went wrong ---- */

/* OpenSSL's reason, which never has content of a key in it. Empties its queue. */
static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());

	ERR_clear_error();
	return text == NULL ? "no reason given" : text;
}

/* Alerts that say something about certificates (RFC 8446 6.2) are OpenSSL's reasons 1000 + alert.
 * A server of TLS 1.2 that misses the client's only says that the handshake failed. */
static bool is_about_certificates(unsigned long code)
{
	int alert = ERR_GET_REASON(code) - SSL_AD_REASON_OFFSET;

	return ERR_GET_LIB(code) == ERR_LIB_SSL &&
	       (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED ||
		       ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE ||
		       (alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_CERTIFICATE_UNKNOWN) ||
		       alert == SSL_AD_HANDSHAKE_FAILURE || alert == SSL_AD_UNKNOWN_CA ||
		       alert == SSL_AD_ACCESS_DENIED || alert == TLS13_AD_CERTIFICATE_REQUIRED);
}

static int tls_failed(struct live_tls *tls, struct lab_error *err)
{
	long verdict = SSL_get_verify_result(tls->ssl);
	enum lab_code code = is_about_certificates(ERR_peek_error()) ? LAB_DENIED : LAB_CORRUPT;

	if (code == LAB_DENIED && verdict != X509_V_OK) {
		ERR_clear_error();
		return lab_fail(err, code, "TLS: the peer's certificate was not accepted: %s",
			X509_verify_cert_error_string(verdict));
	}
	return lab_fail(err, code, "TLS: %s", reason());
}

/* ---- contexts ---- */

/* OpenSSL would ask on the terminal. */
static int password_cb(char *buffer, int size, int writing, void *ctx)
{
	const struct live_tls_context *context = ctx;
	size_t len = context->key_password == NULL ? 0 : strlen(context->key_password);

	if (writing != 0 || len > (size_t)size)
		return 0;
	if (len > 0)
		memcpy(buffer, context->key_password, len);
	return (int)len;
}

static int load_certificate(
	SSL_CTX *ctx, const struct live_tls_settings *settings, struct lab_error *err)
{
	const char *key_file =
		settings->key_file != NULL ? settings->key_file : settings->cert_file;

	if (SSL_CTX_use_certificate_chain_file(ctx, settings->cert_file) != 1)
		return lab_fail(err, LAB_INVALID, "TLS certificate file %.100s: %s",
			settings->cert_file, reason());
	if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
		return lab_fail(
			err, LAB_INVALID, "TLS private key file %.100s: %s", key_file, reason());
	return 0;
}

static int context_fill(struct live_tls_context *context, const struct live_tls_settings *settings,
	struct lab_error *err)
{
	SSL_CTX *ctx = context->ctx;

	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
		return lab_fail(err, LAB_INVALID, "TLS 1.2: %s", reason());
	SSL_CTX_set_default_passwd_cb(ctx, password_cb);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, context);
	/* A connection that idles keeps no buffers, and no session outlives it. */
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
	if (settings->ca_file != NULL &&
		SSL_CTX_load_verify_locations(ctx, settings->ca_file, NULL) != 1)
		return lab_fail(
			err, LAB_INVALID, "TLS CA file %.100s: %s", settings->ca_file, reason());
	if (settings->server && settings->cert_file == NULL)
		return lab_fail(err, LAB_INVALID, "a TLS server needs a certificate");
	if (settings->server && settings->ca_file != NULL)
		SSL_CTX_set_verify(ctx,
			SSL_VERIFY_PEER |
				(settings->require_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT
							       : 0),
			NULL);
	return settings->cert_file == NULL ? 0 : load_certificate(ctx, settings, err);
}

int live_tls_context_new(const struct live_tls_settings *settings, struct live_tls_context **ret,
	struct lab_error *err)
{
	struct live_tls_context *context = OPENSSL_zalloc(sizeof(*context));

	ERR_clear_error();
	if (context != NULL)
		context->ctx =
			SSL_CTX_new(settings->server ? TLS_server_method() : TLS_client_method());
	if (context == NULL || context->ctx == NULL) {
		OPENSSL_free(context);
		return lab_fail(err, LAB_LIMIT, "no memory for TLS");
	}
	context->server = settings->server;
	context->key_password = settings->key_password;
	if (context_fill(context, settings, err) < 0) {
		live_tls_context_free(&context);
		return -1;
	}
	context->key_password = NULL;
	*ret = context;
	return 0;
}

void live_tls_context_free(struct live_tls_context **context_p)
{
	struct live_tls_context *context = *context_p;

	*context_p = NULL;
	if (context == NULL)
		return;
	SSL_CTX_free(context->ctx);
	OPENSSL_free(context);
}

/* ---- connections ---- */

static int set_verify(SSL *ssl, enum env_tls_verify verify, const char *name, struct lab_error *err)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	int ok = 1;

	if (verify == ENV_TLS_VERIFY_NONE)
		return 0;
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	if (verify == ENV_TLS_VERIFY_IP)
		ok = name == NULL ? 0 : X509_VERIFY_PARAM_set1_ip_asc(param, name);
	if (verify == ENV_TLS_VERIFY_NAME)
		ok = name == NULL ? 0 : X509_VERIFY_PARAM_set1_host(param, name, 0);
	if (ok == 1)
		return 0;
	return lab_fail(err, LAB_INVALID, "TLS: \"%.100s\" is nothing that a certificate is for",
		name == NULL ? "" : name);
}

int live_tls_new(struct live_tls_context *context, enum env_tls_verify verify, const char *name,
	const char *sni, struct live_tls **ret, struct lab_error *err)
{
	struct live_tls *tls = OPENSSL_zalloc(sizeof(*tls));

	ERR_clear_error();
	if (tls != NULL && (tls->ssl = SSL_new(context->ctx)) != NULL) {
		tls->in = BIO_new(BIO_s_mem());
		tls->out = BIO_new(BIO_s_mem());
		SSL_set_bio(tls->ssl, tls->in, tls->out);
	}
	if (tls == NULL || tls->in == NULL || tls->out == NULL) {
		live_tls_free(&tls);
		return lab_fail(err, LAB_LIMIT, "no memory for TLS");
	}
	/* No bytes yet is not the end. */
	(void)BIO_set_mem_eof_return(tls->in, -1);
	if (context->server) {
		SSL_set_accept_state(tls->ssl);
	} else {
		SSL_set_connect_state(tls->ssl);
		if (set_verify(tls->ssl, verify, name, err) < 0) {
			live_tls_free(&tls);
			return -1;
		}
		if (sni != NULL)
			(void)SSL_set_tlsext_host_name(tls->ssl, sni);
	}
	*ret = tls;
	return 0;
}

void live_tls_free(struct live_tls **tls_p)
{
	struct live_tls *tls = *tls_p;

	*tls_p = NULL;
	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	OPENSSL_free(tls);
}

void live_tls_put(struct live_tls *tls, struct lab_view data)
{
	lab_assert(data.len <= INT32_MAX);
	if (data.len > 0)
		lab_assert(BIO_write(tls->in, data.ptr, (int)data.len) == (int)data.len);
}

struct lab_view live_tls_output(const struct live_tls *tls)
{
	char *data = NULL;
	long size = BIO_get_mem_data(tls->out, &data);

	return lab_view_of(data, size > 0 ? (size_t)size : 0);
}

void live_tls_output_taken(struct live_tls *tls)
{
	(void)BIO_reset(tls->out);
}

int live_tls_handshake(struct live_tls *tls, struct lab_error *err)
{
	ERR_clear_error();
	if (SSL_is_init_finished(tls->ssl))
		return 0;
	int rc = SSL_do_handshake(tls->ssl);

	if (rc == 1)
		return 0;
	return SSL_get_error(tls->ssl, rc) == SSL_ERROR_WANT_READ ? 1 : tls_failed(tls, err);
}

int live_tls_read(
	struct live_tls *tls, void *data, size_t size, size_t *ret_n, struct lab_error *err)
{
	int rc, error;

	ERR_clear_error();
	rc = SSL_read(tls->ssl, data, (int)LAB_MIN(size, (size_t)INT32_MAX));
	if (rc > 0) {
		*ret_n = (size_t)rc;
		return 0;
	}
	error = SSL_get_error(tls->ssl, rc);
	if (error == SSL_ERROR_ZERO_RETURN) {
		*ret_n = 0;
		return 0;
	}
	return error == SSL_ERROR_WANT_READ ? 1 : tls_failed(tls, err);
}

int live_tls_write(struct live_tls *tls, struct lab_view data, struct lab_error *err)
{
	ERR_clear_error();
	lab_assert(data.len <= LIVE_TLS_WRITE_MAX);
	/* Into memory it goes whole, or the connection is dead. */
	if (data.len == 0 || SSL_write(tls->ssl, data.ptr, (int)data.len) == (int)data.len)
		return 0;
	return tls_failed(tls, err);
}

void live_tls_end(struct live_tls *tls)
{
	ERR_clear_error();
	if (SSL_is_init_finished(tls->ssl))
		(void)SSL_shutdown(tls->ssl);
	ERR_clear_error();
}
