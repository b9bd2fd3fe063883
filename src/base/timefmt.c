/* timefmt.c - see timefmt.h */
#include "base/timefmt.h"

#include <stdio.h>
#include <string.h>

/* Days since 1970-01-01 of a Gregorian date, and back (Howard Hinnant, "chrono-Compatible
 * Low-Level Date Algorithms"). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp + (mp < 10 ? 3 : -9);
	*year = yoe + era * 400 + (*month <= 2);
}

static void put_digits(char *at, int64_t value, int count)
{
	for (int i = count - 1; i >= 0; i--) {
		at[i] = (char)('0' + value % 10);
		value /= 10;
	}
}

void stamp_write(int64_t utc_ms, char text[STAMP_BYTES + 1])
{
	static const int64_t first = INT64_C(-62167219200000); /* 0000-01-01 */
	static const int64_t last = INT64_C(253402300799999);  /* 9999-12-31 */
	int64_t days;
	int64_t rest;
	int64_t year;
	int64_t month;
	int64_t day;

	if (utc_ms < first)
		utc_ms = first;
	if (utc_ms > last)
		utc_ms = last;
	days = utc_ms / 86400000 - (utc_ms % 86400000 < 0);
	rest = utc_ms - days * 86400000;
	date_of(days, &year, &month, &day);
	memcpy(text, "0000-00-00T00:00:00.000Z", STAMP_BYTES + 1);
	put_digits(text, year, 4);
	put_digits(text + 5, month, 2);
	put_digits(text + 8, day, 2);
	put_digits(text + 11, rest / 3600000, 2);
	put_digits(text + 14, rest / 60000 % 60, 2);
	put_digits(text + 17, rest / 1000 % 60, 2);
	put_digits(text + 20, rest % 1000, 3);
}

static bool digits_read(struct str text, size_t at, size_t count, int64_t *ret_value)
{
	uint64_t value;

	if (at + count > text.len || !str_to_u64(str_cut(text, at, at + count), &value))
		return false;
	*ret_value = (int64_t)value;
	return true;
}

static bool zone_read(struct str zone, int64_t *ret_offset_ms)
{
	int64_t hours;
	int64_t minutes;

	if (str_is(zone, "Z") || str_is(zone, "z")) {
		*ret_offset_ms = 0;
		return true;
	}
	if (zone.len != 6 || (zone.ptr[0] != '+' && zone.ptr[0] != '-') || zone.ptr[3] != ':' ||
	    !digits_read(zone, 1, 2, &hours) || !digits_read(zone, 4, 2, &minutes) || hours > 23 ||
	    minutes > 59)
		return false;
	*ret_offset_ms = (hours * 60 + minutes) * 60000 * (zone.ptr[0] == '-' ? -1 : 1);
	return true;
}

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && is_leap);
}

bool stamp_read(struct str text, int64_t *ret_utc_ms)
{
	int64_t year, month, day, hour, minute, second, offset_ms;
	int64_t ms = 0;
	size_t at = 19;

	if (text.len < 20 || text.ptr[4] != '-' || text.ptr[7] != '-' ||
	    (text.ptr[10] != 'T' && text.ptr[10] != 't' && text.ptr[10] != ' ') ||
	    text.ptr[13] != ':' || text.ptr[16] != ':')
		return false;
	if (!digits_read(text, 0, 4, &year) || !digits_read(text, 5, 2, &month) ||
	    !digits_read(text, 8, 2, &day) || !digits_read(text, 11, 2, &hour) ||
	    !digits_read(text, 14, 2, &minute) || !digits_read(text, 17, 2, &second))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
	    minute > 59 || second > 60)
		return false;
	if (month == 2 && day == 29 && !is_leap(year))
		return false;
	if (text.ptr[at] == '.') {
		int64_t scale = 100;

		for (at++; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
			ms += (text.ptr[at] - '0') * scale;
			scale /= 10;
		}
		if (at == 20)
			return false; /* a point and no digit */
	}
	if (!zone_read(str_cut(text, at, text.len), &offset_ms))
		return false;
	*ret_utc_ms = days_of(year, month, day) * 86400000 + hour * 3600000 + minute * 60000 +
		      second * 1000 + ms - offset_ms;
	return true;
}

