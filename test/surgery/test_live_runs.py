"""D31, D36, S11.2: what is done to the files of a run while it lives, and copies of it."""
import json
import os
import shutil
from pathlib import Path

import pytest
from test_files import FILES, STEPS, content, marked, replace

from support.sluice import until

LIVE = {**STEPS, "b": "echo b >>ran; while [ ! -e ok ]; do sleep 0.02; done"}


@pytest.fixture
def live(sluice):
    """A run in the middle of its second step; `ok` lets it go on."""
    sluice.engine = sluice.start("run", sluice.pipeline(LIVE), "--run-id", sluice.id)
    until(lambda: (sluice.root / "ran").exists(), of="b")
    return sluice


def put_back(path, aside):
    """What stands under the name goes, what was moved away comes back: for who judges, and would wait at a pipe."""
    if aside.exists():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        aside.rename(path)


def let_go(sluice):
    (sluice.root / "ok").touch()
    code = sluice.engine.wait(30)
    return code, sluice.engine.communicate()[1]


@pytest.mark.sweep(5)
@pytest.mark.parametrize("file", [*FILES, "logs", "out"])
@pytest.mark.parametrize("kind", marked(["a link", "gone", "a dangling link", "a pipe", "a directory", "a socket", "empty"]))
def test_d31_a_file_that_is_replaced_under_a_live_run_never_makes_another_end(live, file, kind):
    path, aside = live.run_dir() / file, live.root / "aside"
    if not path.exists():
        pytest.skip(f"a run has no {file} by then")
    raw, before = live.raw(), content(path)
    replace(path, kind, aside)
    code, said = let_go(live)
    assert code in (0, 1, 7, 10), said
    assert code in (0, 1) or said.strip(), "it says why"
    ran = (live.root / "ran").read_text()
    assert ran in ("b\n", "b\nc\n"), "S8.2: nothing runs twice"
    if aside.exists() and file != "logs" and kind in ("a link", "a pipe", "a directory", "a socket"):
        assert file in ("run.lock", "keeper.lock", "attempts.log", "blobs", "out") or content(aside) == before, "nothing is written to what was moved away"
    if file == "events.jsonl":
        assert code in (7, 10) and ran == "b\n", "S11.3: no more steps"
    elif code == 0 and kind != "empty":
        put_back(path, aside)
        log = live.log(ended="succeeded")
        assert live.raw().startswith(raw) and json.loads(log.lines[0])


def edit(sluice, deed):
    """Something happens to the log in place; answers what must be in it afterwards, or None: as it is then."""
    path, aside = sluice.run_dir() / "events.jsonl", sluice.root / "aside"
    raw = path.read_bytes()
    if deed == "another file with the same bytes":
        path.rename(aside)
        path.write_bytes(raw)
    elif deed == "replaced by rename":
        aside.write_bytes(raw)
        aside.rename(path)
    elif deed == "moved away":
        path.rename(aside)
        return None
    elif deed == "cut":
        os.truncate(path, len(raw) - len(raw.splitlines(True)[-1]))
    elif deed == "emptied":
        os.truncate(path, 0)
    elif deed == "appended to":
        with path.open("ab") as log:
            log.write(raw.splitlines(True)[-1])
    elif deed == "a byte more":
        with path.open("ab") as log:
            log.write(b"x")
    elif deed == "another name for it":
        os.link(path, aside)
    return path.read_bytes()


DEEDS = ["another file with the same bytes", "replaced by rename", "moved away", "cut", "emptied", "appended to", "a byte more",
         "another name for it"]


@pytest.mark.sweep(3)
@pytest.mark.parametrize("deed", DEEDS)
def test_d31_an_engine_writes_no_byte_to_a_log_that_somebody_touched(live, deed):
    """S11.2, S11.3: before each write the file must be as it was left; nothing is started then."""
    left = edit(live, deed)
    code, said = let_go(live)
    assert code in (7, 10) and "events.jsonl" in said, (code, said)
    assert (live.root / "ran").read_text() == "b\n"
    path = live.run_dir() / "events.jsonl"
    assert (path.read_bytes() if path.exists() else None) == left
    if deed in ("another name for it", "moved away"):
        put_back(path, live.root / "aside")
    if deed in ("another file with the same bytes", "replaced by rename", "another name for it", "moved away", "a byte more", "cut"):  # a cut at the end of a line: S11.2
        live("resume", live.id, code=0)
        live.log(ended="succeeded")
        assert (live.root / "ran").read_text() == "b\nc\n"
    else:
        assert live("resume", live.id).code in (7, 9)


# --- copies of a live run

