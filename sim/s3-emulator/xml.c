/* SPDX-License-Identifier: Apache-2.0
 *
 * xml.c - request bodies in XML: shallow, bounded, without document types or entities of their own.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#include <expat.h>

#define PATH_MAX_BYTES 128

struct reader {
	struct s3emu_exchange *x;
	const struct s3emu_xml_handler *handler;
	XML_Parser parser;
	char path[PATH_MAX_BYTES];
	size_t path_len;
	bool leaf; /* nothing but text since the last opening tag */
	bool stopped;
};

static void stop(struct reader *reader)
{
	reader->stopped = true;
	(void)XML_StopParser(reader->parser, XML_FALSE);
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *reader = ctx;
	size_t len = strlen(name);

	(void)attributes;
	if (reader->stopped)
		return;
	if (reader->path_len + 1 + len >= PATH_MAX_BYTES) {
		stop(reader);
		return;
	}
	if (reader->path_len > 0)
		reader->path[reader->path_len++] = '/';
	memcpy(reader->path + reader->path_len, name, len + 1);
	reader->path_len += len;
	reader->leaf = true;
	lab_buf_reset(&reader->x->scratch);
	if (reader->handler->open(reader->handler->ctx, reader->path) != 0)
		stop(reader);
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
	struct reader *reader = ctx;
	struct lab_view text = lab_view_of(NULL, 0);
	size_t len = strlen(name);

	if (reader->stopped)
		return;
	if (reader->leaf)
		text = lab_buf_view(&reader->x->scratch);
	if (reader->handler->close(reader->handler->ctx, reader->path, text) != 0)
		stop(reader);
	reader->leaf = false;
	reader->path_len -= len;
	if (reader->path_len > 0)
		reader->path_len--;
	reader->path[reader->path_len] = '\0';
	lab_buf_reset(&reader->x->scratch);
}

static void XMLCALL on_text(void *ctx, const XML_Char *text, int len)
{
	struct reader *reader = ctx;

	if (reader->stopped || !reader->leaf)
		return;
	lab_buf_append(&reader->x->scratch, text, (size_t)len);
	if (reader->x->scratch.overflow)
		stop(reader);
}

/* A document type is where entities come from: there is none in S3's requests. */
static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *system,
	const XML_Char *public, int has_internal_subset)
{
	(void)name;
	(void)system;
	(void)public;
	(void)has_internal_subset;
	stop(ctx);
}

int s3emu_xml_parse(
	struct s3emu_exchange *x, struct lab_view body, const struct s3emu_xml_handler *handler)
{
	struct reader reader = { .x = x, .handler = handler };
	enum XML_Status status;

	if (body.len > S3EMU_XML_IN_MAX)
		return s3emu_fail(x, S3EMU_MAX_MESSAGE_LENGTH);
	reader.parser = XML_ParserCreate(NULL);
	lab_assert(reader.parser != NULL);
	/* A fixed salt: expat would ask the system for a random one. */
	(void)XML_SetHashSalt(reader.parser, 1 + (unsigned long)(x->s3->id_key >> 33));
	XML_SetUserData(reader.parser, &reader);
	XML_SetElementHandler(reader.parser, on_start, on_end);
	XML_SetCharacterDataHandler(reader.parser, on_text);
	XML_SetStartDoctypeDeclHandler(reader.parser, on_doctype);
	lab_buf_reset(&x->scratch);
	status = XML_Parse(reader.parser, (const char *)body.ptr, (int)body.len, XML_TRUE);
	XML_ParserFree(reader.parser);
	if (status == XML_STATUS_OK && !reader.stopped)
		return 0;
	if (x->error.code == NULL)
		(void)s3emu_fail(x, S3EMU_MALFORMED_XML);
	return -1;
}
