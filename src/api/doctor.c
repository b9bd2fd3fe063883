/* doctor.c - is this machine fit to run pipelines? One function a check, all in one table. */
#include "api/api.h"

#include "base/json.h"
#include "base/timefmt.h"
#include "report/pretty.h"
#include "store/sqlite.h"
#include "sys/cgroup.h"
#include "sys/probe.h"
#include "sys/program.h"
#include "sys/unix_socket.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FLUSH_FAST_NS  INT64_C(20000)    /* no disk that keeps its word is known to be faster */
#define FLUSH_SLOW_NS  INT64_C(50000000) /* each step costs two */
#define ROOM_BYTES     ((uint64_t)1 << 28)
#define ROOM_INODES    ((uint64_t)10000)
#define FILES_MIN      ((uint64_t)1024)
#define PROCESSES_MIN  ((uint64_t)1024)
#define SANE_UTC_MS    INT64_C(1735689600000) /* 2025-01-01: this program is younger */
#define INSANE_UTC_MS  INT64_C(4102444800000) /* 2100-01-01 */
#define CLOCK_PAUSE_NS INT64_C(2000000)

enum level { LEVEL_OK, LEVEL_NOTE, LEVEL_PROBLEM };

struct finding {
	enum level level;
	struct buf text;
	struct buf next; /* what to do; empty for ok */
};

struct doctor {
	const struct sluice_doctor_opts *options;
	struct sluice_settings *settings; /* NULL: they are wrong */
	struct sluice_error settings_error;
	struct sluice *sluice; /* NULL: it could not be opened */
	struct sluice_error open_error;
	int dir; /* the state directory, or the nearest one above it; -1 = none */
	bool is_there;
	struct probe_place place;
	struct err place_error;
};

static void doctor_fini(struct doctor *doctor)
{
	sluice_settings_free(doctor->settings);
	sluice_close(doctor->sluice);
	probe_close(&doctor->dir);
}

static void say(struct finding *finding, enum level level, const char *format, ...)
    PRINTF_LIKE(3, 4);
static void advise(struct finding *finding, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct finding *finding, enum level level, const char *format, ...)
{
	va_list args;

	finding->level = level;
	buf_clear(&finding->text);
	va_start(args, format);
	buf_vfmt(&finding->text, format, args);
	va_end(args);
}

static void advise(struct finding *finding, const char *format, ...)
{
	va_list args;

	buf_clear(&finding->next);
	va_start(args, format);
	buf_vfmt(&finding->next, format, args);
	va_end(args);
}

/* ------------------------------------------------------------------- settings, state, keeper */

static void check_settings(struct doctor *doctor, struct finding *finding)
{
	size_t count = 0;
	const struct sluice_setting_about *about;

	if (!doctor->settings) {
		say(finding, LEVEL_PROBLEM, "%s", doctor->settings_error.text);
		advise(finding, "`sluice list` shows each error with its place; until then every "
				"command ends with exit 2");
		return;
	}
	for (size_t i = 0; (about = sluice_setting_about(i)) != NULL; i++)
		count += sluice_setting(doctor->settings, about->key, NULL) != NULL;
	say(finding, LEVEL_OK, "%zu of sluice.conf and the environment", count);
}

static void check_state(struct doctor *doctor, struct finding *finding)
{
	if (!doctor->sluice) {
		say(finding, LEVEL_PROBLEM, "%s", doctor->open_error.text);
		advise(finding, "%s",
		       doctor->open_error.hint[0] ? doctor->open_error.hint
						  : "name one with --dir");
	} else if (doctor->dir < 0) {
		say(finding, LEVEL_PROBLEM, "%s", doctor->place_error.text);
		advise(finding, "make it, or name another with --dir");
	} else if (!doctor->is_there) {
		say(finding, LEVEL_OK, "'%s' is not there yet: the first run makes it",
		    doctor->sluice->home);
	} else if (!doctor->place.is_ours) {
		say(finding, LEVEL_PROBLEM,
		    "'%s' belongs to user %u with mode %04o: others may "
		    "change what is in it",
		    doctor->sluice->home, doctor->place.uid, doctor->place.mode);
		advise(finding, "chown and chmod 0700 it, or name another with --dir");
	} else if (doctor->place.is_readable_by_others) {
		say(finding, LEVEL_NOTE, "'%s' can be read by others (mode %04o)",
		    doctor->sluice->home, doctor->place.mode);
		advise(finding, "chmod 0700 it unless that is meant");
	} else {
		say(finding, LEVEL_OK, "'%s'", doctor->sluice->home);
	}
}

