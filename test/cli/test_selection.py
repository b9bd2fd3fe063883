"""A part of a pipeline: run --until, --only, --from with --context (S9.5)."""
import json

import pytest

ETL = """\
pipeline: etl
params: {day: {type: string, default: monday}}
steps:
  extract:
    run: 'echo {\\"outputs\\":{\\"rows\\":42}} >$SLUICE_OUTPUT; echo x >>extracted'
    outputs: {rows: {type: int, required: true}}
  load: {run: 'echo rows $OUTPUT_extract_rows $PARAM_day', when: 'outputs.extract.rows > 5'}
  check: {needs: [load], run: 'true'}
  report: {needs: [load], run: 'test ! -e broken'}
  side: {needs: [], run: 'true'}
"""


def events(sluice, run):
    return [json.loads(line) for line in sluice.log(run).read_text().splitlines()]


def ran(sluice, run):
    return [e["step_id"] for e in events(sluice, run) if e["event_type"] == "step.started"]


def skipped(sluice, run):
    return {e["step_id"]: (e["reason"], e["cause"]) for e in events(sluice, run)
            if e["event_type"] == "step.skipped"}


@pytest.fixture
def etl(sluice):
    return sluice.write("etl.yaml", ETL)


@pytest.fixture
def context(sluice):
    return sluice.write("c.json", json.dumps({"outputs": {"extract": {"rows": 7}}, "params": {"day": "tuesday"}}))


def test_until_runs_a_step_and_what_it_needs_S4(sluice, etl):
    sluice.run("run", etl, "--until", "load", "--run-id", "r", check=0)
    assert ran(sluice, "r") == ["extract", "load"]
    why = ("condition", "not selected: --until load")
    assert skipped(sluice, "r") == {"check": why, "report": why, "side": why}
    assert len(events(sluice, "r")) == 2 * 2 + 5 + 3
    sluice.run("verify", "r", check=0)


def test_only_a_root_or_what_is_given_S9_5(sluice, etl, context):
    sluice.run("run", etl, "--only", "side", "--run-id", "root", check=0)
    assert ran(sluice, "root") == ["side"]
    done = sluice.run("run", etl, "--only", "load", "--run-id", "r", check=3)
    assert "'load' needs 'extract', which is neither selected nor given" in done.stderr
    assert "--context" in done.stderr
    assert not sluice.log("r").exists()
    sluice.run("run", etl, "--only", "load", "--context", context, "--run-id", "r", check=0)
    assert ran(sluice, "r") == ["load"]
    assert "rows 7 tuesday" in sluice.run("logs", "r", check=0).stdout


def test_from_with_a_context_needs_no_file_afterwards_S9_5(sluice, etl, context):
    broken = sluice.write("broken", "")
    sluice.run("run", etl, "--from", "load", "--context", context, "--run-id", "r", check=1)
    created = events(sluice, "r")[0]
    assert created["selection"] == {"from": "load"} and created["given"] == {"extract": {"rows": 7}}
    assert created["params"] == {"day": "tuesday"}
    for path in (broken, context):
        (sluice.work / path).unlink()
    sluice.run("resume", "r", check=0)
    sluice.run("verify", "r", check=0)
    assert "extract" not in ran(sluice, "r") and not (sluice.work / "extracted").exists()
    status = sluice.run("status", "r", check=0).stdout
    assert "extract                        succeeded (given)" in status
    assert "given, not executed" in sluice.run("summary", "r", check=0).stdout


def test_from_and_until_run_what_lies_between(sluice, etl, context):
    sluice.run("run", etl, "--from", "load", "--until", "check", "--context", context, "--run-id", "r", check=0)
    assert ran(sluice, "r") == ["load", "check"]
    assert skipped(sluice, "r")["report"] == ("condition", "not selected: --from load --until check")
    done = sluice.run("run", etl, "--from", "check", "--until", "report", "--context", context, check=3)
    assert "nothing lies between" in done.stderr


def test_params_on_the_line_win_over_the_file_and_the_file_over_the_context(sluice, etl, context):
    params = sluice.write("p.json", '{"day": "friday"}')
    for words, day in (([], "tuesday"), (["--params-file", params], "friday"),
                       (["--params-file", params, "-p", "day=sunday"], "sunday")):
        run = "r-" + day
        sluice.run("run", etl, "--only", "load", "--context", context, *words, "--run-id", run, check=0)
        assert events(sluice, run)[0]["params"] == {"day": day}


