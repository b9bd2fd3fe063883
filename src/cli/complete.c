/* complete.c - see complete.h */
#include "cli/complete.h"

#include "base/json.h"
#include "base/limit.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/member.h"

#include <string.h>

#define RUNS_MAX   50 /* more than a person reads */
#define PLACES_MAX 8  /* words after a verb that are told apart */

struct completion {
	struct buf *out;
	struct str typed; /* of the word at hand */
	struct str front; /* stands before every candidate: "--color=" */
	const struct cli_verb *verb;
	const char *words[PLACES_MAX]; /* what is no option, after the verb */
	size_t words_count;
	const char *state_dir;
	const char *config;
	struct sluice *sluice; /* opened when it is needed */
};

/* ------------------------------------------------------------------------------ offering */

static bool is_plain(struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      strchr("@._:=/+,-%", c)) ||
		    c == '\0')
			return false;
	}
	return text.len > 0;
}

static void offer(const struct completion *at, struct str word, const char *meaning)
{
	if (word.len < at->typed.len || !str_eq(str_cut(word, 0, at->typed.len), at->typed) ||
	    !is_plain(word))
		return;
	buf_str(at->out, at->front);
	buf_str(at->out, word);
	buf_fmt(at->out, "\t%s\n", meaning);
}

static void offer_option(const struct completion *at, enum option option)
{
	AUTO(buf_fini) struct buf name = BUF_INIT;

	buf_fmt(&name, "--%s", option_name(option));
	offer(at, buf_view(&name), option_help(option));
}

static void offer_options(const struct completion *at)
{
	for (const enum option *o = at->verb ? at->verb->options : NULL; o && *o != OPT_END; o++)
		offer_option(at, *o);
	for (const enum option *o = cli_globals; *o != OPT_END; o++)
		offer_option(at, *o);
	if (!at->verb)
		offer_option(at, OPT_VERSION);
}

static void offer_verbs(const struct completion *at)
{
	for (size_t i = 0; cli_verbs[i]; i++)
		offer(at, str_of(cli_verbs[i]->name), cli_verbs[i]->summary);
}

/* ---------------------------------------------------------------------- runs, steps, files */

static bool is_open(struct completion *at)
{
	struct sluice_settings *settings = NULL;
	struct sluice_state_opts options = {.state_dir = at->state_dir};
	struct sluice_error ignored;

	if (at->sluice)
		return true;
	if (sluice_settings_read(at->config, &settings, NULL, &ignored) == SLUICE_OK &&
	    !options.state_dir)
		options.state_dir = sluice_setting(settings, "state_dir", NULL);
	if (sluice_open(&options, &at->sluice, &ignored) != SLUICE_OK)
		at->sluice = NULL;
	sluice_settings_free(settings);
	return at->sluice != NULL;
}

/* The runs as JSON lines; NULL when there are none to tell. */
static char *list_runs(struct completion *at)
{
	const struct sluice_list_opts options = {.limit = RUNS_MAX, .format = SLUICE_JSONL};
	struct sluice_error ignored;
	char *text = NULL;

	if (is_open(at) && sluice_list(at->sluice, &options, &text, &ignored) != SLUICE_OK)
		return NULL;
	return text;
}

static void offer_from_list(struct completion *at, bool is_pipeline)
{
	char *text = list_runs(at);
	struct str rest = str_of(text);
	struct str last = STR_NONE;

	while (rest.len > 0) {
		size_t end = str_find(rest, "\n", 0);
		struct str line = str_cut(rest, 0, end);
		struct err ignored = ERR_INIT;
		struct str pipeline;

		rest = end == SIZE_MAX ? STR_NONE : str_cut(rest, end + 1, rest.len);
		if (json_check(line, JSON_DEPTH_MAX, &ignored) != ERR_OK)
			continue;
		pipeline = member_plain(json_get(line, "metadata"), "pipeline");
		if (!is_pipeline) {
			AUTO(buf_fini) struct buf meaning = BUF_INIT;

			buf_fmt(&meaning, "%.*s %.*s", STR_ARG(pipeline),
				STR_ARG(member_plain(line, "state")));
			offer(at, member_plain(line, "run_id"), meaning.ptr ? meaning.ptr : "");
		} else if (!str_eq(pipeline, last)) {
			offer(at, pipeline, "pipeline");
			last = pipeline;
		}
	}
	sluice_free(text);
}

static void offer_runs(struct completion *at)
{
	offer(at, STR("@latest"), "the newest run");
	offer(at, STR("@failed"), "the newest run that failed");
	offer_from_list(at, false);
}

