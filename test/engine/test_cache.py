"""`cache: true`: an earlier success of the same definition, parameters, environment and inputs is taken."""
import json
import os
import signal
import subprocess

import pytest

from support.sluice import until

COUNT = "echo x >>ran; wc -l <in | tr -d ' ' | sed 's/^/rows=/' >\"$SLUICE_OUTPUT\""


def ran(sluice):
    path = sluice.root / "ran"
    return len(path.read_text().split()) if path.exists() else 0


def again(sluice, steps, name, **kwargs):
    sluice.id = name
    return sluice.go(steps, run_id=name, **kwargs)


def cached(sluice, name, step="a"):
    return sluice.log(name).of("step.succeeded", step)[-1].get("cached_from")


@pytest.fixture
def counting(sluice):
    (sluice.root / "in").write_text("1\n2\n")
    return {"a": {"run": COUNT, "cache": True, "inputs": ["in"], "outputs": {"rows": {"type": "int", "required": True}}},
            "b": 'echo "$OUTPUT_a_rows" >seen'}


def test_a_second_run_takes_the_success_of_the_first(sluice, counting):
    again(sluice, counting, "r1")
    again(sluice, counting, "r2")
    assert ran(sluice) == 1 and (sluice.root / "seen").read_text() == "2\n"
    log = sluice.log("r2", ended="succeeded")
    assert [e["event_type"] for e in log.events if e.get("step_id") == "a"] == ["step.started", "step.succeeded"]
    assert cached(sluice, "r1") is None and cached(sluice, "r2") == "r1/a/0"
    first, second = (sluice.log(r).of("step.succeeded", "a")[0] for r in ("r1", "r2"))
    assert first["outputs"] == second["outputs"] == {"rows": 2} and first["outputs_hash"] == second["outputs_hash"]
    assert "cache_key" in first and "cache_key" not in second, "only what ran may be taken"
    again(sluice, counting, "r3")
    assert cached(sluice, "r3") == "r1/a/0"


def test_status_and_summary_say_where_it_came_from(sluice, counting):
    again(sluice, counting, "r1")
    again(sluice, counting, "r2")
    for verb in ("status", "summary"):
        assert "(cached from r1/a/0)" in sluice(verb, "r2", code=0).stdout
        assert json.loads(sluice(verb, "r2", "--json", code=0).stdout)["steps"][0]["cached_from"] == "r1/a/0"
        assert "cached" not in sluice(verb, "r1", code=0).stdout


@pytest.mark.parametrize("what", ["input", "text", "param", "env", "inherited", "output of another", "timeout"])
def test_whatever_the_step_gets_is_in_the_key(sluice, counting, what):
    params = {"p": {"type": "int", "default": 1}}
    counting["a"]["env"] = {"E": "${params.p}", "Q": "1"}
    steps = {"z": {"run": "cat z >\"$SLUICE_OUTPUT\"", "needs": []}, **counting}
    (sluice.root / "z").write_text("n=1\n")
    again(sluice, steps, "r1", params=params)
    args, env = (), None
    if what == "input":
        (sluice.root / "in").write_text("1\n2\n3\n")
    elif what == "text":
        steps["a"]["run"] += "\n"
    elif what == "param":
        args = ("-p", "p=2")
    elif what == "env":
        steps["a"]["env"]["Q"] = "2"
    elif what == "inherited":
        env = {"LC_MESSAGES": "C"}
    elif what == "output of another":
        (sluice.root / "z").write_text("n=2\n")
    else:
        steps["a"]["timeout"] = "1h"
    sluice.id = "r2"
    sluice.go(steps, *args, run_id="r2", env=env, params=params)
    assert ran(sluice) == 2 and cached(sluice, "r2") is None
    again(sluice, steps, "r3", params=params) if not args and not env else None


def test_secrets_are_in_the_key_and_nowhere_else(sluice, counting):
    counting["a"]["env"] = {"T": "${params.t}"}
    params = {"t": {"type": "secret", "from": {"env": "TT"}}}
    again(sluice, counting, "r1", params=params, env={"TT": "geheimnis"})
    again(sluice, counting, "r2", params=params, env={"TT": "anderes-geheimnis"})
    assert ran(sluice) == 2
    again(sluice, counting, "r3", params=params, env={"TT": "geheimnis"})
    assert ran(sluice) == 2 and cached(sluice, "r3") == "r1/a/0"
    assert all(b"geheimnis" not in p.read_bytes() for p in sluice.home.rglob("*") if p.is_file())


def artifact_step(**keys):
    return {"a": {"run": "echo x >>ran; cp in out", "cache": True, "inputs": ["in"], "artifacts": [{"name": "o", "path": "out"}], **keys}}


