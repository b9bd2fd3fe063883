/* temp_dir.h - a directory of a test's own, and whole files in it by plain calls. */
#ifndef TEST_TEMP_DIR_H
#define TEST_TEMP_DIR_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct temp_dir {
	char path[256]; /* absolute */
	int fd;
};

/* All of these end the test when the system refuses. */
void temp_dir_make(struct temp_dir *dir);
void temp_dir_remove(struct temp_dir *dir); /* with all that is in it */
void temp_dir_clear(struct temp_dir *dir);  /* what is in it */
void temp_dir_write(const struct temp_dir *dir, const char *name, const void *bytes, size_t len);
/* Appended to `out`. */
void temp_dir_read(const struct temp_dir *dir, const char *name, struct buf *out);
bool temp_dir_has(const struct temp_dir *dir, const char *name);
/* How many names are in it. */
size_t temp_dir_count(const struct temp_dir *dir);

#endif
