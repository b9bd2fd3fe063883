/* main.c - sluice-top: all runs on one screen, live; the program behind `sluice top`.
 *
 *   sluice-top STATE_DIR INTERVAL_MS WIDE|PLAIN       WIDE: ncurses; PLAIN: the runs once, to
 * stdout
 *
 * A program of its own, so that nothing else loads ncurses. It is a client of the public interface;
 * a decision of a person made here goes the way of `sluice approve`, `reject` and `stop`. */
#include "base/mem.h"
#include "cli/escape.h"
#include "cli/top/view.h"
#include "sys/clock.h"
#include "sys/environment.h"
#include "sys/terminal.h"

#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_MAX     1000
#define TAIL_BYTES   ((uint64_t)65536)
#define ANSWER_BYTES 200
#define KEY_ESCAPE   27
#define STATUS_USAGE 2

enum page { PAGE_RUNS, PAGE_RUN, PAGE_OUTPUT };

struct top {
	struct sluice *sluice;
	struct top_runs runs;
	struct top_detail detail;
	struct buf output;
	enum page page;
	char run[129];      /* of the run's pages */
	char step[161];     /* of the output's page */
	size_t selected[2]; /* line on the page of runs, of a run */
	size_t first[2];    /* line at the top of the window */
	char message[300];
	bool is_bad; /* the message is about a failure */
	bool is_over;
	struct top_out out;
};

/* ------------------------------------------------------------------------------- reading */

static void say(struct top *top, bool is_bad, const char *text)
{
	AUTO(buf_fini) struct buf shown = BUF_INIT;

	(void)escape_put(&shown, str_of(text), true);
	(void)snprintf(top->message, sizeof(top->message), "%.*s", STR_ARG(buf_view(&shown)));
	top->is_bad = is_bad;
}

static bool take_output(void *arg, const char *bytes, size_t len)
{
	struct buf *output = arg;

	buf_put(output, bytes, len);
	return output->failed == ERR_OK;
}

static enum sluice_code read_page(struct top *top, struct sluice_error *err)
{
	const struct sluice_logs_opts logs = {
	    .step = top->step, .attempt = -1, .tail_bytes = TAIL_BYTES};

	switch (top->page) {
	case PAGE_RUNS:
		return top_runs_read(&top->runs, top->sluice, RUNS_MAX, err);
	case PAGE_RUN:
		return top_detail_read(&top->detail, top->sluice, top->run, top->out.is_utf8, err);
	case PAGE_OUTPUT:
		buf_clear(&top->output);
		return sluice_logs(top->sluice, top->run, &logs, take_output, &top->output, err);
	}
	return SLUICE_OK;
}

static void refresh_data(struct top *top)
{
	struct sluice_error err;

	top->out.now_ms = clock_utc_ms(&clock_os);
	if (read_page(top, &err) != SLUICE_OK)
		say(top, true, err.text);
}

/* -------------------------------------------------------------------------------- drawing */

static void put_curses(void *arg, enum top_style style, struct str text)
{
	static const int pairs[] = {[TOP_GOOD] = 1, [TOP_BAD] = 2, [TOP_WARN] = 3, [TOP_BOLD] = 0};
	attr_t attributes = style == TOP_BOLD ? A_BOLD : style == TOP_DIM ? A_DIM : A_NORMAL;

	(void)arg;
	if (has_colors() && style != TOP_PLAIN && style != TOP_DIM)
		attributes |= (attr_t)COLOR_PAIR(pairs[style]);
	(void)attron(attributes);
	(void)addnstr(text.ptr, (int)text.len);
	(void)attroff(attributes);
}

/* Begin line `y`. What does not fit is cut at the edge: the line is not allowed to go on below. */
static void begin_line(int y, bool is_selected)
{
	(void)move(y, 0);
	(void)clrtoeol();
	(void)attrset(is_selected ? A_REVERSE : A_NORMAL);
}

static void end_line(bool is_selected)
{
	int x = getcurx(stdscr);

	if (is_selected)
		(void)hline(' ', COLS - x);
	(void)attrset(A_NORMAL);
}

