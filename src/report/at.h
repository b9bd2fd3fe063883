/* at.h - a run as it was: a point of its log, as a person writes it, and the state there. */
#ifndef REPORT_AT_H
#define REPORT_AT_H

#include "rundir/fold.h"

/* The point: SEQ or `evt_SEQ`, an RFC 3339 time, or `-10m`, so long before `now_ms` (UTC). USAGE
 * with the forms as hint. */
MUST_CHECK enum err_code at_read(struct str text, int64_t now_ms, struct fold_until *ret_until,
				 struct err *err);

/* What is known of the point besides the state there. */
struct at_view {
	uint64_t head_seq; /* of the whole log */
	bool is_beyond;    /* a number was asked for that is not there yet: this is the head */
	int64_t time_ms;   /* of the last event that is folded */
	char h[LOG_H_BYTES + 1]; /* the receipt at that event */
	struct str event;        /* its type */
	struct str step;         /* ptr NULL = it is about the run */
	struct arena arena;      /* owns the texts */
};
void at_view_fini(struct at_view *view);

/* Fold until the point. NOT_FOUND when the run was created after it. Free with fold_fini and
 * at_view_fini. */
MUST_CHECK enum err_code at_fold(const struct rundir *dir, const struct limits *limits,
				 const struct fold_until *until, struct fold_run *ret_fold,
				 struct at_view *ret_view, struct err *err);

#endif
