/* jansson_judge.c - what jansson says of a text; apart, because its names clash with
 * base/json.h. */
#include "jansson_judge.h"

#include <jansson.h>
#include <string.h>

bool jansson_takes(const char *text, size_t len)
{
	json_error_t error;
	json_t *tree = json_loadb(
	    text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	bool is_taken = tree != NULL;

	json_decref(tree);
	/* Numbers beyond its C types are a limit of jansson's, not of JSON. */
	return is_taken || strstr(error.text, "too big") || strstr(error.text, "overflow") ||
	       strstr(error.text, "NUL"); /* and NUL in a key */
}
