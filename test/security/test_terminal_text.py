"""S20: text of files, steps and runs reaches a terminal harmless, through whatever verb it comes.

Every place that a stranger's text can come from is filled with sequences that would do something to a
terminal; then every verb that shows it is run on one."""
import json
import os
import pathlib
import random
import re
import shutil
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))

from command import Sluice  # noqa: E402

# What a terminal would obey: ESC, C1 in one byte and in UTF-8, BEL, BS, CR, DEL, turns of direction.
HOSTILE = "\x1b]0;PWN\x07\x1b[2J\u009b31mPWN\u202ePWN\u2066\u200f\x08\x08\rPWN\x7f\x0b\x0c"
RAW = HOSTILE.encode() + b"\x9b31mPWN\x90PWN\x9c\xffPWN\xc3"
YAML = json.dumps(HOSTILE)
DUMB = {"TERM": "dumb", "NO_COLOR": "1"}


def harmless(seen, live=False):
    """No control character but the ends of lines and tabs; `live`: our own colours and cursor moves too."""
    text = seen.decode("utf-8", "strict")  # half a character is never shown
    if live:
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\[[0-9]*[AJK]", "", text)
        text = re.sub(r"\r(?!PWN)", "", text)
    text = text.replace("\r\n", "\n")
    found = re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)
    assert not found, (found, text)
    return text


@pytest.fixture
def sluice(tmp_path):
    return Sluice(tmp_path)


@pytest.fixture
def hostile(sluice):
    """A state directory in which every text that can be is hostile."""
    sluice.env.update(DUMB)
    script = sluice.work / "script"
    script.write_bytes(b"#!/bin/sh\nprintf '%s' '" + RAW.replace(b"'", b"") + b"'\n"
                       b"printf '{\"outputs\": {\"x\": %s}, \"reason\": %s, \"error_class\": \"dependency\"}' "
                       b"'" + json.dumps(HOSTILE).encode() + b"' '" + json.dumps(HOSTILE).encode() + b"' >\"$SLUICE_OUTPUT\"\n"
                       b"exit $1\n")
    script.chmod(0o755)
    name = sluice.work / f"a{HOSTILE.replace('/', '')}.yaml"
    name.write_text(f"""\
pipeline: hostile
version: {YAML}
description: {YAML}
params: {{p: {{type: string, default: {YAML}, help: {YAML}}}, e: {{type: enum, values: [{YAML}, b], default: b}}}}
env: {{V: {YAML}}}
steps:
  good:
    argv: [./script, "0", {YAML}, "${{params.p}}"]
    description: {YAML}
    tags: [{YAML}]
    outputs: {{x: {{type: string}}}}
  ask: {{needs: [], noop: true, gate: manual, approve: {{by: [{YAML}]}}, reason: {YAML}}}
  bad: {{needs: [good], argv: [./script, "3"], on_failure: continue, inputs: [], cwd: .}}
  gate: {{needs: [good], gate: soft, argv: [./script, "0"], outputs: {{x: {{type: string}}}}, pass: "output.x == 'no'",
          reason: {json.dumps(HOSTILE + '${output.x}')}}}
  lost: {{needs: [bad], argv: [{json.dumps('./none' + HOSTILE)}]}}
""")
    sluice.file = str(name)
    done = sluice.run("run", "-q", sluice.file, "--run-id", "h", "--reason", HOSTILE)
    assert done.returncode in (4, 1), done.stderr
    sluice.run("approve", "h", "ask", "--as", HOSTILE, "--reason", HOSTILE)
    sluice.run("resume", "-q", "h", "-p", f"p={HOSTILE}")
    return sluice


