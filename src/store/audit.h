/* audit.h - <run directory>/audit.jsonl: an entry for each end of an attempt and each pause, for
 * those who read such records of other orchestrators. A projection of the log: the sequence of an
 * entry is that of its event, nulls are written.
 *
 *   {"pipeline_name":..,"run_id":..,"node_id":..,"sequence":..,"visit":..,"started_at":..,
 *    "completed_at":..,"latency_ms":..,"status":"success"|"error"|"paused","inputs_snapshot":{},
 *    "outputs_snapshot":{"output":..},"error_message":..,"pause_reason":..} */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include "core/run_state.h"
#include "sys/vfs.h"

#define AUDIT_FILE "audit.jsonl"

/* Append the entry of an event that was just applied, if it has one. */
void audit_put(struct buf *out, const struct run_state *run, const struct event *event);

/* Sequence of the last whole entry; 0 when there is none. *ret_is_whole: the file ends with it, so
 * that more can be appended; else it has to be made anew. */
MUST_CHECK enum err_code audit_last(const struct vfs *vfs, int dir, uint64_t *ret_seq,
				    bool *ret_is_whole, struct err *err);

/* Append entries, or with `is_anew` put them in the place of the file. Not synced. */
MUST_CHECK enum err_code audit_write(const struct vfs *vfs, int dir, struct str entries,
				     bool is_anew, struct err *err);

#endif