/* The plan of FILE or the status of RUN, whatever the first word after the verb is. */
static char *describe(struct completion *at, bool is_file)
{
	struct sluice_error ignored;
	struct sluice_pipeline *pipeline = NULL;
	char *text = NULL;

	if (at->words_count == 0 || !is_open(at))
		return NULL;
	if (!is_file) {
		if (sluice_status(at->sluice, at->words[0], SLUICE_JSON, &text, &ignored) !=
			SLUICE_OK &&
		    !text)
			return NULL;
		return text;
	}
	if (sluice_pipeline_load(at->sluice, at->words[0], &pipeline, NULL, &ignored) ==
		SLUICE_OK &&
	    sluice_pipeline_plan(at->sluice, pipeline, NULL, NULL, SLUICE_JSON, &text, &ignored) !=
		SLUICE_OK)
		text = NULL;
	sluice_pipeline_free(pipeline);
	return text;
}

static bool verb_takes(const struct completion *at, const char *word)
{
	return at->verb && strncmp(at->verb->usage, word, strlen(word)) == 0;
}

static void offer_steps(struct completion *at)
{
	char *text = describe(at, verb_takes(at, "FILE"));
	struct err ignored = ERR_INIT;
	struct str step;
	size_t place = 0;

	if (text && json_check(str_of(text), JSON_DEPTH_MAX, &ignored) == ERR_OK) {
		struct str steps = json_get(str_of(text), "steps");

		while (steps.ptr && json_item(steps, &place, &step))
			offer(at, member_plain(step, "step_id"), "step");
	}
	sluice_free(text);
}

static void offer_params(struct completion *at)
{
	char *text = describe(at, verb_takes(at, "FILE"));
	struct err ignored = ERR_INIT;
	struct str name;
	struct str value;
	size_t place = 0;

	if (text && json_check(str_of(text), JSON_DEPTH_MAX, &ignored) == ERR_OK) {
		struct str params = json_get(str_of(text), "params");

		while (params.ptr && json_member(params, &place, &name, &value)) {
			AUTO(buf_fini) struct buf word = BUF_INIT;

			buf_fmt(&word, "%.*s=", STR_ARG(name));
			offer(at, buf_view(&word), "parameter");
		}
	}
	sluice_free(text);
}

static void offer_limits(const struct completion *at)
{
	const char *name;

	for (size_t i = 0; (name = limit_name(i)) != NULL; i++) {
		AUTO(buf_fini) struct buf word = BUF_INIT;

		buf_fmt(&word, "%s=", name);
		offer(at, buf_view(&word), "limit");
	}
}

/* ------------------------------------------------------------------------ words of the tables */

/* What a usage or an option calls its value. Anything else is a word that is typed as it is, or a
 * text that nobody can guess. */
static void offer_named(struct completion *at, struct str name)
{
	if (str_is(name, "FILE"))
		buf_text(at->out, ":files\n");
	else if (str_is(name, "FOLDER"))
		buf_text(at->out, ":folders\n");
	else if (str_is(name, "RUN"))
		offer_runs(at);
	else if (str_is(name, "STEP") || str_is(name, "GATE"))
		offer_steps(at);
	else if (str_is(name, "PIPELINE"))
		offer_from_list(at, true);
	else if (str_is(name, "VERB"))
		offer_verbs(at);
	else if (name.len > 0 && name.ptr[0] >= 'a' && name.ptr[0] <= 'z')
		offer(at, name, "");
}

/* The next of the words `a, b or c`, without what stands for a value at its end ("interval:MS"). */
static struct str listed_word(struct str list, size_t *from)
{
	size_t end = str_find(list, ", ", *from);
	struct str word = str_cut(list, *from, end);

	*from = end == SIZE_MAX ? list.len : end + 2;
	while (word.len > 0 && word.ptr[word.len - 1] >= 'A' && word.ptr[word.len - 1] <= 'Z')
		word.len--;
	return word;
}

/* The values of a help that begins `a, b or c`. */
static void offer_listed(struct completion *at, struct str help)
{
	size_t end = str_find(help, " or ", 0);
	struct str list = str_cut(help, 0, end);
	struct str last;

	if (end == SIZE_MAX)
		return;
	for (size_t from = 0; from < list.len;) {
		if (str_has(listed_word(list, &from), ' '))
			return; /* a sentence */
	}
	for (size_t from = 0; from < list.len;)
		offer(at, listed_word(list, &from), "");
	last = str_cut(help, end + 4, help.len);
	offer(at, str_cut(last, 0, str_find(last, " ", 0)), "");
}

static void offer_value(struct completion *at, enum option option)
{
	if (option == OPT_LIMIT_SET)
		offer_limits(at);
	else if (option == OPT_PARAM)
		offer_params(at);
	else if (option == OPT_PIPELINE)
		offer_from_list(at, true);
	else
		offer_named(at, str_of(option_value(option)));
	if (option == OPT_OUTPUT && at->verb) {
		AUTO(buf_fini) struct buf formats = BUF_INIT;

		cli_formats_put(&formats, at->verb);
		offer_listed(at, buf_view(&formats));
		return;
	}
	offer_listed(at, str_of(option_help(option)));
}

