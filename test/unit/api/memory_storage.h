/* memory_storage.h - a storage in memory that fails at the n-th operation, for tests */
#ifndef TEST_API_MEMORY_STORAGE_H
#define TEST_API_MEMORY_STORAGE_H

#include <sluice/sluice.h>

struct memory_storage;

struct memory_storage *memory_storage_new(void);
void memory_storage_free(struct memory_storage *storage);
struct sluice_storage_def memory_storage_def(struct memory_storage *storage);

/* Operation number n from now (1 = the next) answers -`error`, and every later one too, until 0 is
 * given. Closing never fails. */
void memory_storage_fail(struct memory_storage *storage, uint64_t n, int error);
/* How many operations there were. */
uint64_t memory_storage_calls(const struct memory_storage *storage);
/* How many descriptors are open: none may be left behind. */
unsigned memory_storage_open_files(const struct memory_storage *storage);
/* The content of a file at an absolute path, NUL-ended, borrowed; NULL when there is none. */
const char *memory_storage_text(struct memory_storage *storage, const char *path);
/* The same, with its length; what it holds may have NULs. */
const char *memory_storage_bytes(struct memory_storage *storage, const char *path, size_t *ret_len);
/* Make the file at an absolute path, with the directories above it, or put this in its place. */
void memory_storage_put(struct memory_storage *storage, const char *path, const void *bytes,
			size_t len);

#endif