QUERIES = [
    ["status", "h"], ["status", "h", "--json"], ["summary", "h"], ["summary", "h", "-o", "json"], ["events", "h"],
    ["events", "h", "--json"], ["events", "h", "--tail", "3"], ["logs", "h"], ["logs", "h", "good"], ["logs", "h", "--failed"],
    ["list"], ["list", "-o", "json"], ["list", "-o", "jsonl"], ["list", "-o", "csv"], ["verify", "h"], ["resume", "h", "--check"],
    ["lint", "FILE"], ["plan", "FILE"], ["plan", "FILE", "-o", "json"], ["plan", "FILE", "-p", "p=" + HOSTILE], ["doctor", "-v"],
    ["gc", "--older-than", "1ms", "--dry-run"], ["gc", "--older-than", "1ms", "--dry-run", "--json"],
    ["stats"], ["graph", "FILE"], ["graph", "h"], ["explain", "h", "gate"], ["compare", "h", "h"], ["completion", "candidates", "--", "status", ""],
    ["completion", "candidates", "--", "logs", "h", ""], ["completion", "candidates", "--", "run", "FILE", "-p", ""],
    *(["export", "h", "--format", kind] for kind in ("json", "csv", "chrome-trace", "otlp")),
    *(["stats", "hostile", *how] for how in ([], ["--json"], ["-o", "csv"], ["--format", "prometheus"])), ["stats", "--json"],
    *(["graph", what, "--format", kind] for what in ("FILE", "h") for kind in ("dot", "mermaid", "svg")), ["graph", "h", "--json"],
    ["graph", "FILE", "--width", "40"], ["explain", "h"], ["explain", "h", "--json"], ["explain", "h", "lost"], ["explain", "h", "ask"],
    ["compare", "h", "h", "--json"], ["status", "h", "--at", "9"], ["run", "--dry-run", "FILE"], ["run", "--dry-run", "-v", "FILE"],
    ["run", "--dry-run", "--json", "FILE"], ["rerun", "h", "--dry-run"], ["rerun", "h"], ["rerun", "-v", "h"], ["rollback", "h"],
    ["rollback", "h", "--reason", HOSTILE, "--as", HOSTILE], ["stop", "h"], ["approve", "h", "ask", "--reason", HOSTILE],
    ["reject", "h", "ask", "--reason", HOSTILE, "--as", HOSTILE], ["resume", "h"], ["resume", "-v", "h", "--reason", HOSTILE],
    ["resume", "h", "--from", "good"], ["reindex"], ["verify", "--all"], ["schema"], ["help"],
]


def test_s20_every_verb_is_put_to_the_test():
    verbs = re.findall(r"^VERB\((\w+)\)", (pathlib.Path(__file__).resolve().parents[2] / "src/cli/verb.def").read_text(), re.M)
    # On a terminal `top` is a screen: test_top.py reads that.
    assert set(verbs) - {words[0] for words in QUERIES} == {"top"}


@pytest.mark.sweep(5)
@pytest.mark.parametrize("words", QUERIES, ids=" ".join)
def test_s20_c20_what_is_shown_of_a_hostile_run_is_harmless(hostile, words):
    shows = words[0] in ("summary", "events", "plan") and "--tail" not in words or words == ["logs", "h"]
    words = [hostile.file if word == "FILE" else word for word in words]
    for env in (DUMB, {"NO_COLOR": ""}):
        code, seen = hostile.on_terminal(*words, env=env)
        harmless(seen, live=env is not DUMB)
        assert code >= 0, "it was killed"
        assert b"PWN" in seen or not shows, "it was not put to the test"


def test_s20_the_run_itself_is_shown_harmless(hostile):
    for env in (DUMB, {"TERM": "xterm", "NO_COLOR": ""}):
        for words in (["-v"], []):
            _, seen = hostile.on_terminal("run", *words, hostile.file, "--reason", HOSTILE, env=env)
            assert b"PWN" in seen or not words
            harmless(seen, live=env is not DUMB)
            _, seen = hostile.on_terminal("resume", "@latest", *words, env=env)
            harmless(seen, live=env is not DUMB)


WRONG = [
    [HOSTILE], ["--" + HOSTILE], ["-" + HOSTILE], ["status", HOSTILE], ["status", "./" + HOSTILE], ["logs", "h", HOSTILE],
    ["run", HOSTILE], ["run", "FILE", "-p", HOSTILE], ["run", "FILE", "-p", "p" + HOSTILE + "=1"], ["run", "FILE", "--run-id", HOSTILE],
    ["run", "FILE", "-p", "e=" + HOSTILE], ["run", "FILE", "--limit", HOSTILE], ["run", "FILE", "--sync", HOSTILE],
    ["run", "FILE", "--params-file", HOSTILE], ["list", "--since", HOSTILE], ["list", "--result", HOSTILE], ["list", "-o", HOSTILE],
    ["list", "--limit", HOSTILE], ["approve", "h", HOSTILE, "--reason", "x"], ["approve", "h", "ask", "--as", HOSTILE],
    ["resume", "h", "--from", HOSTILE], ["resume", "h", "--override", HOSTILE, "--reason", HOSTILE], ["stop", HOSTILE],
    ["events", "h", "--type", HOSTILE], ["events", "h", "--step", HOSTILE], ["verify", "h", "--receipt", HOSTILE],
    ["explain", HOSTILE], ["help", HOSTILE], ["completion", HOSTILE], ["gc", "--older-than", HOSTILE], ["gc", "--keep", HOSTILE],
    ["gc", "--older-than", "1d", "--result", HOSTILE], ["--config", HOSTILE, "list"], ["--dir", HOSTILE, "list"],
    ["--dir", HOSTILE, "status", "x"], ["--dir", "FILE", "list"], ["--color", HOSTILE, "list"], ["doctor", "--dir", HOSTILE],
    ["stats", HOSTILE], ["graph", HOSTILE], ["explain", "h", HOSTILE], ["compare", "h", HOSTILE],
]


