/* state_hash.c - the state that the logs of runs give, as a number: state_hash RUN_DIR...
 *
 * Each log is replayed twice. A line a run: the hash, and how many events. Exit 1 when the two
 * replays differ, or a log cannot be read. */
#include "base/mem.h"
#include "rundir/fold.h"
#include "sim/sim_hash.h"
#include "sys/vfs.h"

#include <stdio.h>
#include <string.h>

static enum err_code replay(const char *path, uint8_t digest[SHA256_BYTES], uint64_t *ret_seq,
			    struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	struct limits limits;
	struct fold_run fold;

	limits_default(&limits);
	if (rundir_open(&vfs_os, path, &dir, err) != ERR_OK ||
	    fold_read(dir, &limits, NULL, NULL, &fold, err) != ERR_OK)
		return err->code;
	sim_hash_state(&fold.state, digest);
	*ret_seq = fold.state.seq;
	fold_fini(&fold);
	return ERR_OK;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		uint8_t first[SHA256_BYTES];
		uint8_t second[SHA256_BYTES];
		char hex[SHA256_HEX_BYTES + 1];
		struct err err = ERR_INIT;
		uint64_t seq = 0;

		if (replay(argv[i], first, &seq, &err) != ERR_OK ||
		    replay(argv[i], second, &seq, &err) != ERR_OK) {
			(void)printf("%s: %s\n", argv[i], err.text);
			return 1;
		}
		if (memcmp(first, second, SHA256_BYTES) != 0) {
			(void)printf("%s: two replays differ\n", argv[i]);
			return 1;
		}
		sha256_hex(first, hex);
		(void)printf("%s %llu\n", hex, (unsigned long long)seq);
	}
	return 0;
}
