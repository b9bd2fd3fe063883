/* build.c - pipelines built in C: collected as the text of a pipeline, which lang/ reads
 *
 * So there is one set of checks, and what a run freezes is the same whatever it came from. The text
 * has one step on a line; its diagnostics are given the name of their step. */
#include "api/api.h"

#include "api/writing.h"
#include "base/json.h"
#include "base/map.h"
#include "lang/lang.h"
#include "sys/file.h"

#include <string.h>

struct building {
	char *name;
	char *folder;      /* absolute; NULL = the working directory at the check */
	struct buf head;   /* members of the pipeline, a line each */
	struct buf params; /* of the mapping */
	struct buf steps;
	size_t steps_count;
	struct arena names; /* of calls */
	struct map call_index;
	struct pipeline_call *calls;
	size_t calls_count, calls_capacity;
	struct err failed; /* the first failure */
};

void api_building_free(struct building *building)
{
	if (!building)
		return;
	mem_free(building->name);
	mem_free(building->folder);
	buf_fini(&building->head);
	buf_fini(&building->params);
	buf_fini(&building->steps);
	arena_fini(&building->names);
	map_fini(&building->call_index);
	mem_free(building->calls);
	mem_free(building);
}

const char *api_building_name(const struct building *building)
{
	return building->name;
}

size_t api_building_steps(const struct building *building)
{
	return building->steps_count;
}

static enum err_code begin_pipeline(struct building *building)
{
	return writing_text(&building->head, "pipeline", building->name, &building->failed);
}

struct sluice_pipeline *sluice_pipeline_new(const char *name)
{
	struct sluice_pipeline *pipeline = api_pipeline_room(name ? name : "pipeline");
	struct building *building = mem_new(1, sizeof(*building));

	if (building)
		building->name = name ? mem_text(name, strlen(name)) : mem_text("", 0);
	if (!pipeline || !building || !building->name) {
		api_building_free(building);
		sluice_pipeline_free(pipeline);
		return NULL;
	}
	/* The caller's own names: nobody chooses them to collide. */
	map_init(&building->call_index, (uint64_t)(uintptr_t)building);
	pipeline->building = building;
	(void)begin_pipeline(building);
	return pipeline;
}

/* ------------------------------------------------------------------------------------ adding */

/* The pipeline as one that is being built: what lang/ made of its older form is forgotten. NULL
 * when it cannot be changed, for `own`. */
static struct building *change(struct sluice_pipeline *pipeline, struct err *own)
{
	if (!pipeline) {
		(void)err_set(own, ERR_USAGE, "the pipeline is missing");
		(void)err_hint(own, "sluice_pipeline_new answers NULL when memory is short");
		return NULL;
	}
	if (!pipeline->building) {
		(void)err_set(own, ERR_USAGE, "a pipeline that was read cannot be changed");
		return NULL;
	}
	if (pipeline->building->failed.code != ERR_OK) {
		*own = pipeline->building->failed;
		return NULL;
	}
	model_free(pipeline->definition->model);
	pipeline->definition->model = NULL;
	buf_fini(&pipeline->definition->source);
	return pipeline->building;
}

/* Remember a failure, and tell it. */
static enum sluice_code changed(struct building *building, const struct err *own,
				struct sluice_error *err)
{
	if (own->code == ERR_OK)
		return SLUICE_OK;
	if (building && building->failed.code == ERR_OK)
		building->failed = *own;
	return api_err(err, own);
}

/* A name and a colon at the start of a line, after what is there already. */
static enum err_code begin_line(struct buf *out, const char *what, const char *name,
				struct err *err)
{
	if (!name)
		return err_set(err, ERR_USAGE, "%s has no name", what);
	if (!utf8_valid(str_of(name)))
		return err_set(err, ERR_USAGE, "the name of %s is not UTF-8", what);
	buf_text(out, out->len ? ",\n" : "");
	frozen_put_str(out, str_of(name));
	buf_byte(out, ':');
	return ERR_OK;
}

