/* checkpoint.c - see checkpoint.h
 *
 * {"format":1,"run_id":"r","seq":12,"chain":"<64 hex>","check":"<16 hex>",
 * "state":{...}}
 *
 * The first line is the witness; `check` is of its text before it. */
#include "store/checkpoint.h"

#include "base/json.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define WITNESS_BYTES_MAX 1024
#define CHECK_DIGITS      16
#define TEMP_FILE         CHECKPOINT_FILE ".new"

/* ---------------------------------------------------------------------------------- writing */

static void comma(struct buf *out)
{
	if (out->len && out->ptr[out->len - 1] != '{' && out->ptr[out->len - 1] != '[')
		buf_byte(out, ',');
}

static void put_key(struct buf *out, struct str key)
{
	comma(out);
	json_put_str(out, key);
	buf_byte(out, ':');
}

static void put_text(struct buf *out, const char *key, struct str text)
{
	if (!text.len)
		return;
	put_key(out, str_of(key));
	json_put_str(out, text);
}

static void put_number(struct buf *out, const char *key, int64_t number)
{
	put_key(out, str_of(key));
	buf_i64(out, number);
}

static void put_step(struct buf *out, const struct run_state *run, uint32_t step)
{
	const struct step_state *at = &run->steps[step];

	put_key(out, run->model->steps[step].id);
	buf_byte(out, '{');
	put_text(out, "state", str_of(step_state_name(at->state)));
	if (at->attempts) {
		put_number(out, "attempt", at->attempt);
		put_number(out, "attempts", at->attempts);
		put_number(out, "started_ms", at->started_ms);
		put_number(out, "ended_ms", at->ended_ms);
	}
	if (at->state == STEP_FAILED)
		put_text(out, "error_class", step_class_text(at));
	if (at->state == STEP_SKIPPED)
		put_text(out, "skip_reason", str_of(skip_reason_name(at->skip)));
	put_text(out, "reason", at->reason);
	if (at->outputs.ptr) {
		put_key(out, STR("outputs"));
		buf_str(out, at->outputs);
	}
	buf_byte(out, '}');
}

static void put_params(struct buf *out, const struct run_state *run)
{
	put_key(out, STR("params"));
	buf_byte(out, '{');
	for (uint32_t i = 0; i < run->model->params_count; i++) {
		struct str value = context_param(run, run->model->params[i].name);

		if (!value.ptr || run->model->params[i].type == VALUE_SECRET)
			continue;
		put_key(out, run->model->params[i].name);
		buf_str(out, value);
	}
	buf_byte(out, '}');
}

void checkpoint_put_state(struct buf *out, const struct run_state *run)
{
	buf_byte(out, '{');
	put_text(out, "state", str_of(run_state_name(run->state)));
	if (run->outcome != OUTCOME_NONE)
		put_text(out, "outcome", str_of(outcome_name(run->outcome)));
	put_text(out, "reason", run->reason);
	put_number(out, "created_ms", run->created_ms);
	put_number(out, "changed_ms", run->changed_ms);
	put_number(out, "warnings", run->warnings);
	put_params(out, run);
	put_key(out, STR("steps"));
	buf_byte(out, '{');
	for (uint32_t i = 0; i < run->model->steps_count; i++)
		put_step(out, run, i);
	buf_text(out, "}}");
}

static void check_of(struct str witness, char check[SHA256_HEX_BYTES + 1])
{
	uint8_t digest[SHA256_BYTES];

	sha256_of(witness.ptr, witness.len, digest);
	sha256_hex(digest, check);
	check[CHECK_DIGITS] = '\0';
}

static void put_witness(struct buf *out, struct str run_id, const struct log_head *head)
{
	char chain[SHA256_HEX_BYTES + 1];
	char check[SHA256_HEX_BYTES + 1];

	sha256_hex(head->chain, chain);
	buf_text(out, "{\"format\":1");
	put_text(out, "run_id", run_id);
	put_number(out, "seq", (int64_t)head->seq);
	put_text(out, "chain", str_of(chain));
	check_of(buf_view(out), check);
	put_text(out, "check", str_of(check));
}

/* Not synced: a power cut may leave anything of it, and that is told by the checksum. */
static enum err_code replace(const struct vfs *vfs, int dir, struct str text, struct err *err)
{
	enum err_code code;
	int fd;

