"""Starts that may have happened already: idempotency keys, partitions, waiting, reruns."""
import json
import os
import select
import signal
import subprocess

import pytest

from pipelines import APPROVAL, FAILING, GATE, GOOD
from support.sluice import until

DAILY = """\
pipeline: daily
partition: "${params.day}"
params: {day: {type: string, required: true}}
steps:
  load: {run: 'echo loading $PARAM_day; while [ -e hold ]; do sleep 0.02; done; test ! -e broken'}
"""

HELD = """\
pipeline: held
params: {n: {type: int, default: 1}}
steps:
  long: {run: 'while [ -e hold ]; do sleep 0.02; done'}
  last: {run: 'test ! -e broken'}
"""


def runs(sluice):
    folder = sluice.home / "runs"
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")) if folder.exists() else []


def created(sluice, run):
    return json.loads(sluice.log(run).read_text().splitlines()[0])


def events(sluice, run):
    return [json.loads(line) for line in sluice.log(run).read_text().splitlines()]


def owner(sluice, run):
    return json.loads(sluice.run("status", run, "--json", check=0).stdout)["owner_pid"]


def hold(sluice):
    return sluice.write("hold", "")


def release(sluice):
    (sluice.work / "hold").unlink()


def read_until(process, text):
    """What a process has said on stderr when it has said that."""
    said = b""
    while text not in said:
        assert select.select([process.stderr], [], [], 60)[0], said
        piece = os.read(process.stderr.fileno(), 65536)
        assert piece, said
        said += piece
    return said


# ------------------------------------------------------------------------------- idempotency key


def test_the_same_key_is_the_same_run(sluice):
    path = sluice.write("p.yaml", GOOD)
    first = sluice.run("run", path, "--idempotency-key", "order 7/ä", check=0)
    (run,) = runs(sluice)
    assert run.startswith("demo-key-") and created(sluice, run)["idempotency_key"] == "order 7/ä"
    log = sluice.log(run).read_bytes()
    second = sluice.run("run", path, "--idempotency-key", "order 7/ä", check=0)
    assert f"run {run} is there already" in second.stderr
    assert first.stdout == second.stdout
    assert sluice.run("run", path, "--idempotency-key", "order 7/ä", "--detach", check=0).stdout == run + "\n"
    assert sluice.run("run", path, "--idempotency-key", "order 7/ä", "-q", check=0).stdout == run + "\n"
    assert runs(sluice) == [run] and sluice.log(run).read_bytes() == log
    sluice.run("run", path, "--idempotency-key", "order 8", check=0)
    assert len(runs(sluice)) == 2


def test_a_key_answers_with_the_end_of_its_run_S13(sluice):
    path = sluice.write("p.yaml", FAILING)
    sluice.run("run", path, "--idempotency-key", "k", check=1)
    done = sluice.run("run", path, "--idempotency-key", "k", check=1)
    assert "FAILED" in done.stdout and "next: sluice resume" in done.stderr
    path = sluice.write("a.yaml", APPROVAL)
    for _ in range(2):
        sluice.run("run", path, "--idempotency-key", "k", check=4)


def test_a_key_of_another_request_is_refused(sluice):
    path = sluice.write("p.yaml", HELD)
    sluice.run("run", path, "--idempotency-key", "k", "-p", "n=2", check=0)
    (run,) = runs(sluice)
    for words, difference in ((["-p", "n=3"], "other parameters"), ([], "other parameters"),
                              (["-p", "n=2", "--until", "long"], "another part"),
                              (["-p", "n=2", "--partition", "x"], "another partition")):
        done = sluice.run("run", path, "--idempotency-key", "k", *words, check=3)
        assert difference in done.stderr and run in done.stderr
    # How many at once and how it syncs is no other request.
    sluice.run("run", path, "--idempotency-key", "k", "-p", "n=2", "--max-parallel", "7", "--sync", "never", check=0)
    sluice.write("p.yaml", HELD.replace("last:", "final:"))
    assert "another definition" in sluice.run("run", path, "--idempotency-key", "k", "-p", "n=2", check=3).stderr
    assert runs(sluice) == [run]


def test_a_key_follows_the_run_that_goes_on(sluice):
    path = sluice.write("p.yaml", HELD)
    hold(sluice)
    first = sluice.start("run", path, "--idempotency-key", "k")
    read_until(first, b"long started")
    second = sluice.start("run", path, "--idempotency-key", "k")
    third = sluice.start("run", path, "--idempotency-key", "k", "--detach", "--wait")
    for process in (second, third):
        assert b"is there already" in read_until(process, b"long started")
    release(sluice)
    answers = [p.communicate(timeout=60)[0].decode() for p in (first, second, third)]
    assert [p.returncode for p in (first, second, third)] == [0, 0, 0]
    assert len(runs(sluice)) == 1 and answers[0] == answers[1]
    assert len([e for e in events(sluice, runs(sluice)[0]) if e["event_type"] == "step.started"]) == 2