static enum err_code add_call(struct building *building, const struct sluice_step_def *step,
			      struct err *err)
{
	struct str name = arena_str(&building->names, str_of(step->id));

	if (!name.ptr)
		return mem_err(err);
	if (building->calls_count >= MAP_NONE)
		return err_set(err, ERR_LIMIT, "too many functions");
	if (mem_grow((void **)&building->calls, &building->calls_capacity,
		     building->calls_count + 1, sizeof(*building->calls), err) != ERR_OK)
		return err->code;
	building->calls[building->calls_count] = (struct pipeline_call){
	    .call = step->call, .arg = step->arg, .dry_run_safe = step->dry_run_safe};
	/* Twice the same name is an error of the pipeline too, and said by its check. */
	if (map_set(&building->call_index, name, (uint32_t)building->calls_count, err) != ERR_OK)
		return err->code;
	building->calls_count++;
	return ERR_OK;
}

static enum err_code add_step(struct building *building, const struct sluice_step_def *step,
			      struct err *err)
{
	size_t before = building->steps.len;

	if (begin_line(&building->steps, "a step", step->id, err) != ERR_OK)
		return err->code;
	if (!step->call && (step->arg || step->dry_run_safe))
		(void)err_set(err, ERR_USAGE, "'arg' or 'dry_run_safe' is given without 'call'");
	else if (writing_step(&building->steps, step, step->call ? step->id : NULL, err) ==
		     ERR_OK &&
		 step->call)
		(void)add_call(building, step, err);
	if (err->code != ERR_OK) {
		buf_cut(&building->steps, before);
		return err_while(err, "step '%.64s'", step->id);
	}
	building->steps_count++;
	return ERR_OK;
}

enum sluice_code sluice_pipeline_step(struct sluice_pipeline *pipeline,
				      const struct sluice_step_def *step, struct sluice_error *err)
{
	struct err own = ERR_INIT;
	struct building *building = change(pipeline, &own);

	if (building && !step)
		(void)err_set(&own, ERR_USAGE, "the definition of the step is missing");
	else if (building)
		(void)add_step(building, step, &own);
	return changed(building, &own, err);
}

enum sluice_code sluice_pipeline_param(struct sluice_pipeline *pipeline,
				       const struct sluice_param_def *param,
				       struct sluice_error *err)
{
	struct err own = ERR_INIT;
	struct building *building = change(pipeline, &own);

	if (building && !param)
		(void)err_set(&own, ERR_USAGE, "the definition of the parameter is missing");
	else if (building &&
		 begin_line(&building->params, "a parameter", param->name, &own) == ERR_OK &&
		 writing_param(&building->params, param, &own) != ERR_OK)
		(void)err_while(&own, "parameter '%.64s'", param->name);
	return changed(building, &own, err);
}

static enum err_code add_defaults(struct building *building, const struct sluice_step_def *defaults,
				  struct err *err)
{
	if (!defaults)
		return err_set(err, ERR_USAGE, "the defaults are missing");
	if (defaults->id || defaults->call)
		return err_set(err, ERR_USAGE, "'id' and 'call' cannot be defaults");
	if (begin_line(&building->head, "a key", "defaults", err) != ERR_OK)
		return err->code;
	return writing_step(&building->head, defaults, NULL, err);
}

enum sluice_code sluice_pipeline_defaults(struct sluice_pipeline *pipeline,
					  const struct sluice_step_def *defaults,
					  struct sluice_error *err)
{
	struct err own = ERR_INIT;
	struct building *building = change(pipeline, &own);

	if (building)
		(void)add_defaults(building, defaults, &own);
	return changed(building, &own, err);
}

/* Other keys have a function of their own. */
static enum err_code begin_member(struct building *building, const char *key, struct err *err)
{
	static const char *const apart[] = {"pipeline", "params", "steps", "defaults"};

	for (size_t i = 0; key && i < ARRAY_LEN(apart); i++) {
		if (strcmp(key, apart[i]) == 0)
			return err_set(err, ERR_USAGE, "'%s' has a function of its own", key);
	}
	buf_text(&building->head, ",\n");
	return ERR_OK;
}

