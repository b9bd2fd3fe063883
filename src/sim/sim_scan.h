/* sim_scan.h - a second, simple reader of event lines, for the oracle: it shares no code with
 * src/log.
 *
 * It trusts only what S11 promises: compact JSON, `"name":value` once a line, strings with quotes
 * escaped. */
#ifndef SIM_SIM_SCAN_H
#define SIM_SIM_SCAN_H

#include "base/hash.h"
#include "base/str.h"

struct sim_line {
	struct str text; /* without its newline */
	uint64_t seq;
	struct str type;
	struct str actor;
	struct str step; /* empty = about the run */
	uint32_t attempt;
	struct str class;
	struct str reason;
	struct str new_state;
	struct str outcome;
	struct str gate;
	bool is_soft;
	bool has_delay;  /* another attempt follows */
	struct str hash; /* definition_hash */
	bool has_changes;
	struct str cached_from;
};

/* The line that begins at *at; *at moves behind its newline. False when there is no whole one. */
bool sim_scan_line(struct str content, size_t *at, struct sim_line *ret_line);

/* What follows `"name":` of an object without braces in its texts, with its own; empty when there
 * is none. */
struct str sim_scan_object(struct str line, const char *name);

/* Check sequence and chain (S11.1) of all whole lines: NULL when they are right, else what is
 * wrong. *ret_bytes: the end of the last whole line. */
const char *sim_scan_chain(struct str content, struct str run_id, size_t *ret_bytes);

#endif