	if (vfs_open(vfs, dir, TEMP_FILE, VFS_CREATE, &fd, err) != ERR_OK)
		return err->code;
	code = vfs_truncate(vfs, fd, 0, err);
	if (code == ERR_OK)
		code = vfs_write_at(vfs, fd, text.ptr, text.len, 0, err);
	vfs_close(vfs, fd);
	return code == ERR_OK ? vfs_rename(vfs, dir, TEMP_FILE, dir, CHECKPOINT_FILE, err) : code;
}

enum err_code checkpoint_write(const struct vfs *vfs, int dir, const struct run_state *run,
			       const struct log_head *head, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	put_witness(&text, run->run_id, head);
	buf_text(&text, ",\n\"state\":");
	checkpoint_put_state(&text, run);
	buf_text(&text, "}\n");
	if (buf_check(&text, CHECKPOINT_FILE, err) != ERR_OK)
		return err->code;
	if (replace(vfs, dir, buf_view(&text), err) != ERR_OK)
		return err_while(err, "write " CHECKPOINT_FILE);
	return ERR_OK;
}

/* ---------------------------------------------------------------------------------- reading */

static bool read_first(const struct vfs *vfs, int dir, char bytes[WITNESS_BYTES_MAX + 1],
		       struct str *ret_line)
{
	struct err ignored = ERR_INIT;
	size_t len = 0;
	bool is_read;
	int fd;

	if (vfs_open(vfs, dir, CHECKPOINT_FILE, VFS_READ, &fd, &ignored) != ERR_OK)
		return false;
	is_read = vfs_read(vfs, fd, bytes, WITNESS_BYTES_MAX, 0, &len, &ignored) == ERR_OK;
	vfs_close(vfs, fd);
	len = is_read ? str_find(str_from(bytes, len), ",\n", 0) : SIZE_MAX;
	if (len == SIZE_MAX)
		return false;
	bytes[len] = '}';
	*ret_line = str_from(bytes, len + 1);
	return true;
}

static bool is_checked(struct str witness)
{
	size_t at = str_find(witness, ",\"check\":\"", 0);
	char check[SHA256_HEX_BYTES + 1];
	struct str given;

	if (at == SIZE_MAX)
		return false;
	check_of(str_cut(witness, 0, at), check);
	return json_plain(json_get(witness, "check"), &given) && str_is(given, check);
}

void checkpoint_mark_read(const struct vfs *vfs, int dir, struct str run_id,
			  struct checkpoint_mark *ret_mark)
{
	char bytes[WITNESS_BYTES_MAX + 1];
	struct err ignored = ERR_INIT;
	struct str witness;
	struct str chain;
	struct str id;
	uint64_t seq;

	*ret_mark = (struct checkpoint_mark){.seq = 0};
	if (!read_first(vfs, dir, bytes, &witness) || json_check(witness, 2, &ignored) != ERR_OK ||
	    json_type_of(witness) != JSON_OBJECT || !json_get(witness, "check").ptr ||
	    !json_get(witness, "run_id").ptr || !json_get(witness, "chain").ptr ||
	    !json_get(witness, "seq").ptr || !is_checked(witness) ||
	    !json_plain(json_get(witness, "run_id"), &id) || !str_eq(id, run_id) ||
	    !json_plain(json_get(witness, "chain"), &chain) || chain.len != SHA256_HEX_BYTES ||
	    !json_to_u64(json_get(witness, "seq"), &seq))
		return;
	ret_mark->seq = seq;
	memcpy(ret_mark->chain, chain.ptr, chain.len);
}

enum err_code checkpoint_check(const struct checkpoint_mark *mark, const struct log_head *head,
			       struct str h_at_mark, struct err *err)
{
	char chain[SHA256_HEX_BYTES + 1];

	if (mark->seq > head->seq) {
		(void)err_set(err, ERR_CORRUPT,
			      "the log was cut: it ends with event %llu, and " CHECKPOINT_FILE
			      " has seen event %llu",
			      (unsigned long long)head->seq, (unsigned long long)mark->seq);
		return err_hint(
		    err, "put the whole log back; only if it cannot be had, remove " CHECKPOINT_FILE
			 " and go on without what is lost");
	}
	sha256_hex(head->chain, chain);
	if ((mark->seq == head->seq && mark->seq && strcmp(chain, mark->chain) != 0) ||
	    (h_at_mark.ptr && !str_eq(h_at_mark, str_from(mark->chain, LOG_H_BYTES))))
		return err_set(err, ERR_CORRUPT,
			       "the log is another history: its event %llu is not the one "
			       "that " CHECKPOINT_FILE " has seen",
			       (unsigned long long)mark->seq);
	return ERR_OK;
}
