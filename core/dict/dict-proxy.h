/* SPDX-License-Identifier: Apache-2.0
 *
 * dict-proxy.h - proxy:dict-async: the hop between a mail process and the dict server, which can
 * fail although Cassandra does not.
 *
 * Purpose    Dovecot's dict client (obox 3.8): its connection may break, or the server may not
 *            answer within 30 s. What the server was asked for goes on without the client.
 * Retries    Lookups and iterations are asked once more over a new connection. Changes never are.
 * Errors     Of a change always LAB_UNCERTAIN, even if the server never got it: the client cannot
 *            tell. Of reads LAB_RESET ("Connection lost to dict server") or LAB_TIMEOUT ("Dict
 *            server timeout: ..."). What the dict behind it fails with comes through as it is.
 * Ownership  The proxy owns the dict behind it: dict_close() closes both.
 */
#ifndef LAB_DICT_PROXY_H
#define LAB_DICT_PROXY_H

#include "core/dict/dict.h"

enum dict_hop_fault {
	DICT_HOP_OK,
	DICT_HOP_LOSE_REQUEST, /* the connection breaks before the server reads it */
	DICT_HOP_LOSE_REPLY,   /* it is done, then the connection breaks */
	DICT_HOP_STALL,        /* the server never comes to it */
	DICT_HOP_STALL_REPLY   /* it is done, and never answered */
};
/* Asked once for each command that is sent. */
typedef enum dict_hop_fault (*dict_hop_fn)(void *ctx, struct env *env, struct lab_view key);

void dict_proxy_open(
	struct env *env, struct dict *inner, dict_hop_fn fault, void *ctx, struct dict **ret);

#endif
