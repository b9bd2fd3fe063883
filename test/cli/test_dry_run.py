"""A dry run: nothing is executed, nothing is written, its events are the answer (S14)."""
import json
import os
import subprocess

import pytest

from pipelines import APPROVAL, FAILING, GATE, GOOD

FULL = """\
pipeline: full
timeout: 1ms
params: {token: {type: secret, from: {env: NO_SUCH}}, n: {type: int, default: 1}}
steps:
  first: {run: 'touch EXECUTED'}
  make:
    run: 'touch EXECUTED'
    outputs: {rows: {type: int, required: true}, text: {type: string}, ok: {type: bool}, all: {type: list}}
    artifacts: [{name: a, path: 'a.txt'}, {name: b, path: 'b-${outputs.first.x}.txt'}]
    needs: [first]
  use: {argv: [touch, '${outputs.make.text}'], when: 'outputs.make.rows > 10', needs: [make], retry: {max_attempts: 3}}
  gate: {gate: hard, pass: 'output.x == 1', run: 'exit 1', env: {T: '${params.token}'}, needs: [use]}
  ask: {gate: manual, approve: {by: [anna, ben], count: 2}, run: 'exit 3', inputs: [nope.txt], needs: [gate]}
  dry: {noop: true, when: 'params.__dry_run__', needs: [ask]}
  more: {noop: true, when: 'params.n > 1', needs: [dry]}
"""


def dry(sluice, path, *words, check=0):
    before = sorted(sluice.folder.rglob("*"))
    done = sluice.run("run", "--dry-run", path, *words, check=check)
    assert sorted(sluice.folder.rglob("*")) == before
    return [json.loads(line) for line in done.stdout.splitlines()]


def of(events, kind):
    return [e for e in events if e["event_type"] == kind]


def test_everything_counts_as_a_success_S14(sluice):
    events = dry(sluice, sluice.write("p.yaml", FULL))
    assert events[0]["dry_run"] is True and [e["event_id"] for e in events] == [f"evt_{i + 1}" for i in range(len(events))]
    assert {e["step_id"] for e in of(events, "step.succeeded")} == {"make", "first", "use", "gate", "ask", "dry"}
    assert all(e.get("mocked") is (e["step_id"] != "dry" or None) for e in of(events, "step.succeeded"))
    made = next(e for e in of(events, "step.succeeded") if e["step_id"] == "make")
    assert made["outputs"] == {"rows": 0, "text": "mocked", "ok": True, "all": []}
    assert [e["mocked"] for e in of(events, "artifact.emitted")] == [True, True]
    assert of(events, "gate.passed")[0]["evidence"] == {"mocked": True}
    assert [e["actor"] for e in of(events, "gate.approved")] == ["manual:anna", "manual:ben"]
    assert [e["step_id"] for e in of(events, "step.skipped")] == ["more"]
    assert events[-1]["event_type"] == "run.completed" and events[-1]["outcome"] == "success"
    assert not any(e.get("new_state") == "blocked" for e in events)
    assert not (sluice.work / "EXECUTED").exists()


@pytest.mark.parametrize("text", [GOOD, FAILING, GATE, APPROVAL])
def test_whatever_the_commands_would_do(sluice, text):
    events = dry(sluice, sluice.write("p.yaml", text))
    assert events[-1]["outcome"] == "success" and not of(events, "step.failed")


def test_a_condition_over_parameters_is_really_asked_S14(sluice):
    path = sluice.write("p.yaml", FULL)
    assert "more" in {e["step_id"] for e in of(dry(sluice, path, "-p", "n=2"), "step.succeeded")}
    broken = sluice.write("b.yaml", "pipeline: b\nparams: {n: {type: int, default: 1}}\n"
                                    "steps: {a: {noop: true, when: 'params.n .. {}'}}\n")
    events = dry(sluice, broken, check=1)
    assert of(events, "step.failed")[0]["error_class"] == "configuration"


