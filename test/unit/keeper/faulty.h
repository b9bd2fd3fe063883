/* faulty.h - calls of a program that fail when a plan says so: its linker wraps them (--wrap). */
#ifndef TEST_KEEPER_FAULTY_H
#define TEST_KEEPER_FAULTY_H

#include <stdbool.h>
#include <stddef.h>

#define FAULTS_MAX 4

/* The n-th such call (1 = the next) fails with this number. `memory` is the n-th allocation,
 * `clock_gettime` goes ahead by so many seconds, `socket_peer` says another user for EPERM and no
 * process for ESRCH, `proc_tree_pass` finds one for EPERM and is unclear for EAGAIN. */
struct fault {
	const char *call;
	int number;
	unsigned nth;
	bool for_ever;
};

/* From now on; counts begin anew. A count of 0 turns it off. */
void faulty_plan(const struct fault *faults, size_t count);
/* Has each of them failed? */
bool faulty_fired(void);

/* A plan as text in the file `plan` of a directory, for another process; it takes the file away
 * when nothing in it is for ever. */
void faulty_write(int dir, const struct fault *faults, size_t count);
void faulty_read(int dir);
#endif
