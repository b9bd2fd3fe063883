/* tree.c - whose a process is, and signals for all that an attempt started. See host.h.
 *
 * With a cgroup the kernel knows. Without one: we are the subreaper, so whatever a command started
 * descends from us, and belongs to the command whose session it is in, else to the one whose token
 * it carries in its environment, else to its parent's. What hides all of that belongs to the
 * attempt that is left alone, or is killed at the very end. */
#include "keeper/host.h"

#include "base/mem.h"
#include "keeper/token_table.h"
#include "sys/cgroup.h"
#include "sys/proc.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODYS       UINT32_MAX
#define UNCLEAR       (UINT32_MAX - 2) /* in the middle of an exec: ask again */
#define UNDECIDED     (UINT32_MAX - 1)
#define CHAIN_MAX     4096
#define UNCLEAR_LOOKS 12
#define END_ROUNDS    1000
#define END_NAP_US    2000

/* --- whose is it --- */

static uint32_t owner_by_environ(const struct host *host, int32_t pid)
{
	char value[TOKEN_TEXT_BYTES];
	struct exec_token token;
	enum proc_environ found = proc_environ_get(pid, TOKEN_VARIABLE, value, sizeof(value));

	if (found == PROC_ENVIRON_UNCLEAR)
		return UNCLEAR;
	if (found == PROC_ENVIRON_HAS_NOT || !token_parse(host->mark, str_of(value), &token))
		return NOBODYS;
	return machine_find(host->machine, &token);
}

/* By what it shows itself, without its ancestors. */
static uint32_t owner_of(const struct host *host, const struct proc_stat *stat)
{
	uint32_t by_session = child_by_pid(stat->session);

	if (by_session)
		return by_session - 1;
	return owner_by_environ(host, stat->pid);
}

static uint32_t owner_of_stray(const struct host *host, const struct proc_stat *stat)
{
	uint32_t owner = owner_of(host, stat);

	/* With orphans that may live on it can be one of those. */
	if ((owner == NOBODYS || owner == UNCLEAR) && !host->has_orphans &&
	    machine_live(host->machine) == 1)
		return machine_live_at(host->machine, 0);
	return owner;
}

static bool is_command(const struct host *host, int32_t pid)
{
	uint32_t value = child_by_pid(pid);

	/* not reached: reaped already, as numbers come round no sooner than all were used */
	return value && !child_of(host, value - 1)->is_reaped;
}

static void stray_take(void *arg, int32_t pid)
{
	struct host *host = arg;
	struct err err = ERR_INIT;
	struct proc_stat stat;

	if (is_command(host, pid) || !proc_stat_read(pid, &stat) || !proc_is_alive(&stat))
		return;
	if (mem_grow((void **)&host->strays, &host->strays_capacity, host->strays_count + 1,
		     sizeof(*host->strays), &err) != ERR_OK) {
		host->strays_known = false;
		return;
	}
	host->strays[host->strays_count++] = (struct stray){pid, owner_of_stray(host, &stat)};
}

/* For kernels without the list of children. */
static void strays_from_table(struct host *host)
{
	AUTO(proc_table_fini) struct proc_table table = {.items = NULL};
	struct err err = ERR_INIT;

	if (proc_table_read(&table, &err) != ERR_OK) {
		host->strays_known = false;
		return;
	}
	for (size_t i = 0; i < table.count; i++) {
		if (table.items[i].parent == host->pid)
			stray_take(host, table.items[i].pid);
	}
}

static void strays_look(struct host *host)
{
	host->strays_count = 0;
	host->strays_known = true;
	if (!proc_children(stray_take, host))
		strays_from_table(host);
}

void tree_stale(struct host *host)
{
	host->strays_known = false;
}

bool tree_is_left(struct host *host, uint32_t attempt)
{
	struct child *child = child_of(host, attempt);
	bool is_unclear = false;

	if (child->slot != RECORD_NO_SLOT)
		return cgroup_is_populated(host->slots[child->slot]);
	if (!host->strays_known)
		strays_look(host);
	if (!host->strays_known)
		return true; /* not to be told: the timer looks again */
	for (size_t i = 0; i < host->strays_count; i++) {
		if (host->strays[i].owner == attempt)
			return true;
		is_unclear = is_unclear || host->strays[i].owner == UNCLEAR;
	}
	/* Looks come at doubled distances: this is enough for an exec from a slow disk. */
	return is_unclear && child->unclear_looks++ < UNCLEAR_LOOKS;
}

/* --- signals --- */

static void slot_signal(struct host *host, uint32_t slot, enum machine_signal signal)
{
	int group = host->slots[slot];

	host->slots_spent[slot] = host->slots_spent[slot] || signal == MACHINE_KILL;
	if (signal == MACHINE_KILL && cgroup_kill(group))
		return;
	(void)cgroup_signal(group, signal == MACHINE_KILL ? SIGKILL : SIGTERM);
	if (signal == MACHINE_TERM)
		(void)cgroup_signal(group, SIGCONT);
}

