/* request.h - a start with an idempotency key: is it the run that is there already?
 *
 * The id of such a run follows from pipeline and key, so the rename of its birth is the one test of
 * who came first. */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api/starting.h"

/* OK when there is no such run; EXISTS when there is one and it is the same request; REFUSED when
 * it differs, with what differs. */
MUST_CHECK enum err_code request_is_new(const struct starting *starting, struct err *err);

/* Append the id of the run of the same request. NOT_FOUND when there is none; REFUSED as above. */
MUST_CHECK enum err_code request_find(const struct starting *starting, struct buf *out_id,
				      struct err *err);

#endif
