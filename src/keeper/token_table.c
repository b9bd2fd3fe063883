/* token_table.c - see token_table.h */
#include "keeper/token_table.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

void token_table_fini(struct token_table *table)
{
	mem_free(table->slots);
	*table = (struct token_table){.seed = table->seed};
}

bool token_eq(const struct exec_token *a, const struct exec_token *b)
{
	return a->attempt == b->attempt && a->role == b->role && str_eq(a->path, b->path);
}

static uint32_t hash_of(const struct token_table *table, const struct exec_token *token)
{
	uint64_t seed = table->seed ^ ((uint64_t)token->attempt << 8) ^ (uint64_t)token->role;

	return (uint32_t)hash_text(seed, token->path);
}

/* Where the token is, or the empty place where it belongs. */
static size_t place_of(const struct token_table *table, const struct exec_token *token,
		       uint32_t hash)
{
	size_t at = hash & (table->capacity - 1);

	while (table->slots[at].token.path.ptr) {
		if (table->slots[at].hash == hash && token_eq(&table->slots[at].token, token))
			break;
		at = (at + 1) & (table->capacity - 1);
	}
	return at;
}

static enum err_code grow(struct token_table *table, struct err *err)
{
	struct token_table old = *table;

	table->capacity = old.capacity ? old.capacity * 2 : 64;
	table->slots = mem_new(table->capacity, sizeof(*table->slots));
	if (!table->slots) {
		*table = old;
		return mem_err(err);
	}
	for (size_t i = 0; i < old.capacity; i++) {
		const struct token_slot *slot = &old.slots[i];

		if (slot->token.path.ptr)
			table->slots[place_of(table, &slot->token, slot->hash)] = *slot;
	}
	mem_free(old.slots);
	return ERR_OK;
}

uint32_t token_table_get(const struct token_table *table, const struct exec_token *token)
{
	const struct token_slot *slot;

	if (table->count == 0)
		return TOKEN_NONE;
	slot = &table->slots[place_of(table, token, hash_of(table, token))];
	return slot->token.path.ptr ? slot->value : TOKEN_NONE;
}

enum err_code token_table_put(struct token_table *table, const struct exec_token *token,
			      uint32_t value, struct err *err)
{
	uint32_t hash = hash_of(table, token);
	struct token_slot *slot;

	BUG_IF(!token->path.ptr);
	if (table->count + 1 > table->capacity / 4 * 3 && grow(table, err) != ERR_OK)
		return err->code;
	slot = &table->slots[place_of(table, token, hash)];
	if (!slot->token.path.ptr)
		table->count++;
	*slot = (struct token_slot){*token, hash, value};
	return ERR_OK;
}

void token_table_remove(struct token_table *table, const struct exec_token *token)
{
	size_t mask = table->capacity - 1;
	size_t hole;

	if (table->count == 0)
		return;
	hole = place_of(table, token, hash_of(table, token));
	if (!table->slots[hole].token.path.ptr)
		return;
	/* Knuth 6.4 R: move back whoever would not be found across the hole. */
	for (size_t at = (hole + 1) & mask; table->slots[at].token.path.ptr; at = (at + 1) & mask) {
		size_t home = table->slots[at].hash & mask;

		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		table->slots[hole] = table->slots[at];
		hole = at;
	}
	table->slots[hole] = (struct token_slot){.value = 0};
	table->count--;
}

const char *token_role_name(enum exec_role role)
{
	return role == EXEC_ROLE_COMP ? "comp" : "run";
}

void token_text(struct str run_id, const struct exec_token *token, char text[TOKEN_TEXT_BYTES])
{
	int len =
	    snprintf(text, TOKEN_TEXT_BYTES, "%.*s/%.*s/%s/%u", STR_ARG(run_id),
		     STR_ARG(token->path), token_role_name(token->role), (unsigned)token->attempt);

	BUG_IF(len < 0 || len >= TOKEN_TEXT_BYTES);
}

/* Split off what follows the last slash. */
static struct str tail_take(struct str *text)
{
	size_t at = text->len;
	struct str tail;

	while (at > 0 && text->ptr[at - 1] != '/')
		at--;
	tail = str_cut(*text, at, text->len);
	*text = str_cut(*text, 0, at ? at - 1 : 0);
	return tail;
}

bool token_parse(struct str run_id, struct str text, struct exec_token *ret_token)
{
	struct exec_token token;
	struct str role;
	uint64_t attempt;

	if (text.len <= run_id.len || memcmp(text.ptr, run_id.ptr, run_id.len) != 0 ||
	    text.ptr[run_id.len] != '/')
		return false;
	text = str_cut(text, run_id.len + 1, text.len);
	if (!str_to_u64(tail_take(&text), &attempt) || attempt > UINT32_MAX)
		return false;
	role = tail_take(&text);
	if (str_is(role, "run"))
		token.role = EXEC_ROLE_RUN;
	else if (str_is(role, "comp"))
		token.role = EXEC_ROLE_COMP;
	else
		return false;
	if (text.len == 0)
		return false;
	token.path = text;
	token.attempt = (uint32_t)attempt;
	*ret_token = token;
	return true;
}