def test_a_large_context_is_a_blob_S11(sluice):
    path = sluice.write("p.yaml", """\
pipeline: p
steps:
  a: {run: 'true'}
  b: {run: 'test ${#OUTPUT_a_text} = 40000'}
""")
    context = sluice.write("c.json", json.dumps({"outputs": {"a": {"text": "x" * 40000}}}))
    sluice.run("run", path, "--from", "b", "--context", context, "--run-id", "r", check=0)
    created = events(sluice, "r")[0]
    blob = sluice.home / "runs" / "r" / "blobs" / created["given_ref"]
    assert "given" not in created and json.loads(blob.read_text()) == {"a": {"text": "x" * 40000}}
    sluice.run("verify", "r", check=0)
    blob.write_text("{}")
    sluice.run("verify", "r", check=7)


def test_a_log_cut_behind_its_birth_goes_on_with_the_same_part_S9_5(sluice, etl, context):
    sluice.run("run", etl, "--from", "load", "--context", context, "--run-id", "r", check=0)
    lines = sluice.log("r").read_bytes().splitlines(keepends=True)
    for count in range(1, len(lines)):
        attempts = sluice.home / "runs" / "r" / "attempts.log"
        if attempts.exists():
            attempts.unlink()
        sluice.log("r").write_bytes(b"".join(lines[:count]))
        (sluice.log("r").parent / "checkpoint.json").unlink(missing_ok=True)  # it has seen the rest
        assert sluice.run("resume", "r").returncode in (0, 1), count
        assert "extract" not in ran(sluice, "r") and "side" not in ran(sluice, "r")


def test_resume_from_a_step_outside_of_the_part_is_refused_S9_2(sluice, etl, context):
    sluice.write("broken", "")
    sluice.run("run", etl, "--from", "load", "--context", context, "--run-id", "r", check=1)
    log = sluice.log("r").read_bytes()
    for step in ("extract", "side"):
        done = sluice.run("resume", "r", "--from", step, check=3)
        assert f"'{step}' is not among the steps of this run" in done.stderr
    assert sluice.log("r").read_bytes() == log


@pytest.mark.parametrize("words, code, text", [
    (["--until", "laod"], 9, "did you mean 'load'"),
    (["--until", ""], 9, "there is no step ''"),
    (["--only", "../x"], 9, "there is no step"),
    (["--only", "side", "--until", "load"], 2, "--only stands alone"),
    (["--context", "c.json"], 2, "needs --from or --only"),
    (["--from", "load", "--context", "absent.json"], 9, "absent.json"),
    (["--from", "load", "--context", "."], 2, "directory"),
    (["--from", "load"], 3, "neither selected nor given"),
    (["--until"], 2, "--until"),
])
def test_wrong_words_start_nothing_S13(sluice, etl, context, words, code, text):
    done = sluice.run("run", etl, "--run-id", "r", *words, check=code)
    assert text in done.stderr
    assert not (sluice.home / "runs" / "r").exists()


@pytest.mark.parametrize("content, text", [
    ("", "empty"), ("[]", "must hold a JSON object"), ("{", "not JSON"), ("\0", "NUL"),
    ('{"output": {}}', "unknown member 'output'"), ('{"outputs": []}', "not an object"),
    ('{"outputs": {"extrct": {}}}', "did you mean 'extract'"),
    ('{"outputs": {"extract": {}}}', "required output 'rows' is missing"),
    ('{"outputs": {"extract": {"rows": "7"}}}', "'rows' is not a int"),
    ('{"outputs": {"extract": 7}}', "not an object"),
    ('{"outputs": {"load": {}}}', "which this run executes"),
    ('{"outputs": {"extract": {"rows": 1}}, "params": 3}', "'params' of the context"),
    ('{"outputs": {"extract": {"rows": 1}}, "params": {"dya": 3}}', "dya"),
    ('{"outputs": {"extract": {"rows": 1, "rows": 2}}}', "not JSON"),
])
def test_a_bad_context_starts_nothing_S13(sluice, etl, content, text):
    sluice.write("bad.json", content)
    done = sluice.run("run", etl, "--run-id", "r", "--from", "load", "--context", "bad.json", check=2)
    assert text in done.stderr
    assert not (sluice.home / "runs").exists()


def test_detached_with_a_part(sluice, etl):
    done = sluice.run("run", etl, "--detach", "--until", "extract", check=0)
    run = done.stdout.strip()
    sluice.wait_for(run, "succeeded")
    assert ran(sluice, run) == ["extract"]
