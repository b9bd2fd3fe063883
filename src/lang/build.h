/* build.h - inside of lang: what the files that make a model of nodes share.
 *
 * A build goes on after every error, so that one pass finds them all: functions that read a value
 * answer false after they reported it, or when the value is NODE_BAD, which was reported already.
 * When memory is short it is noted in build->err, and whatever follows does nothing of value. */
#ifndef LANG_BUILD_H
#define LANG_BUILD_H

#include "base/limit.h"
#include "core/model.h"
#include "lang/diag.h"
#include "lang/expr.h"
#include "lang/lang.h"
#include "lang/node.h"

/* --- keys (key.def) */

enum key_id {
#define KEY(scope, name, support, use) KEY_##scope##_##name,
#include "lang/key.def"
	KEY_COUNT
};

#define KEY_SLOTS      512 /* about four times as many as keys: a search ends at once */
#define KEY_STEP_FIRST KEY_step_run
#define KEY_STEP_COUNT (KEY_step_steps - KEY_step_run + 1)

enum key_scope {
	SCOPE_top,
	SCOPE_step,
	SCOPE_kind,
	SCOPE_param,
	SCOPE_secret,
	SCOPE_variable,
	SCOPE_stdin,
	SCOPE_quality,
	SCOPE_limit,
	SCOPE_retry,
	SCOPE_approve,
	SCOPE_checkpoint,
	SCOPE_compensate,
	SCOPE_output,
	SCOPE_artifact,
};

enum key_support { SUPPORT_NOW, SUPPORT_LATER, SUPPORT_FROZEN };
enum key_use { USE_ANY, USE_KIND, USE_ORDER, USE_PROCESS, USE_SHELL, USE_WORK };

struct build;

/* Read one value into the thing that the mapping makes (`target`). */
typedef void key_fn(struct build *build, void *target, const struct node *key,
		    const struct node *value);

struct key_row {
	enum key_scope scope;
	struct str name;
	enum key_support support;
	enum key_use use;
	key_fn *read; /* NULL for LATER */
};

extern const struct key_row key_rows[KEY_COUNT];

/* --- the build */

/* An expression that uses the outputs of a step: is it upstream? Judged when the graph is there. */
struct ref {
	uint32_t step;   /* whose expression; STEP_NONE: of `defaults`, key `key` */
	uint32_t target; /* whose outputs */
	uint32_t node;   /* where it is written */
	enum key_id key; /* of the step */
};

struct build {
	struct model *model;
	struct diags *diags;
	const struct limits *limits;
	const struct lang_host *host;  /* NULL: the program offers nothing of its own */
	struct str source;             /* without a byte order mark */
	uint16_t key_slots[KEY_SLOTS]; /* row + 1 in key_rows, found by scope and name; 0 = free */
	bool folds;     /* the tree has the steps folded: each is read when its turn comes */
	bool is_frozen; /* the frozen form: accepted once, not judged by this machine */
	bool has_steps_node;
	bool is_odd; /* what was folded is not of the frozen form: to be read without folding */
	uint64_t seed;
	size_t nearest_work; /* spent on "did you mean" */
	struct nodes nodes;
	struct nodes unfolded; /* of the step that is read, when steps are folded */
	struct expr *expr;     /* made at the first expression */
	struct ref *refs;
	size_t refs_count, refs_capacity;
	uint32_t *step_nodes; /* key node of each step */
	uint32_t *marks;      /* by step: the last step + 1 whose needs named it */
	uint32_t likely[4];   /* needs of the next step: where model_find_near looks first */
	const char **step_names;
	struct str shell_found; /* the last shell that was looked up and found */
	/* of the step that is being read */
	uint32_t step;   /* STEP_NONE outside steps */
	enum key_id key; /* of the step or the defaults */
	bool has_unknown_key;
	uint32_t undo_node; /* of a value `on_failure: compensate`, + 1; 0 = there is none */
	/* shared by steps that do not say otherwise */
	const struct retry *retry_none;
	const struct approval *approval_any;
	struct exit_class *exit_classes;
	uint32_t exit_class_count;
	struct str *shell;
	uint32_t shell_count;
	struct draft *defaults; /* NULL until they are read */
	struct err err;         /* memory is short */
};

