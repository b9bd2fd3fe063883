"""S6, S7: classes, retries, delays, timeouts, stops."""
import datetime
import json
import signal
import time

import pytest

from support.checker import forge
from support.sluice import processes, until


def stamp(event):
    """Milliseconds."""
    return int(datetime.datetime.fromisoformat(event["timestamp_utc"].replace("Z", "+00:00")).timestamp() * 1000)


def failures(log, step="a"):
    return [e["error_class"] for e in log.of("step.failed", step)]


@pytest.mark.parametrize("run, cls", [
    ("exit 75", "transient_io"), ("exit 1", "unknown"), ("exit 255", "unknown"), ("exit 42", "data_quality"),
    ("kill -9 $$", "unknown"),
    ('echo \'{"error_class":"dependency","reason":"no answer"}\' >"$SLUICE_OUTPUT"; exit 9', "dependency"),
    ('echo \'{"error_class":"made_up"}\' >"$SLUICE_OUTPUT"; exit 9', None),
])
def test_s6_a_command_gives_its_class(sluice, run, cls):
    path = sluice.pipeline({"a": {"run": run, "exit_codes": {"42": "data_quality", "75": "transient_io"}}})
    sluice("run", path, "--run-id", sluice.id, code=1)
    log = sluice.log(ended="failed")
    if cls:
        assert failures(log) == [cls]
    if "no answer" in run:
        assert log.of("step.failed")[0]["reason"] == "no answer"


def test_s6_what_cannot_be_executed_is_configuration(sluice):
    (sluice.root / "noexec").write_text("#!/bin/sh\n")
    (sluice.root / "badshebang").write_text("#!/no/such/interpreter\n")
    (sluice.root / "badshebang").chmod(0o755)
    for i, argv in enumerate((["/no/such/program"], ["./noexec"], ["./badshebang"], ["/"])):
        run_id = f"{sluice.id}-{i}"
        log = sluice.go({"a": {"argv": argv, "retry": {"max_attempts": 3, "initial": "1ms"}}}, code=(1, 2), run_id=run_id)
        assert failures(log) == ["configuration"] and "errno" in log.of("step.failed")[0]


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_s7_1_max_attempts_counts_all(sluice, attempts):
    log = sluice.go({"a": {"run": "exit 75", "retry": {"max_attempts": attempts, "initial": "1ms"}}}, code=1)
    assert [a for t, a in log.sequence("a") if t == "step.started"] == list(range(attempts))
    assert len(log.of("step.retried")) == attempts - 1


def test_s7_1_no_retry_is_one_attempt_and_a_map_is_three(sluice):
    log = sluice.go({"a": {"run": "exit 75", "on_failure": "continue"},
                     "b": {"run": "exit 75", "retry": {"initial": "1ms"}}}, code=1)
    assert log.steps["a"].started == [0] and log.steps["b"].started == [0, 1, 2]


def test_s7_1_order_of_events(sluice):
    log = sluice.go({"a": {"run": '[ "$SLUICE_ATTEMPT" = 2 ] || exit 75', "retry": {"max_attempts": 4, "initial": "1ms"}}})
    assert log.sequence("a") == [
        ("step.started", 0), ("step.failed", 0), ("step.retried", 1), ("step.started", 1), ("step.failed", 1),
        ("step.retried", 2), ("step.started", 2), ("step.succeeded", 2)]
    assert log.of("step.retried")[0]["reason"] == "Retrying after transient_io"


@pytest.mark.parametrize("cls", ["contract_input_missing", "configuration", "validation_failed", "data_quality",
                                 "unknown", "dependency", "infrastructure"])
def test_s6_what_is_not_retried_by_default(sluice, cls):
    log = sluice.go({"a": {"run": "exit 9", "exit_codes": {"9": cls}, "retry": {"max_attempts": 4, "initial": "1ms"}}},
                    code=1) if cls != "unknown" else \
        sluice.go({"a": {"run": "exit 9", "retry": {"max_attempts": 4, "initial": "1ms"}}}, code=1)
    assert failures(log) == [cls]


@pytest.mark.parametrize("cls", ["dependency", "infrastructure"])
def test_s6_what_is_retried_if_listed(sluice, cls):
    log = sluice.go({"a": {"run": "exit 9", "exit_codes": {"9": cls},
                           "retry": {"max_attempts": 2, "initial": "1ms", "on": [cls]}}}, code=1)
    assert failures(log) == [cls, cls]


