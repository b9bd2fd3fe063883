"""S9.3: a run goes on by another definition: told, refused, or taken whole."""
import json
import shutil
import signal

import pytest

from support.kills import kill_at, read_trace, spread
from support.sluice import until


def say(*names):
    return {name: f"echo {name} >>count" for name in names}


def count(sluice):
    path = sluice.root / "count"
    return path.read_text().split() if path.exists() else []


def failed(sluice, **top):
    """a succeeded, b failed, c was skipped."""
    sluice.go(say("a") | {"b": "echo b >>count; exit 1"} | say("c"), code=1, **top)
    (sluice.root / "count").unlink()


def change(sluice, steps, *args, code=0, **top):
    path = sluice.pipeline(steps, file="new.yaml", **top)
    return sluice("resume", sluice.id, "--file", path, *args, code=code)


def take(sluice, steps, *args, code=0, **top):
    return change(sluice, steps, "--accept-changes", *args, code=code, **top)


def files(sluice):
    return {path.relative_to(sluice.home): path.read_bytes() for path in sluice.home.rglob("*")
            if path.is_file() and path.name != "run.lock"}


def changes(sluice):
    return [e["changes"] for e in sluice.log().of("run.resumed") if "changes" in e]


# ------------------------------------------------------------------------------- told, refused

def test_s9_3_a_plain_resume_goes_by_the_frozen_definition_and_notes_that_the_file_differs(sluice):
    failed(sluice)
    sluice.pipeline(say("a", "b", "c"))
    result = sluice("resume", sluice.id, code=1)
    assert "pipeline.yaml has changed since" in result.stderr and "--accept-changes" in result.stderr
    assert count(sluice) == ["b"]
    sluice.pipeline(say("a") | {"b": "echo b >>count; exit 1"} | say("c"))
    assert "has changed" not in sluice("resume", sluice.id, code=1).stderr
    (sluice.root / "pipeline.yaml").unlink()
    assert "has changed" not in sluice("resume", sluice.id, code=1).stderr


def test_s9_3_without_accept_changes_the_difference_is_told_and_nothing_is_written(sluice):
    failed(sluice)
    before = files(sluice)
    result = change(sluice, say("a", "b", "new"), code=3, concurrency=9)
    assert files(sluice) == before
    for text in ("changed  b: run", "added    new", "removed  c", "pipeline: concurrency",
                 "Runs again: b (changed)", "Stays succeeded: a", "Still to come: new"):
        assert text in result.stdout
    assert "--accept-changes" in result.stderr


def test_s9_3_check_tells_the_same_and_writes_nothing(sluice):
    failed(sluice)
    before = files(sluice)
    assert "changed  b: run" in change(sluice, say("a", "b", "c"), "--check").stdout
    assert files(sluice) == before


def test_s9_3_the_same_definition_needs_no_acceptance(sluice):
    failed(sluice)
    sluice("resume", sluice.id, "--file", sluice.root / "pipeline.yaml", code=1)
    assert count(sluice) == ["b"] and not changes(sluice)


@pytest.mark.parametrize("args, code", [
    (["--accept-changes"], 2), (["--file", "no-such.yaml"], 9), (["--file", "no-such.yaml", "--accept-changes"], 9),
    (["--file", "broken.yaml", "--accept-changes"], 2), (["--file", "/", "--accept-changes"], None),
    (["--file", "other.yaml", "--accept-changes"], 3), (["--file", "\x1b[31m\n", "--accept-changes"], 9)])
def test_s9_3_wrong_words_and_files_are_refused_and_nothing_is_written(sluice, args, code):
    failed(sluice)
    (sluice.root / "broken.yaml").write_text("pipeline: test\nsteps: {a: {rum: x}}\n")
    sluice.pipeline(say("a"), file="other.yaml", pipeline="other")
    before = files(sluice)
    result = sluice("resume", sluice.id, *args)
    assert result.code == code if code else result.code not in (0, -11, -6)
    assert "sluice: " in result.stderr
    assert files(sluice) == before


def test_s9_3_a_run_that_succeeded_stays_so(sluice):
    sluice.go(say("a"))
    before = sluice.raw()
    take(sluice, say("a", "b"), code=3)
    assert sluice.raw() == before