@pytest.mark.parametrize("words", [[], ["--detach", "--wait"]])
def test_a_key_goes_on_with_a_run_that_was_cut_off(sluice, words):
    path = sluice.write("p.yaml", HELD)
    hold(sluice)
    first = sluice.start("run", path, "--idempotency-key", "k")
    read_until(first, b"long started")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    release(sluice)
    sluice.run("run", path, "--idempotency-key", "k", *words, check=0)
    (run,) = runs(sluice)
    assert "run.resumed" in [e["event_type"] for e in events(sluice, run)]
    sluice.run("verify", run, check=0)


def test_x06_many_starts_with_one_key_make_one_run(sluice):
    path = sluice.write("p.yaml", GOOD)
    starts = [sluice.start("run", path, "--idempotency-key", "k", "-q") for _ in range(8)]
    answers = {p.communicate(timeout=30)[0].decode().strip() for p in starts}
    assert [p.returncode for p in starts] == [0] * 8
    assert answers == set(runs(sluice)) and len(answers) == 1


def test_a_run_of_that_id_without_the_key_is_another(sluice):
    path = sluice.write("p.yaml", GOOD)
    sluice.run("run", path, "--idempotency-key", "k", check=0)
    (run,) = runs(sluice)
    (sluice.home / "runs" / run).rename(sluice.home / "old")
    sluice.run("run", path, "--run-id", run, check=0)
    assert "no such key" in sluice.run("run", path, "--idempotency-key", "k", check=3).stderr


@pytest.mark.parametrize("words, text", [
    (["--idempotency-key", ""], "1 to 256 bytes"), (["--idempotency-key", "x" * 257], "1 to 256 bytes"),
    (["--idempotency-key", "a\nb"], "control"), (["--idempotency-key", "k", "--run-id", "r"], "one of the two"),
    (["--partition", ""], "1 to 256 bytes"), (["--partition", "\x1b[31m"], "control"),
])
def test_bad_keys_and_partitions_S13(sluice, words, text):
    done = sluice.run("run", sluice.write("p.yaml", GOOD), *words, check=2)
    assert text in done.stderr and runs(sluice) == []


# ------------------------------------------------------------------------------------ partitions


def test_a_partition_that_succeeded_is_not_run_again(sluice):
    path = sluice.write("p.yaml", DAILY)
    sluice.run("run", path, "-p", "day=mon", "--run-id", "first", check=0)
    assert created(sluice, "first")["partition"] == "mon"
    done = sluice.run("run", path, "-p", "day=mon", "--run-id", "second", check=3)
    assert "'first'" in done.stderr and "--again" in done.stderr
    assert runs(sluice) == ["first"]
    sluice.run("run", path, "-p", "day=tue", "--run-id", "other", check=0)
    sluice.run("run", path, "-p", "day=mon", "--partition", "by hand", "--run-id", "named", check=0)
    assert created(sluice, "named")["partition"] == "by hand"
    sluice.run("run", path, "-p", "day=mon", "--again", "--run-id", "again", check=0)


def test_a_partition_that_failed_may_be_run_again_or_resumed(sluice):
    path = sluice.write("p.yaml", DAILY)
    sluice.write("broken", "")
    sluice.run("run", path, "-p", "day=mon", "--run-id", "a", check=1)
    sluice.run("run", path, "-p", "day=mon", "--run-id", "b", check=1)
    (sluice.work / "broken").unlink()
    sluice.run("resume", "a", check=0)
    # Now `b` would be a second success.
    assert "'a'" in sluice.run("resume", "b", check=3).stderr
    sluice.run("resume", "b", "--again", check=0)
    sluice.run("resume", "a", check=0)  # nothing to do


def test_a_partition_that_runs_is_locked_S13(sluice):
    path = sluice.write("p.yaml", DAILY)
    hold(sluice)
    run = sluice.run("run", path, "-p", "day=mon", "--detach", check=0).stdout.strip()
    for words in ([], ["--again"], ["--detach"]):
        done = sluice.run("run", path, "-p", "day=mon", *words, check=8)
        assert run in done.stderr
    waiting = sluice.start("run", path, "-p", "day=mon", "--wait")
    read_until(waiting, b"load started")
    release(sluice)
    out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0 and run in out.decode()
    assert runs(sluice) == [run]


