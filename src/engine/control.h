/* control.h - the control socket of a live run (S5.6): people's decisions reach its owner.
 *
 * One request a connection, one line of JSON each way:
 *   {"verb":"approve","step":"publish","name":"anna","reason":"checked","now":false}
 *   {"code":"OK"}  or  {"code":"REFUSED","text":"...","hint":"..."}
 * The answer comes when the decision is durable. The socket's folder belongs to the user alone; the
 * peer's uid and pid are recorded, and a process that descends from the run's own keeper is refused
 * (a step cannot approve its own gate). */
#ifndef ENGINE_CONTROL_H
#define ENGINE_CONTROL_H

#include "engine/engine.h"
#include "sys/loop.h"

struct control;

/* Serve requests for `engine` on `loop`; both are borrowed. */
MUST_CHECK enum err_code control_open(struct engine *engine, struct loop *loop,
				      struct control **ret_control, struct err *err);
void control_close(struct control *control); /* accepts NULL */

/* The other end: ask the owner of the run in `dir`, and wait for its answer. GONE when nobody
 * listens, or it ended before it answered; else the answer's own code and text. */
MUST_CHECK enum err_code control_ask(const struct rundir *dir, const struct engine_ask *ask,
				     struct err *err);

/* A step must not decide on its own run: REFUSED when process `pid` is one of its steps. */
MUST_CHECK enum err_code control_check_peer(const struct rundir *dir, int32_t pid, struct err *err);

#endif
