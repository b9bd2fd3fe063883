/* route.h - several executors behind one (core/exec.h): each attempt goes to the one that its
 * token names. */
#ifndef EXEC_ROUTE_H
#define EXEC_ROUTE_H

#include "core/exec.h"

struct route; /* under construction */

/* Without executors. It belongs to what route_exec gives, else free it with route_free. IO,
 * MEMORY. */
MUST_CHECK enum err_code route_new(struct route **ret_route, struct err *err);
void route_free(struct route *route); /* closes what it has; accepts NULL */

/* Tokens with the driver `name` (ptr NULL: those without one) go to `exec`, which belongs to the
 * route from now on, also when this fails. The name is copied. EXISTS when there is one of that
 * name. */
MUST_CHECK enum err_code route_add(struct route *route, struct str name, struct exec exec,
				   struct err *err);

/* The whole as one executor; the route belongs to it. */
struct exec route_exec(struct route *route);

#endif
