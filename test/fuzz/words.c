/* words.c - any words as a command line: options of every verb, and the completion of what was
 * typed.
 *
 * An input: which verb, then the words, each ended by a newline. Every word is used once: as an
 * option, the value of one, or a word. */
#include "base/buf.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/complete.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 16

static size_t verbs_count(void)
{
	size_t count = 0;

	while (cli_verbs[count])
		count++;
	return count;
}

/* Does `text` lie within one of the words? */
static bool is_borrowed(const char *text, char **words, int count)
{
	for (int i = 0; i < count; i++) {
		if (text >= words[i] && text <= words[i] + strlen(words[i]))
			return true;
	}
	return false;
}

static void check_read(const struct options *options, char **words, int count, int at)
{
	size_t plain = options->words_count;

	BUG_IF(at > count || plain > (size_t)count);
	for (size_t i = 0; i < plain; i++)
		BUG_IF(!is_borrowed(options->words[i], words, count));
	for (int i = 0; i < OPT_COUNT_OF; i++) {
		BUG_IF(options->value[i] && !options->given[i]);
		BUG_IF(options->value[i] && !is_borrowed(options->value[i], words, count));
		BUG_IF(options->many[i] && !options->given[i]);
		for (const char **many = options->many[i]; many && *many; many++)
			BUG_IF(!is_borrowed(*many, words, count));
	}
}

static void read_words(const struct cli_verb *verb, char **words, int count, bool stops)
{
	const enum option *lists[] = {verb->options, cli_globals, NULL};
	AUTO(options_fini) struct options options = {.words_count = 0};
	struct option_error error = {.text = ""};
	uint64_t number = 5;
	int at = 0;

	if (!verb->options) {
		lists[0] = cli_globals;
		lists[1] = NULL;
	}
	if (!options_read(&options, lists, count, words, &at, stops, &error)) {
		BUG_IF(!error.text[0]);
		return;
	}
	check_read(&options, words, count, at);
	BUG_IF(!stops && at != count);
	for (int i = 0; i < OPT_COUNT_OF; i++) {
		bool is_right =
		    options_number(&options, (enum option)i, 1, 100, 7, &number, &error);

		BUG_IF(is_right && (number < 1 || number > 100));
	}
}

/* Lines of a word, a tab and its meaning; nothing that a shell would have to quote. */
static void complete(const char *const *words, size_t count)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct bytes lines;

	complete_put(&out, words, count);
	lines = (struct bytes){(const uint8_t *)out.ptr, out.len};
	while (lines.left > 0) {
		struct str line = line_next(&lines);
		size_t tab = str_find(line, "\t", 0);

		BUG_IF(line.len == 0 || (tab == SIZE_MAX && line.ptr[0] != ':'));
		for (size_t i = 0; i < line.len && i < tab; i++)
			BUG_IF(strchr(" '\"\\$`;&|<>()*?[]#~!{}", line.ptr[i]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	uint8_t first = byte_next(&bytes);
	char *words[WORDS_MAX + 1] = {NULL};
	int count = 0;

	BUG_IF(clearenv() != 0 || setenv("SLUICE_HOME", "/nonexistent", 1) != 0 ||
	       setenv("SLUICE_CONFIG", "", 1) != 0);
	while (bytes.left > 0 && count < WORDS_MAX) {
		struct str line = line_next(&bytes);

		words[count] = mem_text(line.ptr, line.len); /* up to its first NUL */
		BUG_IF(!words[count]);
		count++;
	}
	read_words(cli_verbs[(first >> 1) % verbs_count()], words, count, first & 1);
	if (count > 0)
		complete((const char *const *)words, (size_t)count);
	for (int i = 0; i < count; i++)
		mem_free(words[i]);
	return 0;
}