def test_a_part_and_a_repetition_can_be_tried_dry(sluice):
    path = sluice.write("p.yaml", FULL)
    events = dry(sluice, path, "--until", "first")
    assert [e["step_id"] for e in of(events, "step.succeeded")] == ["first"]
    good = sluice.write("g.yaml", GOOD)
    sluice.run("run", good, "--run-id", "r", check=0)
    before = sorted(sluice.folder.rglob("*"))
    done = sluice.run("rerun", "r", "--dry-run", check=0)
    assert sorted(sluice.folder.rglob("*")) == before
    assert json.loads(done.stdout.splitlines()[0])["reason"] == "rerun of r"


def test_keys_and_partitions_are_recorded_and_not_looked_for(sluice):
    path = sluice.write("p.yaml", GOOD)
    sluice.run("run", path, "--partition", "x", check=0)
    assert dry(sluice, path, "--partition", "x")[0]["partition"] == "x"
    sluice.run("run", path, "--idempotency-key", "k", check=0)
    assert dry(sluice, path, "--idempotency-key", "k")[0]["idempotency_key"] == "k"


def test_a_compensation_is_mocked_too(sluice):
    path = sluice.write("p.yaml", """\
pipeline: p
params: {n: {type: int, default: 1}}
steps:
  a: {run: 'touch EXECUTED', compensate: {run: 'touch EXECUTED'}}
  b: {noop: true, when: 'params.n .. {}', on_failure: compensate}
""")
    events = dry(sluice, path, check=1)
    assert of(events, "step.compensated") and not (sluice.work / "EXECUTED").exists()


def test_nothing_can_be_written_anywhere_and_it_still_works(sluice):
    path = sluice.write("p.yaml", GOOD)
    sluice.env["SLUICE_HOME"] = "/proc/no/such/place"
    sluice.env["XDG_RUNTIME_DIR"] = "/proc"
    assert dry(sluice, path)[-1]["outcome"] == "success"


def test_no_process_is_started_and_no_file_is_made_S14(sluice, tmp_path):
    strace = subprocess.run(["which", "strace"], capture_output=True, text=True).stdout.strip()
    if not strace:
        pytest.skip("strace is not installed")
    path = sluice.write("p.yaml", FULL)
    trace = tmp_path / "trace"
    done = subprocess.run([strace, "-f", "-o", trace, "-e", "trace=openat,openat2,mkdir,mkdirat,rename,renameat2,unlink,"
                           "unlinkat,fork,vfork,clone,clone3,execve,bind,connect",
                           sluice.binary, "run", "--dry-run", path], cwd=sluice.work, capture_output=True,
                          env=sluice.env | {"ASAN_OPTIONS": "detect_leaks=0"})  # leaks are not found below strace
    assert done.returncode == 0
    calls = [line.split(None, 1)[1] for line in trace.read_text().splitlines()]
    assert [c for c in calls if c.startswith("execve")][1:] == []
    assert not [c for c in calls if c.startswith(("mkdir", "rename", "unlink", "fork", "vfork", "bind", "connect"))]
    assert not [c for c in calls if c.startswith("clone") and "CLONE_THREAD" not in c]
    assert not [c for c in calls if "O_CREAT" in c or "O_WRONLY" in c or "O_RDWR" in c]


@pytest.mark.parametrize("words, code", [
    (["--dry-run", "--detach"], 2), (["--dry-run", "-p", "x=1"], 2), (["--dry-run", "--until", "nobody"], 9),
    (["--dry-run=yes"], 2), (["--dry-run", "--run-id", "../x"], 2),
])
def test_wrong_words_S13(sluice, words, code):
    done = sluice.run("run", sluice.write("p.yaml", GOOD), *words, check=code)
    assert done.stdout == "" and not sluice.home.exists()


def test_a_reader_that_leaves_early_does_no_harm(sluice):
    path = sluice.write("p.yaml", "pipeline: p\nsteps:\n" + "".join(f"  s{i}: {{run: 'true'}}\n" for i in range(2000)))
    done = subprocess.run(f"{sluice.binary} run --dry-run {path} | head -1", shell=True, cwd=sluice.work, env=sluice.env,
                          capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["event_type"] == "run.created" and done.stderr.count("sluice:") == 0