void tree_signal(struct host *host, uint32_t attempt, enum machine_signal signal)
{
	struct child *child = child_of(host, attempt);

	if (child->slot != RECORD_NO_SLOT) {
		slot_signal(host, child->slot, signal);
		return;
	}
	if (!child->is_reaped) { /* so the number is its own, and its group's */
		(void)kill(-child->pid, signal == MACHINE_KILL ? SIGKILL : SIGTERM);
		if (signal == MACHINE_TERM)
			(void)kill(-child->pid, SIGCONT);
	}
	/* What left the group is found by a pass over all processes: one for all attempts.
	 * (not reached: told already, and TERM: that is sent once, before KILL) */
	if (!child->is_told || signal == MACHINE_KILL)
		child->told = signal;
	child->is_told = true;
	host->is_telling = true;
}

/* Owner of a process or of its nearest ancestor below us that has one. */
static uint32_t owner_in(const struct host *host, const struct proc_table *table, uint32_t *owners,
			 size_t index)
{
	size_t at = index;
	uint32_t owner = NOBODYS;

	/* not reached: the end of the chain, as is_below followed it to us */
	for (int i = 0; i < CHAIN_MAX && at != SIZE_MAX; i++) {
		const struct proc_stat *stat = &table->items[at];

		if (owners[at] == UNDECIDED)
			owners[at] = stat->parent == host->pid ? owner_of_stray(host, stat)
							       : owner_of(host, stat);
		owner = owners[at];
		if (owner != NOBODYS || stat->parent == host->pid)
			break;
		at = proc_table_find(table, stat->parent);
	}
	owners[index] = owner;
	return owner;
}

/* Only what descends from us can be anybody's. */
static bool is_below(const struct host *host, const struct proc_table *table, size_t index)
{
	/* not reached: CHAIN_MAX, unless the table, which is not of one moment, has a circle */
	for (int i = 0; i < CHAIN_MAX && index != SIZE_MAX; i++) {
		if (table->items[index].parent == host->pid)
			return true;
		index = proc_table_find(table, table->items[index].parent);
	}
	return false;
}

static void told_signal(const struct host *host, const struct proc_table *table, uint32_t *owners)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct proc_stat *stat = &table->items[i];
		const struct child *child;
		uint32_t owner;

		if (stat->pid == host->pid || !proc_is_alive(stat) || !is_below(host, table, i))
			continue;
		owner = owner_in(host, table, owners, i);
		if (owner >= host->children_capacity || !host->children[owner])
			continue;
		child = host->children[owner];
		if (!child->is_told)
			continue;
		(void)proc_signal(stat->pid, stat->start_ticks,
				  child->told == MACHINE_KILL ? SIGKILL : SIGTERM);
		if (child->told == MACHINE_TERM)
			(void)proc_signal(stat->pid, stat->start_ticks, SIGCONT);
	}
}

void tree_signals_run(struct host *host)
{
	AUTO(proc_table_fini) struct proc_table table = {.items = NULL};
	AUTO(mem_drop) uint32_t *owners = NULL;
	struct err err = ERR_INIT;

	if (!host->is_telling)
		return;
	/* A pass that fails is made up for by the next one: KILL comes again until all are gone. */
	if (proc_table_read(&table, &err) == ERR_OK)
		owners = mem_new(table.count, sizeof(*owners));
	for (size_t i = 0; owners && i < table.count; i++)
		owners[i] = UNDECIDED;
	if (owners)
		told_signal(host, &table, owners);
	for (size_t i = 0; i < machine_live(host->machine); i++) {
		uint32_t attempt = machine_live_at(host->machine, i);

		/* not reached: without a child, as what found no memory for one does not live */
		if (attempt < host->children_capacity && host->children[attempt])
			host->children[attempt]->is_told = false;
	}
	host->is_telling = false;
}

/* Every attempt is over; whatever is still a child of ours could not be attributed. */
void tree_end(struct host *host)
{
	if (host->has_orphans)
		return; /* which of them they are cannot be told from what hides: they may all live
			   on */
	/* not reached: the last round, as that is two seconds after a KILL that ends nothing */
	for (int round = 0; round < END_ROUNDS; round++) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0)
			return; /* ECHILD */
		if (pid > 0)
			continue;
		strays_look(host);
		/* Children of ours: their numbers cannot be anybody else's. What they leave
		 * behind becomes ours in turn. */
		for (size_t i = 0; i < host->strays_count; i++)
			(void)kill(host->strays[i].pid, SIGKILL);
		(void)usleep(END_NAP_US);
	}
}