def test_d36_a_copy_that_is_resumed_leaves_the_commands_of_the_original_alone(live):
    """The records of the keeper are in the copy, too: what they name is not the copy's."""
    shutil.copytree(live.run_dir(), live.run_dir(live.id + "-copy"))
    done = live("resume", str(live.run_dir(live.id + "-copy")))
    assert done.code == 1 and "lost" in done.stdout + done.stderr, done
    code, said = let_go(live)
    assert code == 0, said
    live.log(ended="succeeded")


def copy_of(folder, to, is_log_first=False):
    """File by file, as backups do: what came before the log saw no more than it has; or the log first."""
    def take(source, target):
        with_contents = Path(source)
        if with_contents.is_file() and not with_contents.is_symlink():
            shutil.copy2(source, target)
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    if is_log_first:
        shutil.copy2(folder / "events.jsonl", to)
    shutil.copytree(folder, to, copy_function=take, ignore=shutil.ignore_patterns("events.jsonl", ".*"), dirs_exist_ok=True)
    if not is_log_first:
        shutil.copy2(folder / "events.jsonl", to)


def copies_of_a_live_run(sluice, is_log_first=False):
    """Copies of a run of sixty steps: five while it waits in its tenth, up to forty while it goes on from there."""
    last = 'echo n=1 >"$SLUICE_OUTPUT"'
    steps = {f"s{n}": {"run": last if n != 10 else f"while [ ! -e ok ]; do sleep 0.02; done; {last}", "on_lost": "rerun"} for n in range(60)}
    engine = sluice.start("run", sluice.pipeline(steps, checkpoint={"every": 3}), "--run-id", sluice.id)
    sluice.wait_event("step.started", "s10", timeout=60)
    copies = []
    while engine.poll() is None and len(copies) < 40:
        to = sluice.root / f"copy-{len(copies)}"
        try:
            copy_of(sluice.run_dir(), to, is_log_first)
        except (FileNotFoundError, shutil.Error):
            continue  # a checkpoint was replaced meanwhile
        copies.append(to)
        if len(copies) == 5:
            (sluice.root / "ok").touch()
    assert engine.wait(120) == 0
    logs = [(copy / "events.jsonl").read_bytes() for copy in copies]
    assert all(sluice.raw().startswith(log) for log in logs) and all(len(log) < len(sluice.raw()) for log in logs[:5])
    return copies


@pytest.mark.slow
def test_d36_copies_made_while_it_is_written_are_runs_at_some_earlier_point(sluice):
    """S11.2, S12: whole or with a torn tail; each can be looked at, and gone on with."""
    for number, copy in enumerate(copies_of_a_live_run(sluice)):
        raw = (copy / "events.jsonl").read_bytes()
        sluice("verify", copy, code=0)
        sluice("status", copy, code=0)
        if number % 8 == 0:
            sluice("resume", copy, code=0)
            assert (copy / "events.jsonl").read_bytes().startswith(raw[:raw.rfind(b"\n") + 1])
            sluice("verify", copy, code=0)


@pytest.mark.slow
def test_d36_copies_with_the_log_first_are_runs_or_refused_with_what_to_do(sluice):
    """S9.4: what came behind the log may have seen more than it has."""
    copies = copies_of_a_live_run(sluice, is_log_first=True)
    for copy in copies[:3]:  # these took until the run had ended
        shutil.copytree(sluice.run_dir(), f"{copy}-late")
        shutil.copy2(copy / "events.jsonl", f"{copy}-late")
    ends = {0: [], 7: []}
    for copy in [*copies, *(Path(f"{copy}-late") for copy in copies[:3])]:
        done = sluice("verify", copy, code=(0, 7))
        if done.code == 7:
            assert "has seen event" in done.stdout + done.stderr and "hint: put the whole log back" in done.stderr, done
        else:
            assert "Log: whole" in done.stdout or "Log: torn tail" in done.stdout, done
        ends[done.code].append(copy)
    assert {f"copy-{n}-late" for n in range(3)} <= {copy.name for copy in ends[7]}
    for code, copy in [(0, copy) for copy in ends[0][::8]] + [(7, copy) for copy in ends[7][::8]]:
        done = sluice("resume", copy, code=code)
        assert code == 0 or "hint: put the whole log back" in done.stderr, done
        sluice("verify", copy, code=code)


def test_d36_a_copy_whose_log_is_older_than_its_checkpoint_says_what_to_do(sluice):
    """The log was copied first, and the run ended meanwhile: the same as a log that was cut (S9.4)."""
    sluice.go({"a": "true", "b": "true"})
    copy = sluice.root / "copy"
    shutil.copytree(sluice.run_dir(), copy)
    log = copy / "events.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(True)[:4]))
    done = sluice("resume", copy, code=7)
    assert "checkpoint.json has seen" in done.stderr and "remove checkpoint.json" in done.stderr
    (copy / "checkpoint.json").unlink()
    sluice("resume", copy, code=0)
    sluice("verify", copy, code=0)