static void check_keeper(struct doctor *doctor, struct finding *finding)
{
	char answer[PROBE_TEXT_BYTES];
	struct err err = ERR_INIT;
	const char *path = doctor->sluice ? doctor->sluice->keeper_path : NULL;
	bool is_static = false;

	if (!path) {
		say(finding, LEVEL_PROBLEM,
		    "sluice-keeper was not found: no command can be started");
		advise(finding, "install it beside sluice or in ../libexec/sluice, or name it with "
				"the setting keeper");
	} else if (probe_program(path, answer, &is_static, &err) != ERR_OK) {
		say(finding, LEVEL_PROBLEM, "%s", err.text);
		advise(finding, "install sluice again");
	} else if (strcmp(answer, "sluice-keeper " SLUICE_VERSION) != 0) {
		say(finding, LEVEL_PROBLEM, "'%s' is '%s', this is %s", path, answer,
		    SLUICE_VERSION);
		advise(finding, "install both from one version");
	} else if (!is_static) {
		say(finding, LEVEL_NOTE, "'%s' needs shared libraries: each run starts slower",
		    path);
		advise(finding, "build it as a static program");
	} else {
		say(finding, LEVEL_OK, "%s, static, at '%s'", answer, path);
	}
}

/* -------------------------------------------------------------------------------- the disk */

static void check_disk(struct doctor *doctor, struct finding *finding)
{
	const struct probe_place *place = &doctor->place;
	const char *kind = place->kind[0] ? place->kind : "a file system of unknown kind";

	if (place->is_remote) {
		say(finding, LEVEL_NOTE,
		    "%s: whether locks and flushes reach the server is its word", kind);
		advise(finding, "keep the state directory on a local disk, and copy what ended");
	} else if (place->is_memory) {
		say(finding, LEVEL_NOTE, "%s is memory: nothing of a run outlasts a power loss",
		    kind);
		advise(finding, "keep the state directory on a disk");
	} else {
		say(finding, LEVEL_OK, "%s", kind);
	}
}

static void check_space(struct doctor *doctor, struct finding *finding)
{
	const struct probe_place *place = &doctor->place;
	double free_gib = (double)place->bytes_free / (1 << 30);

	if (place->bytes_free < ROOM_BYTES)
		say(finding, LEVEL_PROBLEM, "%.2f GiB are free", free_gib);
	else if (place->inodes > 0 && place->inodes_free < ROOM_INODES)
		say(finding, LEVEL_PROBLEM, "%llu inodes are free",
		    (unsigned long long)place->inodes_free);
	else
		say(finding, LEVEL_OK, "%.1f GiB free", free_gib);
	if (finding->level != LEVEL_OK)
		advise(finding, "`sluice gc --older-than 30d` removes old runs");
}

static void check_flush(struct doctor *doctor, struct finding *finding)
{
	struct err err = ERR_INIT;
	int64_t median_ns;
	double ms;

	if (probe_flush(doctor->dir, &median_ns, &err) != ERR_OK) {
		say(finding, LEVEL_PROBLEM, "%s", err.text);
		advise(finding, "make room, or make the directory writable");
		return;
	}
	ms = (double)median_ns / 1e6;
	if (doctor->place.is_memory) {
		say(finding, LEVEL_OK, "fdatasync takes %.3f ms, in memory", ms);
	} else if (median_ns < FLUSH_FAST_NS) {
		say(finding, LEVEL_NOTE,
		    "fdatasync takes %.3f ms, suspiciously fast: a lying cache?", ms);
		advise(finding,
		       "a disk that answers before it has written loses acknowledged events "
		       "with the power: look at its write cache, and at what virtual "
		       "machines and mount options (nobarrier) do");
	} else if (median_ns > FLUSH_SLOW_NS) {
		say(finding, LEVEL_NOTE, "fdatasync takes %.1f ms: each step waits for about two",
		    ms);
		advise(finding,
		       "a faster disk, or sync: interval:20ms where a lost tail is no harm");
	} else {
		say(finding, LEVEL_OK, "fdatasync takes %.2f ms", ms);
	}
}

