"""Answers for programs, and errors that name the run and the next command."""
import json
import os
import re
import select

import pytest

from pipelines import APPROVAL, FAILING, GOOD

SLOW = "pipeline: slow\nsteps: {a: {run: sleep 60}}\n"


def test_run_and_resume_answer_with_their_status_as_json(sluice):
    done = sluice.run("run", sluice.write("p.yaml", FAILING), "--run-id", "r", "-o", "json", check=1)
    answer = json.loads(done.stdout)
    assert answer == json.loads(sluice.run("status", "r", "--json").stdout)
    assert answer["run_id"] == "r" and answer["outcome"] == "failed" and answer["receipt"]
    assert "next: sluice resume r" in done.stderr
    again = json.loads(sluice.run("resume", "r", "--json", "-q", check=1).stdout)
    assert again["state"] == "failed" and again["seq"] > answer["seq"]
    new = json.loads(sluice.run("rerun", "r", "--json", "-q", check=1).stdout)
    assert new["run_id"] != "r" and new["state"] == "failed"


def test_a_run_in_the_background_answers_as_json(sluice):
    path = sluice.write("p.yaml", GOOD)
    assert json.loads(sluice.run("run", "--detach", "--json", path, "--run-id", "r", check=0).stdout) == {"run_id": "r"}
    answer = json.loads(sluice.run("run", "--detach", "--wait", "--json", path, "--run-id", "s", check=0).stdout)
    assert answer["run_id"] == "s" and answer["state"] == "succeeded"


def test_a_resume_with_nothing_to_do_answers_as_json_S9_1(sluice):
    sluice.run("run", "-q", sluice.write("p.yaml", GOOD), "--run-id", "r", check=0)
    sluice.run("run", "-q", sluice.write("b.yaml", APPROVAL), "--run-id", "b", check=4)
    assert json.loads(sluice.run("resume", "r", "--json", check=0).stdout)["state"] == "succeeded"
    assert json.loads(sluice.run("resume", "b", "--json", "-q", check=4).stdout)["state"] == "blocked"


def test_a_wrong_format_is_refused_before_anything_is_done_S13(sluice):
    done = sluice.run("run", sluice.write("p.yaml", GOOD), "-o", "csv", check=2)
    assert "'-o csv' is not a format of `sluice run`" in done.stderr
    assert "hint: it has text or json\n" in done.stderr
    assert not sluice.home.exists()
    assert "hint: it has text, json, jsonl or csv\n" in sluice.run("list", "-o", "yaml", check=2).stderr
    done = sluice.run("resume", "r", "--check", "--json", check=2)
    assert "`--check` answers as text only" in done.stderr


@pytest.mark.parametrize("verb, formats", [("status", "text or json"), ("stats", "text, json or csv"),
                                           ("list", "text, json, jsonl or csv")])
def test_help_lists_the_formats_of_the_verb(sluice, verb, formats):
    assert f"-o, --output FORMAT          {formats}\n" in sluice.run("help", verb, check=0).stdout


def test_the_settings_may_ask_for_json(sluice):
    sluice.env["SLUICE_OUTPUT_FORMAT"] = "json"
    path = sluice.write("p.yaml", GOOD)
    assert json.loads(sluice.run("run", "-q", path, "--run-id", "r", check=0).stdout)["state"] == "succeeded"
    assert sluice.run("run", "-q", path, "--run-id", "s", "-o", "text", check=0).stdout == "s\n"
    assert "terminal state" in sluice.run("resume", "r", "--check", check=3).stderr


def test_hints_name_the_run_S13(sluice):
    sluice.run("run", "--detach", sluice.write("p.yaml", SLOW), "--run-id", "r", check=0)
    assert "sluice stop r\n" in sluice.run("resume", "r", check=8).stderr
    assert "sluice stop @latest\n" in sluice.run("resume", "@latest", check=8).stderr
    assert "`sluice status r` lists the steps" in sluice.run("logs", "r", "nosuch", check=9).stderr
    owner = os.pidfd_open(json.loads(sluice.run("status", "r", "--json").stdout)["owner_pid"])
    sluice.run("stop", "r", "--now", check=0)
    sluice.run("events", "r", "-f")
    assert select.select([owner], [], [], 60)[0], "the owner of a run ends with it"
    os.close(owner)


def test_an_id_that_is_taken_is_said_once_with_the_command_S13(sluice):
    path = sluice.write("p.yaml", GOOD)
    sluice.run("run", "-q", path, "--run-id", "r", check=0)
    told = sluice.run("run", path, "--run-id", "r", check=3).stderr
    assert told == "sluice: the run 'r' exists already\nhint: `sluice resume r` goes on with it; or choose another id\n"


def test_what_is_no_verb_is_told_what_was_meant_S13(sluice):
    assert "`sluice run nightly.yaml`" in sluice.run("nightly.yaml", check=2).stderr
    assert "`sluice --version`" in sluice.run("version", check=2).stderr
    assert sluice.run("verify", "--all", check=0).returncode == 0, "a verb that needs no RUN"
    for verb in ("logs", "status", "resume", "stop", "events"):
        assert "hint: RUN is an id, the beginning of one, @latest or @failed" in sluice.run(verb, check=2).stderr


def test_logs_of_a_step_that_wrote_nothing_say_so(sluice):
    text = "pipeline: p\nsteps:\n  quiet: {run: 'true'}\n  loud: {run: echo hi}\n"
    sluice.run("run", "-q", sluice.write("p.yaml", text), "--run-id", "r", check=0)
    done = sluice.run("logs", "r", "quiet", check=0)
    assert done.stdout == "" and done.stderr == "no output\n"
    assert sluice.run("logs", "r", "--failed", check=0).stderr == "no output\n"
    assert sluice.run("logs", "r", "quiet", "-q", check=0).stderr == ""
    assert sluice.run("logs", "r", "loud", check=0).stderr == ""