static enum err_code set_text(struct building *building, const char *key, const char *text,
			      struct err *err)
{
	if (begin_member(building, key, err) != ERR_OK)
		return err->code;
	return writing_text(&building->head, key, text, err);
}

static enum err_code set_json(struct building *building, const char *key, const char *json,
			      struct err *err)
{
	if (begin_member(building, key, err) != ERR_OK)
		return err->code;
	return writing_json(&building->head, key, json, err);
}

enum sluice_code sluice_pipeline_set(struct sluice_pipeline *pipeline, const char *key,
				     const char *text, struct sluice_error *err)
{
	struct err own = ERR_INIT;
	struct building *building = change(pipeline, &own);

	if (building)
		(void)set_text(building, key, text, &own);
	return changed(building, &own, err);
}

enum sluice_code sluice_pipeline_set_json(struct sluice_pipeline *pipeline, const char *key,
					  const char *json, struct sluice_error *err)
{
	struct err own = ERR_INIT;
	struct building *building = change(pipeline, &own);

	if (building)
		(void)set_json(building, key, json, &own);
	return changed(building, &own, err);
}

static enum err_code set_folder(struct building *building, const char *folder, struct err *err)
{
	AUTO(buf_fini) struct buf absolute = BUF_INIT;

	if (!folder)
		return err_set(err, ERR_USAGE, "the folder is missing");
	if (file_folder_at(folder, &absolute, err) != ERR_OK)
		return err->code;
	mem_free(building->folder);
	building->folder = mem_text(absolute.ptr, absolute.len);
	return building->folder ? ERR_OK : mem_err(err);
}

enum sluice_code sluice_pipeline_set_folder(struct sluice_pipeline *pipeline, const char *folder,
					    struct sluice_error *err)
{
	struct err own = ERR_INIT;
	struct building *building = change(pipeline, &own);

	if (building)
		(void)set_folder(building, folder, &own);
	return changed(building, &own, err);
}

/* ----------------------------------------------------------------------------------- checking */

static enum err_code assemble(const struct building *building, struct buf *out, struct err *err)
{
	if (buf_check(&building->head, "the pipeline", err) != ERR_OK ||
	    buf_check(&building->params, "the parameters", err) != ERR_OK ||
	    buf_check(&building->steps, "the steps", err) != ERR_OK)
		return err->code;
	if (buf_room(out, building->head.len + building->params.len + building->steps.len + 64))
		buf_added(out, 0); /* at once: it may be large */
	buf_text(out, "{\n");
	buf_str(out, buf_view(&building->head));
	if (building->params.len) {
		buf_text(out, ",\n\"params\":{\n");
		buf_str(out, buf_view(&building->params));
		buf_text(out, "\n}");
	}
	buf_text(out, ",\n\"steps\":{\n");
	buf_str(out, buf_view(&building->steps));
	buf_text(out, "\n}\n}\n");
	return buf_check(out, "the pipeline", err);
}

/* The number of the line on which the steps begin. */
static uint32_t steps_line(const struct building *building)
{
	uint32_t line = 4; /* after `{`, the last line of the head and `"steps":{` */

	for (size_t i = 0; i < building->head.len; i++)
		line += building->head.ptr[i] == '\n';
	for (size_t i = 0; i < building->params.len; i++)
		line += building->params.ptr[i] == '\n';
	return line + (building->params.len ? 3 : 0);
}

/* The name of the step that is written on the line, decoded; empty for another line. Lines are
 * asked for in their order: *line and *at say how far the search has come. */
static void name_on_line(const struct building *building, uint32_t wanted, uint32_t *line,
			 size_t *at, struct buf *out)
{
	struct str steps = buf_view(&building->steps);
	size_t end;
	bool is_plain;

	buf_clear(out);
	for (; *line < wanted && *at < steps.len; (*at)++)
		*line += steps.ptr[*at] == '\n';
	end = *at;
	if (*line == wanted && *at < steps.len && json_scan_string(steps, &end, &is_plain))
		json_decode(str_cut(steps, *at, end), out);
}

