"""D27, S7.6: order is a number, spans are of a clock that nobody sets."""
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from support.kills import keeper_under
from support.sluice import ROOT, has_sanitizers, until

BUILD = Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))

SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Whom we reach. */
__attribute__((constructor)) static void tell(void)
{
	FILE *f = fopen(getenv("WALL_REACHED"), "a");

	if (f) {
		fprintf(f, "%s\\n", program_invocation_short_name);
		fclose(f);
	}
}

/* "N": so many seconds off, "=N": it stands there. Read anew each time, so that it jumps while a program runs. */
static void set(struct timespec *now)
{
	FILE *f = fopen(getenv("WALL"), "r");
	long seconds;

	if (!f)
		return;
	if (fscanf(f, "=%ld", &seconds) == 1)
		*now = (struct timespec){.tv_sec = seconds};
	else if (fscanf(f, "%ld", &seconds) == 1)
		now->tv_sec += seconds;
	fclose(f);
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);
	int result;

	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	result = real(id, now);
	if (id == CLOCK_REALTIME)
		set(now);
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
STANDS = "=1700000000"  # 2023-11-14T22:13:20Z


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
    """Set how far off the wall clock of the engine and of the keeper is, or where it stands: before a start, or in the
    middle. The keeper is a dynamic one, and is started with these variables: it gets no environment."""
    if has_sanitizers(sluice.program):
        pytest.skip("a program with sanitizers wants to be loaded first")

    def set_to(wall):
        (sluice.root / "wall.new").write_text(str(wall))
        (sluice.root / "wall.new").rename(sluice.root / "wall")
    set_to(0)
    env = {"LD_PRELOAD": shim, "WALL": sluice.root / "wall", "WALL_REACHED": sluice.root / "reached"}
    sluice.env.update({name: str(value) for name, value in env.items()})
    sluice.program = keeper_under(sluice.root / "bin", "env " + " ".join(f"{name}={value}" for name, value in env.items()))
    shutil.copy2(BUILD / "test/faults/keeper-dynamic", sluice.root / "bin/real-keeper")
    return set_to


def spans(log):
    return [event["duration_ms"] for event in log.events if "duration_ms" in event]


def uptime(path="/proc/uptime"):
    """The clock since boot, in ms: now, or as a command wrote it down."""
    return float(Path(path).read_text().split()[0]) * 1000


JUMPS = [-10 * DAY, 10 * 365 * DAY, -3600, 3600, 1, -1, STANDS]


def test_d27_the_clock_of_these_tests_jumps_and_stands(sluice, clock):
    clock(10 * DAY)
    log = sluice.go({"a": "true"})
    then = time.strptime(log.events[0]["timestamp_utc"][:19], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.mktime(then) - time.timezone - time.time() - 10 * DAY) < 90000
    clock(STANDS)
    log = sluice.go({"a": "sleep 0.1"}, run_id=f"{sluice.id}-2")
    assert {event["timestamp_utc"] for event in log.events} == {"2023-11-14T22:13:20.000Z"}
    assert set((sluice.root / "reached").read_text().split()) >= {"sluice", "real-keeper"}


LIMITS = {
    "slow": {"run": "touch slow; while [ ! -e go ]; do sleep 0.02; done; [ $SLUICE_ATTEMPT = 1 ] || exit 75", "needs": [],
             "timeout": "10m", "silence_timeout": "10m", "retry": {"max_attempts": 2, "initial": "1ms"}},
    "late": {"run": "trap 'cat /proc/uptime >late.end; exit 1' TERM; touch late; while :; do sleep 0.05; done", "needs": [],
             "timeout": "3s", "grace": "10m", "on_failure": "ignore"},
    "mute": {"run": "trap 'cat /proc/uptime >mute.end; exit 1' TERM; touch mute; while :; do sleep 0.05; done", "needs": [],
             "silence_timeout": "3s", "grace": "10m", "on_failure": "ignore"},
    "deaf": {"run": "trap '' TERM; touch deaf; while :; do sleep 0.05; done", "needs": [],
             "timeout": "2s", "grace": "1s", "on_failure": "ignore"}}


