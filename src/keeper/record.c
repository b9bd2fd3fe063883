/* record.c - see record.h */
#include "keeper/record.h"

#include "base/hash.h"
#include "keeper/bytes.h"

#include <stdio.h>
#include <string.h>

#define AT_PATH 88
#define AT_BOOT 248
#define AT_CRC  252

static const unsigned char magic[4] = {'S', 'L', 'A', '1'};

_Static_assert(AT_PATH + RECORD_PATH_BYTES <= AT_BOOT, "a path fits into a record");

void record_encode(const struct record *record, unsigned char bytes[RECORD_BYTES])
{
	BUG_IF(record->token.path.len == 0 || record->token.path.len > RECORD_PATH_BYTES);
	memset(bytes, 0, RECORD_BYTES);
	memcpy(bytes, magic, sizeof(magic));
	bytes[4] = (unsigned char)record->kind;
	bytes[5] = (unsigned char)record->token.role;
	bytes[6] = (unsigned char)record->token.path.len;
	bytes[7] = (unsigned char)record->end;
	bytes_put32(bytes + 8, record->token.attempt);
	bytes_put32(bytes + 12, (uint32_t)record->pid);
	bytes_put64(bytes + 16, record->epoch);
	bytes_put32(bytes + 24, (uint32_t)record->keeper_pid);
	bytes_put32(bytes + 28, record->slot + 1); /* RECORD_NO_SLOT becomes 0 */
	bytes_put32(bytes + 32, (uint32_t)record->exit_code);
	bytes_put32(bytes + 36, (uint32_t)record->errno_value);
	bytes_put64(bytes + 40, (uint64_t)record->born_from_ns);
	bytes_put64(bytes + 48, (uint64_t)record->born_to_ns);
	bytes_put64(bytes + 56, (uint64_t)record->duration_ns);
	bytes_put64(bytes + 64, (uint64_t)record->user_us);
	bytes_put64(bytes + 72, (uint64_t)record->system_us);
	bytes_put32(bytes + 80, record->resident_kib);
	bytes[84] = (unsigned char)record->signal;
	bytes[85] = record->core;
	bytes[86] = (unsigned char)record->cause;
	bytes_put32(bytes + AT_BOOT, record->boot);
	memcpy(bytes + AT_PATH, record->token.path.ptr, record->token.path.len);
	bytes_put32(bytes + AT_CRC, crc32c(0, bytes, AT_CRC));
}

static bool is_plausible(const unsigned char bytes[RECORD_BYTES])
{
	if (memcmp(bytes, magic, sizeof(magic)) != 0)
		return false;
	if (bytes_get32(bytes + AT_CRC) != crc32c(0, bytes, AT_CRC))
		return false;
	if (bytes[4] < RECORD_ARMED || bytes[4] > RECORD_ENDED)
		return false;
	if (bytes[5] != EXEC_ROLE_RUN && bytes[5] != EXEC_ROLE_COMP)
		return false;
	if (bytes[6] == 0 || bytes[6] > RECORD_PATH_BYTES)
		return false;
	return bytes[7] <= EXEC_END_SPAWN_FAILED && bytes[85] <= 1 && bytes[86] < EXEC_CAUSES;
}

bool record_decode(const unsigned char bytes[RECORD_BYTES], struct record *ret_record)
{
	if (!is_plausible(bytes))
		return false;
	*ret_record = (struct record){
	    .kind = (enum record_kind)bytes[4],
	    .token = {.path = {(const char *)bytes + AT_PATH, bytes[6]},
		      .role = (enum exec_role)bytes[5],
		      .attempt = bytes_get32(bytes + 8)},
	    .epoch = bytes_get64(bytes + 16),
	    .boot = bytes_get32(bytes + AT_BOOT),
	    .keeper_pid = (int32_t)bytes_get32(bytes + 24),
	    .pid = (int32_t)bytes_get32(bytes + 12),
	    .slot = bytes_get32(bytes + 28) - 1,
	    .born_from_ns = (int64_t)bytes_get64(bytes + 40),
	    .born_to_ns = (int64_t)bytes_get64(bytes + 48),
	    .end = (enum exec_end)bytes[7],
	    .cause = (enum exec_cause)bytes[86],
	    .exit_code = (int)bytes_get32(bytes + 32),
	    .signal = bytes[84],
	    .core = bytes[85],
	    .errno_value = (int)bytes_get32(bytes + 36),
	    .duration_ns = (int64_t)bytes_get64(bytes + 56),
	    .user_us = (int64_t)bytes_get64(bytes + 64),
	    .system_us = (int64_t)bytes_get64(bytes + 72),
	    .resident_kib = bytes_get32(bytes + 80),
	};
	return true;
}

void record_slot_name(struct str mark, int32_t keeper_pid, uint32_t slot,
		      char name[RECORD_SLOT_NAME_BYTES])
{
	(void)snprintf(name, RECORD_SLOT_NAME_BYTES, RECORD_SLOT_PREFIX "%d-%u-%.*s",
		       (int)keeper_pid, (unsigned)slot, STR_ARG(mark));
}

uint32_t record_boot(struct str boot_id)
{
	return crc32c(0, boot_id.ptr, boot_id.len);
}

enum err_code record_walk(struct str content, uint32_t boot, record_visit_fn *visit, void *arg,
			  size_t *ret_count, struct err *err)
{
	size_t count = content.len / RECORD_BYTES;
	const unsigned char *bytes = (const unsigned char *)content.ptr;
	bool is_ours = false; /* a record of this boot came */
	struct record record;

	for (size_t i = 0; i < count; i++) {
		if (!record_decode(bytes + i * RECORD_BYTES, &record)) {
			if (!is_ours)
				continue;
			if ((i + 1) * RECORD_BYTES >= content.len) {
				*ret_count = i; /* whole in size, torn in content */
				return ERR_OK;
			}
			return err_set(err, ERR_CORRUPT, "attempts.log: record %zu is damaged", i);
		}
		if (record.boot != boot && is_ours)
			return err_set(err, ERR_CORRUPT,
				       "attempts.log: record %zu is of an earlier boot", i);
		is_ours = record.boot == boot;
		if (is_ours && visit(arg, &record, err) != ERR_OK)
			return err->code;
	}
	/* A torn record of an earlier boot is left where it is. */
	*ret_count = count + (!is_ours && content.len % RECORD_BYTES);
	return ERR_OK;
}
