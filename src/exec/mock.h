/* mock.h - an executor that executes nothing: whatever is started has ended with exit code 0
 * at once (a dry run, S14). */
#ifndef EXEC_MOCK_H
#define EXEC_MOCK_H

#include "core/exec.h"

/* Closed as every executor is (its `close`). IO, MEMORY. */
MUST_CHECK enum err_code exec_mock_open(struct exec *ret_exec, struct err *err);

#endif