def test_a_partition_that_is_blocked_or_cut_off_is_not_over(sluice):
    path = sluice.write("p.yaml", APPROVAL)
    sluice.run("run", path, "--partition", "x", "--run-id", "a", check=4)
    done = sluice.run("run", path, "--partition", "x", "--again", check=3)
    assert "'a'" in done.stderr and "stop a" in done.stderr
    sluice.run("stop", "a", check=0)
    sluice.run("run", path, "--partition", "x", "--run-id", "b", check=4)


def test_of_racing_starts_of_a_partition_exactly_one_wins(sluice):
    path = sluice.write("p.yaml", DAILY)
    hold(sluice)
    starts = [sluice.start("run", path, "-p", "day=mon", "--detach") for _ in range(8)]
    for process in starts:
        process.communicate(timeout=30)
    assert sorted(p.returncode for p in starts) == [0] + [8] * 7
    (run,) = runs(sluice)
    release(sluice)
    sluice.wait_for(run, "succeeded")


def test_racing_resume_and_start_of_a_partition(sluice):
    path = sluice.write("p.yaml", DAILY)
    sluice.write("broken", "")
    sluice.run("run", path, "-p", "day=mon", "--run-id", "a", check=1)
    hold(sluice)
    process = sluice.start("resume", "a")
    sluice.wait_for("a", "executing")
    assert "'a'" in sluice.run("run", path, "-p", "day=mon", check=8).stderr
    release(sluice)
    process.communicate(timeout=20)


def test_a_damaged_run_of_the_partition_is_not_guessed_about_S1_3(sluice):
    path = sluice.write("p.yaml", DAILY)
    sluice.run("run", path, "-p", "day=mon", "--run-id", "a", check=0)
    log = sluice.log("a").read_bytes()
    sluice.log("a").write_bytes(log.replace(b"step.succeeded", b"step.SUCCEEDED", 1))
    done = sluice.run("run", path, "-p", "day=mon", check=7)
    assert "'a'" in done.stderr


def test_what_is_no_run_does_not_disturb_a_partition(sluice):
    path = sluice.write("p.yaml", DAILY)
    sluice.run("run", path, "-p", "day=tue", check=0)
    junk = sluice.home / "runs"
    (junk / "file").write_text("")
    (junk / "empty").mkdir()
    (junk / "odd").mkdir()
    (junk / "odd" / "events.jsonl").write_text('{"partition":"mon"}\n')
    (junk / "dir").mkdir()
    (junk / "dir" / "events.jsonl").mkdir()
    (junk / "link").symlink_to("/etc")
    sluice.run("run", path, "-p", "day=mon", check=0)


@pytest.mark.parametrize("expression, text", [
    ("${outputs.load.x}", "no step has run yet"), ("${params.dya}", "did you mean 'day'"),
    ("${", "without its `}`"), ("[a]", "text"),
])
def test_bad_partition_expressions_are_found_by_lint(sluice, expression, text):
    path = sluice.write("p.yaml", DAILY.replace('"${params.day}"', expression if expression == "[a]" else f'"{expression}"'))
    done = sluice.run("lint", path, check=2)
    assert text in done.stdout + done.stderr


def test_a_partition_expression_that_fails_starts_nothing(sluice):
    path = sluice.write("p.yaml", DAILY.replace("params.day", "params.day:sub(99)"))
    assert "1 to 256 bytes" in sluice.run("run", path, "-p", "day=x", check=2).stderr
    path = sluice.write("p.yaml", DAILY.replace("params.day", "nil .. params.day"))
    assert "partition" in sluice.run("run", path, "-p", "day=x", check=2).stderr
    assert runs(sluice) == []


# ------------------------------------------------------------------------------------------ wait


def test_detach_and_wait_ends_as_the_run(sluice):
    for text, code in ((GOOD, 0), (FAILING, 1), (APPROVAL, 4)):
        done = sluice.run("run", sluice.write("p.yaml", text), "--detach", "--wait", check=code)
        assert done.stdout.strip() in runs(sluice)


def test_who_only_waits_can_be_ended_without_harm(sluice):
    path = sluice.write("p.yaml", HELD)
    hold(sluice)
    waiting = sluice.start("run", path, "--detach", "--wait", "--run-id", "r")
    sluice.wait_for("r", "executing")
    waiting.send_signal(signal.SIGINT)
    waiting.communicate(timeout=10)
    assert waiting.returncode == -signal.SIGINT
    release(sluice)
    sluice.wait_for("r", "succeeded")