/* The next word of a usage: "RUN", "[VERB", "|", "FILE|RUN"; brackets and dots left out. */
static struct str usage_word(const char **usage)
{
	struct str word;

	while (**usage == ' ' || **usage == '[')
		(*usage)++;
	word = str_from(*usage, strcspn(*usage, " ]"));
	*usage += word.len;
	while (**usage == ']' || **usage == '.')
		(*usage)++;
	return word;
}

/* The words that the usage has at the place: alternatives are split by `|`, options end it. */
static void offer_words(struct completion *at, size_t place)
{
	const char *usage = at->verb->usage;
	size_t now = 0;

	for (;;) {
		struct str word = usage_word(&usage);

		if (word.len == 0 || word.ptr[0] == '-' || str_is(word, "options"))
			return;
		if (str_is(word, "|")) {
			now = 0;
			continue;
		}
		if (now == place) {
			while (word.len > 0) {
				size_t bar = str_find(word, "|", 0);

				offer_named(at, str_cut(word, 0, bar));
				word =
				    bar == SIZE_MAX ? STR_NONE : str_cut(word, bar + 1, word.len);
			}
		}
		now++;
	}
}

/* ------------------------------------------------------------------------- the words before */

static enum option option_of(const struct completion *at, struct str name, char letter)
{
	const enum option *lists[] = {at->verb ? at->verb->options : NULL, cli_globals};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		for (const enum option *o = lists[i]; o && *o != OPT_END; o++) {
			if (name.ptr ? str_is(name, option_name(*o)) : letter == option_letter(*o))
				return *o;
		}
	}
	return OPT_END;
}

/* The option whose value is the word after this one; OPT_END if there is none. */
static enum option waits_for_value(const struct completion *at, const char *word)
{
	enum option option = OPT_END;

	if (word[0] != '-' || !word[1] || strchr(word, '='))
		return OPT_END;
	if (word[1] == '-') {
		option = option_of(at, str_of(word + 2), '\0');
		return option != OPT_END && option_value(option) ? option : OPT_END;
	}
	for (const char *letter = word + 1; *letter; letter++) {
		option = option_of(at, STR_NONE, *letter);
		if (option == OPT_END)
			return OPT_END;
		if (option_value(option))
			return letter[1] ? OPT_END : option;
	}
	return OPT_END;
}

/* Read the words before the one at hand; the option that waits for its value, or OPT_END. */
static enum option read_before(struct completion *at, const char *const *words, size_t count,
			       bool *ret_is_ended)
{
	enum option waiting = OPT_END;

	for (size_t i = 0; i < count; i++) {
		const char *word = words[i];

		if (waiting != OPT_END) {
			if (waiting == OPT_DIR)
				at->state_dir = word;
			if (waiting == OPT_CONFIG)
				at->config = word;
			waiting = OPT_END;
		} else if (!*ret_is_ended && strcmp(word, "--") == 0) {
			*ret_is_ended = true;
		} else if (!*ret_is_ended && word[0] == '-' && word[1]) {
			if (strncmp(word, "--dir=", 6) == 0)
				at->state_dir = word + 6;
			if (strncmp(word, "--config=", 9) == 0)
				at->config = word + 9;
			waiting = waits_for_value(at, word);
		} else if (!at->verb) {
			at->verb = cli_verb_find(word);
			if (!at->verb)
				*ret_is_ended = true; /* nothing is known of it */
		} else if (at->words_count < PLACES_MAX) {
			at->words[at->words_count++] = word;
		}
	}
	return waiting;
}

void complete_put(struct buf *out, const char *const *words, size_t count)
{
	struct completion at = {.out = out, .typed = str_of(count ? words[count - 1] : "")};
	bool is_ended = false;
	enum option waiting = count ? read_before(&at, words, count - 1, &is_ended) : OPT_END;
	size_t equals = str_find(at.typed, "=", 0);

	if (waiting != OPT_END) {
		offer_value(&at, waiting);
	} else if (!is_ended && str_starts(at.typed, "--") && equals != SIZE_MAX) {
		enum option option = option_of(&at, str_cut(at.typed, 2, equals), '\0');

		at.front = str_cut(at.typed, 0, equals + 1);
		at.typed = str_cut(at.typed, equals + 1, at.typed.len);
		if (option != OPT_END && option_value(option))
			offer_value(&at, option);
	} else if (!is_ended && str_starts(at.typed, "-")) {
		offer_options(&at);
	} else if (at.verb) {
		offer_words(&at, at.words_count);
	} else if (!is_ended) {
		offer_verbs(&at);
	}
	sluice_close(at.sluice);
}
