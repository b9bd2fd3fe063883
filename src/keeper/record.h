/* record.h - attempts.log: what the keeper did, in fixed records (S8.1).
 *
 * Record n lies at n * 256. Integers are little-endian, the last four bytes are the CRC-32C of all
 * before them. An attempt has at most one of each: ARMED (before exec), SPAWNED, ENDED. The file
 * is written by the keeper that holds keeper.lock and read by whoever holds that lock; it is a
 * witness over a crash of processes, not over a loss of power, so nobody syncs it: what a loss of
 * power left of it is anything. So a record names its boot, and what lies before the first record
 * of this boot is passed over, damaged or not: its attempts are lost already (S8.3).
 *
 *   offset  bytes                       offset  bytes
 *   0       4   magic "SLA1"            40      8   spawned: boot time before, ns
 *   4       1   kind                    48      8   spawned: boot time after, ns
 *   5       1   role                    56      8   ended: duration, ns
 *   6       1   bytes of the path       64      8   ended: user time, us
 *   7       1   end                     72      8   ended: system time, us
 *   8       4   attempt                 80      4   ended: largest resident set, KiB
 *   12      4   pid                     84      1   signal
 *   16      8   epoch                   85      1   core
 *   24      4   keeper's pid            86      1   cause
 *   28      4   cgroup slot + 1, 0 none 87      1   0
 *   32      4   exit code               88      160 path, then zeros
 *   36      4   errno                   248     4   CRC-32C of the boot id
 *                                       252     4   CRC-32C
 */
#ifndef KEEPER_RECORD_H
#define KEEPER_RECORD_H

#include "core/exec.h"

#define RECORD_BYTES      256
#define RECORD_PATH_BYTES 160

/* Written to disk: append only. */
enum record_kind { RECORD_ARMED = 1, RECORD_SPAWNED = 2, RECORD_ENDED = 3 };

#define RECORD_NO_SLOT UINT32_MAX

struct record {
	enum record_kind kind;
	struct exec_token token; /* decoded: path points into the bytes */
	uint64_t epoch;
	uint32_t boot; /* under which it was written: record_boot */
	int32_t keeper_pid;
	int32_t pid;          /* SPAWNED, ENDED; 0 = never ran */
	uint32_t slot;        /* of its cgroup, RECORD_NO_SLOT = none */
	int64_t born_from_ns; /* SPAWNED: its start lies between these two boot times */
	int64_t born_to_ns;
	enum exec_end end; /* ENDED, from here on */
	enum exec_cause cause;
	int exit_code;
	int signal;
	bool core;
	int errno_value;
	int64_t duration_ns;
	int64_t user_us;
	int64_t system_us;
	uint32_t resident_kib;
};

/* The path must be 1 .. RECORD_PATH_BYTES long. */
void record_encode(const struct record *record, unsigned char bytes[RECORD_BYTES]);

/* Total over all bytes: false for whatever record_encode cannot have made. */
bool record_decode(const unsigned char bytes[RECORD_BYTES], struct record *ret_record);

/* Name of the cgroup of a slot of the keeper with this pid, into name[RECORD_SLOT_NAME_BYTES]. The
 * mark of the run directory is in it, so that a copy of the directory, which has the same records,
 * never takes the groups of the original for its own. */
#define RECORD_SLOT_NAME_BYTES 64
#define RECORD_SLOT_PREFIX     "sluice-"
void record_slot_name(struct str mark, int32_t keeper_pid, uint32_t slot,
		      char name[RECORD_SLOT_NAME_BYTES]);

/* Called for each record in order; what it returns ends the walk unless OK. */
typedef enum err_code record_visit_fn(void *arg, const struct record *record, struct err *err);

/* The boot of a record, from the kernel's boot id as text. */
uint32_t record_boot(struct str boot_id);

/* Walk the content of attempts.log: the records of this boot. A last record that is torn or damaged
 * is the end: its keeper died while it wrote. Damage elsewhere behind a record of this boot is
 * CORRUPT. *ret_count: the number of the next record to be written. */
MUST_CHECK enum err_code record_walk(struct str content, uint32_t boot, record_visit_fn *visit,
				     void *arg, size_t *ret_count, struct err *err);

#endif
