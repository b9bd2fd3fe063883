/* jansson_judge.h - see jansson_judge.c */
#ifndef FUZZ_JANSSON_JUDGE_H
#define FUZZ_JANSSON_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

bool jansson_takes(const char *text, size_t len);

#endif
