/* keeper_frames.c - any bytes on the keeper's socket: decoded or refused, never more.
 *
 * The bytes go to the machine too, as an engine's, with a system on which everything works: no
 * sequence of frames may break the order of its table. What was decoded is encoded again and must
 * decode to the same bytes. */
#include "fuzz.h"
#include "keeper/machine.h"

#include <stdlib.h>
#include <string.h>

static void answer(struct machine *machine, const struct machine_output *output)
{
	struct machine_input input = {.attempt = output->attempt, .now_ns = 2};
	struct err err = ERR_INIT;

	switch (output->kind) {
	case MACHINE_OUT_ARM:
		input.kind = MACHINE_IN_ARMED;
		break;
	case MACHINE_OUT_SPAWN:
		input.kind = MACHINE_IN_SPAWNED;
		input.pid = 1;
		break;
	case MACHINE_OUT_RECORD:
		input.kind = MACHINE_IN_WRITTEN;
		break;
	case MACHINE_OUT_TREE:
		input.kind = MACHINE_IN_TREE;
		break;
	case MACHINE_OUT_LOOK:
		input.kind = MACHINE_IN_SIZE;
		input.size_bytes = 5;
		break;
	case MACHINE_OUT_NOTE:
	case MACHINE_OUT_SIGNAL:
	case MACHINE_OUT_FORGET:
	case MACHINE_OUT_HELLO:
	case MACHINE_OUT_NO:
	case MACHINE_OUT_REPORT:
	case MACHINE_OUT_CLOSE:
		return;
	}
	BUG_IF(machine_take(machine, &input, &err) != ERR_OK);
}

static void feed(struct machine *machine, const struct machine_input *input)
{
	struct machine_output output;
	struct err err = ERR_INIT;

	BUG_IF(machine_take(machine, input, &err) != ERR_OK);
	while (machine_next(machine, &output))
		answer(machine, &output);
}

static void encode_again(const struct wire_frame *frame)
{
	struct buf out = BUF_INIT;
	struct wire_frame again;
	size_t used;

	if (frame->type == WIRE_START)
		wire_start(&out, &frame->start);
	else if (frame->type == WIRE_CANCEL)
		wire_cancel(&out, &frame->token, frame->now);
	else if (frame->type == WIRE_REPORT)
		wire_report(&out, &frame->report);
	else
		wire_table_end(&out);
	BUG_IF(frame->type == WIRE_START && out.len != wire_start_bytes(&frame->start));
	BUG_IF(wire_decode(buf_view(&out), &again, &used) != WIRE_GOT || used != out.len);
	wire_frame_fini(&again);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1); /* exact, so that the sanitizer sees a byte too far */
	struct machine *machine = NULL;
	struct err err = ERR_INIT;
	size_t at = 0;
	int64_t now_ns = 2;

	if (!copy || machine_new(&machine, &err) != ERR_OK)
		abort();
	memcpy(copy, data, size);
	feed(machine, &(struct machine_input){.kind = MACHINE_IN_OPENED, .conn = 1});
	for (;;) {
		struct wire_frame frame;
		size_t used;

		if (wire_decode(str_from(copy + at, size - at), &frame, &used) != WIRE_GOT)
			break;
		encode_again(&frame);
		feed(machine,
		     &(struct machine_input){
			 .kind = MACHINE_IN_FRAME, .conn = 1, .now_ns = now_ns, .frame = &frame});
		now_ns += 1000000000;
		feed(machine, &(struct machine_input){.kind = MACHINE_IN_TICK, .now_ns = now_ns});
		wire_frame_fini(&frame);
		at += used;
	}
	machine_free(machine);
	free(copy);
	return 0;
}