struct unit {
	const char *name;
	int64_t ns;
};

static const struct unit units[] = {
    {"ms", NS_PER_MS},
    {"s", NS_PER_S},
    {"m", 60 * NS_PER_S},
    {"h", 3600 * NS_PER_S},
    {"d", 86400 * NS_PER_S},
    {"us", 1000},
    {"ns", 1},
};

int64_t time_after(int64_t time, int64_t span)
{
	int64_t sum;

	if (__builtin_add_overflow(time, span, &sum))
		return span < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

int64_t ns_of_ms(int64_t ms)
{
	int64_t ns;

	if (__builtin_mul_overflow(ms, NS_PER_MS, &ns))
		return ms < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

bool duration_read(struct str text, int64_t *ret_ns)
{
	int64_t total = 0;
	size_t at = 0;

	if (text.len == 0)
		return false;
	while (at < text.len) {
		size_t number = at;
		size_t name;
		int64_t value;
		int64_t part = -1;

		while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
			at++;
		name = at;
		while (at < text.len && (text.ptr[at] < '0' || text.ptr[at] > '9'))
			at++;
		if (!str_to_i64(str_cut(text, number, name), &value))
			return false;
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
			if (str_is(str_cut(text, name, at), units[i].name) &&
			    __builtin_mul_overflow(value, units[i].ns, &part))
				return false;
		}
		if (part < 0 || __builtin_add_overflow(total, part, &total))
			return false;
	}
	*ret_ns = total;
	return true;
}

void duration_human(struct buf *out, int64_t ms)
{
	int64_t seconds;

	if (ms < 0)
		ms = 0;
	seconds = ms / 1000;
	if (seconds < 60)
		buf_fmt(out, "%lld.%02llds", (long long)seconds, (long long)(ms % 1000 / 10));
	else if (seconds < 3600)
		buf_fmt(out, "%lldm %llds", (long long)(seconds / 60), (long long)(seconds % 60));
	else if (seconds < 86400)
		buf_fmt(out, "%lldh %lldm", (long long)(seconds / 3600),
			(long long)(seconds / 60 % 60));
	else
		buf_fmt(out, "%lldd %lldh", (long long)(seconds / 86400),
			(long long)(seconds / 3600 % 24));
}

void duration_exact(struct buf *out, int64_t ns)
{
	static const struct unit exact[] = {
	    {"d", 86400 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"m", 60 * NS_PER_S},
	    {"s", NS_PER_S},         {"ms", NS_PER_MS},      {"us", 1000},
	};

	for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
		if (ns != 0 && ns % exact[i].ns == 0) {
			buf_i64(out, ns / exact[i].ns);
			buf_text(out, exact[i].name);
			return;
		}
	}
	buf_i64(out, ns);
	buf_text(out, ns ? "ns" : "s");
}

bool size_read(struct str text, uint64_t *ret_bytes)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} sizes[] = {
	    {"TiB", (uint64_t)1 << 40},
	    {"GiB", (uint64_t)1 << 30},
	    {"MiB", (uint64_t)1 << 20},
	    {"KiB", (uint64_t)1 << 10},
	    {"B", 1},
	};
	size_t digits = 0;
	uint64_t value;

	while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
		digits++;
	if (!str_to_u64(str_cut(text, 0, digits), &value))
		return false;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (!str_is(str_cut(text, digits, text.len), sizes[i].name))
			continue;
		if (__builtin_mul_overflow(value, sizes[i].bytes, &value))
			return false;
		*ret_bytes = value;
		return true;
	}
	return false;
}
