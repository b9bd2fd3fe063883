"""S13: each exit status, by a scenario that must have it; and that 2 has written nothing."""
import resource
import signal

import pytest

from support.checker import forge


def test_0_succeeded_and_questions(sluice):
    sluice.go({"a": "true"}, code=0)
    for verb in ("status", "summary", "events", "verify", "logs"):
        sluice(verb, sluice.id, code=0)
    sluice("list", code=0)
    sluice("--version", code=0)
    sluice("help", code=0)
    sluice("lint", sluice.root / "pipeline.yaml", code=0)
    sluice("plan", sluice.root / "pipeline.yaml", code=0)


def test_0_questions_whatever_the_runs_state(sluice):
    sluice.go({"a": "exit 1"}, code=1)
    for verb in ("status", "summary", "events", "logs"):
        sluice(verb, sluice.id, code=0)


def test_1_failed(sluice):
    sluice.go({"a": "exit 1"}, code=1)
    sluice("resume", sluice.id, code=1)


@pytest.mark.parametrize("args", [
    ["nonsense"], ["run"], ["run", "--nonsense", "p.yaml"], ["run", "p.yaml", "extra"], ["status"],
    ["run", "p.yaml", "-p", "n"], ["run", "p.yaml", "-p", "nobody=1"], ["run", "p.yaml", "-p", "n=x"],
    ["run", "p.yaml", "--max-parallel", "0x"], ["run", "p.yaml", "--sync", "sometimes"], ["run", "p.yaml", "--limit", "x=1"],
    ["run", "bad.yaml"], ["lint", "bad.yaml"], ["plan", "bad.yaml"], ["events", "--tail", "-1", "x"],
    ["run", "p.yaml", "--params-file", "bad.json"]])
def test_2_usage_or_invalid_definition_and_nothing_is_written(sluice, args):
    sluice.pipeline({"a": "true"}, file="p.yaml", params={"n": {"type": "int", "default": 1}})
    (sluice.root / "bad.yaml").write_text("pipeline: x\nsteps: {a: {run: 'true', nedds: [b]}}\n")
    (sluice.root / "bad.json").write_text("[1]")
    result = sluice(*args, code=2)
    assert result.stderr and not result.stdout
    assert not (sluice.home / "runs").exists()


def test_3_refused(sluice):
    sluice.go({"g": {"gate": "hard", "run": "exit 1"}}, code=1)
    sluice("resume", sluice.id, code=3)
    sluice("stop", sluice.id, code=3)
    sluice("approve", sluice.id, "g", "--as", "a", "--reason", "b", code=3)
    sluice("run", sluice.root / "pipeline.yaml", "--run-id", sluice.id, code=3)


def test_4_blocked(sluice):
    sluice.go({"m": {"gate": "manual", "run": "true"}}, code=4)
    sluice("resume", sluice.id, code=4)


def test_5_partial(sluice):
    sluice.go({"a": {"run": "exit 1", "on_failure": "continue"}, "b": "true"}, code=5)


def test_6_stopped(sluice):
    path = sluice.pipeline({"a": {"run": "sleep 30", "on_stop": "cancel", "grace": "100ms"}})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started")
    sluice("stop", sluice.id, code=0)
    assert engine.wait(60) == 6


def test_7_corrupt(sluice):
    sluice.go({"a": "exit 1"}, code=1)
    log = sluice.run_dir() / "events.jsonl"
    log.write_bytes(log.read_bytes().replace(b"runner", b"runneR", 1))
    for verb in ("resume", "verify"):
        sluice(verb, sluice.id, code=7)
    for verb in ("status", "summary", "events"):
        assert sluice(verb, sluice.id).code in (0, 7)


def test_8_locked(sluice):
    path = sluice.pipeline({"a": "sleep 30"})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.started")
    sluice("resume", sluice.id, code=8)
    engine.kill()


@pytest.mark.parametrize("args", [["run", "nofile.yaml"], ["resume", "norun"], ["status", "norun"], ["events", "norun"],
                                  ["summary", "norun"], ["verify", "norun"], ["stop", "norun"], ["logs", "norun"],
                                  ["status", "./nodir"], ["lint", "nofile.yaml"], ["plan", "nofile.yaml"],
                                  ["approve", "norun", "x", "--as", "a", "--reason", "b"],
                                  ["explain", "SLU999"]])
def test_9_not_found(sluice, args):
    assert sluice(*args, code=9).stderr


def test_9_no_such_step(sluice):
    sluice.go({"m": {"gate": "manual", "run": "true"}}, code=4)
    sluice("approve", sluice.id, "nobody", "--as", "a", "--reason", "b", code=9)
    sluice("logs", sluice.id, "nobody", code=9)
    sluice("resume", sluice.id, "--from", "nobody", code=9)


def test_10_storage(sluice):
    engine = sluice.start("run", sluice.pipeline({"a": "touch ran"}),
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)))
    assert engine.wait(20) == 10
    assert not (sluice.root / "ran").exists() and not list((sluice.home / "runs").glob("[0-9]*"))


def test_without_a_verb_the_help_is_shown(sluice):
    result = sluice(code=2)
    assert "sluice" in result.stdout + result.stderr


def test_11_newer(sluice):
    log = sluice.go({"a": "exit 1"}, code=1)
    raw = forge(sluice.id, [{**log.events[0], "format": 99}, *log.events[1:]])
    sluice.rewrite(raw)
    sluice("resume", sluice.id, code=11)
    assert sluice.raw() == raw


def test_errors_say_what_where_and_what_next(sluice):
    sluice.go({"g": {"gate": "hard", "run": "exit 1"}}, code=1)
    said = sluice("resume", sluice.id, code=3).stderr
    assert "g" in said and "--override" in said


@pytest.mark.parametrize("home", ["file", "file/below", "/proc/no/such/place"])
def test_s13_a_state_directory_that_cannot_be_is_a_storage_failure(sluice, home):
    (sluice.root / "file").touch()
    path = sluice.pipeline({"a": {"noop": True}})
    for words, env in ((["--dir", str(sluice.root / home)], {}), ([], {"SLUICE_HOME": str(sluice.root / home)})):
        done = sluice("run", path, *words, env=env, code=10)
        assert "--dir" in done.stderr and (sluice.root / "file").read_bytes() == b""


def test_s13_readers_of_a_state_directory_that_is_a_file_say_so(sluice):
    (sluice.root / "file").touch()
    assert "not a directory" in sluice("status", "x", "--dir", str(sluice.root / "file"), code=10).stderr


def test_s7_5_a_signal_says_that_another_one_kills(sluice):
    run = sluice.start("run", sluice.pipeline({"a": "sleep 60"}), "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    run.send_signal(signal.SIGINT)
    sluice.wait_event("run.stop_requested")
    run.send_signal(signal.SIGINT)
    assert run.wait() == 6
    assert "press Ctrl-C again to kill" in run.stderr.read()
