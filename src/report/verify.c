/* verify.c - see verify.h */
#include "report/verify.h"

#include "base/mem.h"
#include "report/run_report.h"

#define H_END "\"}" /* every line ends with ,"h":"<16 hex>"} */

struct search {
	struct str receipt;
	uint64_t seq;                   /* of the event that has it; 0 = none */
	struct verify_witness *witness; /* may be NULL */
};

static enum err_code on_line(void *arg, const struct run_state *state, const struct event *event,
			     struct str line, struct err *err)
{
	struct search *search = arg;
	size_t end = line.len - (sizeof(H_END) - 1);

	(void)state;
	(void)err;
	if (line.len > LOG_H_BYTES + sizeof(H_END) &&
	    str_eq(str_cut(line, end - LOG_H_BYTES, end), search->receipt))
		search->seq = event->seq;
	if (search->witness && search->witness->seq == event->seq)
		log_line_h(line, search->witness->h);
	return ERR_OK;
}

static enum err_code check_receipt(const struct search *search, const struct log_head *head,
				   struct buf *out, struct err *err)
{
	if (!search->receipt.ptr)
		return ERR_OK;
	if (search->seq == head->seq) {
		buf_text(out, "Receipt given: matches\n");
		return ERR_OK;
	}
	if (search->seq > 0) {
		buf_fmt(out, "Receipt given: is that of event %llu; %llu events came after it\n",
			(unsigned long long)search->seq,
			(unsigned long long)(head->seq - search->seq));
		return err_set(
		    err, ERR_CORRUPT,
		    "the receipt '%.*s' is that of event %llu, not of the last one: the run "
		    "was resumed, or its log was written to",
		    STR_ARG(search->receipt), (unsigned long long)search->seq);
	}
	buf_fmt(out, "Receipt given: %.*s is that of no event\n", STR_ARG(search->receipt));
	return err_set(err, ERR_CORRUPT, "the receipt '%.*s' does not match: the log ends with %s",
		       STR_ARG(search->receipt), head->h);
}

enum err_code verify_run(const struct rundir *dir, const struct limits *limits, struct str receipt,
			 struct verify_witness *witness, struct buf *out, struct err *err)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	struct search search = {.receipt = receipt, .witness = witness};
	const struct log_reading *reading = &fold.reading;

	if (fold_read(dir, limits, on_line, &search, &fold, err) != ERR_OK)
		return err->code;
	if (witness)
		witness->head = reading->head;
	buf_fmt(out, "Run ID: %.*s\n", STR_ARG(fold.state.run_id));
	buf_fmt(out, "State: %s\n", run_state_name(fold.state.state));
	buf_fmt(out, "Events: %llu\n", (unsigned long long)reading->head.seq);
	buf_fmt(out, "Receipt: %s\n", reading->head.h);
	if (reading->end == LOG_END_WHOLE) {
		buf_text(out, "Log: whole\n");
	} else {
		buf_text(out, "Log: ");
		reading_note(reading, out);
		buf_byte(out, '\n');
	}
	if (reading->end == LOG_END_DAMAGED || reading->end == LOG_END_NEWER) {
		*err = reading->problem;
		return err_while(err, "log of '%.*s', after event %llu", STR_ARG(fold.state.run_id),
				 (unsigned long long)reading->head.seq);
	}
	if (check_receipt(&search, &reading->head, out, err) != ERR_OK)
		return err->code;
	return buf_check(out, "findings", err);
}
