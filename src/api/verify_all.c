/* verify_all.c - are the logs of all runs whole? Readers: no lock, nothing is written */
#include "api/api.h"

#include "report/run_report.h"

#define NAMED_MAX 3 /* runs that the error names */

struct sweep {
	struct sluice *sluice;
	sluice_sink_fn *sink;
	void *arg;
	bool is_over;        /* the sink wants no more */
	size_t columns;      /* of the longest run id */
	size_t wrong;        /* runs that are not whole */
	struct buf named;    /* the first of them */
	enum err_code worst; /* what the call answers */
};

/* What is told when several things are wrong: damage before all, then what could not be read. */
static unsigned rank(enum err_code code)
{
	static const enum err_code ranks[] = {ERR_NOT_FOUND, ERR_NEWER, ERR_IO, ERR_CORRUPT};

	for (unsigned i = 0; i < ARRAY_LEN(ranks); i++) {
		if (ranks[i] == code)
			return i + 1;
	}
	return code == ERR_OK ? 0 : 3; /* what is not expected here counts like IO */
}

static void note_wrong(struct sweep *sweep, struct str id, enum err_code code)
{
	if (rank(code) > rank(sweep->worst))
		sweep->worst = code;
	if (sweep->wrong++ < NAMED_MAX)
		buf_fmt(&sweep->named, "%s'%.*s'", sweep->wrong > 1 ? ", " : "", STR_ARG(id));
}

static void put_run(const struct sweep *sweep, struct buf *line, struct str id)
{
	buf_str(line, id);
	for (size_t i = id.len; i < sweep->columns; i++)
		buf_byte(line, ' ');
}

static void put_fold(struct buf *line, const struct fold_run *fold)
{
	buf_fmt(line, "  %-19s  %6llu  %-16s  ", run_state_name(fold->state.state),
		(unsigned long long)fold->reading.head.seq, fold->reading.head.h);
	if (fold->reading.end == LOG_END_WHOLE)
		buf_text(line, "whole");
	else
		reading_note(&fold->reading, line);
}

/* One line. A run that cannot be read is a finding; only short memory ends the sweep. */
static enum err_code sweep_run(struct sweep *sweep, struct str id, struct err *err)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;
	AUTO(buf_fini) struct buf line = BUF_INIT;
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	struct run_lock_info owner;
	struct err own = ERR_INIT;

	buf_fmt(&path, "%s/runs/%.*s", sweep->sluice->home, STR_ARG(id));
	if (buf_check(&path, "a path", err) != ERR_OK)
		return err->code;
	put_run(sweep, &line, id);
	if (api_fold_run(sweep->sluice, path.ptr, &fold, &owner, &own) == ERR_OK) {
		put_fold(&line, &fold);
		if (fold.reading.end == LOG_END_DAMAGED)
			note_wrong(sweep, id, ERR_CORRUPT);
		else if (fold.reading.end == LOG_END_NEWER)
			note_wrong(sweep, id, ERR_NEWER);
	} else if (own.code == ERR_MEMORY) {
		*err = own;
		return err->code;
	} else {
		buf_fmt(&line, "  %-19s  %6s  %-16s  %s", "-", "-", "-", own.text);
		note_wrong(sweep, id, own.code);
	}
	buf_byte(&line, '\n');
	if (buf_check(&line, "a line", err) != ERR_OK)
		return err->code;
	sweep->is_over = !sweep->sink(sweep->arg, line.ptr, line.len);
	return ERR_OK;
}

static enum err_code sweep_end(struct sweep *sweep, size_t count, struct err *err)
{
	if (sweep->worst == ERR_OK || sweep->is_over)
		return ERR_OK;
	if (buf_check(&sweep->named, "names", err) != ERR_OK)
		return err->code;
	(void)err_set(err, sweep->worst, "%zu of %zu runs %s not whole: %.*s%s", sweep->wrong,
		      count, sweep->wrong == 1 ? "is" : "are", STR_ARG(buf_view(&sweep->named)),
		      sweep->wrong > NAMED_MAX ? ", ..." : "");
	return err_hint(err, "`sluice verify RUN` says more of each");
}

static enum err_code sweep_all(struct sweep *sweep, struct err *err)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	struct str *ids;
	size_t count;

	if (rundir_list(sweep->sluice->vfs, sweep->sluice->home, &arena, &ids, &count, err) !=
	    ERR_OK)
		return err->code;
	for (size_t i = 0; i < count; i++) {
		if (ids[i].len > sweep->columns)
			sweep->columns = ids[i].len;
	}
	for (size_t i = 0; i < count && !sweep->is_over; i++) {
		if (sweep_run(sweep, ids[i], err) != ERR_OK)
			return err->code;
	}
	return sweep_end(sweep, count, err);
}

enum sluice_code sluice_verify_all(struct sluice *sluice, sluice_sink_fn *sink, void *arg,
				   struct sluice_error *err)
{
	struct sweep sweep = {.sluice = sluice, .sink = sink, .arg = arg};
	struct err cause = ERR_INIT;
	enum err_code code;

	if (!sluice || !sink)
		return api_usage(err, "sluice_verify_all needs a handle and a sink");
	code = sweep_all(&sweep, &cause);
	buf_fini(&sweep.named);
	return code == ERR_OK ? SLUICE_OK : api_err(err, &cause);
}
