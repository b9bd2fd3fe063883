/* attempts_log.c - any bytes as attempts.log: walked to a torn end, or reported as damaged. Each
 * input is also read with its checksums set right, so that the fields behind them are reached. */
#include "base/hash.h"
#include "fuzz.h"
#include "keeper/machine.h"

#include <stdlib.h>
#include <string.h>

static enum err_code give(void *arg, const struct record *record, struct err *err)
{
	struct machine_input input = {.kind = MACHINE_IN_RECORD, .record = record};
	unsigned char bytes[RECORD_BYTES];
	struct record again;

	record_encode(record, bytes);
	BUG_IF(!record_decode(bytes, &again) || again.kind != record->kind);
	return machine_take(arg, &input, err);
}

static void walk(const char *bytes, size_t size)
{
	struct machine *machine = NULL;
	struct err err = ERR_INIT;
	struct record first;
	uint32_t boot = 0;
	size_t count = 0;

	if (size >= RECORD_BYTES && record_decode((const unsigned char *)bytes, &first))
		boot = first.boot;
	if (machine_new(&machine, &err) != ERR_OK)
		abort();
	if (record_walk(str_from(bytes, size), boot, give, machine, &count, &err) == ERR_OK)
		BUG_IF(count > size / RECORD_BYTES + 1);
	BUG_IF(machine_live(machine) != 0);
	machine_free(machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	walk(copy, size);
	for (size_t at = 0; at + RECORD_BYTES <= size; at += RECORD_BYTES) {
		uint32_t crc;

		memcpy(copy + at, "SLA1", 4);
		crc = crc32c(0, copy + at, RECORD_BYTES - 4);
		for (size_t i = 0; i < 4; i++)
			copy[at + RECORD_BYTES - 4 + i] = (char)(crc >> (8 * i));
	}
	walk(copy, size);
	free(copy);
	return 0;
}