def test_artifacts_are_verified_and_told_again(sluice, counting):
    again(sluice, artifact_step(), "r1")
    again(sluice, artifact_step(), "r2")
    first, second = (sluice.log(r).of("artifact.emitted")[0] for r in ("r1", "r2"))
    assert ran(sluice) == 1 and first["outputs_hash"] == second["outputs_hash"] and first["artifact_path"] == second["artifact_path"]


@pytest.mark.parametrize("what", ["changed", "gone"])
def test_an_artifact_that_is_not_what_it_was_lets_the_step_run(sluice, counting, what):
    again(sluice, artifact_step(), "r1")
    if what == "changed":
        (sluice.root / "out").write_text("other")
    else:
        (sluice.root / "out").unlink()
    again(sluice, artifact_step(), "r2")
    assert ran(sluice) == 2 and cached(sluice, "r2") is None


def test_large_outputs_come_from_the_blob_of_the_earlier_run(sluice, counting):
    steps = {"a": {"run": "echo x >>ran; printf 'big=%s' \"$(head -c 50000 /dev/zero | tr '\\0' x)\" >\"$SLUICE_OUTPUT\"", "cache": True, "inputs": []},
             "b": {"argv": ["sh", "-c", "wc -c >seen"], "stdin": {"text": "${outputs.a.big}"}}}
    again(sluice, steps, "r1")
    again(sluice, steps, "r2")
    assert ran(sluice) == 1 and (sluice.root / "seen").read_text().strip() == "50000"
    for blob in (sluice.home / "runs/r1/blobs").iterdir():
        blob.write_bytes(b"{}")
    again(sluice, steps, "r3")
    assert ran(sluice) == 2, "a blob that is another is no success"


def test_context_updates_and_quality_are_taken_too(sluice, counting):
    steps = {"a": {"run": """echo x >>ran; echo '{"context_updates":{"m":"new"},"quality":{"record_count":5}}' >"$SLUICE_OUTPUT" """, "cache": True, "inputs": []},
             "b": {"run": "echo $PARAM_m >seen", "when": "quality.a.record_count == 5"}}
    params = {"m": {"type": "string", "default": "old"}}
    again(sluice, steps, "r1", params=params)
    again(sluice, steps, "r2", params=params)
    assert ran(sluice) == 1 and (sluice.root / "seen").read_text() == "new\n"


def test_what_failed_or_was_tolerated_is_never_taken(sluice, counting):
    for name in ("r1", "r2"):
        again(sluice, {"a": {"run": "echo x >>ran; exit 1", "cache": True, "inputs": [], "on_failure": "ignore"}}, name)
    assert ran(sluice) == 2
    for name in ("r3", "r4"):
        again(sluice, {"a": {"run": "echo x >>ran", "cache": True, "inputs": [], "gate": "soft", "pass": "false"}}, name)
    assert ran(sluice) == 4
    for name in ("r5", "r6"):
        again(sluice, {"a": {"run": """echo x >>ran; echo '{"quality":{"record_count":0}}' >"$SLUICE_OUTPUT" """, "cache": True, "inputs": [],
                             "quality": {"min_record_count": 1, "severity": "soft"}}}, name)
    assert ran(sluice) == 6


def test_s5_5_a_gate_is_judged_again(sluice, counting):
    steps = {"a": {"run": "echo x >>ran; echo n=5 >\"$SLUICE_OUTPUT\"", "cache": True, "inputs": [], "gate": "hard", "pass": "output.n == '5'"}}
    again(sluice, steps, "r1")
    again(sluice, steps, "r2")
    assert ran(sluice) == 1 and sluice.log("r2").of("gate.passed", "a")


def test_a_success_of_the_same_run_is_not_taken_by_a_resume_from_it(sluice, counting):
    again(sluice, counting, "r1")
    sluice("resume", "r1", "--from", "a", code=(0, 3))
    steps = {**counting, "c": "[ -e ok ]"}
    again(sluice, steps, "r2", code=1)
    (sluice.root / "ok").touch()
    before = ran(sluice)
    sluice("resume", "r2", "--from", "b", code=0)
    assert ran(sluice) == before


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"garbage", b"\0" * 500, None, "cut", "forged"])
def test_a_damaged_index_is_made_again_from_the_logs(sluice, counting, damage):
    again(sluice, counting, "r1")
    index = sluice.home / "cache.jsonl"
    good = index.read_bytes()
    line = json.loads(good)
    assert line["run_id"] == "r1" and line["step_id"] == "a" and len(line["key"]) == 64
    if damage is None:
        index.unlink()
    elif damage == "cut":
        index.write_bytes(good[:-20])
    elif damage == "forged":
        index.write_text(json.dumps({**line, "attempt": 7}) + "\n")
    else:
        index.write_bytes(damage)
    again(sluice, counting, "r2")
    taken = damage not in (b"", "forged")  # an empty one is whole; a forged one points at nothing
    assert ran(sluice) == (1 if taken else 2)
    assert (cached(sluice, "r2") == "r1/a/0") == taken


