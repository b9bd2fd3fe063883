/* explain_fact.h - an explanation as a list of facts, told to people as lines and to programs as
 * JSON.
 *
 * A fact is a sentence with a stable code, the step it is about and the event that proves it. Its
 * depth says which fact it explains: that of the nearest one before it with less depth. */
#ifndef REPORT_EXPLAIN_FACT_H
#define REPORT_EXPLAIN_FACT_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdint.h>

struct fact {
	unsigned depth;
	const char *code; /* static */
	struct str step;  /* ptr NULL = about the run */
	uint64_t event;   /* 0 = it follows from the state or the definition */
	struct str text;
};

struct facts {
	struct arena arena;
	struct fact *items;
	size_t count, capacity;
	enum err_code failed; /* sticky: MEMORY, told by facts_check */
};

/* Frees them and their texts; a zeroed list is empty and ready. */
void facts_fini(struct facts *facts);
/* Add a fact; texts are copied. Line ends and other controls in it become blanks. */
void facts_add(struct facts *facts, unsigned depth, const char *code, struct str step,
	       uint64_t event, const char *format, ...) PRINTF_LIKE(6, 7);
MUST_CHECK enum err_code facts_check(const struct facts *facts, struct err *err);
/* A text that a fact is made of. When memory was short for it, facts_check says so. */
struct str facts_view(struct facts *facts, const struct buf *text);

/* `<sentence> (evt_17)`, two blanks a level. */
void facts_text(const struct facts *facts, struct buf *out);
/* As the member "facts", a list. */
void facts_member(const struct facts *facts, struct buf *out);

#endif