/* The window of a list: keeps the selected line in sight. */
static size_t window(struct top *top, size_t count, size_t room)
{
	size_t *selected = &top->selected[top->page];
	size_t *first = &top->first[top->page];

	if (*selected >= count)
		*selected = count ? count - 1 : 0;
	if (*selected < *first)
		*first = *selected;
	if (room && *selected >= *first + room)
		*first = *selected - room + 1;
	return *first;
}

static void draw_head(struct top *top)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	top->out.columns = COLS > 0 ? (unsigned)COLS : 1;
	begin_line(0, false);
	if (top->page == PAGE_RUNS) {
		buf_fmt(&text, "%zu runs, %u active, %u blocked", top->runs.count, top->runs.active,
			top->runs.blocked);
		put_curses(NULL, TOP_BOLD, STR("sluice top  "));
		put_curses(NULL, TOP_PLAIN, buf_view(&text));
		begin_line(1, false);
		top_view_heading(&top->out);
		return;
	}
	buf_fmt(&text, "%s  ", top->run);
	put_curses(NULL, TOP_PLAIN, buf_view(&text));
	top_view_detail(&top->out, &top->detail);
	begin_line(1, false);
	if (top->page == PAGE_OUTPUT) {
		buf_clear(&text);
		buf_fmt(&text, "output of %s", top->step);
		put_curses(NULL, TOP_DIM, buf_view(&text));
	}
}

static void draw_runs(struct top *top, size_t room)
{
	size_t first = window(top, top->runs.count, room);

	for (size_t i = 0; i < room; i++) {
		bool is_selected = first + i == top->selected[PAGE_RUNS];

		begin_line((int)i + 2, is_selected);
		if (first + i >= top->runs.count)
			continue;
		top_view_run(&top->out, &top->runs.items[first + i]);
		end_line(is_selected);
	}
}

static void draw_steps(struct top *top, size_t room)
{
	size_t first = window(top, top->detail.tree.count, room);

	for (size_t i = 0; i < room; i++) {
		bool is_selected = first + i == top->selected[PAGE_RUN];

		begin_line((int)i + 2, is_selected);
		if (first + i >= top->detail.tree.count)
			continue;
		top_view_step(&top->out, &top->detail, top->detail.tree.lines[first + i]);
		end_line(is_selected);
	}
}

/* The last lines. */
static void draw_output(struct top *top, size_t room)
{
	struct str text = buf_view(&top->output);
	size_t from = text.len;
	size_t lines = 0;

	if (from && text.ptr[from - 1] == '\n')
		text.len = --from;
	while (from && (text.ptr[from - 1] != '\n' || ++lines < room))
		from--;
	for (size_t i = 0; i < room; i++) {
		size_t end = from;

		begin_line((int)i + 2, false);
		if (from >= text.len)
			continue;
		while (end < text.len && text.ptr[end] != '\n')
			end++;
		top_view_output(&top->out, str_cut(text, from, end));
		from = end + 1;
	}
}

static void draw_foot(const struct top *top)
{
	static const char *const keys[] = {
	    [PAGE_RUNS] = "up/down choose  Enter steps  s stop  q quit",
	    [PAGE_RUN] =
		"up/down choose  Enter output  a approve  r reject  s stop  Esc back  q quit",
	    [PAGE_OUTPUT] = "Esc back  q quit",
	};

	begin_line(LINES - 1, false);
	if (top->message[0])
		put_curses(NULL, top->is_bad ? TOP_BAD : TOP_PLAIN, str_of(top->message));
	else
		put_curses(NULL, TOP_DIM, str_of(keys[top->page]));
}

static void draw(struct top *top)
{
	size_t room = LINES > 3 ? (size_t)LINES - 3 : 0;

	draw_head(top);
	if (top->page == PAGE_RUNS)
		draw_runs(top, room);
	else if (top->page == PAGE_RUN)
		draw_steps(top, room);
	else
		draw_output(top, room);
	draw_foot(top);
	(void)refresh();
}

/* ---------------------------------------------------------------------------------- acting */

