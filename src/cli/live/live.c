/* live.c - see live.h */
#include "cli/live/live.h"

#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "cli/live/tree.h"
#include "cli/member.h"
#include "cli/live/row.h"

#define STEPS_MAX     5000
#define TIME_COLUMN   44 /* where times begin, if names are not longer */
#define HEAD_COLUMNS  30 /* of the head, for what is behind the pipeline's name */
#define TIMES_COLUMNS 10 /* of a step's line, for what is behind its name, at least */
#define NAME_LEAST    12 /* of a name that is cut */
#define NAME_COLUMNS  64
#define FRAME_LINES \
	2 /* of a frame that are no steps: the head, and the count of what is left out */

enum look {
	LOOK_PENDING,
	LOOK_RUNNING,
	LOOK_WAITING,
	LOOK_RETRYING,
	LOOK_DONE,
	LOOK_FAILED,
	LOOK_SKIPPED
};

struct live_step {
	enum look look;
	uint32_t attempt;
	int64_t since_ns;    /* RUNNING, WAITING, RETRYING: boot time */
	int64_t duration_ms; /* DONE, FAILED: of the last attempt, -1 = not known */
	int64_t usual_ms;    /* 0 = not known */
	struct str note;     /* FAILED, SKIPPED: why; escaped */
};

struct live {
	struct arena arena;
	struct live_tree tree;
	struct live_step *steps;
	struct map index; /* id -> step */
	struct str pipeline;
	struct str run_id;
	uint32_t concurrency;
	uint32_t count[LOOK_SKIPPED + 1]; /* steps by look */
	int64_t since_ns;
	bool is_stopping;
	uint32_t column; /* where times begin */
};

static const struct {
	const char *utf8, *ascii;
	enum style style;
} glyphs[] = {
    [LOOK_PENDING] = {"\u00b7", ".", STYLE_DIM}, [LOOK_RUNNING] = {"\u25b8", ">", STYLE_BOLD},
    [LOOK_WAITING] = {"?", "?", STYLE_WARN},     [LOOK_RETRYING] = {"\u21bb", "~", STYLE_WARN},
    [LOOK_DONE] = {"\u2713", "+", STYLE_GOOD},   [LOOK_FAILED] = {"\u2717", "x", STYLE_BAD},
    [LOOK_SKIPPED] = {"\u2013", "-", STYLE_DIM},
};

/* ---------------------------------------------------------------------- out of a status */

static const struct {
	const char *state;
	enum look look;
} looks[] = {
    {"pending", LOOK_PENDING},  {"running", LOOK_RUNNING}, {"waiting", LOOK_WAITING},
    {"succeeded", LOOK_DONE},   {"failed", LOOK_FAILED},   {"skipped", LOOK_SKIPPED},
    {"compensated", LOOK_DONE},
};

/* The step that stands at `position` in the file. */
static void step_load(struct live *live, struct str object, uint32_t position)
{
	struct live_step *step = &live->steps[position];
	struct str state = member_plain(object, "state");

	step->attempt = (uint32_t)member_number(object, "attempt", 0);
	step->duration_ms = member_number(object, "duration_ms", -1);
	for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
		if (str_is(state, looks[i].state))
			step->look = looks[i].look;
	}
	live->count[step->look]++;
}

static unsigned width_of(struct str text)
{
	unsigned width = 0;

	for (size_t i = 0; i < text.len; i++)
		width += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
	return width;
}

static bool load(struct live *live, struct str status)
{
	struct str list = json_get(status, "steps");
	struct err ignored = ERR_INIT; /* without a tree the run is told of in lines */
	struct str object;
	size_t at = 0;

	if (!live_tree_read(&live->tree, &live->arena, &live->index, list) ||
	    live->tree.count == 0 || live->tree.count > STEPS_MAX)
		return false;
	live->steps = arena_new(&live->arena, live->tree.count, sizeof(*live->steps));
	live->pipeline = member_text(&live->arena, status, "pipeline");
	live->run_id = member_text(&live->arena, status, "run_id");
	live->concurrency = (uint32_t)member_number(status, "concurrency", 1);
	if (!live->steps || !live->pipeline.ptr || !live->run_id.ptr ||
	    live_tree_build(&live->tree, &live->arena, print_is_utf8(), &ignored) != ERR_OK)
		return false;
	while (json_item(list, &at, &object))
		step_load(live, object, (uint32_t)member_number(object, "position", 0));
	for (uint32_t i = 0; i < live->tree.count; i++) {
		unsigned width =
		    width_of(live->tree.nodes[i].lead) + width_of(live->tree.nodes[i].id) + 5;

		if (width > live->column)
			live->column = width < TIME_COLUMN ? width : TIME_COLUMN;
	}
	return true;
}