static void check_locks(struct doctor *doctor, struct finding *finding)
{
	struct err err = ERR_INIT;

	if (probe_lock(doctor->dir, &err) != ERR_OK) {
		say(finding, LEVEL_PROBLEM, "%s", err.text);
		advise(finding, "two owners of a run could not be kept apart here: keep the state "
				"directory on another file system");
	} else if (doctor->place.is_remote) {
		say(finding, LEVEL_NOTE,
		    "locks hold on this machine; on %s other machines may not "
		    "see them",
		    doctor->place.kind);
		advise(finding, "run and resume from one machine only");
	} else {
		say(finding, LEVEL_OK, "locks of open files hold");
	}
}

static void check_rename(struct doctor *doctor, struct finding *finding)
{
	struct err err = ERR_INIT;

	if (probe_rename(doctor->dir, &err) == ERR_OK) {
		say(finding, LEVEL_OK, "directories are renamed without replacing, and flushed");
		return;
	}
	say(finding, LEVEL_PROBLEM, "%s", err.text);
	advise(finding, "a run could not be born whole here: keep the state directory on another "
			"file system");
}

static void check_sockets(struct doctor *doctor, struct finding *finding)
{
	char path[SOCKET_PATH_BYTES];
	struct err err = ERR_INIT;

	(void)doctor;
	if (socket_path("doctor", 0, 0, path, &err) == ERR_OK) {
		*strrchr(path, '/') = '\0';
		say(finding, LEVEL_OK, "in '%s'", path);
		return;
	}
	say(finding, LEVEL_PROBLEM, "%s", err.text);
	advise(finding, "make it a folder of your own with mode 0700, or set XDG_RUNTIME_DIR");
}

/* ----------------------------------------------------------------------------- the machine */

static void check_kernel(struct doctor *doctor, struct finding *finding)
{
	char release[PROBE_TEXT_BYTES];
	char missing[PROBE_TEXT_BYTES];

	(void)doctor;
	probe_kernel(release, missing);
	if (!missing[0]) {
		say(finding, LEVEL_OK, "%s", release);
		return;
	}
	say(finding, LEVEL_PROBLEM, "%s lacks or refuses: %s", release, missing);
	advise(finding, "Linux 5.9 or later is needed; in a container look at its seccomp profile");
}

static void check_clock(struct doctor *doctor, struct finding *finding)
{
	int64_t utc_ms = clock_utc_ms(&clock_os);
	int64_t before_ns = clock_boot_ns(&clock_os);
	char boot_id[BOOT_ID_BYTES + 1];
	char stamp[STAMP_BYTES + 1];
	struct err err = ERR_INIT;

	(void)doctor;
	stamp_write(utc_ms, stamp);
	socket_wait(-1, CLOCK_PAUSE_NS);
	if (utc_ms < SANE_UTC_MS || utc_ms > INSANE_UTC_MS) {
		say(finding, LEVEL_PROBLEM, "it is %s by this machine", stamp);
		advise(finding, "set the clock: stamps and retention go by it");
	} else if (clock_boot_ns(&clock_os) - before_ns < CLOCK_PAUSE_NS / 2) {
		say(finding, LEVEL_PROBLEM, "CLOCK_BOOTTIME does not go on");
		advise(finding, "timeouts cannot work here; look at the hypervisor");
	} else if (boot_id_read(boot_id, &err) != ERR_OK) {
		say(finding, LEVEL_PROBLEM, "%s", err.text);
		advise(finding, "mount /proc: what became of steps after a reboot cannot be told "
				"without the boot id");
	} else {
		say(finding, LEVEL_OK, "%s", stamp);
	}
}

static void check_limits(struct doctor *doctor, struct finding *finding)
{
	struct probe_limits limits;

	(void)doctor;
	probe_limits(&limits);
	if (limits.open_files < FILES_MIN) {
		say(finding, LEVEL_NOTE, "%llu open files are allowed",
		    (unsigned long long)limits.open_files);
		advise(finding, "ulimit -n 4096: a step that runs needs some");
	} else if (limits.processes < PROCESSES_MIN) {
		say(finding, LEVEL_NOTE, "%llu processes are allowed",
		    (unsigned long long)limits.processes);
		advise(finding, "ulimit -u 4096");
	} else if (!limits.has_inotify) {
		say(finding, LEVEL_NOTE,
		    "no further inotify instance can be had: followers look "
		    "again and again instead");
		advise(finding, "raise fs.inotify.max_user_instances");
	} else {
		say(finding, LEVEL_OK, "open files, processes and inotify are enough");
	}
}

