/* secrets.c - values of secret parameters: read from where the definition says, kept in memory
 * only. */
#include "engine/engine_intern.h"

#include "base/mem.h"
#include "sys/environment.h"
#include "sys/file.h"

#include <string.h>

#define SECRET_BYTES_MAX 65536

static enum err_code read_source(const struct param *param, const char *name, struct buf *out,
				 struct err *err)
{
	const char *text;
	int64_t number;

	switch (param->secret_from) {
	case SECRET_FROM_ENV:
		text = environment_get(name);
		if (!text)
			return err_set(err, ERR_REFUSED, "the environment has no '%s'", name);
		buf_text(out, text);
		return buf_check(out, "a secret", err);
	case SECRET_FROM_FILE:
		return file_drain(name, out, err);
	case SECRET_FROM_FD:
		if (!str_to_i64(str_of(name), &number) || number < 0 || number > 1 << 20)
			return err_set(err, ERR_REFUSED, "'%s' is not a descriptor", name);
		return file_drain_fd((int)number, out, err);
	case SECRET_FROM_NONE:
		break;
	}
	return err_set(err, ERR_REFUSED, "the definition does not say where it comes from");
}

static enum err_code read_one(struct secrets *secrets, const struct param *param, uint32_t index,
			      struct err *err)
{
	AUTO(buf_fini) struct buf text;
	AUTO(mem_drop) char *name = mem_text(param->secret_name.ptr, param->secret_name.len);
	struct str value;

	buf_init(&text, SECRET_BYTES_MAX);
	if (!name)
		return mem_err(err);
	if (read_source(param, name, &text, err) != ERR_OK) {
		err->code = ERR_REFUSED;
		(void)err_while(err, "the secret '%.*s' cannot be read", STR_ARG(param->name));
		return err_hint(err,
				"it is read again at every start and resume, and never stored");
	}
	value = buf_view(&text);
	while (value.len && (value.ptr[value.len - 1] == '\n' || value.ptr[value.len - 1] == '\r'))
		value.len--; /* the newline that editors leave in a file is not part of it */
	if (!value.len || str_has(value, '\0'))
		return err_set(err, ERR_REFUSED, "the secret '%.*s' is empty or has a NUL byte",
			       STR_ARG(param->name));
	secrets->values[index] = arena_str(&secrets->arena, value);
	explicit_bzero(text.ptr, text.len);
	if (!secrets->values[index].ptr)
		return mem_err(err);
	secrets->masks[secrets->masks_count++] = secrets->values[index];
	return ERR_OK;
}

enum err_code secrets_read(struct secrets *secrets, const struct model *model, struct err *err)
{
	secrets->values = mem_new(model->params_count, sizeof(*secrets->values));
	secrets->masks = mem_new(model->params_count, sizeof(*secrets->masks));
	if (!secrets->values || !secrets->masks)
		return mem_err(err);
	for (uint32_t i = 0; i < model->params_count; i++) {
		if (model->params[i].type == VALUE_SECRET &&
		    read_one(secrets, &model->params[i], i, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

void secrets_fini(struct secrets *secrets)
{
	for (size_t i = 0; i < secrets->masks_count; i++)
		explicit_bzero((char *)(uintptr_t)secrets->masks[i].ptr, secrets->masks[i].len);
	mem_free(secrets->values);
	mem_free(secrets->masks);
	arena_fini(&secrets->arena);
	*secrets = (struct secrets){0};
}

static const struct str *secret_at(const struct secrets *secrets, struct str text, size_t at)
{
	const struct str *longest = NULL;

	for (size_t i = 0; i < secrets->masks_count; i++) {
		const struct str *mask = &secrets->masks[i];

		if (mask->len <= text.len - at &&
		    memcmp(text.ptr + at, mask->ptr, mask->len) == 0 &&
		    (!longest || mask->len > longest->len))
			longest = mask;
	}
	return longest;
}

struct str secrets_mask(const struct secrets *secrets, struct arena *arena, struct str text)
{
	AUTO(buf_fini) struct buf masked = BUF_INIT;
	struct str kept;
	bool is_found = false;

	if (!secrets->masks_count || !text.len)
		return text.ptr ? text : STR("");
	for (size_t at = 0; at < text.len;) {
		const struct str *secret = secret_at(secrets, text, at);

		if (secret)
			buf_text(&masked, "***");
		else
			buf_byte(&masked, text.ptr[at]);
		is_found = is_found || secret;
		at += secret ? secret->len : 1;
	}
	if (!is_found)
		return text;
	kept = arena_str(arena, buf_view(&masked));
	return masked.failed == ERR_OK ? kept : STR_NONE;
}
