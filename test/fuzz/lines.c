/* lines.c - a mutator for files of lines: a line is left out, doubled, moved or exchanged with one
 * of its neighbours; else the library's own mutators change bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* Where line number `n` begins, the end behind the last one. */
static size_t line_at(const uint8_t *data, size_t size, size_t n)
{
	size_t at = 0;

	for (; n > 0 && at < size; n--) {
		const uint8_t *end = memchr(data + at, '\n', size - at);

		at = end ? (size_t)(end - data) + 1 : size;
	}
	return at;
}

static size_t lines_count(const uint8_t *data, size_t size)
{
	size_t count = 0;

	for (size_t i = 0; i < size; i++)
		count += data[i] == '\n';
	return count;
}

/* Put a copy of `from` up to `end` before `to`. */
static size_t copy(uint8_t *data, size_t size, size_t max_size, size_t from, size_t end, size_t to)
{
	size_t len = end - from;
	uint8_t *line = malloc(len ? len : 1);

	if (!line || size + len > max_size) {
		free(line);
		return size;
	}
	memcpy(line, data + from, len);
	memmove(data + to + len, data + to, size - to);
	memcpy(data + to, line, len);
	free(line);
	return size + len;
}

static size_t cut(uint8_t *data, size_t size, size_t from, size_t end)
{
	memmove(data + from, data + end, size - end);
	return size - (end - from);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	size_t count = lines_count(data, size);
	unsigned what = seed % 8;
	size_t from;
	size_t end;
	size_t to;

	if (what >= 4 || count < 2)
		return LLVMFuzzerMutate(data, size, max_size);
	from = line_at(data, size, seed / 8 % count);
	end = line_at(data, size, seed / 8 % count + 1);
	to = line_at(data, size, seed / 4096 % count);
	switch (what) {
	case 0:
		return cut(data, size, from, end);
	case 1:
		return line_at(data, size, seed / 8 % count + 1); /* all behind it is gone */
	case 2:
		return copy(data, size, max_size, from, end, to);
	default: /* moved to where `to` is */
		if ((to >= from && to < end) || size + (end - from) > max_size)
			return size;
		size = copy(data, size, max_size, from, end, to);
		if (to <= from)
			return cut(data, size, from + (end - from), end + (end - from));
		return cut(data, size, from, end);
	}
}
