/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fs/sproxyd-key.h"

#define SERVICE_DOVECOT 0x83
#define AT_SERVICE 15
#define AT_SUFFIX 16
#define AT_TYPE 17
#define AT_UNUSED 18
#define AT_CLASS 19

/* What follows the last `part` ("/idx/"); false if it is not there. */
static bool behind(struct lab_view path, struct lab_view part, struct lab_view *ret)
{
	bool found = false;
	size_t at;

	while ((at = lab_view_find(path, part)) != SIZE_MAX) {
		path = lab_view_skip(path, at + part.len);
		*ret = path;
		found = true;
	}
	return found && ret->len > 0 && lab_view_find_byte(*ret, '/') == SIZE_MAX;
}

static unsigned bundle_kind(struct lab_view name)
{
	if (!lab_view_starts_with(name, LAB_VIEW("bundle.")))
		return SPROXYD_USER_INDEX_SELF;
	return lab_view_find_byte(name, '-') == SIZE_MAX ? SPROXYD_USER_INDEX_BASE
							 : SPROXYD_USER_INDEX_DIFF;
}

enum sproxyd_type sproxyd_type_of(struct lab_view path)
{
	const unsigned box = SPROXYD_BOX_INDEX_SELF - SPROXYD_USER_INDEX_SELF;
	bool in_mailbox = lab_view_find(path, LAB_VIEW("/mailboxes/")) != SIZE_MAX;
	struct lab_view name, rest, folder;

	if (behind(path, LAB_VIEW("/idx/"), &name))
		return (enum sproxyd_type)(bundle_kind(name) + (in_mailbox ? box : 0));
	if (behind(path, LAB_VIEW("/fts/"), &name))
		return SPROXYD_FTS;
	if (!in_mailbox)
		return SPROXYD_UNKNOWN;
	rest = lab_view_skip(
		path, lab_view_find(path, LAB_VIEW("/mailboxes/")) + sizeof("/mailboxes/") - 1);
	lab_view_split(&rest, '/', &folder);
	return rest.ptr != NULL && rest.len > 0 && lab_view_find_byte(rest, '/') == SIZE_MAX
		       ? SPROXYD_MAIL
		       : SPROXYD_UNKNOWN;
}

void sproxyd_key_make(const uint8_t guid[16], enum sproxyd_type type, unsigned class_of_service,
	uint8_t ret[SPROXYD_KEY_BYTES])
{
	uint8_t md5[LAB_DIGEST_MAX];

	lab_assert(class_of_service <= SPROXYD_CLASS_MAX);
	lab_digest(LAB_MD5, lab_view_of(guid, 16), md5);
	memcpy(ret, md5, AT_SERVICE);
	ret[AT_SERVICE] = SERVICE_DOVECOT;
	ret[AT_SUFFIX] = md5[15];
	ret[AT_TYPE] = (uint8_t)type;
	ret[AT_UNUSED] = 0;
	ret[AT_CLASS] = (uint8_t)(class_of_service << 4);
}

bool sproxyd_is_key(struct lab_view hex)
{
	uint8_t key[SPROXYD_KEY_BYTES];

	return hex.len == SPROXYD_KEY_HEX && lab_unhex(hex, key, sizeof(key)) == 0 &&
	       key[AT_SERVICE] == SERVICE_DOVECOT && key[AT_UNUSED] == 0 &&
	       (key[AT_CLASS] & 0x0f) == 0;
}
