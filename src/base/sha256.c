/* sha256.c - SHA-256 of hash.h, by nettle. Apart from hash.c so that programs that need no digest
 * do not link nettle. */
#include "base/hash.h"

void sha256_start(struct sha256 *sha)
{
	sha256_init(&sha->ctx);
}

void sha256_add(struct sha256 *sha, const void *bytes, size_t len)
{
	sha256_update(&sha->ctx, len, bytes);
}

void sha256_end(struct sha256 *sha, uint8_t digest[SHA256_BYTES])
{
	sha256_digest(&sha->ctx, SHA256_BYTES, digest);
}

void sha256_of(const void *bytes, size_t len, uint8_t digest[SHA256_BYTES])
{
	struct sha256 sha;

	sha256_start(&sha);
	sha256_add(&sha, bytes, len);
	sha256_end(&sha, digest);
}

void sha256_hex(const uint8_t digest[SHA256_BYTES], char hex[SHA256_HEX_BYTES + 1])
{
	hex_write(digest, SHA256_BYTES, hex);
}