def test_s9_3_what_a_rollback_would_not_undo_any_more_is_told(sluice):
    undo = {"run": "true", "compensate": {"run": "true"}}
    sluice.go({"gone": undo, "again": undo, "stays": undo, "bad": "exit 1"}, code=1)
    told = change(sluice, {"again": undo | {"run": "true;", "needs": []}, "stays": undo | {"needs": []}, "bad": "true"},
                  code=3).stdout
    assert "removed  gone (it succeeded: nothing undoes it any more)" in told
    assert "again (changed, not undone before)" in told


def test_s9_3_from_is_told_with_the_changes(sluice):
    failed(sluice)
    for words in ((), ("--check",)):
        told = change(sluice, say("a", "b", "c"), "--from", "a", *words, code=0 if words else 3).stdout
        assert "Runs again: a (--from), b (changed)" in told and "Stays" not in told
    assert "Runs again: a (--from), b (changed)" in take(sluice, say("a", "b", "c"), "--from", "a").stderr
    assert count(sluice) == ["a", "b", "c"]


def test_s9_3_what_stays_failed_or_skipped_is_told_as_that(sluice):
    steps = {"off": {"when": "false", "run": "true"}, "g": {"gate": "hard", "needs": [], "run": "exit 1"}} | say("c")
    sluice.go(steps, code=1)
    told = change(sluice, steps | {"c": "echo c2 >>count"}, code=3).stdout
    assert "Stays as it is: off (skipped), g (failed)" in told and "Still to come: c" in told
    take(sluice, steps | {"c": "echo c2 >>count"}, "--override", "g", "--reason", "fine", code=None)
    assert count(sluice) == ["c2"] and sluice.log().steps["g"].started == [0]


# ------------------------------------------------------------------------------------- taken

def test_s9_3_changed_and_new_steps_and_all_below_run_again_others_do_not(sluice):
    steps = say("a", "b") | {"side": {"needs": ["a"], "run": "echo side >>count"},
                             "low": {"needs": ["b"], "run": "echo low >>count"},
                             "last": {"needs": ["low", "side"], "run": "echo last >>count; exit 1"}}
    sluice.go(steps, code=1)
    (sluice.root / "count").unlink()
    steps["b"] = "echo b2 >>count"
    steps["last"] = {"needs": ["low", "side"], "run": "echo last >>count"}
    take(sluice, steps)
    assert sorted(count(sluice)) == ["b2", "last", "low"]
    log = sluice.log(ended="succeeded")
    assert changes(sluice) == [{"changed": ["b", "last"], "added": [], "removed": []}]
    assert log.steps["b"].started == [0, 1]
    sluice("verify", sluice.id, code=0)


def test_s9_3_the_new_definition_is_a_blob_that_the_event_names(sluice):
    failed(sluice)
    take(sluice, say("a", "b", "c"))
    event = sluice.log().of("run.resumed")[0]
    blobs = sluice.run_dir() / "blobs"
    assert json.loads((blobs / event["definition_hash"]).read_text())["steps"]["b"]["run"] == "echo b >>count"
    assert (blobs / event["source_ref"]).read_text() == (sluice.root / "new.yaml").read_text()
    assert event["file"] == str(sluice.root / "new.yaml")


def test_s9_3_a_step_that_is_removed_is_gone_and_one_that_comes_back_counts_on(sluice):
    failed(sluice)
    take(sluice, say("a") | {"z": "exit 1"}, code=1)
    assert "  b " not in sluice("status", sluice.id, code=0).stdout
    take(sluice, say("a", "b"))
    log = sluice.log(ended="succeeded")
    assert log.steps["b"].started == [0, 1] and count(sluice) == ["b"]


def test_s7_1_a_retry_that_was_announced_is_the_next_attempt_of_a_step_that_comes_back(sluice):
    path = sluice.pipeline({"a": {"run": "exit 75", "retry": {"max_attempts": 2, "initial": "60s"}}})
    engine = sluice.start("run", path, "--run-id", sluice.id)
    sluice.wait_event("step.retried", "a")
    sluice("stop", sluice.id, code=0)
    assert engine.wait(60) == 6
    take(sluice, {"z": "exit 1"}, code=1)
    take(sluice, say("a"))
    assert sluice.log(ended="succeeded").steps["a"].started == [0, 1]


def test_s9_3_an_implicit_need_on_another_step_is_a_change(sluice):
    sluice.go(say("a", "b") | {"c": "echo c >>count"} | {"bad": {"needs": ["a"], "run": "exit 1"}}, code=1)
    (sluice.root / "count").unlink()
    take(sluice, say("a", "c", "b") | {"bad": {"needs": ["a"], "run": "true"}})
    assert sorted(count(sluice)) == ["b", "c"]