struct live *live_new(struct str status)
{
	struct live *live = mem_new(1, sizeof(*live));

	if (!live)
		return NULL;
	map_init(&live->index, 0); /* names of steps were checked: they are no attack */
	if (load(live, status))
		return live;
	live_free(live);
	return NULL;
}

void live_free(struct live *live)
{
	if (!live)
		return;
	map_fini(&live->index);
	arena_fini(&live->arena);
	mem_free(live);
}

void live_expect(struct live *live, struct str step, int64_t usual_ms)
{
	uint32_t index = map_get(&live->index, step);

	if (index != MAP_NONE && usual_ms > 0)
		live->steps[index].usual_ms = usual_ms;
}

/* -------------------------------------------------------------------------------- events */

static void look_set(struct live *live, struct live_step *step, enum look look)
{
	live->count[step->look]--;
	step->look = look;
	live->count[look]++;
}

/* On one line, escaped, kept as long as the tree. */
static struct str note_of(struct live *live, const struct said *said)
{
	AUTO(buf_fini) struct buf note = BUF_INIT;
	struct str kept;

	if (said->class.len)
		buf_fmt(&note, "[%.*s] ", STR_ARG(said->class));
	print_outside(&note, said->reason);
	for (size_t i = 0; i < note.len; i++) {
		if (note.ptr[i] == '\n')
			note.ptr[i] = ' ';
	}
	kept = arena_str(&live->arena, buf_view(&note));
	return kept.ptr ? kept : STR("");
}

static const struct {
	const char *type;
	enum look look;
} moves[] = {
    {"step.started", LOOK_RUNNING},         {"step.waiting", LOOK_WAITING},
    {"step.retried", LOOK_RETRYING},        {"step.succeeded", LOOK_DONE},
    {"step.failed", LOOK_FAILED},           {"step.lost", LOOK_FAILED},
    {"step.skipped", LOOK_SKIPPED},         {"step.compensated", LOOK_SKIPPED},
    {"compensation.started", LOOK_RUNNING}, {"compensation.failed", LOOK_FAILED},
};

static void step_event(struct live *live, struct live_step *step, const struct said *said,
		       int64_t now_ns)
{
	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		if (!said_is(said, moves[i].type))
			continue;
		look_set(live, step, moves[i].look);
		step->since_ns = now_ns;
		step->duration_ms = said->duration_ms;
		step->attempt = said->attempt > 0 ? (uint32_t)said->attempt : 0;
		step->note = STR("");
		if (step->look == LOOK_FAILED || step->look == LOOK_SKIPPED)
			step->note = note_of(live, said);
		else if (said->is_cached)
			step->note = STR("cached");
	}
}

void live_event(struct live *live, const struct said *said, int64_t now_ns)
{
	if (!live->since_ns)
		live->since_ns = now_ns;
	if (said->step.len) {
		uint32_t index = map_get(&live->index, said->step);

		if (index != MAP_NONE)
			step_event(live, &live->steps[index], said, now_ns);
		return;
	}
	if (said_is(said, "run.stop_requested"))
		live->is_stopping = true;
	if (!said_is(said, "run.resumed"))
		return;
	for (uint32_t i = 0; i < live->tree.count; i++) { /* what failed is open again (S9.2) */
		if (live->steps[i].look == LOOK_FAILED || live->steps[i].look == LOOK_SKIPPED)
			look_set(live, &live->steps[i], LOOK_PENDING);
	}
}

/* ------------------------------------------------------------------------ what is to come */

static int64_t elapsed_ms(const struct live_step *step, int64_t now_ns)
{
	return step->since_ns && now_ns > step->since_ns ? (now_ns - step->since_ns) / NS_PER_MS
							 : 0;
}

/* What a step is likely to need yet; an unknown one is taken for an average one. */
static int64_t left_of_step(const struct live_step *step, int64_t average_ms, int64_t now_ns)
{
	int64_t usual_ms = step->usual_ms ? step->usual_ms : average_ms;

	switch (step->look) {
	case LOOK_PENDING:
	case LOOK_RETRYING:
		return usual_ms;
	case LOOK_RUNNING:
		usual_ms -= elapsed_ms(step, now_ns);
		return usual_ms > 0 ? usual_ms : 0;
	case LOOK_WAITING:
	case LOOK_DONE:
	case LOOK_FAILED:
	case LOOK_SKIPPED:
		break;
	}
	return 0;
}

/* The longest way that is left, but at least all that is left on all slots; -1 when history says
 * too little: fewer than half of the open steps are known. */
