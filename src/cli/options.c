/* options.c - see options.h */
#include "cli/options.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

enum kind { KIND_FLAG, KIND_VALUE, KIND_MANY };

struct row {
	const char *name;
	char letter;
	enum kind kind;
	const char *value;
	const char *help;
};

static const struct row rows[] = {
#define OPTION(id, name, letter, kind, value, help) {name, letter, KIND_##kind, value, help},
#include "cli/option.def"
};

const char *option_name(enum option option)
{
	return rows[option].name;
}

char option_letter(enum option option)
{
	return rows[option].letter;
}

const char *option_value(enum option option)
{
	return rows[option].value;
}

const char *option_help(enum option option)
{
	return rows[option].help;
}

/* ------------------------------------------------------------------------------- finding */

static enum option by_name(const enum option *const *lists, struct str name)
{
	for (; *lists; lists++) {
		for (const enum option *at = *lists; *at != OPT_END; at++) {
			if (str_is(name, rows[*at].name))
				return *at;
		}
	}
	return OPT_END;
}

static enum option by_letter(const enum option *const *lists, char letter)
{
	for (; *lists; lists++) {
		for (const enum option *at = *lists; *at != OPT_END; at++) {
			if (rows[*at].letter == letter)
				return *at;
		}
	}
	return OPT_END;
}

static void suggest(const enum option *const *lists, struct str name, struct option_error *error)
{
	const char *names[2 * OPT_COUNT_OF];
	size_t count = 0;
	const char *nearest;

	for (; *lists; lists++) {
		for (const enum option *at = *lists; *at != OPT_END && count < ARRAY_LEN(names);
		     at++)
			names[count++] = rows[*at].name;
	}
	nearest = str_nearest(name, names, count);
	if (nearest)
		(void)snprintf(error->hint, sizeof(error->hint), "did you mean '--%s'?", nearest);
}

/* ------------------------------------------------------------------------------- keeping */

static bool out_of_memory(struct option_error *error)
{
	(void)snprintf(error->text, sizeof(error->text), "memory is short");
	error->is_memory = true;
	return false;
}

static bool push(const char ***list, size_t count, const char *text, struct option_error *error)
{
	const char **grown = mem_resize(*list, count + 2, sizeof(*grown));

	if (!grown)
		return out_of_memory(error);
	grown[count] = text;
	grown[count + 1] = NULL;
	*list = grown;
	return true;
}

static bool set(struct options *options, enum option option, const char *value,
		struct option_error *error)
{
	size_t count = 0;

	options->given[option] = true;
	options->value[option] = value;
	if (rows[option].kind != KIND_MANY)
		return true;
	while (options->many[option] && options->many[option][count])
		count++;
	return push(&options->many[option], count, value, error);
}

/* ------------------------------------------------------------------------------- reading */

struct reading {
	struct options *options;
	const enum option *const *lists;
	int argc;
	char **argv;
	int *at;
	struct option_error *error;
};

/* The value of an option that has none attached: the next word. */
static bool take_next(const struct reading *r, const char *shown, const char **ret_value)
{
	if (*r->at + 1 >= r->argc) {
		(void)snprintf(r->error->text, sizeof(r->error->text), "option '%s' needs a value",
			       shown);
		return false;
	}
	*ret_value = r->argv[++*r->at];
	return true;
}

static bool read_long(const struct reading *r, const char *word)
{
	const char *equals = strchr(word, '=');
	struct str name =
	    str_from(word + 2, equals ? (size_t)(equals - word) - 2 : strlen(word + 2));
	enum option option = by_name(r->lists, name);
	const char *value = equals ? equals + 1 : NULL;

	if (option == OPT_END) {
		(void)snprintf(r->error->text, sizeof(r->error->text), "unknown option '--%.*s'",
			       (int)(name.len < 80 ? name.len : 80), name.ptr);
		suggest(r->lists, name, r->error);
		return false;
	}
	if (rows[option].kind == KIND_FLAG && equals) {
		(void)snprintf(r->error->text, sizeof(r->error->text),
			       "option '--%s' takes no value", rows[option].name);
		return false;
	}
	if (rows[option].kind != KIND_FLAG && !equals && !take_next(r, word, &value))
		return false;
	return set(r->options, option, value, r->error);
}

static bool read_short(const struct reading *r, const char *word)
{
	for (const char *letter = word + 1; *letter; letter++) {
		enum option option = by_letter(r->lists, *letter);
		const char *value = letter[1] ? letter + 1 : NULL;
		const char shown[3] = {'-', *letter, '\0'};

		if (option == OPT_END) {
			(void)snprintf(r->error->text, sizeof(r->error->text),
				       "unknown option '%s'", shown);
			return false;
		}
		if (rows[option].kind == KIND_FLAG) {
			if (!set(r->options, option, NULL, r->error))
				return false;
			continue;
		}
		if (!value && !take_next(r, shown, &value))
			return false;
		return set(r->options, option, value, r->error);
	}
	return true;
}

bool options_read(struct options *options, const enum option *const *lists, int argc, char **argv,
		  int *at, bool stop, struct option_error *error)
{
	const struct reading r = {options, lists, argc, argv, at, error};
	bool is_ended = false;

	*error = (struct option_error){.is_memory = false};
	for (; *at < argc; (*at)++) {
		const char *word = argv[*at];
		bool is_good;

		if (is_ended || word[0] != '-' || !word[1]) {
			if (stop)
				return true;
			is_good = push(&options->words, options->words_count++, word, error);
		} else if (strcmp(word, "--") == 0) {
			is_ended = true;
			is_good = true;
		} else if (word[1] == '-') {
			is_good = read_long(&r, word);
		} else {
			is_good = read_short(&r, word);
		}
		if (!is_good)
			return false;
	}
	return true;
}

void options_fini(struct options *options)
{
	for (size_t i = 0; i < OPT_COUNT_OF; i++)
		mem_free(options->many[i]);
	mem_free(options->words);
}

bool options_number(const struct options *options, enum option option, uint64_t min, uint64_t max,
		    uint64_t otherwise, uint64_t *ret_number, struct option_error *error)
{
	uint64_t number = otherwise;

	*error = (struct option_error){.is_memory = false};
	if (options->value[option] && (!str_to_u64(str_of(options->value[option]), &number) ||
				       number < min || number > max)) {
		(void)snprintf(error->text, sizeof(error->text),
			       "'--%s %.60s': a whole number from %llu to %llu is expected",
			       rows[option].name, options->value[option], (unsigned long long)min,
			       (unsigned long long)max);
		return false;
	}
	*ret_number = number;
	return true;
}