/* A step as it is read: `at` says which keys stand at the step itself. */
struct draft {
	struct step step;
	struct command command;
	struct call_def call;
	const struct draft *undo;    /* its compensate; NULL = none */
	uint32_t at[KEY_STEP_COUNT]; /* index of the key node + 1; 0 = not written */
	uint64_t keys;               /* those that are not 0 in `at`, as a set */
	bool is_defaults;
};

/* One key of a step in `keys` of its draft; and the first that is left in a set of them, as an
 * index into `at`. */
#define KEY_STEP_BIT(index) (UINT64_C(1) << (index))
#define KEY_STEP_NEXT(keys) ((uint32_t)__builtin_ctzll(keys))

/* Zeroed memory of the model; NULL when it is short (noted). */
void *build_new(struct build *build, size_t count, size_t size);
struct str build_keep(struct build *build, struct str text);
#define build_report(build, code, node, ...) \
	diags_add((build)->diags, code, (node)->line, (node)->column, __VA_ARGS__)
const struct node *build_node(const struct build *build, uint32_t index); /* NULL for NODE_NONE */
static inline uint32_t build_index(const struct build *build, const struct node *node)
{
	return (uint32_t)(node - build->nodes.items);
}
static inline const struct node *build_child(const struct build *build, const struct node *node)
{
	(void)build;
	return node->has_child ? node + 1 : NULL;
}
static inline const struct node *build_next(const struct build *build, const struct node *node)
{
	return node->next == NODE_NONE ? NULL : &build->nodes.items[node->next];
}
/* The value of a key: every key has one. */
static inline const struct node *build_value(const struct build *build, const struct node *key)
{
	BUG_IF(key->next == NODE_NONE);
	return &build->nodes.items[key->next];
}
/* Is it of that kind? Otherwise it is reported as "'key' must be <expected>". */
bool build_not_expected(struct build *build, const struct node *key, const struct node *value,
			const char *expected);
static inline bool build_expect(struct build *build, const struct node *key,
				const struct node *value, enum node_kind kind, const char *expected)
{
	return value->kind == (uint8_t)kind || build_not_expected(build, key, value, expected);
}
/* Read every key of a mapping by its row. `at` gets index + 1 of the key nodes, counted from
 * `first`; may be NULL. */
void build_map(struct build *build, enum key_scope scope, const struct node *map, void *target,
	       uint32_t *at, enum key_id first);
/* Where `needle` stands in the source of a value, else the value's own place. */
void build_place(const struct build *build, const struct node *node, struct str needle,
		 uint32_t *ret_line, uint32_t *ret_column);
/* "did you mean" for the last diagnostic; false when nothing is near. */
bool build_nearest(struct build *build, struct str word, const char *const *names, size_t count);
/* SLU013, with what other tools' word is here, the nearest key, or the few that there are. */
void build_unknown_key(struct build *build, enum key_scope scope, const struct node *key);

/* --- scalars (take.c): every one reports what does not fit */

enum { TAKE_EMPTY = 1 }; /* an empty text is fine */

/* A text, borrowed from the tree. Numbers and booleans count as their text, null does not. `flags`:
 * TAKE_EMPTY. */
bool take_text(struct build *build, const struct node *key, const struct node *value,
	       unsigned flags, struct str *ret_text);
/* true or false, without quotes. */
bool take_bool(struct build *build, const struct node *key, const struct node *value,
	       bool *ret_value);
/* A whole number from `least` to `most`. */
bool take_u32(struct build *build, const struct node *key, const struct node *value, uint32_t least,
	      uint32_t most, uint32_t *ret_value);
bool take_i32(struct build *build, const struct node *key, const struct node *value, int32_t least,
	      int32_t most, int32_t *ret_value);
bool take_i64(struct build *build, const struct node *key, const struct node *value, int64_t least,
	      int64_t most, int64_t *ret_value);