static int64_t left_of_run(const struct live *live, int64_t now_ns)
{
	int64_t *ends = mem_new(live->tree.count, sizeof(*ends));
	int64_t known_ms = 0, known = 0, open = 0;
	int64_t longest = 0, sum = 0;

	for (uint32_t i = 0; i < live->tree.count; i++) {
		bool is_open = live->steps[i].look <= LOOK_RETRYING;

		open += is_open;
		known += is_open && live->steps[i].usual_ms;
		known_ms = time_after(known_ms, is_open ? live->steps[i].usual_ms : 0);
	}
	if (!ends || known == 0 || known * 2 < open) {
		mem_free(ends);
		return -1;
	}
	for (uint32_t i = 0; i < live->tree.count; i++) {
		uint32_t index = live->tree.order[i];
		const struct live_node *node = &live->tree.nodes[index];
		int64_t left = left_of_step(&live->steps[index], known_ms / known, now_ns);
		int64_t begin = 0;

		for (uint32_t n = 0; n < node->needs_count; n++)
			begin = ends[node->needs[n]] > begin ? ends[node->needs[n]] : begin;
		ends[index] = time_after(begin, left);
		longest = ends[index] > longest ? ends[index] : longest;
		sum = time_after(sum, left);
	}
	mem_free(ends);
	sum /= live->concurrency ? live->concurrency : 1;
	return longest > sum ? longest : sum;
}

/* ------------------------------------------------------------------------------- drawing */

/* How long it took, as reports say it. */
static void row_duration(struct row *row, enum style style, int64_t ms)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	duration_human(&text, ms);
	row_put(row, style, buf_view(&text));
}

/* Whole seconds of something that goes on: a frame is drawn ten times a second, tenths would
 * flicker. */
static void row_seconds(struct row *row, enum style style, const char *before, int64_t ms)
{
	int64_t seconds = ms / 1000;

	if (seconds < 60)
		row_fmt(row, style, "%s%llds", before, (long long)seconds);
	else if (seconds < 3600)
		row_fmt(row, style, "%s%lldm %02llds", before, (long long)seconds / 60,
			(long long)seconds % 60);
	else
		row_fmt(row, style, "%s%lldh %02lldm", before, (long long)seconds / 3600,
			(long long)seconds / 60 % 60);
}

/* A name that ends before column `end`: its beginning and a sign when it is longer. */
static void name_put(struct row *row, enum style style, struct str name, unsigned end)
{
	size_t room = end > row->width ? end - row->width : 0;

	if (name.len <= room) {
		row_put(row, style, name);
		return;
	}
	row_put(row, style, str_cut(name, 0, room > 1 ? room - 1 : 0));
	row_text(row, STYLE_DIM, print_is_utf8() ? "…" : "~");
}

static void head_put(const struct live *live, struct row *row, int64_t now_ns)
{
	uint32_t over =
	    live->count[LOOK_DONE] + live->count[LOOK_FAILED] + live->count[LOOK_SKIPPED];
	int64_t left = left_of_run(live, now_ns);
	struct live_step run = {.since_ns = live->since_ns};

	name_put(row, STYLE_BOLD, live->pipeline,
		 row->limit > HEAD_COLUMNS + NAME_LEAST ? row->limit - HEAD_COLUMNS : NAME_LEAST);
	row_fmt(row, STYLE_PLAIN, "  %u of %u done", over, live->tree.count);
	if (live->count[LOOK_FAILED])
		row_fmt(row, STYLE_BAD, "  %u failed", live->count[LOOK_FAILED]);
	if (live->count[LOOK_WAITING])
		row_fmt(row, STYLE_WARN, "  %u waiting", live->count[LOOK_WAITING]);
	row_seconds(row, STYLE_PLAIN, "  ", elapsed_ms(&run, now_ns));
	if (live->is_stopping) {
		row_text(row, STYLE_WARN, "  stopping, Ctrl-C again kills");
	} else if (left >= 1000) {
		row_seconds(row, STYLE_DIM, "  about ", left);
		row_text(row, STYLE_DIM, " left");
	}
}

static void times_put(const struct live_step *step, struct row *row, int64_t now_ns)
{
	switch (step->look) {
	case LOOK_RUNNING:
		row_seconds(row, STYLE_PLAIN, "", elapsed_ms(step, now_ns));
		if (step->usual_ms >= 1000)
			row_seconds(row, STYLE_DIM, " of about ", step->usual_ms);
		if (step->attempt)
			row_fmt(row, STYLE_PLAIN, "  (attempt %u)", step->attempt);
		break;
	case LOOK_WAITING:
		row_text(row, STYLE_WARN, "waits for a decision");
		break;
	case LOOK_RETRYING:
		row_fmt(row, STYLE_WARN, "waits for attempt %u", step->attempt);
		break;
	case LOOK_DONE:
	case LOOK_FAILED:
		if (step->duration_ms >= 0)
			row_duration(row, STYLE_DIM, step->duration_ms);
		break;
	case LOOK_PENDING:
	case LOOK_SKIPPED:
		break;
	}
}

