"""stats: figures of many runs, the same from the database and from the logs."""
import csv
import io
import json
import re

import pytest

from pipelines import APPROVAL, FAILING, GATE, GOOD
from test_history import go, rows, settle, without  # noqa: F401

RETRIED = """\
pipeline: retried
steps:
  flaky:
    run: 'test -e again || { touch again; exit 75; }'
    retry: {max_attempts: 2, initial: 1ms}
"""


@pytest.fixture
def many(sluice):
    for n in range(3):
        go(sluice, GOOD, f"good{n}", 0)
    go(sluice, FAILING, "bad", 1)
    go(sluice, GATE, "gate", 1)
    go(sluice, APPROVAL, "ask", 4)
    go(sluice, RETRIED, "again", 0)
    return sluice


def answer(sluice, *words, env=None, check=0):
    before = dict(sluice.env)
    sluice.env.update(env or {})
    done = sluice.run("stats", *words, check=check)
    sluice.env = before
    return done.stdout


@pytest.mark.parametrize("words", [[], ["--json"], ["-o", "csv"], ["--format", "prometheus"], ["demo", "--json"],
                                   ["--since", "1h", "--json"]])
def test_s1_1_stats_of_the_database_are_those_of_the_logs(many, without, words):  # noqa: F811
    def sorted_lines(text):  # classes and pipelines of metrics come in no order
        return sorted(text.splitlines())
    if "--since" in words:  # says the time of the question
        assert json.loads(answer(many, *words))["pipelines"] == \
            json.loads(answer(many, *words, env=without))["pipelines"]
    else:
        assert sorted_lines(answer(many, *words)) == sorted_lines(answer(many, *words, env=without))


def test_stats_count_results_failures_and_retries(many):
    found = {p["pipeline"]: p for p in json.loads(answer(many, "--json"))["pipelines"]}
    assert list(found) == ["approval", "demo", "failing", "gated", "retried"]
    demo, failing, gated, retried = (found[name] for name in ("demo", "failing", "gated", "retried"))
    assert demo["runs"]["success"] == demo["runs"]["total"] == 3 and demo["success_rate"] == 1
    assert found["approval"]["runs"]["unfinished"] == 1 and found["approval"]["success_rate"] is None
    assert failing["failures_by_class"] == {"unknown": 1} and failing["success_rate"] == 0
    assert gated["gate_failures"] == 1
    assert retried["retries_by_class"] == {"transient_io": 1} == retried["failures_by_class"]
    assert retried["retries"] == 1 and retried["steps"][0]["attempts"] == 2
    assert [s["step_id"] for s in failing["steps"]] == ["first", "second", "third"]
    assert [s["skipped"] for s in failing["steps"]] == [0, 0, 1]
    times = demo["duration_ms"]
    assert times["count"] == 3 and times["min"] <= times["p50"] <= times["p95"] <= times["max"] <= times["sum"]


def test_stats_follow_a_run_that_is_deleted(many):
    assert json.loads(answer(many, "--json"))["pipelines"][1]["runs"]["total"] == 3
    import shutil
    shutil.rmtree(many.home / "runs" / "good1")
    assert json.loads(answer(many, "--json"))["pipelines"][1]["runs"]["total"] == 2


def test_stats_for_people(many):
    lines = answer(many).splitlines()
    assert lines[0].split() == ["PIPELINE", "RUNS", "SUCCESS", "FAILED", "STOPPED", "OPEN", "RATE", "P50", "P95",
                                "RETRIES"]
    assert lines[2].split()[:7] == ["demo", "3", "3", "0", "0", "0", "100.0%"]
    assert any(line.startswith("SLOWEST STEPS") for line in lines)
    one = answer(many, "failing")
    assert "Failures: unknown 1\n" in one and "\nSTEP " in one and "SLOWEST" not in one


def test_stats_csv_is_a_row_a_pipeline_and_a_step(many):
    table = list(csv.DictReader(io.StringIO(answer(many, "failing", "-o", "csv"))))
    assert [(row["step_id"], row["failed"]) for row in table] == [
        ("", "1"), ("first", "0"), ("second", "1"), ("third", "0")]


def test_stats_for_prometheus_are_well_formed_and_named_as_the_manual_says(many):
    sample = re.compile(r'([a-z_]+)\{([a-z]+="(?:[^"\\\n]|\\.)*"(?:,[a-z]+="(?:[^"\\\n]|\\.)*")*)\} [0-9.]+')
    names, typed = set(), set()
    for line in answer(many, "--format", "prometheus").splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split()[2])
        elif not line.startswith("# HELP "):
            match = sample.fullmatch(line)
            assert match, line
            names.add(re.sub("_(sum|count)$", "", match.group(1)))
    assert names == typed == {
        "sluice_runs_total", "sluice_run_duration_seconds", "sluice_steps_total", "sluice_step_duration_seconds",
        "sluice_step_retries_total", "sluice_gate_failures_total"}


def test_stats_of_nothing(sluice):
    assert json.loads(answer(sluice, "--json"))["pipelines"] == [] and not sluice.home.exists()


@pytest.mark.sweep(3)
@pytest.mark.parametrize("words, status, text", [
    (["nobody"], 9, "no run of a pipeline 'nobody'"), (["a", "b"], 2, "is used as"),
    (["--format", "xml"], 2, "'--format' of `sluice stats` is prometheus"), (["-o", "jsonl"], 2, "not a format"),
    (["--format", "prometheus", "--json"], 2, "choose one"), (["--since", "x"], 2, "such as 24h"),
    (["\x1b[31m"], 9, "no run")])
def test_s13_stats_refuse_with_a_reason(many, words, status, text):
    done = many.run("stats", *words, check=status)
    assert text in done.stderr and done.stdout == ""