def test_s9_3_the_environment_of_the_pipeline_changes_every_command(sluice):
    failed(sluice, env={"X": "1"})
    take(sluice, say("a", "b", "c"), env={"X": "2"})
    assert count(sluice) == ["a", "b", "c"]


def test_s9_3_new_parameters_get_a_value_and_old_ones_keep_theirs(sluice):
    sluice.go({"a": "true", "b": "exit 1"}, "-p", "n=7", code=1, params={"n": {"type": "int", "default": 1}})
    steps = {"a": "true", "b": '[ "$PARAM_n/$PARAM_m/$PARAM_k" = 7/hi/5 ]'}
    params = {"n": {"type": "int", "default": 2}, "m": {"type": "string", "default": "hi"}, "k": {"type": "int", "required": True}}
    before = files(sluice)
    assert "'k'" in take(sluice, steps, code=2, params=params).stderr
    assert files(sluice) == before
    take(sluice, steps, "-p", "k=5", params=params)
    assert sluice.log().of("run.resumed")[0]["params"] == {"m": "hi", "k": 5}


def test_s9_3_relative_paths_still_start_where_they_did(sluice):
    failed(sluice)
    path = sluice.pipeline(say("a", "b", "c"), file="elsewhere/new.yaml")
    result = sluice("resume", sluice.id, "--file", path, code=3)
    assert "folder" not in result.stdout
    sluice("resume", sluice.id, "--file", path, "--accept-changes", code=0)
    assert count(sluice) == ["b", "c"]


def test_s9_3_from_is_a_step_of_the_new_definition(sluice):
    failed(sluice)
    take(sluice, say("a", "b", "c"), "--from", "nobody", code=9)
    take(sluice, say("a", "b", "c"), "--from", "c", code=3)
    take(sluice, say("a", "b", "c"), "--from", "a")
    assert count(sluice) == ["a", "b", "c"]


def test_s9_3_a_rerun_repeats_the_definition_that_was_taken(sluice):
    failed(sluice)
    take(sluice, say("a", "b", "c"))
    (sluice.root / "count").unlink()
    sluice("rerun", sluice.id, "--run-id", "again", code=0)
    assert count(sluice) == ["a", "b", "c"]
    assert (sluice.run_dir("again") / "pipeline.yaml").read_text() == (sluice.root / "new.yaml").read_text()


# ------------------------------------------------------------------------------ gates, decisions

def test_s9_3_a_failed_gate_bars_the_change_until_it_is_overridden_and_is_then_judged_again(sluice):
    sluice.go({"g": {"gate": "hard", "run": "exit 1"}} | say("c"), code=1)
    before = files(sluice)
    for steps in ({"g": {"gate": "hard", "run": "true"}} | say("c"), say("g", "c"), say("c"),
                  {"g": {"gate": "hard", "run": "exit 1"}, "c": {"needs": [], "run": "echo c >>count"}}):
        assert "Hard gate failures: g" in take(sluice, steps, code=3).stderr
    assert files(sluice) == before and not count(sluice)
    words = ("--override", "g", "--reason", "looked at", "--as", "anna")
    take(sluice, {"g": {"gate": "hard", "run": "exit 3"}} | say("c"), *words, code=1)
    assert not count(sluice), "the gate failed again: its waiver was of the old one"
    take(sluice, {"g": {"gate": "hard", "run": "true"}} | say("c"), *words)
    assert count(sluice) == ["c"]


@pytest.mark.parametrize("torn", [0, 40], ids=["between the lines", "in the second one"])
def test_s9_3_an_override_for_another_definition_opens_no_gate_of_this_one(sluice, torn):
    """Power is lost when the override is on the disk, and its run.resumed is not (S1.4)."""
    gate = {"g": {"gate": "hard", "run": "exit 1"}}
    sluice.go(gate | say("c"), code=1)
    saved = sluice.root / "saved"
    shutil.copytree(sluice.run_dir(), saved)
    words = ("--override", "g", "--reason", "the new c does without it", "--as", "anna")
    take(sluice, gate | {"c": "echo new >>count"}, *words, code=5)
    assert count(sluice) == ["new"]
    lines = sluice.raw().splitlines(True)
    applied = next(n for n, line in enumerate(lines) if b"run.override_applied" in line)
    assert b'"run.resumed"' in lines[applied + 1]
    shutil.rmtree(sluice.run_dir())
    shutil.copytree(saved, sluice.run_dir())
    (sluice.run_dir() / "events.jsonl").write_bytes(b"".join(lines[:applied + 1]) + lines[applied + 1][:torn])
    assert "Hard gate failures: g" in sluice("resume", sluice.id, code=3).stderr
    assert "Hard gate failures: g" in take(sluice, gate | {"c": "echo new >>count"}, code=3).stderr
    assert count(sluice) == ["new"], "nothing ran below the gate"
    take(sluice, gate | {"c": "echo new >>count"}, *words, code=5)
    assert count(sluice) == ["new", "new"]
    hashes = {event.get("definition_hash") for event in sluice.log().of("run.override_applied")}
    assert hashes == {sluice.log().of("run.resumed")[-1]["definition_hash"]}


