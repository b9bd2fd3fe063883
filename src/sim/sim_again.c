/* sim_again.c - a second run over the storage of the first, and what became of the index in
 * between: see sim_run.h */
#include "sim/sim_run.h"

#include "base/mem.h"

#include <string.h>

#define STREAM_BETWEEN 15
#define INDEX_PATH     SIM_HOME "/cache.jsonl"
#define LINES_MAX      64

/* The middle of a place: everything between the key and the end of its line. */
static struct str place_of(struct str line)
{
	size_t at = str_find(line, ",\"run_id\"", 0);

	return at == SIZE_MAX ? STR_NONE : str_cut(line, at, line.len);
}

static size_t lines_of(struct str content, struct str lines[LINES_MAX])
{
	size_t count = 0;
	size_t at = 0;

	while (count < LINES_MAX && at < content.len) {
		size_t end = str_find(content, "\n", at);

		if (end == SIZE_MAX)
			break;
		lines[count++] = str_cut(content, at, end);
		at = end + 1;
	}
	return count;
}

/* Whole lines that lie: each key stands before the place of another line. */
static void put_lies(struct str content, struct buf *out)
{
	struct str lines[LINES_MAX];
	size_t count = lines_of(content, lines);

	for (size_t i = 0; i < count; i++) {
		struct str place = place_of(lines[i]);

		buf_str(out, str_cut(lines[i], 0, lines[i].len - place.len));
		buf_str(out, place_of(lines[(i + 1) % count]));
		buf_byte(out, '\n');
	}
}

/* Whole lines that name another attempt. */
static void put_other_attempts(struct str content, struct buf *out)
{
	struct str lines[LINES_MAX];
	size_t count = lines_of(content, lines);

	for (size_t i = 0; i < count; i++) {
		size_t at = str_find(lines[i], "\"attempt\":", 0);

		buf_str(out, str_cut(lines[i], 0, at == SIZE_MAX ? lines[i].len : at));
		buf_text(out, at == SIZE_MAX ? "\n" : "\"attempt\":1}\n");
	}
}

static void damage_index(struct sim_run *run, struct sim_rand *rand)
{
	AUTO(buf_fini) struct buf bytes = BUF_INIT;
	struct str content = STR_NONE;
	uint32_t kind = sim_rand_below(rand, 12);

	if (!sim_disk_peek(run->world.disk, INDEX_PATH, false, &content) || !content.len)
		return;
	if (kind == 0) {
		buf_str(&bytes, str_cut(content, 0, sim_rand_below(rand, (uint32_t)content.len)));
	} else if (kind == 1) {
		buf_str(&bytes, content);
		bytes.ptr[sim_rand_below(rand, (uint32_t)content.len)] ^=
		    (char)(1 << sim_rand_below(rand, 7));
	} else if (kind <= 3) {
		put_lies(content, &bytes);
	} else if (kind == 4) {
		put_other_attempts(content, &bytes);
	} else {
		return;
	}
	BUG_IF(bytes.failed != ERR_OK);
	sim_trace(&run->world, "the index of the cache is damaged, kind %u", kind);
	BUG_IF(!sim_disk_poke(run->world.disk, INDEX_PATH, buf_view(&bytes)));
}

void sim_again_end_first(struct sim_run *run)
{
	struct sim_rand rand = sim_rand_fork(run->plan.seed, STREAM_BETWEEN);
	struct sim_disk_faults none = {.failures = 0};

	if (run->engine)
		sim_engine_crash(run, sim_rand_chance(&rand, 500));
	sim_run_leave(run);
	sim_disk_set_faults(run->world.disk, &none);
	sim_check_keep(run->world.check);
	damage_index(run, &rand);
}

void sim_again_take_over(struct sim_run *run, struct sim_run *first)
{
	struct sim_world *world = &run->world;

	world->disk = TAKE(first->world.disk, NULL);
	world->clock = first->world.clock;
	world->clock.clock.self = &world->clock;
	world->pid_last = first->world.pid_last;
	world->keeper.generation = first->world.keeper.generation;
}

bool sim_again_is_wanted(const struct sim_run *first)
{
	return first->plan.has_cache && !sim_run_has_failed(first);
}

uint64_t sim_again_turns(uint64_t seed)
{
	struct sim_rand rand = sim_rand_fork(seed, STREAM_BETWEEN + 1);

	return sim_rand_chance(&rand, 300) ? 1 + sim_rand_below(&rand, 300) : UINT64_MAX;
}

void sim_again_add(const struct sim_result *first, struct sim_result *result)
{
	struct sha256 sha;

	result->crashes += first->crashes;
	result->keeper_kills += first->keeper_kills;
	result->execs += first->execs;
	result->undos += first->undos;
	result->changes += first->changes;
	result->ticks += first->ticks;
	result->lives += first->lives;
	result->agains = 1;
	sha256_start(&sha);
	sha256_add(&sha, first->hash, SHA256_BYTES);
	sha256_add(&sha, result->hash, SHA256_BYTES);
	sha256_end(&sha, result->hash);
}