def test_status_says_why_a_step_was_skipped(sluice):
    sluice.run("run", "-q", sluice.write("p.yaml", FAILING), "--run-id", "r", check=1)
    assert "skipped (run_stopped)\n" in sluice.run("status", "r", check=0).stdout


def test_the_errors_of_newcomers_say_what_helps(sluice):
    lint = lambda text: sluice.run("lint", sluice.write("p.yaml", text), check=2).stderr
    assert "hint: such as 'my_step': letters" in lint("pipeline: p\nsteps:\n  my-step: {run: echo}\n")
    assert "hint: letters, digits" in lint("pipeline: p\nsteps:\n  2nd-step: {run: echo}\n")
    assert "needs quotes inside of brackets" in lint("pipeline: p\nsteps:\n  a: {run: echo ${params.x}}\n")
    text = "pipeline: p\nparams: {day: {type: string, pattern: '%d+', required: true}}\nsteps: {a: {run: echo}}\n"
    told = sluice.run("run", sluice.write("d.yaml", text), "-p", "day=x1", check=2).stderr
    assert "'day' must match the pattern %d+, not be 'x1'" in told


def test_a_command_in_a_hint_can_be_pasted_S13(sluice):
    text = ("pipeline: p\nsteps:\n  a: {run: 'true', compensate: {run: exit 3}}\n"
            "  b: {run: exit 1, on_failure: compensate}\n")
    sluice.run("run", "-q", sluice.write("p.yaml", text), "--run-id", "r", check=1)
    assert "hint: go on with it: sluice rollback r\n" in sluice.run("resume", "r", check=3).stderr


HARD = "pipeline: h\nsteps: {check: {gate: hard, run: exit 1}, after: {noop: true}}\n"
UNDONE = "pipeline: u\nsteps: {a: {run: 'true', compensate: {run: 'true'}}, b: {run: exit 1, on_failure: compensate}}\n"
PARTIAL = "pipeline: p\nsteps: {a: {run: exit 1, on_failure: continue}, b: {noop: true}}\n"


@pytest.mark.parametrize("text, code, words", [
    (FAILING, 1, "sluice: run {0} failed: second: exit code 3; next: sluice logs {0} --failed\n"),
    (HARD, 1, "sluice: run {0} failed: check: exit code 1; next: sluice resume {0} --override check --reason TEXT\n"),
    (PARTIAL, 5, "sluice: run {0} partial: a: exit code 1; next: sluice resume {0}\n"),
    (APPROVAL, 4, "sluice: run {0} blocked: ask: approval; next: sluice approve {0} ask --reason TEXT\n"),
    (UNDONE, 1, "sluice: run {0} rolled_back: b: exit code 1\n"),
    (GOOD, 0, ""),
])
def test_a_quiet_run_without_success_says_one_line_S13(sluice, text, code, words):
    path = sluice.write("p.yaml", text)
    done = sluice.run("run", "-q", path, "--run-id", "r", check=code)
    assert (done.stdout, done.stderr) == ("r\n", words.format("r"))
    done = sluice.run("run", "-q", "--json", path, "--run-id", "s", check=code)
    assert json.loads(done.stdout)["run_id"] == "s" and done.stderr == words.format("s")
    done = sluice.run("run", "-q", "--detach", "--wait", path, "--run-id", "t", check=code)
    assert done.stdout == "t\n" and done.stderr == words.format("t")


def test_a_quiet_resume_without_success_says_one_line_S13(sluice):
    sluice.run("run", "-q", sluice.write("p.yaml", FAILING), "--run-id", "r", check=1)
    again = sluice.run("resume", "-q", "r", check=1)
    assert again.stderr == "sluice: run r failed: second: exit code 3; next: sluice logs r --failed\n"
    sluice.run("run", "-q", sluice.write("b.yaml", APPROVAL), "--run-id", "b", check=4)
    assert sluice.run("resume", "-q", "b", check=4).stderr.startswith("sluice: run b blocked: ask: approval; next: ")


def test_the_one_line_of_a_quiet_run_is_one_line_whatever_a_step_wrote(sluice):
    text = """pipeline: h
steps: {a: {run: 'printf ''{"error_class":"dependency","reason":"two\\\\nlines"}'' > "$SLUICE_OUTPUT"; exit 1'}}
"""
    done = sluice.run("run", "-q", sluice.write("p.yaml", text), "--run-id", "r", check=1)
    assert done.stderr.count("\n") == 1 and "two lines" in done.stderr, done


def test_next_is_the_output_only_when_there_is_some(sluice):
    mute = "pipeline: p\nsteps: {a: {run: exit 1}}\n"
    done = sluice.run("run", sluice.write("p.yaml", mute), "--run-id", "r", check=1)
    assert "next: sluice resume r\n" in done.stderr and "--failed" not in done.stderr
    for verb in (["status", "r"], ["explain", "r"]):
        assert "--failed" not in sluice.run(*verb, check=0).stdout
    split = "pipeline: p\nsteps: {a: {run: 'echo x >&2; exit 1', streams: split}}\n"
    done = sluice.run("run", sluice.write("s.yaml", split), "--run-id", "s", check=1)
    assert "next: sluice logs s --failed\n" in done.stderr


def test_next_of_a_waived_gate_runs_it_again_S9_1(sluice):
    sluice.run("run", "-q", sluice.write("p.yaml", HARD), "--run-id", "r", check=1)
    done = sluice.run("resume", "r", "--override", "check", "--reason", "x", check=5)
    assert re.findall("next: (.*)", done.stderr) == ["sluice resume r --from check"]
    assert "check started" in sluice.run("resume", "r", "--from", "check", check=1).stderr