def test_s9_3_a_failed_gate_that_is_removed_was_overridden_and_leaves_a_partial_run(sluice):
    sluice.go({"g": {"gate": "hard", "run": "exit 1"}} | say("c"), code=1)
    take(sluice, say("c"), "--override", "g", "--reason", "looked at", "--as", "anna", code=None)
    assert sluice.log().of("run.completed")[-1]["outcome"] == "partial"


def test_s9_3_what_waits_for_a_decision_is_decided_first(sluice):
    sluice.go(say("a") | {"m": {"gate": "manual", "run": "true"}} | say("c"), code=4)
    before = files(sluice)
    gate = {"m": {"gate": "manual", "run": "true"}}
    for steps in (say("a", "c"), {"a": "echo a2 >>count"} | gate | say("c"), say("a", "m", "c")):
        assert "waits for a decision" in take(sluice, steps, code=3).stderr
    assert files(sluice) == before
    take(sluice, say("a") | gate | {"c": "echo c2 >>count"}, code=4)
    sluice("approve", sluice.id, "m", "--as", "anna", "--reason", "fine", code=0)
    sluice("resume", sluice.id, code=0)
    assert count(sluice) == ["a", "c2"]


def test_s9_3_a_decision_bars_the_change_and_the_hint_is_a_way_on(sluice):
    gate = {"m": {"gate": "manual", "run": "echo m >>count"}}
    new = {"a": "echo a2 >>count"} | gate | say("c")
    sluice.go(say("a") | gate | say("c"), code=4)
    by = ("--as", "anna", "--reason", "no")
    assert f"sluice reject {sluice.id} m --reason TEXT; then --override m" in take(sluice, new, code=3).stderr
    sluice("stop", sluice.id, code=0)
    assert "without --file asks again" in take(sluice, new, code=3).stderr
    sluice("resume", sluice.id, code=4)
    sluice("reject", sluice.id, "m", *by, code=0)
    assert "carries out what was decided" in take(sluice, new, code=3).stderr
    sluice("resume", sluice.id, code=1)
    assert take(sluice, new, "--override", "m", *by, code=4)
    assert count(sluice) == ["a", "a2"]
    sluice("approve", sluice.id, "m", *by, code=0)
    before = sluice.raw()
    assert "carries out what was decided" in take(sluice, say("a", "c"), code=3).stderr
    assert sluice.raw() == before
    sluice("resume", sluice.id, code=0)
    assert count(sluice) == ["a", "a2", "m", "c"]


def test_s9_3_nothing_may_be_under_way(sluice):
    sluice.pipeline({"a": "sleep 30"})
    engine = sluice.start("run", sluice.root / "pipeline.yaml", "--run-id", sluice.id)
    sluice.wait_event("step.started", "a")
    take(sluice, {"a": "true"}, code=8)
    sluice.cut(engine)
    before = sluice.raw()
    assert "not known yet" in take(sluice, {"a": "true"}, code=3).stderr
    assert sluice.raw() == before
    sluice("stop", sluice.id, "--now", code=None)


def test_s9_3_a_run_of_a_part_keeps_its_definition(sluice):
    sluice.go({"a": "exit 1", "b": "true"}, "--only", "a", code=1)
    assert "part" in take(sluice, {"a": "true", "b": "true"}, code=3).stderr


def test_s9_3_artifacts_of_steps_that_stay_are_verified(sluice):
    steps = {"a": {"run": "echo x >x", "artifacts": [{"name": "x", "path": "x"}]}, "b": "exit 1"}
    sluice.go(steps, code=1)
    (sluice.root / "x").write_text("y")
    assert "is not what it was" in take(sluice, steps | {"b": "true"}, code=3).stderr
    take(sluice, {"a": steps["a"] | {"run": "echo x  >x"}, "b": "true"})