/* A finite number. */
bool take_double(struct build *build, const struct node *key, const struct node *value,
		 double *ret_value);
/* A number and its unit, `90s`, of at least `least_ns`. */
bool take_duration(struct build *build, const struct node *key, const struct node *value,
		   int64_t least_ns, int64_t *ret_ns);
/* A number and its unit, `64KiB`, above zero. */
bool take_size(struct build *build, const struct node *key, const struct node *value,
	       uint64_t *ret_bytes);
/* A share: "10%" is 0.1. */
bool take_percent(struct build *build, const struct node *key, const struct node *value,
		  double *ret_share);
/* One of a few words; its index. */
bool take_word(struct build *build, const struct node *key, const struct node *value,
	       const char *const *words, size_t count, uint32_t *ret_index);
/* A name of a step, param, output or artifact (S2); `what` for the message. */
bool take_name(struct build *build, const struct node *value, const char *what,
	       struct str *ret_name);
/* A list of texts that are all different. */
bool take_texts(struct build *build, const struct node *key, const struct node *value, size_t least,
		bool must_differ, struct str **ret_texts, uint32_t *ret_count);
/* Any value as canonical JSON. */
bool take_json(struct build *build, const struct node *value, struct buf *out);

/* --- expressions and texts with ${} (use.c) */

enum {
	USES_OUTPUT = 1, /* `output` is known: pass, reason */
	USES_SECRET = 2, /* may be a secret as a whole: env */
	USES_NO_OUTPUTS =
	    4, /* the environment of the pipeline, its partition: before any step ran */
};

/* A bare expression that parses and uses what `uses` lets it. */
bool use_expression(struct build *build, const struct node *key, const struct node *value,
		    unsigned uses, struct str *ret_source);
/* A text with expressions in `${}`, each judged in the same way; it may be empty. */
bool use_template(struct build *build, const struct node *key, const struct node *value,
		  unsigned uses, struct tmpl *ret_tmpl);
/* A list of such texts. */
bool use_templates(struct build *build, const struct node *key, const struct node *value,
		   struct tmpl **ret_list, uint32_t *ret_count);
/* Report refs to steps that are not upstream. The graph is built. */
void use_refs_check(struct build *build);

/* --- parts of the model */

/* Names and texts of a mapping; what is wrong with one is reported, the others are kept. */
void environment_read(struct build *build, const struct node *key, const struct node *map,
		      unsigned uses, struct env_entry **ret_env, uint32_t *ret_count);
/* Every step of the pipeline, and with it the model's list; build->step says which one is read. */
void steps_read(struct build *build, const struct node *map);
/* `defaults`: what steps begin with that do not say otherwise. */
void steps_defaults_read(struct build *build, const struct node *map);
/* The step's command, or NULL for a noop: checks of the keys together. */
void command_finish(struct build *build, struct draft *draft, const struct node *name);
/* `name: config` of a kind of step that the host has registered; false when it has not. */
bool custom_kind_read(struct build *build, struct draft *draft, const struct node *key,
		      const struct node *value);
/* The step's compensation: what it does not say comes from the step. */
void compensate_finish(struct build *build, struct draft *draft, const struct node *name);
/* on_failure: compensate needs something that can be undone. */
void compensate_check(struct build *build);
void gate_finish(struct build *build, struct draft *draft, const struct node *name);
bool retry_init(struct build *build);
/* Keys of the process mean nothing to an executor of the program's: it has no keeper. */
void process_check(struct build *build, struct draft *draft);
/* As it is written in `limits`. */
const char *resource_name(enum resource_kind kind);
/* Is it a class that a command can know of itself: by its exit code or in its result file? */
bool error_class_is_for_exit(enum error_class class);

#define KEY_FN_NOW(scope, name) \
	void key_##scope##_##name(struct build *build, void *target, const struct node *key, \
				  const struct node *value);
#define KEY_FN_FROZEN(scope, name) KEY_FN_NOW(scope, name)
#define KEY_FN_LATER(scope, name)
#define KEY(scope, name, support, use) KEY_FN_##support(scope, name)
#include "lang/key.def"

#endif
