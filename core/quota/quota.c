/* SPDX-License-Identifier: Apache-2.0 */
#include "core/quota/quota.h"
#include "core/base/defect.h"

#include "core/conf/conf-value.h"

#define PERCENT_MAX 10000

/* ---- rules ---- */

static int parse_storage(struct lab_view text, struct quota_number *ret, struct lab_error *err)
{
	uint64_t bare;
	struct lab_error ignored;

	if (conf_value_uint(text, INT64_MAX / 1024, &bare, &ignored) == 0) {
		ret->value = bare * 1024;
		return 0;
	}
	return conf_value_size(text, &ret->value, err);
}

/* "10%", or as dovecot.conf has it, "10%%". */
static bool take_percent(struct lab_view *text)
{
	size_t len = text->len;

	while (text->len > 0 && len - text->len < 2 && text->ptr[text->len - 1] == '%')
		text->len--;
	return text->len < len;
}

static int parse_number(
	struct lab_view text, bool is_storage, struct quota_number *ret, struct lab_error *err)
{
	*ret = (struct quota_number){ .is_set = true };
	if (text.len > 0 && (text.ptr[0] == '+' || text.ptr[0] == '-')) {
		ret->is_relative = true;
		ret->is_negative = text.ptr[0] == '-';
		text = lab_view_skip(text, 1);
	}
	ret->is_percent = take_percent(&text);
	if (ret->is_percent)
		return conf_value_uint(text, PERCENT_MAX, &ret->value, err);
	return is_storage ? parse_storage(text, ret, err)
			  : conf_value_uint(text, INT64_MAX, &ret->value, err);
}

static int parse_limit(struct lab_view part, struct quota_rule *rule, struct lab_error *err)
{
	struct lab_view value = part, key;

	if (lab_view_eq_cstr(part, "ignore")) {
		rule->ignore = true;
		return 0;
	}
	if (!lab_view_split(&value, '=', &key) || key.len == part.len)
		return lab_fail(err, LAB_INVALID,
			"\"%.*s\" is not ignore, storage=, bytes= or "
			"messages=",
			LAB_VIEW_ARG(part));
	if (lab_view_eq_cstr(key, "storage"))
		return parse_number(value, true, &rule->bytes, err);
	if (lab_view_eq_cstr(key, "messages"))
		return parse_number(value, false, &rule->messages, err);
	if (lab_view_eq_cstr(key, "bytes"))
		return parse_number(value, false, &rule->bytes, err);
	return lab_fail(err, LAB_INVALID,
		"\"%.*s\" is not ignore, storage=, bytes= or messages=", LAB_VIEW_ARG(key));
}

int quota_rule_parse(struct lab_view text, struct quota_rule *ret, struct lab_error *err)
{
	struct lab_view rest = text, part;

	*ret = (struct quota_rule){ .ignore = false };
	if (!lab_view_split(&rest, ':', &ret->mask) || ret->mask.len == 0 ||
		ret->mask.len == text.len)
		return lab_fail(err, LAB_INVALID, "quota rule \"%.*s\" is not FOLDER:LIMITS",
			LAB_VIEW_ARG(text));
	if (rest.len == 0)
		return lab_fail(
			err, LAB_INVALID, "quota rule \"%.*s\" has no limit", LAB_VIEW_ARG(text));
	while (rest.len > 0 && lab_view_split(&rest, ':', &part)) {
		if (parse_limit(part, ret, err) < 0)
			return lab_error_wrap(err, "quota rule \"%.*s\"", LAB_VIEW_ARG(text));
	}
	return 0;
}

/* ---- the root ---- */

static int unsupported(const struct conf_text *text, struct lab_error *err, const char *why)
{
	(void)conf_fail(err, text->where, "%s", why);
	err->code = LAB_UNSUPPORTED;
	return -1;
}

static int load_backend(
	const struct conf_settings *conf, struct quota_root *root, struct lab_error *err)
{
	struct lab_view rest = conf->quota.text, part;

	if (!lab_view_split(&rest, ':', &part) || !lab_view_eq_cstr(part, "count"))
		return unsupported(&conf->quota, err, "quota: obox has the backend count only");
	if (conf->quota2.text.len > 0)
		return unsupported(&conf->quota2, err, "quota2: only one quota root is supported");
	if (!conf->quota_vsizes)
		return unsupported(
			&conf->quota, err, "quota: the backend count needs quota_vsizes=yes");
	root->is_enforced = true;
	if (rest.len > 0)
		(void)lab_view_split(&rest, ':', &root->name);
	while (rest.len > 0 && lab_view_split(&rest, ':', &part)) {
		if (!lab_view_eq_cstr(part, "noenforcing"))
			return unsupported(&conf->quota, err,
				"quota: noenforcing is the only argument that is supported");
		root->is_enforced = false;
	}
	return 0;
}

