"""reindex: runs.jsonl and the history database from the logs, while runs go on (S1.1, S12)."""
import fcntl
import json
import shutil
import struct
import threading
import time

import pytest

from pipelines import APPROVAL, FAILING, GATE, GOOD, SLOW
from test_history import go, ids, rows, without  # noqa: F401

F_OFD_SETLK = 37


def records(sluice):
    """The last line of each id, as bytes, in the order of the file."""
    last = {}
    for line in (sluice.home / "runs.jsonl").read_bytes().splitlines():
        run = json.loads(line)["run_id"]
        last.pop(run, None)
        last[run] = line
    return last


@pytest.fixture
def many(sluice):
    go(sluice, GOOD, "good", 0)
    go(sluice, FAILING.replace("exit 3", "test -e fixed"), "fixed", 1)
    go(sluice, GATE, "gate", 1)
    go(sluice, APPROVAL, "ask", 4)
    (sluice.work / "fixed").write_text("")
    sluice.run("resume", "fixed", check=0)
    return sluice


@pytest.mark.parametrize("harm", ["delete", "empty", "garbage", "nothing"])
def test_d32_s12_the_records_are_those_that_the_runs_wrote(many, harm):
    path = many.home / "runs.jsonl"
    before = records(many)
    if harm == "delete":
        path.unlink()
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "garbage":
        path.write_bytes(b'{"run_id": "good", "result": "failed"}\n\0\xff{{{\n' + path.read_bytes()[:300])
    done = many.run("reindex", check=0)
    assert "Runs: 4 (1 not ended, 0 damaged)\n" in done.stdout and "Database: sluice.db\n" in done.stdout
    assert list(records(many).items()) == list(before.items())
    assert path.read_bytes().count(b"\n") == 3 and path.stat().st_mode & 0o777 == 0o600
    assert ids(rows(many)[0]) == ["ask", "fixed", "gate", "good"]


def test_s12_the_records_of_runs_that_are_gone_stay_as_they_are(many):
    old = b'{"result": "success", "run_id": "old", "started_at": "2020-01-01T00:00:00+00:00", "metadata": ' \
          b'{"force_lock_clear": true}, "later": [1,  2]}'
    path = many.home / "runs.jsonl"
    path.write_bytes(old + b"\n" + path.read_bytes())
    shutil.rmtree(many.home / "runs" / "good")
    done = json.loads(many.run("reindex", "--json", check=0).stdout)
    assert done == {"runs": 3, "unfinished": 1, "records": 4, "records_kept": 2, "database": True, "damaged": []}
    found = records(many)
    assert sorted(found) == ["fixed", "gate", "good", "old"] and found["old"] == old


def test_s11_4_damaged_runs_are_named_and_the_others_are_done(many):
    before = records(many)
    for run in ("good", "ask"):
        log = many.log(run)
        log.write_bytes(log.read_bytes().replace(b'"runner"', b'"runnes"', 1))
    done = many.run("reindex", check=7)
    assert "Runs: 4 (0 not ended, 2 damaged)\n" in done.stdout
    assert "\nDamaged: ask: " in done.stdout and "\nDamaged: good: " in done.stdout
    assert "2 of 4 runs are damaged" in done.stderr and "sluice verify" in done.stderr
    assert records(many) == before  # what was once known of `good` is not thrown away
    assert {row["run_id"]: row["state"] for row in rows(many)[0]}["good"] == "corrupt"


def test_s12_without_the_library_the_records_are_made_all_the_same(many, without):  # noqa: F811
    before = records(many)
    (many.home / "runs.jsonl").unlink()
    many.env.update(without)
    done = many.run("reindex", check=0)
    assert "Database: none\n" in done.stdout and "note: load libsqlite3" in done.stderr
    assert records(many) == before