def test_an_entry_that_points_at_another_step_is_not_believed(sluice, counting):
    steps = {**counting, "c": {"run": "echo evil=1 >\"$SLUICE_OUTPUT\"", "cache": True, "inputs": []}}
    again(sluice, steps, "r1")
    index = sluice.home / "cache.jsonl"
    lines = [json.loads(text) for text in index.read_text().splitlines()]
    keys = {line["step_id"]: line["key"] for line in lines}
    index.write_text("".join(json.dumps({**line, "key": keys["a" if line["step_id"] == "c" else "c"]}) + "\n" for line in lines))
    again(sluice, steps, "r2")
    assert ran(sluice) == 2 and cached(sluice, "r2") is None


def test_a_source_run_that_is_gone_or_damaged_lets_the_step_run(sluice, counting):
    again(sluice, counting, "r1")
    log = sluice.home / "runs/r1/events.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"rows":2', b'"rows":9'))
    again(sluice, counting, "r2")
    assert ran(sluice) == 2 and cached(sluice, "r2") is None
    assert (sluice.root / "seen").read_text() == "2\n"


def test_s12_an_index_that_cannot_be_written_is_a_warning(sluice, counting):
    sluice.home.mkdir(exist_ok=True)
    (sluice.home / "cache.jsonl").mkdir()
    again(sluice, counting, "r1")
    log = sluice.log("r1", ended="succeeded")
    assert log.of("projection.failed")[0]["which"] == "cache.jsonl"
    assert log.of("run.completed")[0]["outcome"] == "success"


def test_s1_2_a_crash_between_start_and_success_takes_it_once_more(sluice, counting):
    again(sluice, counting, "r1")
    again(sluice, counting, "r2")
    whole = sluice.raw("r2").splitlines(keepends=True)
    for cut in range(2, len(whole)):
        sluice.rewrite(b"".join(whole[:cut]), "r2")
        sluice("resume", "r2", code=0)
        assert sluice.log("r2", ended="succeeded").of("step.succeeded", "a")[-1]["cached_from"] == "r1/a/0"
    assert ran(sluice) == 1


def test_runs_at_once_write_whole_lines(sluice):
    (sluice.root / "in").write_text("1\n")
    steps = {f"s{i}": {"run": "true", "cache": True, "inputs": ["in"], "needs": [], "env": {"N": str(i)}} for i in range(8)}
    path = sluice.pipeline(steps)
    engines = [sluice.start("run", path, "--run-id", f"r{i}") for i in range(6)]
    assert [engine.wait(60) for engine in engines] == [0] * 6
    lines = [json.loads(text) for text in (sluice.home / "cache.jsonl").read_text().splitlines()]
    assert len({line["key"] for line in lines}) == 8
    sluice("run", path, "--run-id", "last", code=0)
    assert all(e.get("cached_from") for e in sluice.log("last").of("step.succeeded"))


def test_killed_at_any_moment_it_never_takes_what_did_not_happen(sluice):
    """The key is durable with the success: an engine that is killed leaves both or neither."""
    run = "echo x >>ran; until [ -e go ]; do sleep 0.02; done"
    path = sluice.pipeline({"a": {"run": run, "cache": True, "inputs": []}})
    engine = sluice.start("run", path, "--run-id", "r1")
    until(lambda: (sluice.root / "ran").exists(), of="the command")
    os.kill(engine.pid, signal.SIGKILL)
    engine.wait(60)
    (sluice.root / "go").touch()
    until(lambda: not sluice.keepers("r1"), of="the keeper's end")
    sluice("run", path, "--run-id", "r2", code=0)
    assert cached(sluice, "r2") is None and ran(sluice) == 2
    sluice("resume", "r1", code=0)
    assert ran(sluice) == 2, "its end was on record"


def test_a_cached_step_says_so_as_it_succeeds(sluice):
    path = sluice.pipeline({"a": {"run": "true", "cache": True, "inputs": []}})
    assert "(cached)" not in sluice("run", path, "--run-id", "r1", code=0).stderr
    assert "a succeeded (cached)\n" in sluice("run", path, "--run-id", "r2", code=0).stderr


def test_s10_2_what_was_undone_is_not_taken(sluice):
    steps = {"a": {"run": "echo x >>ran", "cache": True, "inputs": [], "compensate": {"run": "echo x >>undone"}},
             "b": {"run": "test -e works", "on_failure": "compensate"}}
    again(sluice, steps, "r1", code=None)
    assert (sluice.root / "undone").exists() and sluice.log("r1").of("step.compensated", "a")
    (sluice.root / "works").touch()
    again(sluice, steps, "r2")
    assert ran(sluice) == 2 and cached(sluice, "r2") is None
    again(sluice, steps, "r3")
    assert ran(sluice) == 2 and cached(sluice, "r3") == "r2/a/0"
