/* schema.h - the pipeline file as a JSON Schema, for editors and for programs that write one.
 *
 * Made of key.def (which keys there are), schema.def (their values, defaults and meanings) and
 * error_class.def. The schema judges form: names that must exist, expressions, cycles and whatever
 * else needs the file as a whole are lang_load's alone. */
#ifndef LANG_SCHEMA_H
#define LANG_SCHEMA_H

#include "base/buf.h"

/* Where the schema says that it is from: its `$id`. */
#define SCHEMA_ID "urn:sluice:pipeline:1"

/* Append the schema (JSON Schema 2020-12) as compact JSON; always the same bytes. Keys of later
 * versions are not in it. A failure of `out` is the caller's to check. */
void schema_write(struct buf *out);

#endif
