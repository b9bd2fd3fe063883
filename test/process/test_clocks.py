"""D27, S7.6: order is a number, spans are of a clock that nobody sets."""
import shutil
import subprocess
import time

import pytest

from support.sluice import until

SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Seconds that the wall clock is off: read anew each time, so that it jumps while a program runs. */
static long off(void)
{
	FILE *f = fopen(getenv("WALL_OFF"), "r");
	long seconds = 0;

	if (f) {
		if (fscanf(f, "%ld", &seconds) != 1)
			seconds = 0;
		fclose(f);
	}
	return seconds;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);
	int result;

	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	result = real(id, now);
	if (id == CLOCK_REALTIME)
		now->tv_sec += off();
	return result;
}

int gettimeofday(struct timeval *now, void *zone)
{
	struct timespec t;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	now->tv_sec = t.tv_sec;
	now->tv_usec = t.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}
"""
DAY = 86400


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    """A wall clock of our own for the programs, monotonic clocks untouched."""
    if not shutil.which("cc"):
        pytest.skip("needs a compiler")
    folder = tmp_path_factory.mktemp("clock")
    (folder / "clock.c").write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "clock.so", folder / "clock.c", "-ldl"], check=True)
    return folder / "clock.so"


@pytest.fixture
def clock(sluice, shim):
    """Set how far off the wall clock is: before a start, or in the middle."""
    if b"__asan_init" in sluice.program.read_bytes():
        pytest.skip("a program with sanitizers wants to be loaded first")

    def set_off(seconds):
        (sluice.root / "off.new").write_text(str(int(seconds)))
        (sluice.root / "off.new").rename(sluice.root / "off")
    set_off(0)
    sluice.env.update({"LD_PRELOAD": str(shim), "WALL_OFF": str(sluice.root / "off")})
    return set_off


def spans(log):
    return [event["duration_ms"] for event in log.events if "duration_ms" in event]


JUMPS = [-10 * DAY, 10 * 365 * DAY, -3600, 3600, 1, -1]


def test_d27_the_clock_of_these_tests_jumps(sluice, clock):
    clock(10 * DAY)
    log = sluice.go({"a": {"noop": True}})
    then = time.strptime(log.events[0]["timestamp_utc"][:19], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.mktime(then) - time.timezone - time.time() - 10 * DAY) < 90000


@pytest.mark.slow
@pytest.mark.parametrize("jump", JUMPS)
def test_d27_a_wall_clock_that_jumps_in_the_middle_changes_no_span(sluice, clock, jump):
    """A timeout is neither lost nor hastened, a delay neither; nothing lasts a negative time."""
    path = sluice.pipeline({
        "slow": {"run": "touch begun; sleep 0.6; [ $SLUICE_ATTEMPT = 1 ] || exit 75", "needs": [], "timeout": "20s",
                 "retry": {"max_attempts": 2, "initial": "700ms", "jitter": "0%", "backoff": "constant"}},
        "late": {"run": "sleep 60", "needs": [], "timeout": "1200ms", "grace": "100ms", "on_failure": "ignore"}}, concurrency=2)
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until(lambda: (sluice.root / "begun").exists(), of="slow")
    begin = time.monotonic()
    clock(jump)
    assert engine.wait(30) == 0, engine.communicate()
    elapsed = (time.monotonic() - begin) * 1000
    log = sluice.log(ended="succeeded")
    assert log.of("step.failed", "late")[0]["error_class"] == "timeout"
    assert log.steps["slow"].started == [0, 1] and elapsed > 600 + 700, "the delay was waited for"
    # How long a run took is a difference of days and hours, as people see them; of a step it is not.
    assert all(0 <= event["duration_ms"] < 30000 for event in log.events if "step_id" in event and "duration_ms" in event)
    assert log.of("run.completed")[0]["duration_ms"] >= 0
    for verb in ("status", "summary", "explain", "events"):
        shown = sluice(verb, sluice.id, code=0).stdout
        assert " -0" not in shown and "-1." not in shown, shown


@pytest.mark.parametrize("jump", [-10 * DAY, 10 * 365 * DAY])
def test_d27_a_wall_clock_that_jumps_within_a_delay_neither_loses_nor_hastens_it(sluice, clock, jump):
    """S7.6. Another step ends behind the jump, so that the engine looks at its clock again."""
    path = sluice.pipeline({
        "slow": {"run": "cat /proc/uptime >up.$SLUICE_ATTEMPT; [ $SLUICE_ATTEMPT = 1 ] || exit 75", "needs": [],
                 "retry": {"max_attempts": 2, "initial": "1s", "jitter": "0%", "backoff": "constant"}},
        "other": {"run": "while [ ! -e jumped ]; do sleep 0.02; done", "needs": []}}, concurrency=2)
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.retried", "slow")
    clock(jump)
    (sluice.root / "jumped").touch()
    assert engine.wait(30) == 0, engine.communicate()
    first, second = (float((sluice.root / f"up.{attempt}").read_text().split()[0]) for attempt in (0, 1))
    assert second - first > 0.95
    assert sluice.log(ended="succeeded").steps["slow"].started == [0, 1]


@pytest.mark.parametrize("jump", [-10 * DAY, 10 * 365 * DAY])
def test_d27_a_resume_on_another_day_keeps_deadlines_and_order(sluice, clock, jump):
    """Same boot: what counts is the clock since boot."""
    path = sluice.pipeline({"a": {"run": "touch begun; sleep 1", "timeout": "30s"}, "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until(lambda: (sluice.root / "begun").exists(), of="a")
    sluice.cut(engine)
    clock(jump)
    sluice("resume", sluice.id, code=0)
    log = sluice.log(ended="succeeded")
    assert [event["event_id"] for event in log.events] == [f"evt_{n}" for n in range(1, len(log.events) + 1)]
    assert all(span >= 0 for span in spans(log)) and log.steps["a"].started == [0]
    for verb in ("status", "summary", "list", "stats", "verify"):
        sluice(verb, *([sluice.id] if verb not in ("list", "stats") else []), code=0)


@pytest.mark.slow
@pytest.mark.parametrize("jump", [-10 * DAY, -3600, 3600, 10 * 365 * DAY])
@pytest.mark.parametrize("what", ["a step", "a compensation"])
def test_d27_a_delay_that_no_engine_saw_the_end_of_is_neither_lost_nor_hastened(sluice, clock, what, jump):
    """S7.6: the wall clock is set while nobody owns the run."""
    again = {"retry": {"max_attempts": 2, "initial": "2s", "max": "2s", "jitter": "0%", "backoff": "constant"}}
    fails_once = "[ $SLUICE_ATTEMPT != 0 ] || exit 75"
    steps = {"a": {"run": fails_once, **again}} if what == "a step" else {
        "a": {"run": "true", "compensate": {"run": fails_once, **again}}, "b": {"run": "exit 1", "on_failure": "compensate"}}
    event = "step.retried" if what == "a step" else "compensation.failed"
    engine = sluice.start("run", sluice.pipeline(steps), "--run-id", sluice.id)
    sluice.wait_event(event, "a")
    begin = time.monotonic()
    sluice.cut(engine)
    until(lambda: not sluice.keepers(), of="the keeper's end")
    clock(jump)
    result = sluice("resume", sluice.id, timeout=30)
    assert result.code == (0 if what == "a step" else 1), result
    log = sluice.log(ended="succeeded" if what == "a step" else "rolled_back")
    assert log.of(event, "a")[0]["boot_ms"] > 0
    assert time.monotonic() - begin > 1.5, "the delay was waited for"


@pytest.mark.parametrize("jump, ended", [(-10 * DAY, False), (2 * DAY, True)])
def test_d27_an_approval_with_a_deadline_over_a_clock_that_was_set(sluice, clock, jump, ended):
    """The deadline is a time that is written down: a person's clock decides it, never before its time."""
    path = sluice.pipeline({"m": {"gate": "manual", "approve": {"timeout": "1d", "on_timeout": "reject"}, "run": "touch ran"}})
    sluice("run", path, "--run-id", sluice.id, code=4)
    clock(jump)
    result = sluice("resume", sluice.id)
    assert result.code == (4 if not ended else 1), result
    assert not (sluice.root / "ran").exists()
    if not ended:
        sluice("approve", sluice.id, "m", "--as", "anna", "--reason", "seen", code=0)
        sluice("resume", sluice.id, code=0)