@pytest.mark.sweep(5)
@pytest.mark.parametrize("index", range(len(WRONG)))
def test_s20_a_refusal_shows_hostile_words_harmless(hostile, index):
    words = [hostile.file if word == "FILE" else word for word in WRONG[index]]
    code, seen = hostile.on_terminal(*words)
    harmless(seen)
    assert code >= 0


@pytest.mark.sweep(3)
@pytest.mark.parametrize("env", ["SLUICE_SYNC", "SLUICE_COLOR", "SLUICE_HOME", "SLUICE_KEEPER", "SLUICE_CONFIG", "SLUICE_AS",
                                 "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME", "PATH"])
def test_s20_hostile_variables_are_shown_harmless(hostile, env):
    for value in (HOSTILE, str(hostile.work / HOSTILE)):
        for words in (["list"], ["doctor", "-v"], ["run", hostile.file], ["status", "h"]):
            _, seen = hostile.on_terminal(*words, env={env: value})
            harmless(seen, live=True)
    shutil.rmtree(hostile.work / HOSTILE, ignore_errors=True)


def test_s20_a_hostile_settings_file_is_shown_harmless(hostile):
    for text in (YAML + ": 1\n", "color: " + YAML + "\n", "limits: {" + YAML + ": 1}\n", "gc: {keep: " + YAML + "}\n", HOSTILE,
                 "keeper: /" + HOSTILE, "keeper: " + json.dumps("/" + HOSTILE), "state_dir: " + json.dumps("/proc/" + HOSTILE)):
        path = hostile.write(f"c{HOSTILE.replace('/', '')}.conf", text)
        for verb in (["list"], ["doctor", "-v"]):
            _, seen = hostile.on_terminal(*verb, "--config", path)
            harmless(seen)


def test_s20_hostile_directories_and_records_are_shown_harmless(hostile):
    runs = hostile.home / "runs"
    for name in ("x" + HOSTILE.replace("/", ""), ".new-" + HOSTILE.replace("/", ""), HOSTILE.replace("/", "")):
        os.mkdir(runs / name)
        os.utime(runs / name, (0, 0))
    os.makedirs(hostile.home / "trash" / ("t" + HOSTILE.replace("/", "")), mode=0o700)
    os.chmod(hostile.home / "trash", 0o700)
    os.symlink("/" + HOSTILE, runs / "link")
    record = json.loads((hostile.home / "runs.jsonl").read_text().splitlines()[-1])
    for key in ("run_id", "failure_reason", "result"):
        (hostile.home / "runs.jsonl").open("a").write(json.dumps({**record, "run_id": "made-up", key: HOSTILE}) + "\n")
    (hostile.home / "runs.jsonl").open("a").write(json.dumps(
        {**record, "run_id": "other", "metadata": {"pipeline": HOSTILE, "outcome": HOSTILE, "trigger": HOSTILE}}) + "\n")
    for words in (["list"], ["list", "--json"], ["list", "-o", "csv"], ["stats"], ["reindex"], ["list", "--removed"],
                  ["gc", "--older-than", "1ms", "--dry-run"], ["gc", "--older-than", "1ms"], ["status", "x"]):
        _, seen = hostile.on_terminal(*words)
        harmless(seen)


@pytest.mark.slow
def test_s20_logs_with_hostile_bytes_anywhere_are_shown_harmless(hostile):
    """The files of a run with hostile bytes put in at random places: whatever is told, it is harmless."""
    rng = random.Random(20)
    run = hostile.home / "runs" / "h"
    saved = hostile.folder / "saved"
    shutil.copytree(run, saved)
    pieces = [b"\x1b[2JPWN", b"\x9b31mPWN", b"\xc2\x9bPWN", b"\xe2\x80\xaePWN", b"\rPWN", b"\x00", b"\\u001b", b"\n", b"\xff"]
    for _ in range(60):
        shutil.rmtree(run)
        shutil.copytree(saved, run)
        path = run / rng.choice(["events.jsonl", "events.jsonl", "pipeline.json", "run.lock", "attempts.log", "keeper.lock"])
        if not path.exists():
            continue
        data = bytearray(path.read_bytes())
        for _ in range(rng.randint(1, 3)):
            at = rng.randint(0, len(data))
            data[at:at + rng.choice([0, 0, 1, 5])] = rng.choice(pieces)
        path.write_bytes(bytes(data))
        words = rng.choice([["status", "h"], ["summary", "h"], ["events", "h"], ["events", "h", "--json"], ["logs", "h"], ["list"],
                            ["verify", "h"], ["resume", "h", "--check"], ["gc", "--older-than", "1ms", "--dry-run"],
                            ["approve", "h", "ask", "--reason", "x"], ["stop", "h"]])
        code, seen = hostile.on_terminal(*words)
        harmless(seen)
        assert code >= 0, words