def test_s9_3_artifacts_that_from_makes_again_are_not_verified(sluice):
    steps = {"a": {"run": "echo x >x", "artifacts": [{"name": "x", "path": "x"}]}, "b": "exit 1"}
    sluice.go(steps, code=1)
    (sluice.root / "x").write_text("y")
    assert "--from a" in take(sluice, steps | {"b": "true"}, code=3).stderr
    take(sluice, steps | {"b": "true"}, "--from", "a")
    assert (sluice.root / "x").read_text() == "x\n"


# ----------------------------------------------------------------------------------- readers

def test_s9_3_every_reader_works_over_the_change(sluice):
    steps = say("a") | {"old": {"when": "true", "run": "exit 1"}, "c": "true"}
    sluice.go(steps, code=1)
    take(sluice, {"new": {"needs": [], "run": "true"}} | say("a") | {"c": {"when": "true", "run": "true"}})
    seq = next(i for i, e in enumerate(sluice.log().events, 1) if "changes" in e)
    before = sluice("status", sluice.id, "--at", str(seq - 1), code=0).stdout
    after = sluice("status", sluice.id, "--at", str(seq), code=0).stdout
    assert "old " in before and "new " not in before and "new " in after and "old " not in after
    for words in (["status"], ["summary"], ["explain"], ["graph"], ["events"], ["verify"]):
        sluice(words[0], sluice.id, code=0)
    for step in ("a", "c", "new"):
        sluice("explain", sluice.id, step, code=0)
        sluice("logs", sluice.id, step, code=0)
    sluice("explain", sluice.id, "old", code=9)
    for form in ("json", "csv", "otlp", "chrome-trace"):
        sluice("export", sluice.id, "--format", form, code=0)
    sluice("compare", sluice.id, sluice.id, code=0)
    listed = sluice("list", "--json", code=0).stdout
    audit = (sluice.run_dir() / "audit.jsonl").read_bytes()
    (sluice.run_dir() / "audit.jsonl").unlink()
    (sluice.run_dir() / "checkpoint.json").unlink()
    (sluice.home / "sluice.db").unlink(missing_ok=True)
    sluice("reindex", code=0)
    assert sluice("list", "--json", code=0).stdout == listed and audit


def test_s9_3_logs_of_more_steps_than_the_run_was_born_with(sluice):
    failed(sluice)
    take(sluice, say("a", "b") | {f"n{i}": f"echo out of n{i}" for i in range(60)})
    assert "out of n59" in sluice("logs", sluice.id, code=0).stdout


def test_s9_3_logs_of_an_attempt_that_wrote_otherwise_are_found(sluice):
    sluice.go({"a": {"run": "echo old; echo older >&2; exit 1", "streams": "split"}}, code=1)
    take(sluice, {"a": "echo new"})
    assert sluice("logs", sluice.id, "a", code=0).stdout == "new\n"
    assert sorted(sluice("logs", sluice.id, "a", "--attempt", "0", code=0).stdout.split()) == ["old", "older"]


def test_s9_3_who_follows_the_logs_goes_over_to_the_new_definition(sluice):
    go = sluice.root / "go"
    wait = f"until [ -e {go} ]; do sleep 0.02; done"
    sluice.pipeline({"a": "echo out of a", "b": f"echo out of b; {wait}; exit 1"})
    engine = sluice.start("run", sluice.root / "pipeline.yaml", "--run-id", sluice.id)
    sluice.wait_event("step.started", "b")
    follower = sluice.start("logs", sluice.id, "--follow")
    assert follower.stdout.readline().startswith("==> a ") and follower.stdout.readline() == "out of a\n"
    follower.send_signal(signal.SIGSTOP)
    go.touch()
    engine.communicate(timeout=60)
    go.unlink()
    new = {f"n{i:02}": {"needs": [], "run": f"echo out of n{i}"} for i in range(60)}
    path = sluice.pipeline(new | {"a": {"needs": [], "run": "echo out of a"}, "b": f"echo again; {wait}"}, file="new.yaml")
    engine = sluice.start("resume", sluice.id, "--file", path, "--accept-changes")
    until(lambda: b'"b","attempt":1' in sluice.raw() or b'"attempt":1,"step_id":"b"' in sluice.raw(), 60,
          of="b's second attempt")
    follower.send_signal(signal.SIGCONT)
    go.touch()
    engine.communicate(timeout=60)
    out, errors = follower.communicate(timeout=60)
    assert follower.returncode == 0, errors
    assert "again" in out and all(f"out of n{i}\n" in out for i in range(60))
    assert "out of a" not in out, "it was shown already"


