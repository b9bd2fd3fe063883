/* command.c - see command.h */
#include "exec/command.h"

#include "keeper/client.h"
#include "keeper/link_os.h"
#include "keeper/token_table.h"
#include "sys/proc.h"
#include "sys/vfs.h"

#include <stdio.h>
#include <string.h>

static void command_warm_up(void *self)
{
	client_warm_up(self);
}

static enum err_code command_start(void *self, const struct exec_start *start, struct err *err)
{
	return client_start(self, start, err);
}

static enum err_code command_cancel(void *self, const struct exec_token *token, bool now,
				    struct err *err)
{
	return client_cancel(self, token, now, err);
}

static enum err_code command_recover(void *self, const struct exec_token *tokens,
				     const bool *same_boot, size_t count, struct err *err)
{
	return client_recover(self, tokens, same_boot, count, err);
}

static bool command_next(void *self, struct exec_report *ret_report)
{
	return client_next(self, ret_report);
}

static int command_fd(void *self)
{
	return client_fd(self);
}

static enum err_code command_pump(void *self, struct err *err)
{
	return client_pump(self, err);
}

static void command_close(void *self)
{
	client_free(self);
}

static const struct exec_ops command_ops = {
    .name = "command",
    .warm_up = command_warm_up,
    .start = command_start,
    .cancel = command_cancel,
    .recover = command_recover,
    .next = command_next,
    .fd = command_fd,
    .pump = command_pump,
    .close = command_close,
};

#define MARK_BYTES 40

/* What the processes of a run carry: its directory as the file system knows it. Not the run id, for
 * two state directories may have a run of the same id, and one must never kill the other's. */
static enum err_code mark_of(int run_dir, char mark[MARK_BYTES], struct err *err)
{
	struct vfs_stat stat;

	if (vfs_stat(&vfs_os, run_dir, &stat, err) != ERR_OK)
		return err->code;
	(void)snprintf(mark, MARK_BYTES, "%llx-%llx", (unsigned long long)stat.device,
		       (unsigned long long)stat.inode);
	return ERR_OK;
}

enum err_code exec_command_open(const struct exec_command_options *options, struct exec *ret_exec,
				struct err *err)
{
	struct link_os_options link_options = {
	    .run_dir = options->run_dir,
	    .run_id = options->run_id,
	    .keeper_path = options->keeper_path,
	};
	struct keeper_client *client;
	struct keeper_link link;
	char mark[MARK_BYTES];

	if (mark_of(options->run_dir, mark, err) != ERR_OK)
		return err->code;
	link_options.mark = str_of(mark);
	if (link_os_open(&link_options, &link, err) != ERR_OK ||
	    client_new(link, str_of(mark), options->epoch, &client, err) != ERR_OK)
		return err_while(err, "open the executor of commands");
	*ret_exec = (struct exec){&command_ops, client};
	return ERR_OK;
}

enum err_code exec_command_is_own_step(int run_dir, struct str run_id, int32_t pid, bool *ret_is,
				       struct err *err)
{
	char value[TOKEN_TEXT_BYTES];
	char mark[MARK_BYTES];
	int32_t keeper;

	if (link_os_keeper_pid(run_dir, &keeper, err) != ERR_OK ||
	    mark_of(run_dir, mark, err) != ERR_OK)
		return err->code;
	*ret_is = true;
	if (keeper && proc_descends(pid, keeper))
		return ERR_OK;
	if (proc_environ_get(pid, "SLUICE_RUN_ID", value, sizeof(value)) == PROC_ENVIRON_HAS &&
	    str_is(run_id, value))
		return ERR_OK;
	if (proc_environ_get(pid, TOKEN_VARIABLE, value, sizeof(value)) == PROC_ENVIRON_HAS &&
	    str_starts(str_of(value), mark) && value[strlen(mark)] == '/')
		return ERR_OK;
	*ret_is = false;
	return ERR_OK;
}
