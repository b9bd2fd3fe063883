/* fixture.h - small event logs for the tests of log/: made by the writer itself, or line by line
 * with a right chain around any content. */
#ifndef TEST_LOG_FIXTURE_H
#define TEST_LOG_FIXTURE_H

#include "log/log.h"
#include "support/temp_dir.h"

#define FIXTURE_RUN "run-1"

/* A run.created with every required field. */
void fixture_created(struct event *event);
/* An event of a plausible run: the `n`-th after run.created. */
void fixture_event(struct event *event, unsigned n);
/* A log of `lines` lines in the directory, closed again. */
void fixture_log(const struct temp_dir *dir, unsigned lines);

/* Lines made by hand: `body` is `{...` without the chain's end and its closing brace. */
struct fixture_chain {
	uint8_t chain[SHA256_BYTES];
	struct buf text;
};
void fixture_chain_start(struct fixture_chain *chain);
void fixture_chain_add(struct fixture_chain *chain, const char *body);
void fixture_chain_fini(struct fixture_chain *chain);
/* The first six members of a line. */
const char *fixture_head(unsigned seq, const char *type, char text[256]);
/* The members of a run.created behind them. */
extern const char fixture_created_members[];

struct fixture_seen {
	unsigned lines;
	unsigned unknown; /* EVENT_UNKNOWN among them */
	uint64_t last_seq;
	unsigned refuse_at; /* answer `refuse_code` at that line; 0 = never */
	enum err_code refuse_code;
};
enum err_code fixture_visit(void *arg, const struct event *event, struct str line, struct err *err);

/* Read the directory's log: the code of log_read, with the reading. */
enum err_code fixture_read(const struct temp_dir *dir, struct fixture_seen *seen,
			   struct log_reading *reading);
/* Open it for writing and close it: the code of log_open. */
enum err_code fixture_open(const struct temp_dir *dir, struct log_torn *torn);

extern struct limits fixture_limits; /* the defaults, after fixture_init */
int fixture_init(void **unused);     /* a group setup of cmocka */

#endif