/* Ask for a line at the foot; false when it is left empty or given up with Esc. */
static bool ask(const char *question, char answer[ANSWER_BYTES])
{
	size_t len = 0;

	answer[0] = '\0';
	for (;;) {
		int key;

		begin_line(LINES - 1, false);
		(void)printw("%s%s", question, answer);
		(void)refresh();
		timeout(-1);
		key = getch();
		if (key == '\n' || key == '\r' || key == KEY_ENTER)
			return len > 0;
		if (key == KEY_ESCAPE)
			return false;
		if ((key == KEY_BACKSPACE || key == '\b' || key == 127) && len > 0)
			len--;
		else if (key >= ' ' && key < 127 && len < ANSWER_BYTES - 1)
			answer[len++] = (char)key;
		answer[len] = '\0';
	}
}

typedef enum sluice_code act_fn(struct sluice *sluice, const char *run_name, const char *step,
				const struct sluice_act_opts *options, struct sluice_error *err);

static void decide(struct top *top, act_fn *act, const char *done)
{
	uint32_t index;
	char reason[ANSWER_BYTES];
	const struct sluice_act_opts options = {.reason = reason};
	struct sluice_error err;

	if (top->page != PAGE_RUN || !top->detail.tree.count)
		return;
	index = top->detail.tree.lines[top->selected[PAGE_RUN]];
	if (!str_is(top->detail.steps[index].state, "waiting")) {
		say(top, true, "this step does not wait for a decision");
		return;
	}
	if (!ask("reason: ", reason))
		return;
	if (act(top->sluice, top->run, top->detail.tree.nodes[index].id.ptr, &options, &err) ==
	    SLUICE_OK)
		say(top, false, done);
	else
		say(top, true, err.text);
}

static const char *chosen_run(const struct top *top)
{
	if (top->page != PAGE_RUNS)
		return top->run;
	return top->runs.count ? top->runs.items[top->selected[PAGE_RUNS]].id.ptr : NULL;
}

static void stop(struct top *top)
{
	const char *run = chosen_run(top);
	char answer[ANSWER_BYTES];
	struct sluice_error err;

	if (!run || !ask("stop this run? y, or now to kill its steps: ", answer) ||
	    (strcmp(answer, "y") != 0 && strcmp(answer, "now") != 0))
		return;
	if (sluice_stop(top->sluice, run,
			&(struct sluice_act_opts){.now = strcmp(answer, "now") == 0},
			&err) == SLUICE_OK)
		say(top, false, "it was asked to stop");
	else
		say(top, true, err.text);
}

/* ----------------------------------------------------------------------------------- keys */

static void go_in(struct top *top)
{
	if (top->page == PAGE_RUNS && top->runs.count) {
		(void)snprintf(top->run, sizeof(top->run), "%s", chosen_run(top));
		top->page = PAGE_RUN;
		top->selected[PAGE_RUN] = top->first[PAGE_RUN] = 0;
	} else if (top->page == PAGE_RUN && top->detail.tree.count) {
		uint32_t index = top->detail.tree.lines[top->selected[PAGE_RUN]];

		(void)snprintf(top->step, sizeof(top->step), "%.*s",
			       STR_ARG(top->detail.tree.nodes[index].id));
		top->page = PAGE_OUTPUT;
	}
}

static void go_back(struct top *top)
{
	if (top->page == PAGE_RUNS)
		top->is_over = true;
	else
		top->page--;
}

static void move_by(struct top *top, int lines)
{
	size_t *selected = &top->selected[top->page];

	if (top->page == PAGE_OUTPUT)
		return;
	if (lines < 0 && *selected < (size_t)-lines)
		*selected = 0;
	else
		*selected = *selected + (size_t)lines; /* window() holds it below the count */
}