@pytest.mark.slow
@pytest.mark.parametrize("jump", JUMPS)
def test_d27_a_wall_clock_that_jumps_in_the_middle_changes_no_span(sluice, clock, jump):
    """A limit of time is neither lost nor hastened, whoever watches over it; nothing lasts a negative time."""
    begun = uptime()
    engine = sluice.start("run", sluice.pipeline(LIMITS, concurrency=4), "--run-id", sluice.id)
    until(lambda: all((sluice.root / step).exists() for step in LIMITS), 60, of="all steps")
    clock(jump)
    for step in ("late", "mute", "deaf"):
        sluice.wait_event("step.failed", step, timeout=60)
    (sluice.root / "go").touch()
    assert engine.wait(60) == 0, engine.communicate()
    log = sluice.log(ended="succeeded")
    assert all(log.of("step.failed", step)[0]["error_class"] == "timeout" for step in ("late", "mute", "deaf"))
    assert log.steps["slow"].started == [0, 1] and log.of("step.retried", "slow")[0]["error_class"] != "timeout"
    assert all(uptime(sluice.root / f"{step}.end") - begun > 2980 for step in ("late", "mute"))
    assert log.of("step.failed", "deaf")[0]["duration_ms"] >= 3000
    # How long a run took is a difference of days and hours, as people see them; of a step it is not.
    assert all(0 <= event["duration_ms"] < 120_000 for event in log.events if "step_id" in event and "duration_ms" in event)
    assert log.of("run.completed")[0]["duration_ms"] >= 0
    for verb in ("status", "summary", "explain", "events"):
        shown = sluice(verb, sluice.id, code=0).stdout
        assert " -0" not in shown and "-1." not in shown, shown


@pytest.mark.parametrize("jump", [-10 * DAY, 10 * 365 * DAY, STANDS])
def test_d27_a_wall_clock_that_jumps_within_a_delay_neither_loses_nor_hastens_it(sluice, clock, jump):
    """S7.6. Another step ends behind the jump, so that the engine looks at its clock again."""
    path = sluice.pipeline({
        "slow": {"run": "cat /proc/uptime >up.$SLUICE_ATTEMPT; [ $SLUICE_ATTEMPT = 1 ] || exit 75", "needs": [],
                 "retry": {"max_attempts": 2, "initial": "1s", "jitter": "0%", "backoff": "constant"}},
        "other": {"run": "while [ ! -e jumped ]; do sleep 0.02; done", "needs": []}}, concurrency=2)
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.retried", "slow", timeout=60)
    clock(jump)
    (sluice.root / "jumped").touch()
    assert engine.wait(60) == 0, engine.communicate()
    assert uptime(sluice.root / "up.1") - uptime(sluice.root / "up.0") > 980
    assert sluice.log(ended="succeeded").steps["slow"].started == [0, 1]


@pytest.mark.parametrize("jump", [-10 * DAY, 10 * 365 * DAY, STANDS])
def test_d27_a_resume_on_another_day_keeps_deadlines_and_order(sluice, clock, jump):
    """Same boot: what counts is the clock since boot."""
    path = sluice.pipeline({"a": {"run": "touch begun; sleep 1", "timeout": "30s"}, "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    until(lambda: (sluice.root / "begun").exists(), 60, of="a")
    sluice.cut(engine)
    clock(jump)
    sluice("resume", sluice.id, code=0)
    log = sluice.log(ended="succeeded")
    assert [event["event_id"] for event in log.events] == [f"evt_{n}" for n in range(1, len(log.events) + 1)]
    assert all(span >= 0 for span in spans(log)) and log.steps["a"].started == [0]
    for verb in ("status", "summary", "list", "stats", "verify"):
        sluice(verb, *([sluice.id] if verb not in ("list", "stats") else []), code=0)


@pytest.mark.slow
@pytest.mark.parametrize("jump", [-10 * DAY, -3600, 3600, 10 * 365 * DAY, STANDS])
@pytest.mark.parametrize("what", ["a step", "a compensation"])
def test_d27_a_delay_that_no_engine_saw_the_end_of_is_neither_lost_nor_hastened(sluice, clock, what, jump):
    """S7.6: the wall clock is set while nobody owns the run."""
    again = {"retry": {"max_attempts": 2, "initial": "2s", "max": "2s", "jitter": "0%", "backoff": "constant"}}
    fails_once = "cat /proc/uptime >up; [ $SLUICE_ATTEMPT != 0 ] || exit 75"
    steps = {"a": {"run": fails_once, **again}} if what == "a step" else {
        "a": {"run": "true", "compensate": {"run": fails_once, **again}}, "b": {"run": "exit 1", "on_failure": "compensate"}}
    event = "step.retried" if what == "a step" else "compensation.failed"
    engine = sluice.start("run", sluice.pipeline(steps), "--run-id", sluice.id)
    sluice.wait_event(event, "a", timeout=60)
    sluice.cut(engine)
    until(lambda: not sluice.keepers(), 60, of="the keeper's end")
    clock(jump)
    result = sluice("resume", sluice.id)
    assert result.code == (0 if what == "a step" else 1), result
    log = sluice.log(ended="succeeded" if what == "a step" else "rolled_back")
    failed = log.of(event, "a")[0]
    assert uptime(sluice.root / "up") - failed["boot_ms"] >= failed["delay_ms"] - 20 > 1900, "the delay was waited for"


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
    sluice.wait_event("step.retried", "a", timeout=60)
    sluice.cut(engine)
    until(lambda: not sluice.keepers(), 60, of="the keeper's end")
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