static void step_put(const struct live *live, uint32_t index, struct row *row, int64_t now_ns)
{
	const struct live_node *node = &live->tree.nodes[index];
	const struct live_step *step = &live->steps[index];
	bool is_quiet = step->look == LOOK_PENDING || step->look == LOOK_SKIPPED;
	unsigned column = live->column;

	if (column + TIMES_COLUMNS > row->limit)
		column = row->limit > TIMES_COLUMNS + NAME_LEAST ? row->limit - TIMES_COLUMNS
								 : NAME_LEAST;
	row_text(row, STYLE_PLAIN, "  ");
	row_put(row, STYLE_DIM, node->lead);
	row_text(row, glyphs[step->look].style,
		 print_is_utf8() ? glyphs[step->look].utf8 : glyphs[step->look].ascii);
	row_text(row, STYLE_PLAIN, " ");
	name_put(row, is_quiet ? STYLE_DIM : STYLE_PLAIN,
		 str_from(node->id.ptr, node->id.len < NAME_COLUMNS ? node->id.len : NAME_COLUMNS),
		 step->look == LOOK_PENDING ? row->limit : column);
	if (step->look == LOOK_PENDING)
		return;
	row_tab(row, column + 2);
	times_put(step, row, now_ns);
	if (step->note.len) {
		row_text(row, STYLE_PLAIN, step->look == LOOK_SKIPPED ? "" : "  ");
		row_put(row, STYLE_DIM, step->note);
	}
}

/* Which lines are worth their place when there are not enough: what goes on or went wrong, then
 * what follows or was done last, as long as there is room. */
static void choose(const struct live *live, bool *shown, unsigned room)
{
	unsigned taken = 0;

	for (uint32_t i = 0; i < live->tree.count && taken < room; i++) {
		enum look look = live->steps[live->tree.lines[i]].look;

		if (look == LOOK_RUNNING || look == LOOK_FAILED || look == LOOK_WAITING ||
		    look == LOOK_RETRYING)
			shown[i] = ++taken > 0;
	}
	for (uint32_t i = 1; i < live->tree.count && taken < room; i++) {
		if (!shown[i] && shown[i - 1] &&
		    live->steps[live->tree.lines[i]].look == LOOK_PENDING)
			shown[i] = ++taken > 0;
	}
	for (uint32_t i = live->tree.count; i-- > 0 && taken < room;) {
		if (!shown[i] && live->steps[live->tree.lines[i]].look != LOOK_PENDING)
			shown[i] = ++taken > 0;
	}
}

static void rest_put(const struct live *live, const bool *shown, struct row *row)
{
	uint32_t done = 0, to_come = 0, other = 0;

	for (uint32_t i = 0; i < live->tree.count; i++) {
		enum look look = live->steps[live->tree.lines[i]].look;

		if (shown[i])
			continue;
		done += look == LOOK_DONE || look == LOOK_SKIPPED;
		to_come += look == LOOK_PENDING;
		other += look != LOOK_DONE && look != LOOK_SKIPPED && look != LOOK_PENDING;
	}
	row_fmt(row, STYLE_DIM, "  not shown: %u done, %u to come", done, to_come);
	if (other)
		row_fmt(row, STYLE_DIM, ", %u more", other);
}

unsigned live_draw(const struct live *live, int64_t now_ns, unsigned rows, unsigned columns,
		   unsigned *widths, struct buf *out)
{
	struct row row = {.out = out, .limit = columns};
	bool *shown = mem_new(live->tree.count, sizeof(*shown));
	bool fits = live->tree.count + 1 <= rows;
	unsigned drawn = 0;

	if (!shown || rows == 0) {
		mem_free(shown);
		return 0;
	}
	head_put(live, &row, now_ns);
	widths[drawn++] = row_end(&row);
	if (!fits)
		choose(live, shown, rows > FRAME_LINES ? rows - FRAME_LINES : 0);
	for (uint32_t i = 0; i < live->tree.count; i++) {
		if (!fits && !shown[i])
			continue;
		row.width = 0;
		step_put(live, live->tree.lines[i], &row, now_ns);
		widths[drawn++] = row_end(&row);
	}
	if (!fits && rows >= FRAME_LINES) {
		row.width = 0;
		rest_put(live, shown, &row);
		widths[drawn++] = row_end(&row);
	}
	mem_free(shown);
	return drawn;
}
