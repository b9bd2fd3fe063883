/* token_table.h - which number a token has: a hash table with removal, for machine and client. */
#ifndef KEEPER_TOKEN_TABLE_H
#define KEEPER_TOKEN_TABLE_H

#include "core/exec.h"

#define TOKEN_NONE UINT32_MAX

struct token_slot {
	struct exec_token token; /* path.ptr NULL: empty */
	uint32_t hash;
	uint32_t value;
};

struct token_table {
	struct token_slot *slots; /* a power of two */
	size_t capacity;
	size_t count;
	uint64_t seed; /* 0 will do: paths come from a frozen definition */
};

/* Frees the slots; a zeroed table is empty and ready. */
void token_table_fini(struct token_table *table);
/* Value of a token, TOKEN_NONE if it is not there. */
uint32_t token_table_get(const struct token_table *table, const struct exec_token *token);
/* Add or replace. The path is borrowed until the token is removed. MEMORY. */
MUST_CHECK enum err_code token_table_put(struct token_table *table, const struct exec_token *token,
					 uint32_t value, struct err *err);
/* Nothing happens when it is not there. */
void token_table_remove(struct token_table *table, const struct exec_token *token);

/* The same path, role and attempt. */
bool token_eq(const struct exec_token *a, const struct exec_token *b);

/* `run`, `comp` */
const char *token_role_name(enum exec_role role);

/* `run_id/path/role/attempt` into text[TOKEN_TEXT_BYTES]: the value of SLUICE_TOKEN. */
#define TOKEN_TEXT_BYTES 352
#define TOKEN_VARIABLE   "SLUICE_TOKEN"
void token_text(struct str run_id, const struct exec_token *token, char text[TOKEN_TEXT_BYTES]);
/* The token within such a text of this run: the path points into it. False when it is not one. */
bool token_parse(struct str run_id, struct str text, struct exec_token *ret_token);

#endif