def test_a_resume_in_the_background_answers_as_a_run_does(sluice):
    path = sluice.write("p.yaml", "pipeline: p\nsteps: {a: {run: 'test -e ok'}}\n")
    sluice.run("run", "-q", path, "--run-id", "r", check=1)
    done = sluice.run("resume", "r", "--detach", check=0)
    assert done.stdout == "r\n"
    until(lambda: owner(sluice, "r") is None and sluice.log("r").read_text().count("run.completed") == 2)
    assert json.loads(sluice.run("resume", "r", "--detach", "-o", "json", "--wait", check=1).stdout)["state"] == "failed"
    sluice.write("ok", "")
    assert json.loads(sluice.run("resume", "r", "--detach", "-o", "json", check=0).stdout) == {"run_id": "r"}
    until(lambda: owner(sluice, "r") is None and "succeeded" in sluice.log("r").read_text())
    done = sluice.run("resume", sluice.home / "runs" / "r", "--detach", "--wait", check=0)
    assert done.stdout == "r\n"


def test_a_resume_in_the_background_says_when_there_is_nothing_to_do_S9_1(sluice):
    sluice.run("run", "-q", sluice.write("p.yaml", GOOD), "--run-id", "r", check=0)
    sluice.run("run", "-q", sluice.write("b.yaml", APPROVAL), "--run-id", "b", check=4)
    done = sluice.run("resume", "r", "--detach", check=0)
    assert done.stdout == "r\n" and "nothing to do" in done.stderr
    done = sluice.run("resume", "b", "--detach", check=4)
    assert done.stdout == "b\n" and "nobody has decided" in done.stderr
    assert json.loads(sluice.run("resume", "b", "--detach", "--json", check=4).stdout) == {"run_id": "b"}


@pytest.mark.parametrize("words, code", [
    (["nobody", "--detach"], 9), (["r", "--detach", "--check"], 2), (["r", "--detach", "--override", "nobody", "--reason", "x"], 9),
    (["r", "--detach", "--from", "nobody"], 9), (["r", "--detach", "-p", "x=1"], 2), (["r", "--detach=1"], 2)])
def test_wrong_resumes_in_the_background_write_nothing_S13(sluice, words, code):
    sluice.run("run", "-q", sluice.write("p.yaml", FAILING), "--run-id", "r", check=1)
    before = sluice.log("r").read_bytes()
    done = sluice.run("resume", *words, check=code)
    assert done.stdout == "" and done.stderr.startswith("sluice: ") and "hint: " in done.stderr
    assert sluice.log("r").read_bytes() == before


def test_a_run_that_is_owned_is_not_resumed_in_the_background_S13(sluice):
    hold(sluice)
    sluice.run("run", sluice.write("p.yaml", HELD), "--detach", "--run-id", "r", check=0)
    assert sluice.run("resume", "r", "--detach", check=8).stdout == ""
    sluice.run("stop", "r", "--now", check=0)


def test_resume_waits_for_a_run_that_is_owned_elsewhere(sluice):
    path = sluice.write("p.yaml", HELD)
    hold(sluice)
    sluice.run("run", path, "--detach", "--run-id", "r", check=0)
    sluice.run("resume", "r", check=8)
    waiting = sluice.start("resume", "r", "--wait")
    read_until(waiting, b"long started")
    sluice.write("broken", "")
    release(sluice)
    waiting.communicate(timeout=60)
    assert waiting.returncode == 1
    (sluice.work / "broken").unlink()
    sluice.run("resume", "r", "--wait", check=0)


def test_waiting_ends_when_the_owner_is_gone_S13(sluice):
    path = sluice.write("p.yaml", HELD)
    hold(sluice)
    owner = sluice.start("run", path, "--run-id", "r")
    sluice.wait_for("r", "executing")
    waiting = sluice.start("resume", "r", "--wait")
    read_until(waiting, b"long started")
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    _, told = waiting.communicate(timeout=60)
    assert waiting.returncode == 10 and b"resume r" in told
    release(sluice)
    sluice.run("resume", "r", check=0)


# ----------------------------------------------------------------------------------------- rerun