# ----------------------------------------------------------------------------- damage, kills

@pytest.mark.parametrize("damage", ["missing", "other", "empty"])
def test_s9_3_without_the_whole_definition_the_run_is_damaged(sluice, damage):
    failed(sluice)
    take(sluice, say("a") | {"b": "exit 2"} | say("c"), code=1)
    event = sluice.log().of("run.resumed")[0]
    blob = sluice.run_dir() / "blobs" / event["definition_hash"]
    if damage == "missing":
        blob.unlink()
    else:
        blob.write_text(blob.read_text().replace("exit 2", "exit 0") if damage == "other" else "")
    before = sluice.raw()
    sluice("resume", sluice.id, code=7)
    sluice("verify", sluice.id, code=7)
    assert "failed" in sluice("status", sluice.id, code=7).stdout
    assert sluice.raw() == before


def test_s9_3_the_blob_store_cannot_be_written(sluice):
    failed(sluice)
    (sluice.run_dir() / "blobs").write_text("not a folder")
    before = sluice.raw()
    assert take(sluice, say("a", "b", "c"), code=None).code == 7
    assert sluice.raw() == before


@pytest.mark.usefixtures("need_strace")
@pytest.mark.parametrize("most", [30, pytest.param(10**6, marks=pytest.mark.slow)])
def test_s9_3_a_kill_at_any_call_leaves_one_of_the_two_definitions_whole(sluice, most):
    failed(sluice)
    new = sluice.pipeline(say("a", "b", "c"), file="new.yaml")
    words = ("resume", sluice.id, "--file", new, "--accept-changes")
    saved = sluice.root / "saved"
    shutil.copytree(sluice.run_dir(), saved)
    trace = sluice.root / "trace"
    sluice(*words, prefix=("strace", "-qq", "-o", trace), code=0)
    for point in spread(read_trace(trace, after="events.jsonl"), most):
        until(lambda: not sluice.keepers(), of="the keeper's own end")
        shutil.rmtree(sluice.run_dir())
        shutil.copytree(saved, sluice.run_dir())
        (sluice.root / "count").unlink(missing_ok=True)
        killed = sluice(*words, prefix=kill_at(point))
        assert killed.code in (0, -signal.SIGKILL), (point, killed)
        whole = sluice.log(torn=True)
        taken = bool([e for e in whole.of("run.resumed") if "changes" in e])
        if not taken:
            assert not count(sluice), (point, "the old definition does not run again by itself")
        end = sluice("resume", sluice.id)
        if whole.of("run.resumed") and not taken:
            raise AssertionError((point, "resumed without its changes"))
        assert end.code == (0 if taken else 1), (point, end)
        assert set(count(sluice)) == ({"b", "c"} if taken else {"b"}), (point, count(sluice))
        sluice.log(ended="succeeded" if taken else "failed")


def test_explain_says_that_a_resume_changed_the_definition_S9_3(sluice):
    sluice.go({"a": "true", "b": "exit 1"}, code=1)
    other = sluice.pipeline({"a": "true", "b": "true"}, file="other.yaml")
    sluice("resume", sluice.id, code=1)
    assert "definition" not in sluice("explain", sluice.id, code=0).stdout
    sluice("resume", sluice.id, "--file", other, "--accept-changes", code=0)
    assert "  its definition was changed on a resume (evt_" in sluice("explain", sluice.id, code=0).stdout


def test_max_parallel_of_the_start_is_no_difference_S9_3(sluice):
    steps = {"a": "true", "b": "exit 1"}
    sluice.go(steps, "--max-parallel", "3", code=1, concurrency=2)
    again = sluice("resume", sluice.id, "--file", sluice.root / "pipeline.yaml", "--check", code=0)
    assert "concurrency" not in again.stdout and "Definition" not in again.stdout
    sluice("resume", sluice.id, "--file", sluice.root / "pipeline.yaml", code=1)
    assert b'"changes"' not in sluice.raw()
    other = sluice.pipeline(steps, file="other.yaml", concurrency=4)
    told = sluice("resume", sluice.id, "--file", other, code=3)
    assert "concurrency" in told.stdout
    other = sluice.pipeline({"a": "true", "b": "true"}, file="other.yaml", concurrency=2)
    told = sluice("resume", sluice.id, "--file", other, "--accept-changes", code=0)
    assert "concurrency" not in told.stderr
    assert json.loads(sluice("status", sluice.id, "--json", code=0).stdout)["concurrency"] == 3