@pytest.mark.parametrize("retry, delays", [
    ({"backoff": "exponential", "initial": "10ms", "multiplier": 2, "max": "30ms", "jitter": "0%"}, [10, 20, 30, 30]),
    ({"backoff": "linear", "initial": "10ms", "max": "25ms", "jitter": "0%"}, [10, 20, 25, 25]),
    ({"backoff": "constant", "initial": "10ms", "jitter": "0%"}, [10, 10, 10, 10]),
])
def test_s7_2_delays(sluice, retry, delays):
    log = sluice.go({"a": {"run": "exit 75", "retry": {"max_attempts": 5, **retry}}}, code=1)
    assert [e["delay_ms"] for e in log.of("step.retried")] == delays


def test_s7_2_jitter_is_bounded_and_the_delay_is_kept(sluice):
    log = sluice.go({"a": {"run": "exit 75", "retry": {"max_attempts": 4, "initial": "200ms", "multiplier": 2}}}, code=1)
    for n, e in enumerate(log.of("step.retried")):
        assert 200 * 2 ** n <= e["delay_ms"] <= 220 * 2 ** n

    def ms(event):
        return time.mktime(time.strptime(event["timestamp_utc"][:19], "%Y-%m-%dT%H:%M:%S")) * 1000 + \
            int(event["timestamp_utc"][20:23])
    for retried, started in zip(log.of("step.retried"), log.of("step.started")[1:]):
        assert ms(started) - ms(retried) >= retried["delay_ms"] - 1


def test_s7_3_attempt_numbers_go_on_and_the_budget_is_fresh_when_a_person_resumes(sluice):
    log = sluice.go({"a": {"run": "exit 75", "retry": {"max_attempts": 2, "initial": "1ms"}}}, code=1)
    sluice("resume", sluice.id, code=1)
    log = sluice.log(ended="failed")
    assert log.steps["a"].started == [0, 1, 2, 3]


def test_s7_3_recovery_after_a_crash_keeps_the_budget(sluice):
    path = sluice.pipeline({"a": {"run": "exit 75", "retry": {"max_attempts": 3, "initial": "600ms", "jitter": "0%"}}})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.retried")
    sluice.cut(engine)
    sluice("resume", sluice.id, code=1)
    assert sluice.log(ended="failed").steps["a"].started == [0, 1, 2]


def test_s7_4_timeout_kills_the_whole_tree(sluice):
    run = "sleep 97 & setsid sleep 98 & (setsid setsid sleep 99 &) ; trap '' TERM; sleep 96; sleep 95"
    log = sluice.go({"a": {"run": run, "timeout": "1s", "grace": "300ms"}}, code=1)
    assert failures(log) == ["timeout"]
    until(lambda: not processes(f"SLUICE_RUN_ID={sluice.id}"), 20, of="the tree's end, long before its own")


def test_s7_4_timeout_is_retried(sluice):
    log = sluice.go({"a": {"run": '[ "$SLUICE_ATTEMPT" = 1 ] || sleep 60', "timeout": "3s", "grace": "100ms",
                           "retry": {"max_attempts": 2, "initial": "1ms"}}})
    assert failures(log) == ["timeout"]


def test_s7_4_grace_lets_a_step_clean_up(sluice):
    log = sluice.go({"a": {"run": "trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done", "timeout": "3s",
                           "grace": "60s"}}, code=1)
    assert failures(log) == ["timeout"] and sluice.output("a").endswith(b"bye\n")


def test_s7_4_silence(sluice):
    """What speaks is not silent: it lives longer than the limit."""
    log = sluice.go({"a": {"run": "for i in 1 2 3 4 5 6; do echo $i; sleep 0.7; done; sleep 60",
                           "silence_timeout": "3s", "grace": "100ms"}}, code=1)
    assert failures(log) == ["timeout"] and sluice.output("a").split()[-1] == b"6"


def test_s7_4_the_runs_own_deadline_is_never_retried(sluice):
    path = sluice.pipeline({"a": {"run": "sleep 60", "grace": "100ms", "retry": {"max_attempts": 5, "initial": "1ms"}},
                            "b": "true"}, timeout="3s")
    sluice("run", path, "--run-id", sluice.id, code=1)
    log = sluice.log(ended="failed")
    assert log.steps["a"].started == [0] and log.steps["b"].state != "succeeded"