static void check_cgroup(struct doctor *doctor, struct finding *finding)
{
	static const char prefix[] = "sluice-doctor-";
	char name[sizeof(prefix) + 20];
	int base = cgroup_base();
	int group;

	(void)doctor;
	(void)snprintf(name, sizeof(name), "%s%llx", prefix,
		       (unsigned long long)clock_boot_ns(&clock_os)); /* no other one's */
	group = base >= 0 ? cgroup_make(base, name) : -1;
	if (group < 0) {
		say(finding, LEVEL_NOTE, "no group of our own can be made: %s",
		    base < 0 ? "cgroup v2 is not mounted" : "that is not delegated to us");
		advise(finding,
		       "processes that leave their session are found by their environment "
		       "instead; `systemd-run --user --scope -p Delegate=yes` gives groups");
	} else if (!cgroup_kill(group)) {
		say(finding, LEVEL_NOTE, "a group can be made, but not killed as a whole");
		advise(finding, "Linux 5.14 has cgroup.kill");
	} else {
		say(finding, LEVEL_OK, "v2, groups can be made and killed");
	}
	probe_close(&group);
	if (base >= 0) {
		(void)cgroup_remove_soon(base, name);
		cgroup_clear(base, prefix); /* of one that was killed in the middle */
	}
	probe_close(&base);
}

static void check_shell(struct doctor *doctor, struct finding *finding)
{
	(void)doctor;
	if (program_exists(STR("bash"), STR("/"))) {
		say(finding, LEVEL_OK, "bash is there");
		return;
	}
	say(finding, LEVEL_NOTE, "bash is not in PATH: steps with `run` need it");
	advise(finding, "install it, or write `defaults: {shell: [sh, -eu, -c]}`");
}

static void check_sqlite(struct doctor *doctor, struct finding *finding)
{
	struct err err = ERR_INIT;

	(void)doctor;
	if (sqlite_load(&err) == ERR_OK) {
		say(finding, LEVEL_OK, "it can be loaded");
		return;
	}
	say(finding, LEVEL_NOTE, "%s: `list` and `stats` read all logs instead", err.text);
	advise(finding, "%s", err.hint[0] ? err.hint : "install SQLite 3");
}

/* ---------------------------------------------------------------------------- as a whole */

static const struct check {
	const char *name;
	void (*run)(struct doctor *doctor, struct finding *finding);
	bool needs_dir;
} checks[] = {
    {"settings", check_settings, false}, {"state", check_state, false},
    {"keeper", check_keeper, false},     {"disk", check_disk, true},
    {"space", check_space, true},        {"flush", check_flush, true},
    {"locks", check_locks, true},        {"rename", check_rename, true},
    {"sockets", check_sockets, false},   {"kernel", check_kernel, false},
    {"clock", check_clock, false},       {"limits", check_limits, false},
    {"cgroup", check_cgroup, false},     {"shell", check_shell, false},
    {"sqlite", check_sqlite, false},
};

static const char *const level_names[] = {
    [LEVEL_OK] = "ok", [LEVEL_NOTE] = "note", [LEVEL_PROBLEM] = "problem"};

/* What can be opened is; what cannot is for the checks to say. */
static void examine(struct doctor *doctor)
{
	const struct sluice_doctor_opts *asked = doctor->options;
	struct sluice_state_opts state = {.state_dir = asked->state_dir};

	if (sluice_settings_read(asked->config, &doctor->settings, NULL, &doctor->settings_error) !=
	    SLUICE_OK)
		doctor->settings = NULL;
	if (!state.state_dir)
		state.state_dir = sluice_setting(doctor->settings, "state_dir", NULL);
	state.keeper_path = sluice_setting(doctor->settings, "keeper", NULL);
	if (sluice_open(&state, &doctor->sluice, &doctor->open_error) != SLUICE_OK) {
		doctor->sluice = NULL;
		return;
	}
	if (probe_open(doctor->sluice->home, &doctor->dir, &doctor->is_there,
		       &doctor->place_error) != ERR_OK ||
	    probe_place(doctor->dir, &doctor->place, &doctor->place_error) != ERR_OK)
		probe_close(&doctor->dir);
}

static void put_text(struct buf *out, const char *name, const struct finding *finding)
{
	buf_fmt(out, "%-8s %-9s %.*s\n", level_names[finding->level], name,
		STR_ARG(buf_view(&finding->text)));
	if (finding->next.len > 0)
		buf_fmt(out, "%-18s -> %.*s\n", "", STR_ARG(buf_view(&finding->next)));
}