/* Tell every error, with the name of its step where the text has it not. */
static enum err_code tell(const struct sluice_pipeline *pipeline, const struct diags *diags,
			  struct buf *out, struct err *err)
{
	AUTO(diags_fini) struct diags named;
	AUTO(buf_fini) struct buf name = BUF_INIT;
	AUTO(buf_fini) struct buf quoted = BUF_INIT;
	uint32_t line = steps_line(pipeline->building);
	size_t at = 0;

	diags_init(&named, diags->limit);
	for (size_t i = 0; i < diags->count; i++) {
		const struct diag *diag = &diags->items[i];

		name_on_line(pipeline->building, diag->line, &line, &at, &name);
		buf_clear(&quoted);
		buf_fmt(&quoted, "'%.*s'", STR_ARG(buf_view(&name)));
		if (name.len == 0 || name.len > 64 || !quoted.ptr ||
		    str_find(diag->text, quoted.ptr, 0) != SIZE_MAX)
			diags_add(&named, diag->code, diag->line, diag->column, "%.*s",
				  STR_ARG(diag->text));
		else
			diags_add(&named, diag->code, diag->line, diag->column, "step %s: %.*s",
				  quoted.ptr, STR_ARG(diag->text));
		if (diag->hint.len)
			diags_hint(&named, "%.*s", STR_ARG(diag->hint));
	}
	named.dropped = diags->dropped;
	diags_print(&named, str_of(pipeline->path), buf_view(&pipeline->definition->source), out);
	if (named.count)
		(void)err_while(err, "%.*s", STR_ARG(named.items[0].text));
	return err->code;
}

static enum err_code read_again(const struct sluice *sluice, const struct sluice_pipeline *pipeline,
				struct str folder, char **ret_diagnostics, struct err *err)
{
	struct definition *definition = pipeline->definition;
	AUTO(buf_fini) struct buf text = BUF_INIT;
	AUTO(diags_fini) struct diags diags;
	struct sluice_error ignored;

	diags_init(&diags, sluice->limits.diagnostics);
	buf_fini(&definition->source);
	if (assemble(pipeline->building, &definition->source, err) != ERR_OK ||
	    api_definition_read(sluice, pipeline, folder, &diags, err) == ERR_OK)
		return err->code;
	if (diags.count > 0)
		(void)tell(pipeline, &diags, &text, err);
	/* Without memory for the details there is still the error itself. */
	if (diags.count > 0 && ret_diagnostics &&
	    api_text(&text, ret_diagnostics, &ignored) != SLUICE_OK)
		*ret_diagnostics = NULL;
	return err_while(err, "pipeline '%.64s'", pipeline->building->name);
}

enum err_code api_pipeline_check(const struct sluice *sluice,
				 const struct sluice_pipeline *pipeline, char **ret_diagnostics,
				 const struct definition **ret_definition, struct err *err)
{
	const struct building *building = pipeline->building;
	AUTO(buf_fini) struct buf folder = BUF_INIT;

	if (building && building->failed.code != ERR_OK) {
		*err = building->failed;
		return err->code;
	}
	if (!pipeline->definition->model) {
		BUG_IF(!building);
		if (building->folder)
			buf_text(&folder, building->folder);
		else if (file_folder_at(".", &folder, err) != ERR_OK)
			return err->code;
		if (buf_check(&folder, "a path", err) != ERR_OK ||
		    read_again(sluice, pipeline, buf_view(&folder), ret_diagnostics, err) != ERR_OK)
			return err->code;
	}
	*ret_definition = pipeline->definition;
	return ERR_OK;
}

const struct pipeline_call *api_pipeline_call(const struct sluice_pipeline *pipeline,
					      struct str name, size_t *likely)
{
	const struct building *building = pipeline->building;
	uint32_t index = building ? map_get_near(&building->call_index, name, likely) : MAP_NONE;

	return index == MAP_NONE ? NULL : &building->calls[index];
}