def test_d27_gc_does_not_take_a_run_for_old_because_its_clock_was_wrong(sluice, clock):
    clock(10 * 365 * DAY)
    sluice.go({"a": "true"})
    clock(0)
    sluice("gc", "--older-than", "1d")
    assert sluice.run_dir().exists(), "a run of the future is not older than a day"


# ------------------------------------------------------------------- the clock since boot

def later(seconds):
    return ("unshare", "--time", "--boottime", str(seconds), "--monotonic", str(seconds), "--fork")


@pytest.fixture
def need_time_namespace(need_root):
    if subprocess.run([*later(1000), "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs time namespaces")


@pytest.mark.parametrize("offset", [100000, 10 * 365 * DAY])
def test_d27_a_machine_that_slept_for_long_ends_waiting_and_loses_nothing(sluice, clock, need_time_namespace, offset):
    """Between run and resume both clocks went on: the same boot, days later."""
    path = sluice.pipeline({"a": {"run": "touch begun; [ $SLUICE_ATTEMPT = 0 ] && exit 75; true",
                                  "retry": {"max_attempts": 2, "initial": "1h", "max": "1h", "jitter": "0%", "backoff": "constant"}}, "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.retried", "a")
    sluice.cut(engine)
    until(lambda: not sluice.keepers(), of="the keeper's end")
    clock(offset)
    result = sluice("resume", sluice.id, prefix=later(offset))
    assert result.code == 0, result
    log = sluice.log(ended="succeeded")
    assert log.steps["a"].started == [0, 1] and all(span >= 0 for span in spans(log))


def test_d27_a_clock_since_boot_that_is_behind_makes_nothing_negative(sluice, need_time_namespace):
    """A run directory that was moved between machines, or a namespace that ended."""
    path = sluice.pipeline({"a": {"run": "touch begun; sleep 0.3"}, "b": "true", "c": "[ -e go ]"})
    sluice("run", path, "--run-id", sluice.id, code=1, prefix=later(100000))
    (sluice.root / "go").touch()
    sluice("resume", sluice.id, code=0)
    log = sluice.log(ended="succeeded")
    assert all(0 <= span < 10000000 for span in spans(log)), spans(log)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "right/UTC", ":/no/such", "", "XYZ-99:99"])
def test_d27_zones_summer_time_and_leap_seconds_are_for_people_only(sluice, zone):
    log = sluice.go({"a": "true"}, env={"TZ": zone})
    assert all(event["timestamp_utc"].endswith("Z") for event in log.events)
    for verb in ("status", "summary", "events", "list"):
        sluice(verb, *([sluice.id] if verb != "list" else []), code=0, env={"TZ": zone})
