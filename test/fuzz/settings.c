/* settings.c - any bytes as sluice.conf: every error has a place, and a value that is accepted
 * comes back when it is written into a file of its own.
 *
 * The reader opens a file by its path: the bytes are in memory (memfd_create(2)), and the path is
 * that of the descriptor. */
#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"
#include "sluice/sluice.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int file_of(struct str text, char path[64])
{
	int fd = memfd_create("settings", MFD_CLOEXEC);

	BUG_IF(fd < 0 || write(fd, text.ptr ? text.ptr : "", text.len) != (ssize_t)text.len);
	(void)snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

static enum sluice_code settings_of(struct str text, struct sluice_settings **ret_settings,
				    char **ret_diagnostics, struct sluice_error *err)
{
	enum sluice_code code;
	char path[64];
	int fd = file_of(text, path);

	code = sluice_settings_read(path, ret_settings, ret_diagnostics, err);
	(void)close(fd);
	return code;
}

/* Each value alone, quoted: the same value. */
static void values_again(const struct sluice_settings *settings)
{
	const struct sluice_setting_about *about;

	for (size_t i = 0; (about = sluice_setting_about(i)); i++) {
		AUTO(buf_fini) struct buf text = BUF_INIT;
		struct sluice_settings *again = NULL;
		const char *origin = NULL;
		const char *value = sluice_setting(settings, about->key, &origin);
		const char *point = strchr(about->key, '.');
		int scope = point ? (int)(point - about->key) : 0;
		struct sluice_error err;

		if (!value)
			continue;
		BUG_IF(!value[0] || !origin || !strrchr(origin, ':'));
		if (point)
			buf_fmt(&text, "%.*s:\n  ", scope, about->key);
		buf_fmt(&text, "%s: '", point ? point + 1 : about->key);
		for (const char *at = value; *at; at++)
			buf_text(&text, *at == '\'' ? "''" : (char[]){*at, '\0'});
		buf_text(&text, "'\n");
		if (strpbrk(value, "\n\r") || strstr(value, "\xC2\x85") ||
		    strstr(value, "\xE2\x80\xA8") || strstr(value, "\xE2\x80\xA9"))
			continue; /* a line break in single quotes is a blank */
		BUG_IF(settings_of(buf_view(&text), &again, NULL, &err) != SLUICE_OK);
		BUG_IF(!sluice_setting(again, about->key, NULL) ||
		       strcmp(sluice_setting(again, about->key, NULL), value) != 0);
		sluice_settings_free(again);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sluice_settings *settings = NULL;
	char *diagnostics = NULL;
	struct sluice_error err;

	BUG_IF(clearenv() != 0);
	if (settings_of(str_from((const char *)data, size), &settings, &diagnostics, &err) ==
	    SLUICE_OK) {
		const char *const *limits = sluice_settings_limits(settings);

		BUG_IF(diagnostics);
		values_again(settings);
		for (; limits && *limits; limits++)
			BUG_IF(!strchr(*limits, '='));
	} else {
		BUG_IF(settings || err.code != SLUICE_INVALID || !err.text[0]);
		BUG_IF(diagnostics && !strstr(diagnostics, "error["));
		BUG_IF(diagnostics && !utf8_valid(str_of(diagnostics)));
	}
	sluice_settings_free(settings);
	sluice_free(diagnostics);
	return 0;
}
