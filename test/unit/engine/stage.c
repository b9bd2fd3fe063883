/* stage.c - see stage.h */
#include "stage.h"

#include "base/mem.h"
#include "base/timefmt.h"

static int64_t stage_boot_ns(void *self)
{
	return ((struct stage *)self)->boot_ns;
}

static int64_t stage_utc_ms(void *self)
{
	return ((struct stage *)self)->utc_ms;
}

struct player {
	struct stage *stage;
};

static enum err_code exec_start(void *self, const struct exec_start *start, struct err *err)
{
	struct stage *stage = ((struct player *)self)->stage;

	(void)err;
	stage->starts++;
	stage->started_attempt = start->token.attempt;
	return ERR_OK;
}

static enum err_code exec_cancel(void *self, const struct exec_token *token, bool now,
				 struct err *err)
{
	(void)token;
	(void)now;
	(void)err;
	((struct player *)self)->stage->cancels++;
	return ERR_OK;
}

static enum err_code exec_recover(void *self, const struct exec_token *tokens,
				  const bool *same_boot, size_t count, struct err *err)
{
	AUTO(mem_drop) char *room = mem_new(count, 1);

	(void)self;
	(void)tokens;
	(void)same_boot;
	return room ? ERR_OK : mem_err(err);
}

static bool exec_next(void *self, struct exec_report *ret_report)
{
	struct stage *stage = ((struct player *)self)->stage;

	if (!stage->reports_count)
		return false;
	*ret_report = *stage->reports++;
	stage->reports_count--;
	return true;
}

static int exec_fd(void *self)
{
	(void)self;
	return -1;
}

static enum err_code exec_pump(void *self, struct err *err)
{
	(void)self;
	(void)err;
	return ERR_OK;
}

static void exec_close(void *self)
{
	mem_free(self);
}

static enum err_code open_exec(void *arg, const struct rundir *dir, uint64_t epoch,
			       struct exec *ret_exec, struct err *err)
{
	static const struct exec_ops ops = {
	    .name = "scripted",
	    .start = exec_start,
	    .cancel = exec_cancel,
	    .recover = exec_recover,
	    .next = exec_next,
	    .fd = exec_fd,
	    .pump = exec_pump,
	    .close = exec_close,
	};
	struct player *player = mem_new(1, sizeof(*player));

	(void)dir;
	assert_true(epoch > 0);
	if (!player)
		return mem_err(err);
	player->stage = arg;
	*ret_exec = (struct exec){&ops, player};
	return ERR_OK;
}

static enum err_code accept(void *arg, const struct model *model, uint32_t step, struct err *err)
{
	const struct stage *stage = arg;

	(void)model;
	if (stage->lacks && step == STEP_NONE)
		return err_set(err, ERR_REFUSED, "nothing here can undo");
	return ERR_OK;
}

void stage_open_as(struct stage *stage, const struct made_birth *how, const char *lines)
{
	static const struct clock_ops clock_ops = {"still", stage_boot_ns, stage_utc_ms};
	static char path[] = "PATH=/bin";
	static char *const env[] = {path, NULL};

	*stage = (struct stage){.log = BUF_INIT};
	made_run_open(&stage->made, how);
	made_run_tell(&stage->made, lines);
	made_run_release(&stage->made);
	temp_dir_read(&stage->made.run, LOG_FILE, &stage->log);
	stage->next = made_run_model(&stage->made.limits, how->next);
	vfs_fault_init(&stage->fault, &vfs_os);
	stage->clock = (struct clock){&clock_ops, stage};
	stage->boot_ns = 61 * NS_PER_S;
	stage->utc_ms = stage->made.now_ms + 1000;
	stage->ports = (struct engine_ports){
	    .vfs = &stage->fault.vfs,
	    .clock = &stage->clock,
	    .boot_id = STR(MADE_BOOT),
	    .open_exec = open_exec,
	    .accept = accept,
	    .arg = stage,
	    .home = stage->made.home.path,
	    .env = env,
	    .limits = &stage->made.limits,
	};
}

void stage_close(struct stage *stage)
{
	model_free(stage->next);
	buf_fini(&stage->log);
	made_run_close(&stage->made);
}

/* ----------------------------------------------------------------------------------- a take-over
 */

enum err_code stage_take(struct stage *stage, const struct wish *wish,
			 enum engine_resumed *ret_resumed, struct engine **ret_engine,
			 struct err *err)
{
	const struct decide_person person = {
	    .name = STR("anna"), .reason = STR("it is known"), .uid = 1, .pid = 1};
	const struct str override = str_of(wish->override);
	const struct str param = str_of(wish->param);
	const struct engine_rollback rollback = {.path = stage->made.run.path, .person = person};
	struct engine_resume resume = {
	    .path = stage->made.run.path,
	    .params = &param,
	    .params_count = wish->param != NULL,
	    .max_parallel = wish->max_parallel,
	    .definition = wish->has_next ? stage->next : NULL,
	    .source = STR("as written"),
	    .accept_changes = true,
	};

	resume.resume.from = str_of(wish->from);
	resume.resume.overrides = &override;
	resume.resume.overrides_count = wish->override != NULL;
	resume.resume.person = person;
	*ret_resumed = ENGINE_RESUMED;
	switch (wish->way) {
	case RESUME:
		return engine_resume(&stage->ports, &resume, ret_resumed, ret_engine, err);
	case ROLLBACK:
		return engine_rollback(&stage->ports, &rollback, ret_engine, err);
	case IDLE:
		return engine_open_idle(&stage->ports, stage->made.run.path, ret_engine, err);
	}
	return ERR_USAGE;
}