static void put_json(struct buf *out, const char *name, const struct finding *finding)
{
	field_comma(out);
	buf_byte(out, '{');
	field_str(out, "check", str_of(name));
	field_str(out, "level", str_of(level_names[finding->level]));
	field_str(out, "text", buf_view(&finding->text));
	field_str(out, "next", finding->next.len > 0 ? buf_view(&finding->next) : STR_NONE);
	buf_byte(out, '}');
}

static void settings_put(struct buf *out, const struct doctor *doctor, bool is_json)
{
	const struct sluice_setting_about *about;

	for (size_t i = 0; (about = sluice_setting_about(i)) != NULL; i++) {
		const char *origin = "default";
		const char *value = sluice_setting(doctor->settings, about->key, &origin);

		if (is_json) {
			field_comma(out);
			buf_byte(out, '{');
			field_str(out, "setting", str_of(about->key));
			field_str(out, "value", str_of(value));
			field_str(out, "default", str_of(about->fallback));
			field_str(out, "origin", str_of(origin));
			buf_byte(out, '}');
		} else {
			buf_fmt(out, "%-16s %s  (%s)\n", about->key,
				value ? value : about->fallback, origin);
		}
	}
}

static void limits_put(struct buf *out, const struct doctor *doctor, bool is_json)
{
	const char *const *limits = sluice_settings_limits(doctor->settings);

	for (size_t i = 0; limits && limits[i]; i++) {
		if (is_json) {
			field_comma(out);
			json_put_str(out, str_of(limits[i]));
		} else {
			buf_fmt(out, "%-16s %s\n", "limits", limits[i]);
		}
	}
}

static unsigned report(struct doctor *doctor, bool is_json, struct buf *out)
{
	unsigned problems = 0;

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		struct finding finding = {.level = LEVEL_OK};

		if (checks[i].needs_dir && doctor->dir < 0)
			continue; /* `state` says why */
		checks[i].run(doctor, &finding);
		problems += finding.level == LEVEL_PROBLEM;
		(is_json ? put_json : put_text)(out, checks[i].name, &finding);
		if (finding.text.failed != ERR_OK || finding.next.failed != ERR_OK)
			out->failed = ERR_MEMORY;
		buf_fini(&finding.text);
		buf_fini(&finding.next);
	}
	return problems;
}

enum sluice_code sluice_doctor(const struct sluice_doctor_opts *options, unsigned *ret_problems,
			       char **ret_text, struct sluice_error *err)
{
	static const struct sluice_doctor_opts defaults = {.format = SLUICE_TEXT};
	AUTO(doctor_fini)
	struct doctor doctor = {.options = options ? options : &defaults, .dir = -1};
	AUTO(buf_fini) struct buf compact = BUF_INIT;
	AUTO(buf_fini) struct buf out = BUF_INIT;
	unsigned problems;
	bool is_json = doctor.options->format == SLUICE_JSON;

	if (!ret_problems || !ret_text)
		return api_usage(err, "sluice_doctor needs a count and an answer");
	if (!is_json && doctor.options->format != SLUICE_TEXT)
		return api_usage(err, "what was found is told as text or json");
	examine(&doctor);
	if (is_json)
		buf_text(&compact, "{\"checks\":[");
	problems = report(&doctor, is_json, &compact);
	if (is_json)
		buf_byte(&compact, ']');
	if (doctor.options->settings) {
		buf_text(&compact, is_json ? ",\"settings\":[" : "\n");
		settings_put(&compact, &doctor, is_json);
		buf_text(&compact, is_json ? "],\"limits\":[" : "");
		limits_put(&compact, &doctor, is_json);
		buf_text(&compact, is_json ? "]" : "");
	}
	if (is_json) {
		field_i64(&compact, "problems", problems);
		buf_byte(&compact, '}');
		if (compact.failed == ERR_OK)
			pretty_json(&out, buf_view(&compact));
		buf_byte(&out, '\n');
	} else {
		buf_str(&out, buf_view(&compact));
	}
	if (compact.failed != ERR_OK)
		out.failed = compact.failed;
	if (api_text(&out, ret_text, err) != SLUICE_OK)
		return err->code;
	*ret_problems = problems;
	return SLUICE_OK;
}
