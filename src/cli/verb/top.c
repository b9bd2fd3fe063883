/* top.c - sluice top: hand over to sluice-top, the one program that loads ncurses */
#include "base/mem.h"
#include "base/timefmt.h"
#include "cli/cli.h"
#include "sys/file.h"
#include "sys/terminal.h"

#include <stdio.h>
#include <string.h>

#define INTERVAL_MS 1000
#define SHORTEST_MS 100
#define LONGEST_MS  3600000

/* Where it lies: beside the executable (a build), or in its ../libexec/sluice (installed). */
static enum err_code find_program(struct buf *path, struct err *err)
{
	static const char *const places[] = {"sluice-top", "../libexec/sluice/sluice-top"};
	AUTO(buf_fini) struct buf self = BUF_INIT;
	size_t folder;

	if (file_self(&self, err) != ERR_OK)
		return err->code;
	folder = self.len;
	while (folder > 0 && self.ptr[folder - 1] != '/')
		folder--;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		buf_clear(path);
		buf_str(path, str_from(self.ptr, folder));
		buf_text(path, places[i]);
		if (buf_check(path, "path", err) != ERR_OK)
			return err->code;
		if (file_is_program(path->ptr))
			return ERR_OK;
	}
	(void)err_set(err, ERR_NOT_FOUND, "sluice-top is not installed");
	return err_hint(err, "it is built when ncurses is there (libncurses-dev)");
}

static bool read_interval(const struct cli *cli, int64_t *ret_ms)
{
	const char *text = cli->options.value[OPT_INTERVAL];
	int64_t ns;

	*ret_ms = INTERVAL_MS;
	if (!text)
		return true;
	if (!duration_read(str_of(text), &ns))
		return false;
	*ret_ms = ns / NS_PER_MS;
	return *ret_ms >= SHORTEST_MS && *ret_ms <= LONGEST_MS;
}

static int run(struct cli *cli)
{
	bool is_plain = cli->options.given[OPT_PLAIN] || !terminal_is(1) || !print_is_live();
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct err err = ERR_INIT;
	char interval[24];
	char mode[] = "PLAIN";
	int64_t interval_ms;

	if (!read_interval(cli, &interval_ms))
		return cli_usage(cli, "'--interval' takes a time span from 100ms to 1h",
				 "such as 500ms, 2s");
	(void)snprintf(mode, sizeof(mode), "%s", is_plain ? "PLAIN" : "WIDE");
	(void)snprintf(interval, sizeof(interval), "%lld", (long long)interval_ms);
	if (find_program(&path, &err) == ERR_OK) {
		char *const argv[] = {path.ptr, (char *)(uintptr_t)sluice_state_dir(cli->sluice),
				      interval, mode, NULL};

		(void)terminal_become(argv, &err); /* it came back: err says why */
	}
	print_problem(err.text, err.hint);
	return err_exit_status(err.code);
}

static const enum option top_options[] = {OPT_INTERVAL, OPT_END};

const struct cli_verb verb_top = {
    .name = "top",
    .usage = "[--interval 1s] [--plain]",
    .summary = "all runs on one screen, live",
    .help =
	"  sluice top\n"
	"  sluice top --plain\n"
	"\n"
	"Runs that go on come first. Enter shows the steps of a run, and the output of a step;\n"
	"a, r and s approve, reject and stop. With --plain, or when stdout is no terminal, the\n"
	"runs are printed once.\n",
    .options = top_options,
    .words_min = 0,
    .words_max = 0,
    .opens = true,
    .run = run,
};