def test_s7_5_stop_now_kills_a_live_run(sluice):
    path = sluice.pipeline({"a": {"run": "sleep 60", "grace": "100ms"}})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    sluice("stop", sluice.id, "--now", code=0)
    assert engine.wait(40) == 6
    assert sluice.log(ended="stopped").of("run.stop_requested")[0]["now"] is True


def test_s7_5_a_stopped_run_resumes(sluice):
    path = sluice.pipeline({"a": {"run": '[ "$SLUICE_ATTEMPT" = 1 ] || sleep 60', "on_stop": "cancel", "grace": "100ms"}, "b": "true"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    engine.send_signal(signal.SIGTERM)
    assert engine.wait(40) == 6
    sluice("resume", sluice.id, code=0)
    assert sluice.log(ended="succeeded").steps["a"].started == [0, 1]


def test_s7_5_stop_during_a_retry_delay_does_not_wait_for_it(sluice):
    path = sluice.pipeline({"a": {"run": "exit 75", "retry": {"max_attempts": 3, "initial": "60s"}}})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.retried")
    sluice("stop", sluice.id, code=0)
    assert engine.wait(40) == 6
    sluice.log(ended="stopped")


def test_s6_a_class_of_a_later_version_is_kept_as_text(sluice):
    log = sluice.go({"a": {"run": "[ -e ok ] || exit 75", "retry": {"max_attempts": 1}}}, code=1)
    events = [{**e, "error_class": "solar_flare"} if e["event_type"] == "step.failed" else dict(e) for e in log.events]
    sluice.rewrite(forge(sluice.id, events))
    sluice("verify", sluice.id, code=0)
    told = json.loads(sluice("summary", sluice.id, "--json", code=0).stdout)
    assert told["steps"][0]["error_class"] == "solar_flare"
    assert "error=solar_flare" in sluice("events", sluice.id, code=0).stdout
    (sluice.root / "ok").touch()
    sluice("resume", sluice.id, code=0)
    assert b'"solar_flare"' in sluice.raw()


def test_s6_a_class_of_a_later_version_is_never_retried(sluice):
    """Cut right after the failure, with attempts left."""
    engine = sluice.start("run", sluice.pipeline({"a": {"run": "exit 75", "retry": {"max_attempts": 3, "initial": "60s"}}}),
                          "--run-id", sluice.id)
    sluice.wait_event("step.retried", "a")
    sluice.cut(engine)
    events = [dict(e) for e in sluice.log().events]
    at = [e["event_type"] for e in events].index("step.failed")
    events[at]["error_class"] = "solar_flare"
    sluice.rewrite(forge(sluice.id, events[:at + 1]))
    sluice("resume", sluice.id, code=1)
    assert sluice.log(ended="failed").steps["a"].started == [0]


def test_s7_2_a_delay_that_was_decided_stays_when_the_engine_dies(sluice):
    engine = sluice.start("run", sluice.pipeline({"a": {"run": "[ $SLUICE_ATTEMPT = 1 ] || exit 75",
                                                        "retry": {"max_attempts": 2, "initial": "300ms", "jitter": "100%"}}}),
                          "--run-id", sluice.id)
    sluice.wait_event("step.retried", "a")
    sluice.cut(engine)
    decided = sluice.log().of("step.retried")
    sluice("resume", sluice.id, code=0)
    log = sluice.log(ended="succeeded")
    assert log.of("step.retried") == decided and isinstance(log.events[0]["seed"], (int, str))
    between = stamp(log.of("step.started", "a")[1]) - stamp(decided[0])
    assert between >= decided[0]["delay_ms"] - 1, "it is not hastened"


def test_s6_a_commands_own_class_is_shown_wherever_its_failure_is(sluice):
    log = sluice.go({"g": {"gate": "hard", "run": 'echo \'{"error_class":"made_up"}\' >"$SLUICE_OUTPUT"; exit 9'}}, code=1)
    assert [log.of(kind)[0]["error_class"] for kind in ("step.failed", "gate.failed")] == ["made_up"] * 2
    for verb in ("summary", "status"):
        told = json.loads(sluice(verb, sluice.id, "--json", code=0).stdout)
        assert told["steps"][0]["error_class"] == "made_up"
    assert "(made_up)" in sluice("explain", sluice.id, "g", code=0).stdout