int quota_root_load(const struct conf_settings *conf, struct quota_root *ret, struct lab_error *err)
{
	struct lab_error why;

	*ret = (struct quota_root){ .is_set = conf->quota.text.len > 0 };
	if (!ret->is_set)
		return 0;
	if (load_backend(conf, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < conf->quota_rule_count; i++) {
		const struct conf_text *rule = &conf->quota_rules[i];

		if (quota_rule_parse(rule->text, &ret->rules[ret->rule_count++], &why) < 0)
			return conf_fail(err, rule->where, "%s", why.message);
	}
	if (conf->quota_grace.text.len > 0 &&
		parse_number(conf->quota_grace.text, true, &ret->grace, &why) < 0)
		return conf_fail(err, conf->quota_grace.where, "quota_grace: %s", why.message);
	ret->max_mail_size = conf->quota_max_mail_size;
	ret->exceeded_message = conf->quota_exceeded_message.text;
	return 0;
}

/* ---- what holds for a folder ---- */

static bool glob(struct lab_view mask, struct lab_view name)
{
	size_t m = 0, n = 0, star_m = SIZE_MAX, star_n = 0;

	while (n < name.len) {
		if (m < mask.len && (mask.ptr[m] == '*' || mask.ptr[m] == '%')) {
			star_m = m++;
			star_n = n;
		} else if (m < mask.len && (mask.ptr[m] == '?' || mask.ptr[m] == name.ptr[n])) {
			m++;
			n++;
		} else if (star_m != SIZE_MAX &&
			   (mask.ptr[star_m] == '*' || name.ptr[star_n] != '/')) {
			m = star_m + 1;
			n = ++star_n;
		} else {
			return false;
		}
	}
	while (m < mask.len && (mask.ptr[m] == '*' || mask.ptr[m] == '%'))
		m++;
	return m == mask.len;
}

bool quota_mask_fits(struct lab_view mask, struct lab_view folder)
{
	static const struct lab_view inbox = { (const uint8_t *)"INBOX", 5 };

	if (lab_view_eq_nocase(mask, inbox))
		return lab_view_eq_nocase(folder, inbox);
	return glob(mask, folder);
}

static bool is_everybodys(const struct quota_rule *rule)
{
	return lab_view_eq_cstr(rule->mask, "*");
}

static const struct quota_rule *everybodys(const struct quota_root *root)
{
	for (size_t i = 0; i < root->rule_count; i++) {
		if (is_everybodys(&root->rules[i]))
			return &root->rules[i];
	}
	return NULL;
}

static const struct quota_rule *rule_of(const struct quota_root *root, struct lab_view folder)
{
	for (size_t i = 0; i < root->rule_count; i++) {
		if (!is_everybodys(&root->rules[i]) && quota_mask_fits(root->rules[i].mask, folder))
			return &root->rules[i];
	}
	return NULL;
}

bool quota_is_ignored(const struct quota_root *root, struct lab_view folder)
{
	const struct quota_rule *all = everybodys(root), *own = rule_of(root, folder);

	return (all != NULL && all->ignore) ||
	       (own != NULL && own->ignore && !lab_defect(QUOTA_IGNORES_NOTHING));
}

static uint64_t saturating_add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t percent_of(uint64_t value, uint64_t percent)
{
	return value / 100 * percent + value % 100 * percent / 100;
}

/* `base` is everybody's limit. No limit stays no limit, whatever is added to it. */
static uint64_t limit_of(const struct quota_number *number, uint64_t base)
{
	uint64_t value = number->is_percent ? percent_of(base, number->value) : number->value;

	if (!number->is_set || (number->is_relative && base == 0))
		return base;
	if (!number->is_relative)
		return value;
	if (!number->is_negative)
		return saturating_add(base, value);
	/* Nothing is left, which is not the same as no limit. */
	return base > value ? base - value : 1;
}

struct quota_amount quota_limits(const struct quota_root *root, struct lab_view folder)
{
	const struct quota_rule *all = everybodys(root), *own = rule_of(root, folder);
	struct quota_amount limits = { 0, 0 };

	if (all != NULL) {
		limits.bytes = limit_of(&all->bytes, 0);
		limits.messages = limit_of(&all->messages, 0);
	}
	if (own != NULL) {
		limits.bytes = limit_of(&own->bytes, limits.bytes);
		limits.messages = limit_of(&own->messages, limits.messages);
	}
	return limits;
}

/* ---- the decision ---- */

static int exceeded(const struct quota_root *root, struct lab_error *err)
{
	return lab_fail(err, LAB_OVER_QUOTA, "%.*s", LAB_VIEW_ARG(root->exceeded_message));
}

static uint64_t with_grace(
	const struct quota_root *root, uint64_t limit, const struct quota_amount *used)
{
	struct quota_number grace = root->grace;

	if (used->bytes > limit)
		return limit;
	grace.is_relative = true;
	return limit_of(&grace, limit);
}

int quota_check(const struct quota_root *root, struct lab_view folder,
	const struct quota_amount *used, const struct quota_amount *added, uint64_t largest,
	bool is_delivery, struct lab_error *err)
{
	struct quota_amount limits = quota_limits(root, folder);
	uint64_t bytes = limits.bytes;

	if (root->max_mail_size > 0 && largest > root->max_mail_size)
		return lab_fail(err, LAB_OVER_QUOTA,
			"Requested allocation size is too large: %" PRIu64
			" bytes, quota_max_mail_size is %" PRIu64,
			largest, root->max_mail_size);
	if (!root->is_enforced || quota_is_ignored(root, folder))
		return 0;
	if (limits.messages > 0 &&
		saturating_add(used->messages, added->messages) > limits.messages)
		return exceeded(root, err);
	if (is_delivery && bytes > 0)
		bytes = with_grace(root, bytes, used);
	if (bytes > 0 && saturating_add(used->bytes, added->bytes) > bytes)
		return exceeded(root, err);
	return 0;
}

uint64_t quota_virtual_size(struct lab_view text)
{
	const uint8_t *at = text.ptr, *end = text.ptr + text.len;
	uint64_t bare = 0;

	while (at != NULL && at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		bare += at == text.ptr || at[-1] != '\r';
		at++;
	}
	return text.len + bare;
}
