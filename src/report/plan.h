/* plan.h - what a pipeline would do: order, reasons, resolved values. Executes nothing (S14).
 *
 * A value is resolved when the parameters suffice for it; what depends on outputs, on the run's id
 * or on the environment is shown as it is written. Secrets are shown as ***. */
#ifndef REPORT_PLAN_H
#define REPORT_PLAN_H

#include "base/buf.h"
#include "base/limit.h"
#include "core/model.h"

struct plan_request {
	const struct model *model;
	const struct str *params; /* model->params_count, JSON; ptr NULL = not given */
	const struct limits *limits;
	struct str note; /* shown at the end; may be empty */
};

/* Appended; the JSON is indented and ends in a newline. MEMORY, LIMIT. */
MUST_CHECK enum err_code plan_text(const struct plan_request *request, struct buf *out,
				   struct err *err);
MUST_CHECK enum err_code plan_json(const struct plan_request *request, struct buf *out,
				   struct err *err);

#endif
