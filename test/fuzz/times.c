/* times.c - texts of times, spans, sizes and points of a log: the judge of a stamp is timegm(3),
 * that of a span or a size is a sum in 128 bits. */
#include "base/mem.h"
#include "base/timefmt.h"
#include "fuzz.h"
#include "report/at.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* What strptime(3) and timegm(3) make of it; false when they do not take it. `text` ends in NUL. */
static bool stamp_judge(const char *text, int64_t *ret_utc_ms)
{
	int year, month, day, hour, minute, second, used = 0;
	int zone_hours = 0;
	int zone_minutes = 0;
	int64_t ms = 0;
	struct tm tm = {.tm_isdst = 0};
	struct tm again;
	time_t seconds;
	char zone;

	if (sscanf(text, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute,
		   &second, &used) != 6 ||
	    used != 19)
		return false;
	text += used;
	if (*text == '.') {
		int place = 100;

		for (text++; *text >= '0' && *text <= '9'; text++, place /= 10)
			ms += (*text - '0') * place;
	}
	zone = *text;
	if (zone == '+' || zone == '-') {
		if (sscanf(text + 1, "%2d:%2d%n", &zone_hours, &zone_minutes, &used) != 2 ||
		    used != 5)
			return false;
	} else if (zone != 'Z' && zone != 'z') {
		return false;
	}
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	tm.tm_hour = hour;
	tm.tm_min = minute;
	tm.tm_sec = second == 60 ? 59 : second;
	seconds = timegm(&tm);
	if (!gmtime_r(&seconds, &again) || again.tm_mday != day || again.tm_mon != month - 1)
		return false; /* there is no such day */
	seconds += (zone == '-' ? 1 : -1) * (zone_hours * 3600 + zone_minutes * 60);
	*ret_utc_ms = (int64_t)seconds * 1000 + (second == 60 ? 1000 : 0) + ms;
	return true;
}

static void stamps(struct str text, const char *ended)
{
	char written[STAMP_BYTES + 1];
	int64_t utc_ms = 0;
	int64_t judged = 0;
	int64_t again = 0;

	if (!stamp_read(text, &utc_ms))
		return;
	BUG_IF(!stamp_judge(ended, &judged) || judged != utc_ms);
	stamp_write(utc_ms, written);
	BUG_IF(strlen(written) != STAMP_BYTES || !stamp_read(str_of(written), &again));
	BUG_IF(again != utc_ms && utc_ms >= INT64_C(-62167219200000) &&
	       utc_ms <= INT64_C(253402300799999));
}

/* Numbers and units one after another; false when a number goes past 2^70. */
static bool span_judge(const char *text, __int128 *ret_ns)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
	    {"ns", 1},          {"us", 1000},         {"ms", 1000000},      {"s", 1000000000},
	    {"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000}};
	__int128 sum = 0;

	while (*text) {
		__int128 value = 0;
		size_t len = strspn(text, "0123456789");
		size_t unit = 0;

		if (len == 0)
			return false;
		for (; len > 0; len--) {
			value = value * 10 + (*text++ - '0');
			if (value >> 70)
				return false;
		}
		len = strcspn(text, "0123456789");
		while (unit < ARRAY_LEN(units) && (strlen(units[unit].name) != len ||
						   memcmp(units[unit].name, text, len) != 0))
			unit++;
		if (unit == ARRAY_LEN(units))
			return false;
		text += len;
		sum += value * units[unit].ns;
	}
	*ret_ns = sum;
	return true;
}

static void spans(struct str text, const char *ended)
{
	AUTO(buf_fini) struct buf exact = BUF_INIT;
	AUTO(buf_fini) struct buf human = BUF_INIT;
	__int128 judged = 0;
	int64_t ns = 0;
	int64_t again = 0;

	if (!duration_read(text, &ns)) {
		BUG_IF(text.len > 0 && text.len < 20 && strlen(ended) == text.len &&
		       span_judge(ended, &judged) && judged <= INT64_MAX);
		return;
	}
	BUG_IF(!span_judge(ended, &judged) || judged != ns);
	duration_exact(&exact, ns);
	BUG_IF(!duration_read(buf_view(&exact), &again) || again != ns);
	duration_human(&human, ns);
	BUG_IF(human.len == 0 || human.len > 40);
}

static void sizes(struct str text, const char *ended)
{
	unsigned long long value = 0;
	uint64_t bytes = 0;
	char unit[8] = "";
	int used = 0;
	const char *at;
	static const char order[] = "BKMGT";

	if (!size_read(text, &bytes))
		return;
	BUG_IF(sscanf(ended, "%llu%3[A-Za-z]%n", &value, unit, &used) != 2 ||
	       (size_t)used != text.len);
	at = strchr(order, unit[0]);
	BUG_IF(!at || strcmp(unit + 1, unit[0] == 'B' ? "" : "iB") != 0);
	BUG_IF((unsigned __int128)value << (10 * (at - order)) != bytes);
}

static void points(struct str text)
{
	struct fold_until until = {1, 1};
	struct err err = ERR_INIT;

	if (at_read(text, INT64_C(1769860800000), &until, &err) == ERR_OK)
		BUG_IF(until.seq == 0 || (until.seq != UINT64_MAX && until.utc_ms != INT64_MAX));
	else
		BUG_IF(err.code != ERR_USAGE || !err.text[0] || !err.hint[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from((const char *)data, size);
	char *ended = mem_text(text.ptr, text.len); /* for judges that want a NUL */

	BUG_IF(!ended);
	stamps(text, ended);
	spans(text, ended);
	sizes(text, ended);
	points(text);
	mem_free(ended);
	return 0;
}
