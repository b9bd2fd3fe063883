/* client.h - the engine's side of the keeper: tokens out, reports in, whatever happens between.
 *
 * A state machine over an interface (struct keeper_link_ops), so that the simulator can plug in a
 * virtual keeper; link_os.h is the real one. It knows the tokens that have no terminal report yet.
 * When the connection breaks it finds out what became of each of them: from attempts.log if
 * keeper.lock is free, else from the keeper that answers (S8.3). One thread. */
#ifndef KEEPER_CLIENT_H
#define KEEPER_CLIENT_H

#include "keeper/record.h"

#include "base/buf.h"

#include <sys/types.h>

/* A process that carries a token of the run and cannot be killed. */
typedef void keeper_left_fn(void *arg, struct str token_text, int32_t pid);

struct keeper_link_ops {
	const char *name;

	/* Try keeper.lock. Taken: no keeper lives, and none will be started by others until
	 * start() handed the lock over or release() let it go. */
	enum err_code (*take)(void *self, bool *ret_taken, struct err *err);
	void (*release)(void *self);

	/* With the lock: bind the socket, connect to it, start a keeper. */
	enum err_code (*start)(void *self, struct err *err);
	/* Without: false when nobody listens. */
	enum err_code (*connect)(void *self, bool *ret_connected, struct err *err);
	void (*disconnect)(void *self); /* may be called when not connected */

	/* How many bytes went, 0 = not now, -1 = the connection is broken. */
	ssize_t (*send)(void *self, const void *bytes, size_t len);
	ssize_t (*receive)(void *self, void *bytes, size_t len);
	/* Also become ready when sending is possible again. */
	enum err_code (*watch)(void *self, bool writes, struct err *err);
	void (*wake)(void *self, bool on); /* reports wait in the client */
	/* Block until something can be received or the time is over. */
	void (*wait)(void *self, int64_t timeout_ns);
	int64_t (*now)(void *self); /* ns; never goes back */

	/* The boot that runs now, as record_boot says. */
	uint32_t (*boot)(void *self);
	/* With the lock: the content of attempts.log, nothing when there is none. */
	enum err_code (*read_log)(void *self, struct buf *out, struct err *err);

	/* Kill whatever carries `token_text` (NULL: any token of the run) and the groups of these
	 * SPAWNED records, until two passes find nothing; tell who survived that. Blocks. */
	enum err_code (*sweep)(void *self, const char *token_text, const struct record *spawned,
			       size_t count, keeper_left_fn *visit, void *arg, struct err *err);

	int (*fd)(void *self);
	void (*close)(void *self);
};

struct keeper_link {
	const struct keeper_link_ops *ops;
	void *self;
};

#define CLIENT_PATIENCE_NS INT64_C(10000000000) /* for a keeper that holds the lock to answer */

struct keeper_client;

/* Takes the link over, also when it fails. Nothing is contacted yet. */
MUST_CHECK enum err_code client_new(struct keeper_link link, struct str mark, uint64_t epoch,
				    struct keeper_client **ret_client, struct err *err);
/* Running attempts stay with their keeper. */
void client_free(struct keeper_client *client);

/* core/exec.h says what these do. */
void client_warm_up(struct keeper_client *client);
MUST_CHECK enum err_code client_start(struct keeper_client *client, const struct exec_start *start,
				      struct err *err);
MUST_CHECK enum err_code client_cancel(struct keeper_client *client, const struct exec_token *token,
				       bool now, struct err *err);
MUST_CHECK enum err_code client_recover(struct keeper_client *client,
					const struct exec_token *tokens, const bool *same_boot,
					size_t count, struct err *err);
bool client_next(struct keeper_client *client, struct exec_report *ret_report);
int client_fd(const struct keeper_client *client);
MUST_CHECK enum err_code client_pump(struct keeper_client *client, struct err *err);

#endif
