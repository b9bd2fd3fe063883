/* mask_test.c - the masker against its rule over whole texts, in random pieces. */
#include "base/mem.h"
#include "keeper/mask.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct mask *make(const struct str *secrets, size_t count)
{
	struct mask *mask = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(mask_new(secrets, count, &mask, &err), ERR_OK);
	return mask;
}

/* The rule as it is written: at each place the longest text that matches. */
static void reference(const struct mask *mask, struct str whole, struct buf *out)
{
	size_t at = 0;

	while (at < whole.len) {
		size_t best = 0;

		for (size_t i = 0; i < mask_count(mask); i++) {
			struct str text = mask_at(mask, i);

			if (text.len > best && text.len <= whole.len - at &&
			    memcmp(text.ptr, whole.ptr + at, text.len) == 0)
				best = text.len;
		}
		if (best)
			buf_text(out, "***");
		else
			buf_byte(out, whole.ptr[at]);
		at += best ? best : 1;
	}
}

static void in_pieces(struct mask *mask, struct str whole, size_t piece_max, struct buf *out)
{
	size_t at = 0;

	while (at < whole.len) {
		size_t len = 1 + (size_t)rand() % piece_max;

		if (len > whole.len - at)
			len = whole.len - at;
		mask_feed(mask, str_cut(whole, at, at + len), out);
		at += len;
	}
	mask_end(mask, out);
}

static void any_pieces_give_what_the_whole_gives(void **state)
{
	struct str secrets[] = {STR("aab"), STR("aabaab"), STR("baa"), STR("abababab"),
				STR("bbbbbbbbbb")};

	(void)state;
	srand(7);
	for (int round = 0; round < 3000; round++) {
		size_t count = 1 + (size_t)rand() % ARRAY_LEN(secrets);
		struct mask *mask = make(secrets, count);
		struct buf whole = BUF_INIT;
		struct buf want = BUF_INIT;
		struct buf got = BUF_INIT;

		for (int i = rand() % 300; i > 0; i--) {
			if (rand() % 10 == 0)
				buf_str(&whole, mask_at(mask, (size_t)rand() % mask_count(mask)));
			else
				buf_byte(&whole, "ab"[rand() % 2]);
		}
		reference(mask, buf_view(&whole), &want);
		in_pieces(mask, buf_view(&whole), 1 + (size_t)rand() % 20, &got);
		assert_true(str_eq(buf_view(&want), buf_view(&got)));
		mask_free(mask);
		buf_fini(&whole);
		buf_fini(&want);
		buf_fini(&got);
	}
}

static void expect(const struct str *secrets, size_t count, const char *from, const char *to)
{
	struct mask *mask = make(secrets, count);
	struct buf out = BUF_INIT;

	in_pieces(mask, str_of(from), 5, &out);
	assert_string_equal(out.ptr ? out.ptr : "", to);
	mask_free(mask);
	buf_fini(&out);
}

static void the_common_forms_of_a_secret_are_masked(void **state)
{
	struct str quoted[] = {STR("pa\"ss/w\nord")};
	struct str plain[] = {STR("pass word&1")};

	(void)state;
	expect(quoted, 1, "{\"k\":\"pa\\\"ss/w\\nord\"}", "{\"k\":\"***\"}");
	expect(quoted, 1, "{\"k\":\"pa\\\"ss\\/w\\nord\"}", "{\"k\":\"***\"}");
	expect(plain, 1, "a=pass%20word%261&b", "a=***&b");
	expect(plain, 1, "a=pass+word%261&b", "a=***&b");
}

static void base64_put(struct buf *out, const char *bytes, size_t len)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		unsigned value = 0;

		for (size_t j = 0; j < 3; j++)
			value = value << 8 | (i + j < len ? (unsigned char)bytes[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			buf_byte(out, i + j > len ? '=' : digits[value >> (18 - 6 * j) & 63]);
	}
}

/* "user:password" as in an Authorization header, at all three offsets. */
static void c21_a_secret_within_base64_is_masked_at_every_offset(void **state)
{
	struct str secret = STR("correct-horse");

	(void)state;
	for (int before = 0; before < 6; before++) {
		for (int after = 0; after < 6; after++) {
			char text[64];
			struct buf encoded = BUF_INIT;
			struct buf out = BUF_INIT;
			struct mask *mask = make(&secret, 1);

			(void)snprintf(text, sizeof(text), "%.*scorrect-horse%.*s", before,
				       "uuuuuu", after, "zzzzzz");
			base64_put(&encoded, text, strlen(text));
			in_pieces(mask, buf_view(&encoded), 7, &out);
			assert_true(str_find(buf_view(&out), "***", 0) != SIZE_MAX);
			/* At most the characters that neighbours share are left. */
			assert_true(out.len <= encoded.len - 4 * secret.len / 3 + 3 + 2);
			mask_free(mask);
			buf_fini(&encoded);
			buf_fini(&out);
		}
	}
}

static void short_secrets_are_masked_as_they_are_only(void **state)
{
	struct str secret = STR("a b");

	(void)state;
	expect(&secret, 1, "x a b y a%20b", "x *** y a%20b");
}

static void nothing_to_mask_changes_nothing(void **state)
{
	struct str secrets[] = {STR(""), STR("needle")};

	(void)state;
	expect(secrets, 2, "haystack without it, need", "haystack without it, need");
	expect(secrets, 0, "needle", "needle");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_pieces_give_what_the_whole_gives),
	    cmocka_unit_test(the_common_forms_of_a_secret_are_masked),
	    cmocka_unit_test(c21_a_secret_within_base64_is_masked_at_every_offset),
	    cmocka_unit_test(short_secrets_are_masked_as_they_are_only),
	    cmocka_unit_test(nothing_to_mask_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