static void take_key(struct top *top, int key)
{
	top->message[0] = '\0';
	switch (key) {
	case 'q':
		top->is_over = true;
		break;
	case KEY_ESCAPE:
	case KEY_LEFT:
	case 'h':
		go_back(top);
		break;
	case '\n':
	case '\r':
	case KEY_ENTER:
	case KEY_RIGHT:
	case 'l':
		go_in(top);
		break;
	case KEY_UP:
	case 'k':
		move_by(top, -1);
		break;
	case KEY_DOWN:
	case 'j':
		move_by(top, 1);
		break;
	case KEY_PPAGE:
		move_by(top, -(LINES - 3));
		break;
	case KEY_NPAGE:
		move_by(top, LINES - 3);
		break;
	case 's':
		stop(top);
		break;
	case 'a':
		decide(top, sluice_approve,
		       "approved; a run that nobody owns goes on with sluice resume");
		break;
	case 'r':
		decide(top, sluice_reject, "rejected");
		break;
	default: /* also KEY_RESIZE: it is drawn anew anyway */
		break;
	}
}

/* ---------------------------------------------------------------------------------- modes */

static int show_live(struct top *top, int interval_ms)
{
	if (!initscr()) {
		(void)fputs("sluice: the terminal cannot be used for a full screen\n"
			    "hint: try `sluice top --plain`\n",
			    stderr);
		return STATUS_USAGE;
	}
	(void)cbreak();
	(void)noecho();
	(void)keypad(stdscr, true);
	(void)curs_set(0);
	(void)set_escdelay(50);
	if (!environment_get("NO_COLOR") && start_color() == OK && use_default_colors() == OK) {
		(void)init_pair(1, COLOR_GREEN, -1);
		(void)init_pair(2, COLOR_RED, -1);
		(void)init_pair(3, COLOR_YELLOW, -1);
	}
	while (!top->is_over) {
		int key;

		refresh_data(top);
		draw(top);
		timeout(interval_ms);
		key = getch();
		if (key != ERR)
			take_key(top, key);
	}
	(void)endwin();
	return 0;
}

static void put_line(void *arg, enum top_style style, struct str text)
{
	(void)style;
	buf_str(arg, text);
}

static int refuse(const struct sluice_error *err)
{
	AUTO(buf_fini) struct buf shown = BUF_INIT;

	buf_text(&shown, "sluice: ");
	(void)escape_put(&shown, str_of(err->text), true);
	buf_text(&shown, "\nhint: ");
	(void)escape_put(
	    &shown, str_of(err->hint[0] ? err->hint : "`sluice doctor` looks at the place"), true);
	buf_byte(&shown, '\n');
	if (!terminal_write(2, shown.ptr, shown.len))
		return sluice_exit_status(SLUICE_IO);
	return sluice_exit_status(err->code);
}

static int show_plain(struct top *top)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct sluice_error err;

	top->out.put = put_line;
	top->out.arg = &text;
	top->out.is_utf8 = false;
	top->out.now_ms = clock_utc_ms(&clock_os);
	if (top_runs_read(&top->runs, top->sluice, RUNS_MAX, &err) != SLUICE_OK) {
		return refuse(&err);
	}
	top_view_heading(&top->out);
	for (size_t i = 0; i < top->runs.count; i++) {
		buf_byte(&text, '\n');
		top_view_run(&top->out, &top->runs.items[i]);
	}
	buf_byte(&text, '\n');
	if (text.failed == ERR_OK && (terminal_write(1, text.ptr, text.len) || errno == EPIPE))
		return 0; /* a reader that went away has seen enough */
	(void)fprintf(stderr, "sluice: write the answer: %s\n",
		      strerror(text.failed == ERR_OK ? errno : ENOMEM));
	return sluice_exit_status(SLUICE_IO);
}

int main(int argc, char **argv)
{
	struct top top = {.out = {.put = put_curses}};
	struct sluice_error err;
	int status;

	if (argc != 4) {
		(void)fputs("sluice-top is started by `sluice top`\n", stderr);
		return STATUS_USAGE;
	}
	(void)setlocale(LC_ALL, "");
	top.out.is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	terminal_ignore_pipe();
	if (sluice_open(&(struct sluice_state_opts){.state_dir = argv[1]}, &top.sluice, &err) !=
	    SLUICE_OK) {
		return refuse(&err);
	}
	status = strcmp(argv[3], "PLAIN") == 0 ? show_plain(&top) : show_live(&top, atoi(argv[2]));
	top_runs_fini(&top.runs);
	top_detail_fini(&top.detail);
	buf_fini(&top.output);
	sluice_close(top.sluice);
	return status;
}
