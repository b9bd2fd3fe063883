/* mask.h - take secrets out of a stream of bytes, whatever the pieces in which it arrives.
 *
 * At each place the longest text that matches becomes `***`; the rest passes through. For a secret
 * of MASK_FORMS_FROM bytes or more the texts are also: as inside a JSON string, percent-encoded,
 * and base64 (both alphabets, at each of the three offsets, as far as the neighbours cannot change
 * it). A shorter secret is masked as it is: its encoded forms are too common. At most the longest
 * text less one byte is held back between two pieces. */
#ifndef KEEPER_MASK_H
#define KEEPER_MASK_H

#include "base/buf.h"
#include "base/str.h"

#define MASK_FORMS_FROM 6

struct mask;

/* Secrets are copied; empty ones are left out. MEMORY. */
MUST_CHECK enum err_code mask_new(const struct str *secrets, size_t count, struct mask **ret_mask,
				  struct err *err);
/* Also clears the copies. Accepts NULL. */
void mask_free(struct mask *mask);
void mask_drop(struct mask **mask);

/* Append to `out` what of the stream can be told now. `out` keeps a failure (buf_check). */
void mask_feed(struct mask *mask, struct str bytes, struct buf *out);
/* The stream is over: append what was held back. */
void mask_end(struct mask *mask, struct buf *out);

/* For tests: the texts, and the rule over a whole text. */
size_t mask_count(const struct mask *mask);
struct str mask_at(const struct mask *mask, size_t i);

#endif
