/* sim_conn.c - local sockets: bytes on the way, cut anywhere, and what happens to them when an end
 * dies */
#include "sim/sim_world.h"

#include "base/timefmt.h"

#include <string.h>

struct sim_conn *sim_conn_new(struct sim_world *world)
{
	struct sim_conn *conn = world->conns;

	while (conn < world->conns + SIM_CONNS_MAX && conn->is_used)
		conn++;
	if (conn == world->conns + SIM_CONNS_MAX)
		return NULL;
	*conn = (struct sim_conn){
	    .is_used = true,
	    .id = ++world->conn_last_id,
	    .has_engine_end = true,
	};
	return conn;
}

static void conn_free(struct sim_conn *conn)
{
	buf_fini(&conn->to_keeper.bytes);
	buf_fini(&conn->to_engine.bytes);
	buf_fini(&conn->in);
	buf_fini(&conn->out);
	conn->is_used = false;
}

static int64_t delay(struct sim_world *world)
{
	if (!world->is_rough || !sim_rand_chance(&world->rand, 300))
		return 0;
	return sim_rand_between(&world->rand, 1, 3000) * (NS_PER_MS / 1000) *
	       (sim_rand_chance(&world->rand, 100) ? 100 : 1);
}

void sim_pipe_put(struct sim_world *world, struct sim_pipe *pipe, const void *bytes, size_t len)
{
	if (pipe->taken == pipe->bytes.len) {
		buf_clear(&pipe->bytes);
		pipe->taken = 0;
		pipe->ready_ns = world->clock.now_ns + delay(world);
	}
	buf_put(&pipe->bytes, bytes, len);
	BUG_IF(pipe->bytes.failed != ERR_OK);
}

bool sim_pipe_is_ready(const struct sim_world *world, const struct sim_pipe *pipe)
{
	return sim_pipe_due(world, pipe) <= world->clock.now_ns;
}

int64_t sim_pipe_due(const struct sim_world *world, const struct sim_pipe *pipe)
{
	(void)world;
	if (pipe->taken < pipe->bytes.len)
		return pipe->ready_ns;
	return pipe->is_ended ? 0 : INT64_MAX;
}

ssize_t sim_pipe_take(struct sim_world *world, struct sim_pipe *pipe, void *bytes, size_t len)
{
	size_t left = pipe->bytes.len - pipe->taken;

	if (!left)
		return pipe->is_ended ? -1 : 0;
	if (pipe->ready_ns > world->clock.now_ns)
		return 0;
	if (len > left)
		len = left;
	if (world->is_rough && len > 1 && sim_rand_chance(&world->rand, 200)) {
		len = 1 + sim_rand_below(&world->rand, (uint32_t)len - 1);
		pipe->ready_ns = world->clock.now_ns + delay(world);
	}
	memcpy(bytes, pipe->bytes.ptr + pipe->taken, len);
	pipe->taken += len;
	return (ssize_t)len;
}

void sim_conn_close_engine(struct sim_world *world, struct sim_conn *conn)
{
	(void)world;
	conn->to_keeper.is_ended = true;
	conn->has_engine_end = false;
	if (conn->is_refused)
		conn_free(conn);
}

void sim_conn_close_keeper(struct sim_world *world, struct sim_conn *conn)
{
	(void)world;
	conn->to_engine.is_ended = true;
	conn->is_refused = true;
	if (!conn->has_engine_end)
		conn_free(conn);
}
