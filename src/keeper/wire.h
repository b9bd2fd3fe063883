/* wire.h - the frames between engine and keeper.
 *
 * A frame is a length (u32, of what follows), a type (u8) and a body; integers are little-endian,
 * texts are a length (u32), the bytes and a NUL that the length does not count. The first frame of
 * a connection is HELLO with the version; one that is not known is answered HELLO_NO with the
 * highest that is, so that an upgraded engine can tell, and speaks that one from then on. Version 2
 * added what may stand behind the masks of START; without it a START is that of version 1. Decoding
 * is total: any bytes give a frame, "more is needed", or "not a frame".
 *
 *   HELLO     version u32, epoch u64                     engine: I own the run from now on
 *   HELLO_OK  version u32, pid i32, tokens u32           keeper: then one REPORT a token, TABLE_END
 *   HELLO_NO  version u32, epoch u64                     keeper: its version and its epoch; closes
 *   START     token, limits, log, cwd, argv, envp, masks engine
 *             [log of stderr, stdin, user, rlimits, hands, orphans]
 *   CANCEL    token, now u8                              engine
 *   REPORT    token, kind, end ...                       keeper
 *   TABLE_END                                            keeper */
#ifndef KEEPER_WIRE_H
#define KEEPER_WIRE_H

#include "base/buf.h"
#include "core/exec.h"

#define WIRE_VERSION         2
#define WIRE_VERSION_LEAST   1                 /* that is still spoken */
#define WIRE_FRAME_BYTES_MAX ((size_t)8 << 20) /* above what execve(2) takes on a usual stack */

/* On the wire: append only. */
enum wire_type {
	WIRE_HELLO = 1,
	WIRE_HELLO_OK = 2,
	WIRE_HELLO_NO = 3,
	WIRE_START = 4,
	WIRE_CANCEL = 5,
	WIRE_REPORT = 6,
	WIRE_TABLE_END = 7,
};

struct wire_more; /* of wire.c */

struct wire_frame {
	enum wire_type type;
	uint32_t version;          /* HELLO, HELLO_OK, HELLO_NO */
	uint64_t epoch;            /* HELLO, HELLO_NO */
	int32_t pid;               /* HELLO_OK */
	uint32_t count;            /* HELLO_OK */
	struct exec_start start;   /* START: texts point into the bytes, arrays into `arrays` */
	struct exec_token token;   /* CANCEL */
	bool now;                  /* CANCEL */
	struct exec_report report; /* REPORT */
	struct exec_user user;     /* START: start.user points here */
	void *arrays;              /* owned: wire_frame_fini */
	struct wire_more *more;    /* the same */
};

enum wire_take {
	WIRE_GOT,    /* a frame */
	WIRE_MORE,   /* the bytes are the beginning of a frame */
	WIRE_BROKEN, /* not a frame, and nothing after it can be understood */
	WIRE_SHORT,  /* memory is short */
};

/* Frees what decoding made (`arrays`, `more`), not the bytes; accepts a zeroed frame. */
void wire_frame_fini(struct wire_frame *frame);

/* Decode the frame at the start of `bytes`; *ret_used is its length. The frame borrows the
 * bytes. */
enum wire_take wire_decode(struct str bytes, struct wire_frame *ret_frame, size_t *ret_used);

/* Append a frame. The buffer keeps a failure (buf_check). */
void wire_hello(struct buf *out, uint32_t version, uint64_t epoch);
void wire_hello_ok(struct buf *out, uint32_t version, int32_t pid, uint32_t count);
void wire_hello_no(struct buf *out, uint32_t version, uint64_t epoch);
void wire_start(struct buf *out, const struct exec_start *start);
void wire_cancel(struct buf *out, const struct exec_token *token, bool now);
void wire_report(struct buf *out, const struct exec_report *report);
void wire_table_end(struct buf *out);

/* Bytes of the START frame that wire_start would append; more than WIRE_FRAME_BYTES_MAX: do not. */
size_t wire_start_bytes(const struct exec_start *start);

/* The least version whose START can say all of this. */
uint32_t wire_start_version(const struct exec_start *start);

#endif