def test_rerun_repeats_what_was_frozen(sluice):
    path = sluice.write("p.yaml", HELD)
    sluice.run("run", path, "--run-id", "first", "-p", "n=5", "--until", "long", check=0)
    sluice.write("p.yaml", GOOD)
    sluice.run("rerun", "first", "--run-id", "second", "--reason", "once more", check=0)
    old, new = created(sluice, "first"), created(sluice, "second")
    assert new["reason"] == "rerun of first: once more"
    for field in ("definition_hash", "params", "selection", "pipeline", "cwd"):
        assert new[field] == old[field]
    for name in ("pipeline.yaml", "pipeline.json"):
        assert (sluice.home / "runs/first" / name).read_bytes() == (sluice.home / "runs/second" / name).read_bytes()
    sluice.run("rerun", "@latest", "-p", "n=6", "--run-id", "third", check=0)
    assert created(sluice, "third")["params"] == {"n": 6} and created(sluice, "third")["reason"] == "rerun of second"


def test_rerun_ends_as_a_run_does_S13(sluice):
    sluice.run("run", sluice.write("p.yaml", FAILING), "--run-id", "r", check=1)
    done = sluice.run("rerun", "r", check=1)
    assert "FAILED" in done.stdout
    run = sluice.run("rerun", "@failed", "--detach", check=0).stdout.strip()
    sluice.wait_for(run, "failed")
    sluice.run("rerun", "r", "--detach", "--wait", check=1)


def test_rerun_takes_given_outputs_and_resumed_params_along(sluice):
    path = sluice.write("p.yaml", """\
pipeline: p
params: {n: {type: int, default: 1}}
steps:
  a: {run: 'exit 9'}
  b: {run: 'test $OUTPUT_a_rows = 7 -a $PARAM_n = 3'}
""")
    context = sluice.write("c.json", '{"outputs": {"a": {"rows": 7}}}')
    sluice.run("run", path, "--from", "b", "--context", context, "--run-id", "r", check=1)
    sluice.run("resume", "r", "-p", "n=3", check=0)
    sluice.run("rerun", "r", "--run-id", "again", check=0)
    assert created(sluice, "again")["given"] == {"a": {"rows": 7}}


def test_rerun_reads_secrets_again(sluice):
    path = sluice.write("p.yaml", """\
pipeline: p
params: {token: {type: secret, from: {env: TOKEN}}}
steps:
  a: {run: 'test "$T" = "$(cat expected)"', env: {T: '${params.token}'}}
""")
    sluice.env["TOKEN"] = "one-secret"
    sluice.write("expected", "one-secret")
    sluice.run("run", path, "--run-id", "r", check=0)
    sluice.env["TOKEN"] = "two-secret"
    sluice.write("expected", "two-secret")
    sluice.run("rerun", "r", "--run-id", "again", check=0)
    del sluice.env["TOKEN"]
    assert "TOKEN" in sluice.run("rerun", "r", "--run-id", "none", check=3).stderr
    assert runs(sluice) == ["again", "r"]
    assert b"-secret" not in b"".join(p.read_bytes() for p in (sluice.home / "runs").rglob("*") if p.is_file())


def test_rerun_of_a_partition_is_asked_for_by_name(sluice):
    path = sluice.write("p.yaml", DAILY)
    sluice.run("run", path, "-p", "day=mon", "--run-id", "a", check=0)
    sluice.run("rerun", "a", "--run-id", "b", check=0)
    assert created(sluice, "b")["partition"] == "mon"
    hold(sluice)
    run = sluice.run("rerun", "a", "--detach", check=0).stdout.strip()
    sluice.run("rerun", "a", check=8)
    release(sluice)
    sluice.wait_for(run, "succeeded")


@pytest.mark.parametrize("words, code", [
    (["rerun"], 2), (["rerun", "nobody"], 9), (["rerun", "r", "-p", "x=1"], 2), (["rerun", "r", "--run-id", "r"], 3),
    (["rerun", "r", "--from", "a"], 2), (["rerun", "r", "--run-id", "../x"], 2), (["rerun", "r", "r"], 2),
    (["rerun", "", ""], 2), (["rerun", "./"], 9),
])
def test_wrong_reruns_write_nothing_S13(sluice, words, code):
    sluice.run("run", sluice.write("p.yaml", GOOD), "--run-id", "r", check=0)
    sluice.run(*words, check=code)
    assert runs(sluice) == ["r"]


def test_rerun_of_a_damaged_log_is_refused_S11_4(sluice):
    sluice.run("run", sluice.write("p.yaml", GOOD), "--run-id", "r", check=0)
    log = sluice.log("r").read_bytes()
    sluice.log("r").write_bytes(log[:-40] + b"x" + log[-39:])
    sluice.run("rerun", "r", check=7)
    sluice.log("r").write_bytes(log)
    frozen = sluice.home / "runs/r/pipeline.json"
    frozen.write_text(frozen.read_text().replace("hello", "hallo"))
    sluice.run("rerun", "r", check=7)
    assert runs(sluice) == ["r"]