def test_s12_a_run_that_ends_waits_for_the_lock_and_loses_nothing(many):
    with (many.home / "runs.jsonl").open("r+b") as index:
        fcntl.fcntl(index, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        process = many.start("run", many.write("g.yaml", GOOD), "--run-id", "late")
        many.wait_for("late", "succeeded")
        assert "late" not in records(many)
    assert process.wait(timeout=20) == 0 and "late" in records(many)
    assert b"projection.failed" not in many.log("late").read_bytes()


@pytest.mark.slow
def test_s12_runs_that_end_during_reindexing_are_all_recorded(sluice):
    path = sluice.write("g.yaml", GOOD)
    ended = []

    def run_some(letter):
        for n in range(25):
            sluice.run("run", "-q", path, "--run-id", f"{letter}{n}", check=0)
            ended.append(f"{letter}{n}")
    threads = [threading.Thread(target=run_some, args=(letter,)) for letter in "abc"]
    for thread in threads:
        thread.start()
    turns = 0
    while any(thread.is_alive() for thread in threads):
        sluice.run("reindex", check=0)
        turns += 1
    for thread in threads:
        thread.join()
    assert turns > 3 and len(ended) == 75
    assert sorted(records(sluice)) == sorted(ended) == ids(rows(sluice)[0])


def test_s12_nothing_to_index_writes_nothing(sluice):
    assert sluice.run("reindex", check=0).stdout == "Runs: 0 (0 not ended, 0 damaged)\n" \
        "Records: 0 in runs.jsonl\nDatabase: none\n"
    assert not sluice.home.exists()


def test_s8_a_run_that_goes_on_is_not_ended(sluice):
    process = sluice.start("run", sluice.write("s.yaml", SLOW), "--run-id", "live")
    sluice.wait_for("live", "executing")
    assert "Runs: 1 (1 not ended" in sluice.run("reindex", check=0).stdout
    sluice.run("stop", "live", check=0)
    assert process.wait(timeout=20) == 6 and json.loads(records(sluice)["live"])["result"] == "stopped"


def test_s13_what_reindex_refuses(many):
    assert "is used as" in many.run("reindex", "word", check=2).stderr
    assert "not a format" in many.run("reindex", "-o", "csv", check=2).stderr
    (many.home / "runs.jsonl").unlink()
    (many.home / "runs.jsonl").mkdir()
    done = many.run("reindex")
    assert done.returncode != 0 and "runs.jsonl" in done.stderr and done.stdout == ""


# --------------------------------------------------------------------------------- reindex --all

def kept(sluice, run):
    return {name: (sluice.home / "runs" / run / name).read_bytes() for name in ("checkpoint.json", "audit.jsonl")}


def test_d32_s9_4_all_makes_what_runs_keep_beside_their_logs_anew(many):
    before = {run: kept(many, run) for run in ("good", "fixed", "gate", "ask")}
    for run, files in before.items():
        for name in files:
            (many.home / "runs" / run / name).write_bytes(b"{}\n" if run == "good" else b"")
    (many.home / "runs" / "ask" / "audit.jsonl").unlink()
    many.run("reindex", check=0)
    assert kept(many, "gate") == {"checkpoint.json": b"", "audit.jsonl": b""}, "not without --all"
    done = many.run("reindex", "--all", check=0)
    assert "Projections: made anew in 4 runs, not in 0\n" in done.stdout
    for run, files in before.items():
        assert kept(many, run)["audit.jsonl"] == files["audit.jsonl"]
        old, new = (json.loads(each["checkpoint.json"]) for each in (files, kept(many, run)))
        assert {**old, "saved_at": None} == {**new, "saved_at": None}
        many.run("verify", run, check=0)
    many.run("resume", "ask", check=4)


def test_s9_4_all_leaves_a_live_run_alone_and_says_so(sluice):
    go(sluice, GOOD, "good", 0)
    process = sluice.start("run", sluice.write("slow.yaml", SLOW), "--run-id", "slow")
    sluice.wait_for("slow", "executing")
    log = sluice.log("slow").read_bytes()
    told = json.loads(sluice.run("reindex", "--all", "--json", check=0).stdout)
    assert told["rebuilt"] == 1 and [(left["run_id"], left["live"]) for left in told["not_rebuilt"]] == [("slow", True)]
    assert str(process.pid) in told["not_rebuilt"][0]["reason"]
    assert "Left alone: slow: " in sluice.run("reindex", "--all", check=0).stdout
    assert sluice.log("slow").read_bytes() == log
    process.terminate()
    process.communicate(timeout=20)
    sluice.run("stop", "slow", "--now")


def test_s9_4_all_writes_nothing_where_the_log_was_cut(many):
    path = many.log("gate")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    before = kept(many, "gate")
    done = many.run("reindex", "--all", check=7)
    assert "Not made anew: gate: " in done.stdout and "made anew in 3 runs, not in 1" in done.stdout
    assert "sluice verify gate" in done.stderr and kept(many, "gate") == before


def test_s12_all_without_any_run_is_nothing_to_do(sluice):
    assert "made anew in 0 runs" in sluice.run("reindex", "--all", check=0).stdout
    assert not sluice.home.exists()
    sluice.run("reindex", "--all=yes", check=2)
