"""The history database: list with it equals list without it (S1.1, S12), whatever happens between.

What is true is what the logs say. A library that cannot be loaded makes `list` read them, so each test
compares the two ways."""
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

from pipelines import APPROVAL, FAILING, GOOD, SLOW

DATABASE = "sluice.db"


@pytest.fixture
def without(tmp_path):
    """The environment of a machine without SQLite: the loader finds a file that is no library."""
    folder = tmp_path / "no-sqlite"
    folder.mkdir()
    (folder / "libsqlite3.so.0").write_text("not a library")
    return {"LD_LIBRARY_PATH": str(folder)}


def rows(sluice, *words, env=None):
    done = subprocess.run(sluice.command("list", "--limit", "1000", "-o", "jsonl", *words), cwd=sluice.work,
                          env={**sluice.env, **(env or {})}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def same(sluice, without, *words):
    """The rows, which must be those of the logs."""
    indexed, said = rows(sluice, *words)
    read, note = rows(sluice, *words, env=without)
    assert indexed == read and said == "" and "note: load libsqlite3" in note
    return indexed


def ids(found):
    return sorted(row["run_id"] for row in found)


def go(sluice, text, run, check):
    sluice.run("run", "-q", sluice.write(f"{run}.yaml", text), "--run-id", run, check=check)


def settle():
    """A file that changed within the last two seconds is looked at again in any case."""
    time.sleep(2.2)


def test_s12_run_neither_makes_the_database_nor_loads_its_library(sluice):
    path = sluice.write("p.yaml", GOOD)
    done = subprocess.run(sluice.command("run", path), cwd=sluice.work, env={**sluice.env, "LD_DEBUG": "files"},
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "libc.so" in done.stderr and "sqlite" not in done.stderr
    assert not (sluice.home / DATABASE).exists()


def test_s12_list_of_nothing_makes_nothing(sluice):
    assert rows(sluice) == ([], "") and not sluice.home.exists()


def test_s12_the_database_is_ours_alone(sluice):
    go(sluice, GOOD, "one", 0)
    assert ids(rows(sluice)[0]) == ["one"]
    for name in (DATABASE, DATABASE + "-wal", DATABASE + "-shm"):
        path = sluice.home / name
        assert not path.exists() or path.stat().st_mode & 0o777 == 0o600


def test_s12_the_tables_of_system_b_are_there(sluice):
    go(sluice, FAILING, "bad", 1)
    rows(sluice)
    with sqlite3.connect(sluice.home / DATABASE) as database:
        events = database.execute("SELECT step_id, event_type, idempotency_key FROM core_workflow_events"
                                  " WHERE run_id = 'bad' ORDER BY id").fetchall()
        points = database.execute("SELECT step_name, context_snapshot FROM core_workflow_checkpoints").fetchall()
    assert [row[:2] for row in events] == [
        (None, "started"), ("first", "started"), ("first", "completed"), ("second", "started"),
        ("second", "failed"), ("third", "skipped"), (None, "failed")]
    assert events[0][2] == "bad/1" and len({row[2] for row in events}) == len(events)
    assert [row[0] for row in points] == ["first"] and json.loads(points[0][1])["params"] == {}


def test_s12_a_missing_library_is_said_once_and_nothing_is_wrong(sluice, without):
    go(sluice, GOOD, "one", 0)
    found, said = rows(sluice, env=without)
    assert ids(found) == ["one"] and said.count("\n") == 1 and "install SQLite" in said
    assert not (sluice.home / DATABASE).exists()
    assert rows(sluice, "-q", env=without)[1] == ""


@pytest.mark.whole
def test_s12_runs_that_end_are_resumed_deleted_and_restored_are_seen(sluice, without):
    go(sluice, GOOD, "good", 0)
    go(sluice, FAILING.replace("exit 3", "test -e fixed"), "bad", 1)
    go(sluice, APPROVAL, "ask", 4)
    settle()
    assert ids(same(sluice, without)) == ["ask", "bad", "good"]
    (sluice.work / "fixed").write_text("")
    sluice.run("resume", "bad", check=0)
    assert {row["run_id"]: row["state"] for row in same(sluice, without)}["bad"] == "succeeded"
    sluice.run("reject", "ask", "ask", "--reason", "no", "--as", "ann")
    same(sluice, without)
    kept = sluice.folder / "kept"
    shutil.move(sluice.home / "runs" / "good", kept)
    assert ids(same(sluice, without)) == ["ask", "bad"]
    assert "good" in ids(same(sluice, without, "--removed"))
    assert ids(same(sluice, without, "--state", "removed")) == ["good"]
    settle()
    same(sluice, without)
    shutil.copytree(kept, sluice.home / "runs" / "good")
    assert ids(same(sluice, without)) == ["ask", "bad", "good"]
    assert ids(same(sluice, without, "--removed")) == ["ask", "bad", "good"]


def test_s12_a_list_without_a_result_looks_only_at_what_it_shows_and_the_next_one_is_right(sluice, without, need_strace):
    go(sluice, FAILING.replace("exit 3", "test -e fixed"), "old", 1)
    go(sluice, FAILING, "new", 1)
    settle()
    assert ids(same(sluice, without)) == ["new", "old"]
    (sluice.work / "fixed").write_text("")
    sluice.run("resume", "old", check=0)
    calls = sluice.folder / "calls"
    done = subprocess.run(["strace", "-f", "-o", calls, "-e", "trace=file", *sluice.command("list", "--limit", "1")],
                          cwd=sluice.work, env={**sluice.env, "ASAN_OPTIONS": "detect_leaks=0"}, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0 and "new" in done.stdout and "old" not in done.stdout
    assert "new/events.jsonl" in calls.read_text() and "old/events.jsonl" not in calls.read_text()
    assert ids(same(sluice, without, "--result", "success")) == ["old"]
    assert {row["run_id"]: row["state"] for row in same(sluice, without)} == {"old": "succeeded", "new": "failed"}


def test_s12_a_run_that_is_restored_file_by_file_is_seen(sluice, without):
    go(sluice, GOOD, "good", 0)
    kept = sluice.folder / "kept"
    shutil.move(sluice.home / "runs" / "good", kept)
    (sluice.home / "runs" / "good").mkdir()
    settle()
    assert same(sluice, without) == [] and same(sluice, without) == []
    for path in kept.iterdir():
        if path.is_file():
            shutil.copy2(path, sluice.home / "runs" / "good" / path.name)
    assert ids(same(sluice, without)) == ["good"]


def test_s11_4_a_log_that_was_damaged_after_it_was_indexed_is_listed_as_such(sluice, without):
    go(sluice, GOOD, "good", 0)
    go(sluice, FAILING, "bad", 1)
    settle()
    same(sluice, without)
    for run in ("good", "bad"):
        log = sluice.log(run)
        log.write_bytes(log.read_bytes().replace(b'"runner"', b'"runnes"', 1))
    found = same(sluice, without)
    assert {row["state"] for row in found} == {"corrupt"} and {row["result"] for row in found} == {None}
    assert all(row["failure_reason"] for row in found)
    assert ids(same(sluice, without, "--state", "corrupt")) == ["bad", "good"]
    assert same(sluice, without, "--result", "active") == []


def test_s8_a_run_whose_engine_was_killed_is_interrupted_and_then_goes_on(sluice, without):
    process = sluice.start("run", sluice.write("s.yaml", SLOW.replace("sleep 30", "until test -e go; do sleep 0.05; done")),
                           "--run-id", "cut")
    sluice.wait_for("cut", "executing")
    assert rows(sluice)[0][0]["state"] == "executing"
    assert ids(rows(sluice, "--result", "active")[0]) == ["cut"]
    process.kill()
    process.communicate()
    assert same(sluice, without)[0]["state"] == "interrupted"
    settle()
    assert same(sluice, without)[0]["state"] == "interrupted"
    (sluice.work / "go").touch()
    sluice.run("resume", "cut", check=0)
    assert same(sluice, without)[0]["state"] == "succeeded"


def garbage(path):
    path.write_bytes(os.urandom(8192))


def cut(path):
    path.write_bytes(path.read_bytes()[:5000])


def holes(path):
    content = bytearray(path.read_bytes())
    for at in range(4096, len(content), 4096):
        content[at:at + 200] = bytes(200)
    path.write_bytes(content)


def other_version(path):
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 77")
    database.close()


def other_tables(path):
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE steps")
        database.execute("DROP TABLE runs")
    database.close()


@pytest.mark.parametrize("harm", [garbage, cut, holes, other_version, other_tables])
def test_d33_s12_a_damaged_database_is_put_aside_and_made_anew(sluice, without, harm):
    go(sluice, GOOD, "good", 0)
    go(sluice, FAILING, "bad", 1)
    rows(sluice)
    harm(sluice.home / DATABASE)
    assert ids(same(sluice, without)) == ["bad", "good"]
    assert (sluice.home / (DATABASE + ".damaged")).exists()
    assert ids(same(sluice, without)) == ["bad", "good"]


def test_s12_something_else_in_the_place_of_the_database_is_said_and_left_alone(sluice):
    go(sluice, GOOD, "good", 0)
    (sluice.home / DATABASE).mkdir()
    found, said = rows(sluice)
    assert ids(found) == ["good"] and "note: " in said and DATABASE in said
    assert (sluice.home / DATABASE).is_dir()


def test_s12_many_processes_index_at_once_and_one_is_killed(sluice, without):
    go(sluice, GOOD, "first", 0)
    for n in range(60):
        shutil.copytree(sluice.home / "runs" / "first", sluice.home / "runs" / f"copy{n}")
    racing = [sluice.start("list", "--limit", "1000", "-o", "jsonl") for _ in range(5)]
    racing[0].send_signal(signal.SIGKILL)
    answers = [process.communicate()[0] for process in racing][1:]
    for answer in answers:
        assert len(answer.splitlines()) == 61
    assert len(same(sluice, without)) == 61


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_s12_any_history_is_the_fold_of_its_logs(sluice, without, seed):
    rand = random.Random(seed)
    runs = sluice.home / "runs"
    kept = sluice.folder / "kept"
    kept.mkdir()
    go(sluice, GOOD, "r0", 0)
    number = 0

    def start():
        nonlocal number
        number += 1
        text, status = rand.choice([(GOOD, 0), (FAILING, 1), (APPROVAL, 4)])
        go(sluice, text, f"r{number}", status)

    def one():
        return rand.choice(sorted(runs.iterdir()))

    def remove():
        run = one()
        if not (kept / run.name).exists():
            shutil.move(run, kept / run.name)

    def restore():
        for run in sorted(kept.iterdir()):
            if not (runs / run.name).exists():
                shutil.copytree(run, runs / run.name)

    def decide():
        sluice.run("approve", one().name, "ask", "--reason", "ok", "--as", "ann")

    def resume():
        sluice.run("resume", one().name)

    def cut_log():
        log = one() / "events.jsonl"
        lines = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(lines[:-1]) + lines[-1][:rand.randrange(1, len(lines[-1]))])

    def harm():
        log = one() / "events.jsonl"
        content = bytearray(log.read_bytes())
        content[rand.randrange(len(content))] ^= 1
        log.write_bytes(content)

    def forget():
        (sluice.home / DATABASE).unlink(missing_ok=True)

    def age():
        settle()
        rows(sluice)

    for _ in range(25):
        rand.choice([start, start, remove, restore, decide, resume, resume, cut_log, harm, forget, age])()
        if not any(runs.iterdir()):
            restore()
        if rand.random() < 0.6:
            same(sluice, without)
    same(sluice, without)


@pytest.mark.parametrize("words, hint", [
    (["--state", "active"], "states are"), (["--state", ""], "states are"), (["--result", "fine"], "results are"),
    (["--since", "soon"], "such as 24h")])
def test_s13_wrong_words_are_refused_with_what_is_right(sluice, words, hint):
    done = sluice.run("list", *words, check=2)
    assert done.stdout == "" and hint in done.stderr
