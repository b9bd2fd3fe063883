"""gc: old runs go, whole; nothing else is touched (S12, C19)."""
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

from pipelines import GOOD

SOON = ("--older-than", "1ms")


@pytest.fixture
def runs(sluice):
    """A state directory with some runs that have ended."""
    sluice.good = sluice.write("good.yaml", GOOD)
    sluice.other = sluice.write("other.yaml", GOOD.replace("demo", "other"))
    sluice.bad = sluice.write("bad.yaml", "pipeline: demo\nsteps: {a: {run: exit 3}}\n")
    for name, path, code in (("r1", sluice.good, 0), ("r2", sluice.good, 0), ("r3", sluice.other, 0), ("bad", sluice.bad, 1)):
        sluice.run("run", "-q", path, "--run-id", name, check=code)
    time.sleep(0.01)
    return sluice


def names(sluice):
    return sorted(os.listdir(sluice.home / "runs"))


def verdicts(done):
    return {row["run_id"]: row["verdict"] for row in json.loads(done.stdout)["runs"]}


def hold(file):
    """An exclusive lock of the open file, as the owner of a run has it (F_OFD_SETLK)."""
    fcntl.fcntl(file, 37, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0) + b"\0" * 4)


def tree(folder):
    return sorted((path, os.lstat(os.path.join(where, path)).st_ino) for where, dirs, files in os.walk(folder)
                  for path in dirs + files)


def test_old_runs_go_and_keep_their_history(runs):
    before = (runs.home / "runs.jsonl").read_text()
    text = runs.run("gc", *SOON, check=0).stdout
    assert names(runs) == [] and os.listdir(runs.home / "trash") == []
    assert text.count("removed  ") == 4 and "4 runs removed: " in text and "KiB" in text
    assert (runs.home / "runs.jsonl").read_text() == before
    runs.run("status", "r1", check=9)
    assert "0 runs removed: 0 B" in runs.run("gc", *SOON, check=0).stdout


def test_young_runs_stay(runs):
    assert "0 runs removed" in runs.run("gc", "--older-than", "1h", check=0).stdout
    assert len(names(runs)) == 4


def test_a_dry_run_changes_nothing(runs):
    before = tree(runs.home)
    done = runs.run("gc", *SOON, "--dry-run", check=0)
    assert tree(runs.home) == before and "4 runs would go" in done.stdout
    told = json.loads(runs.run("gc", *SOON, "--dry-run", "--json", check=0).stdout)
    assert told["dry_run"] is True and told["removed"] == 4 and tree(runs.home) == before
    used = sum(os.lstat(os.path.join(where, name)).st_blocks * 512
               for where, dirs, files in os.walk(runs.home / "runs") for name in dirs + files)
    assert told["bytes"] == used
    assert json.loads(runs.run("gc", *SOON, "--json", check=0).stdout)["bytes"] == used


@pytest.mark.sweep(2)
@pytest.mark.parametrize("words, gone", [
    (["--result", "failed"], ["bad"]),
    (["--result", "success"], ["r1", "r2", "r3"]),
    (["--result", "stopped"], []),
    (["--pipeline", "other"], ["r3"]),
    (["--pipeline", "demo", "--result", "success"], ["r1", "r2"]),
    (["--keep", "1"], ["r1", "r2"]),
    (["--keep", "2"], ["r1"]),
    (["--keep", "1", "--result", "success"], ["r1"]),
    (["--keep", "9"], []),
])
def test_what_goes_can_be_chosen(runs, words, gone):
    told = json.loads(runs.run("gc", *SOON, *words, "--json", check=0).stdout)
    assert sorted(row["run_id"] for row in told["runs"]) == gone
    assert names(runs) == sorted({"r1", "r2", "r3", "bad"} - set(gone))


def test_keep_alone_is_enough_to_say_what_is_old(runs):
    runs.run("gc", "--keep", "1", check=0)
    assert names(runs) == ["bad", "r3"]


@pytest.mark.sweep(3)
@pytest.mark.parametrize("words", [
    [], ["--older-than", "30"], ["--older-than", "0s"], ["--older-than", "-1d"], ["--older-than", ""],
    ["--keep", "0"], ["--keep", "-1"], ["--keep", "many"], ["--dry-run"], ["--older-than", "1d", "RUN"],
    ["--older-than", "1d", "--result", "active"], ["--older-than", "1d", "--result", "blocked"],
    ["--older-than", "1d", "-o", "csv"], ["--older-than", "99999999999999d"], ["--older-then", "1d"],
])
def test_wrong_use_removes_nothing_S13(runs, words):
    done = runs.run("gc", *words, check=2)
    assert done.stdout == "" and "hint: " in done.stderr and len(names(runs)) == 4
    assert not (runs.home / "trash").exists()


def test_nothing_is_made_where_there_is_nothing(sluice):
    assert "0 runs removed" in sluice.run("gc", *SOON, check=0).stdout
    assert not sluice.home.exists()


def test_a_live_run_and_one_whose_keeper_lives_stay(runs):
    path = runs.write("long.yaml", "pipeline: long\nsteps: {a: {run: sleep 30}}\n")
    process = runs.start("run", "-q", path, "--run-id", "live")
    try:
        runs.wait_for("live", "executing")
        for words in (["--dry-run"], []):
            assert verdicts(runs.run("gc", *SOON, "--pipeline", "long", *words, "--json", check=0)) == {"live": "kept"}
        process.send_signal(signal.SIGKILL)  # the keeper goes on
        process.wait()
        assert verdicts(runs.run("gc", *SOON, "--pipeline", "long", "--json", check=0)) == {"live": "kept"}
    finally:
        process.kill()
        process.communicate()

        stop = runs.start("resume", "-q", "live")
        time.sleep(0.3)
        runs.run("stop", "live", "--now")
        stop.communicate(timeout=30)


def test_an_ended_run_that_somebody_owns_or_whose_keeper_lives_stays(runs):
    for name in ("run.lock", "keeper.lock"):
        with open(runs.home / "runs" / "r1" / name, "a+b") as lock:
            hold(lock)
            for words in (["--dry-run"], []):
                told = runs.run("gc", *SOON, *words, "--json", "--result", "success", check=0)
                assert verdicts(told)["r1"] == "kept", name
        assert "r1" in names(runs)
    runs.run("gc", *SOON, check=0)
    assert "r1" not in names(runs)


@pytest.mark.parametrize("words", [[], ["--dry-run"]], ids=["gc", "dry"])
def test_a_keeper_that_is_just_going_is_waited_for(runs, words):
    """A run that ended is free some milliseconds later, when its keeper has gone."""
    with open(runs.home / "runs" / "r1" / "keeper.lock", "a+b") as lock:
        hold(lock)
        gc = runs.start("gc", *SOON, *words, "--json")
        time.sleep(0.2)
    rows = json.loads(gc.communicate(timeout=60)[0])["runs"]
    assert {row["verdict"] for row in rows if row["run_id"] == "r1"} == {"removed"}


def test_a_blocked_run_stays(runs):
    path = runs.write("ask.yaml", "pipeline: ask\nsteps: {a: {noop: true, gate: manual}}\n")
    runs.run("run", "-q", path, "--run-id", "asks", check=4)
    time.sleep(0.01)
    done = runs.run("gc", *SOON, check=0)
    assert re.search(r"^kept +asks .*blocked", done.stdout, re.M) and names(runs) == ["asks"]
    runs.run("stop", "asks", check=0)
    time.sleep(0.01)
    runs.run("gc", *SOON, check=0)
    assert names(runs) == []


def test_a_run_that_was_cut_off_stays(runs):
    log = runs.log("r1")
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:4]))
    done = runs.run("gc", *SOON, check=0)
    assert re.search(r"^kept +r1 .*resume it, or stop it", done.stdout, re.M) and names(runs) == ["r1"]


@pytest.mark.parametrize("damage", ["line", "first", "empty", "missing", "model"])
def test_a_damaged_run_stays_unless_it_is_asked_for(runs, damage):
    log = runs.log("r1")
    text = log.read_bytes()
    if damage == "line":
        log.write_bytes(text.replace(b"step.succeeded", b"step.suceeeded", 1))
    elif damage == "first":
        log.write_bytes(b"garbage\n" + text)
    elif damage == "empty":
        log.write_bytes(b"")
    elif damage == "missing":
        log.unlink()
    else:
        (runs.home / "runs" / "r1" / "pipeline.json").write_text("{}")
    time.sleep(0.01)
    done = runs.run("gc", *SOON, check=0)
    assert re.search(r"^kept +r1 ", done.stdout, re.M) and names(runs) == ["r1"]
    done = runs.run("gc", *SOON, "--damaged", check=0)
    assert re.search(r"^removed +r1 ", done.stdout, re.M) and names(runs) == []


def chained(lines, run_id):
    """Lines with a right chain again (S11.1)."""
    chain, out = hashlib.sha256(run_id.encode()).digest(), b""
    for line in lines:
        body = line[:-len(b',"h":"0123456789abcdef"}')]
        chain = hashlib.sha256(chain + body).digest()
        out += body + b',"h":"' + chain.hex()[:16].encode() + b'"}\n'
    return out


@pytest.mark.parametrize("old, new", [(b'"format":1', b'"format":2'), (b'"step.succeeded"', b'"step.glorified"')])
def test_a_log_of_a_newer_version_stays_even_then(runs, old, new):
    log = runs.log("r1")
    log.write_bytes(chained(log.read_bytes().replace(old, new).splitlines(), "r1"))
    runs.run("verify", "r1", check=11)
    done = runs.run("gc", *SOON, "--damaged", check=0)
    assert re.search(r"^kept +r1 ", done.stdout, re.M) and names(runs) == ["r1"]


# ---- hostile directories


def plant(runs, odd):
    """Make something odd of run r1; what must stay untouched outside of it."""
    run = runs.home / "runs" / "r1"
    outside = runs.folder / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    if odd == "link instead of the run":
        shutil.rmtree(run)
        os.symlink(outside, run)
    elif odd == "link to another run":
        shutil.rmtree(run)
        os.symlink("r3", run)
    elif odd == "file instead of the run":
        shutil.rmtree(run)
        run.write_text("x")
    elif odd == "link in it":
        os.symlink(outside, run / "logs" / "more")
    elif odd == "log is a link":
        (outside / "events.jsonl").write_bytes((run / "events.jsonl").read_bytes())
        (run / "events.jsonl").unlink()
        os.symlink(outside / "events.jsonl", run / "events.jsonl")
    elif odd == "pipe":
        os.mkfifo(run / "fifo")
    elif odd == "pipe for a lock":
        (run / "keeper.lock").unlink(missing_ok=True)
        os.mkfifo(run / "keeper.lock")
    elif odd == "socket":
        where = os.getcwd()
        os.chdir(run)
        socket.socket(socket.AF_UNIX).bind("s")
        os.chdir(where)
    elif odd == "hard link":
        os.link(outside / "precious", run / "logs" / "hard")
    elif odd == "deep":
        at = os.open(run, os.O_RDONLY)
        for _ in range(10000):
            os.mkdir("d", dir_fd=at)
            at, old = os.open("d", os.O_RDONLY, dir_fd=at), at
            os.close(old)
        os.close(at)
    elif odd == "other owner":
        os.chown(run / "pipeline.yaml", 12345, 12345)
    elif odd == "other owner of the run":
        os.chown(run, 12345, 12345)
    elif odd == "writable by all":
        os.chmod(run, 0o777)
    else:
        raise AssertionError(odd)
    time.sleep(0.01)  # older than SOON, where its change counts as its end
    return outside


ODD = ["link instead of the run", "link to another run", "file instead of the run", "link in it", "log is a link", "pipe",
       "pipe for a lock", "socket", "hard link", "deep", "writable by all"]
ROOT_ONLY = ["other owner", "other owner of the run"]


@pytest.mark.sweep(3)
@pytest.mark.parametrize("odd", ODD + ROOT_ONLY)
def test_c05_what_is_no_run_directory_is_refused_and_others_go_S12(runs, odd):
    if odd in ROOT_ONLY and os.geteuid() != 0:
        pytest.skip("needs root")
    outside = plant(runs, odd)
    before = tree(outside)
    dry = runs.run("gc", *SOON, "--damaged", "--dry-run", "--json", check=3)
    done = runs.run("gc", *SOON, "--damaged", "--json", check=3)
    for told in (dry, done):
        assert verdicts(told)["r1"] == "refused" and json.loads(told.stdout)["refused"] == 1
        assert "could not be removed" in told.stderr
    assert names(runs) == ["r1"] and tree(outside) == before
    assert (outside / "precious").read_text() == "x"
    assert os.listdir(runs.home / "trash") == []
    text = runs.run("gc", *SOON, "--damaged").stdout
    assert re.search(r"^refused +r1 ", text, re.M) and len(max(text.splitlines(), key=len)) < 400
    if odd == "deep":
        subprocess.run(["rm", "-rf", runs.home / "runs" / "r1"], check=True)


def test_what_commands_put_among_artifacts_goes_by_its_name_only(runs):
    outside = plant(runs, "hard link")
    run = runs.home / "runs" / "r1"
    (run / "logs" / "hard").unlink()
    folder = run / "artifacts" / "load.0"
    (folder / "locked").mkdir(parents=True)
    os.symlink(outside, folder / "link")
    os.symlink("/etc/passwd", folder / "locked" / "passwd")
    os.link(outside / "precious", folder / "hard")
    os.mkfifo(folder / "fifo")
    os.chmod(folder / "locked", 0o555)
    runs.run("gc", *SOON, check=0)
    assert names(runs) == [] and (outside / "precious").read_text() == "x" and os.path.exists("/etc/passwd")


def can_mount():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"],
                                                capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="mounts cannot be made here")
@pytest.mark.parametrize("mount", ["-t tmpfs none", "--bind {outside}"])
def test_no_other_file_system_is_entered_S12(runs, mount):
    outside = runs.folder / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    place = runs.home / "runs" / "r1" / "artifacts"
    place.mkdir()
    script = (f"mount {mount.format(outside=outside)} {place} && echo y > {place}/new && "
              f"{runs.binary} gc --older-than 1ms --json; echo $? >&2; cat {place}/new")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], env=runs.env, capture_output=True, text=True)
    assert '"refused": 1' in done.stdout and done.stdout.endswith("y\n") and done.stderr.endswith("3\n")
    assert names(runs) == ["r1"] and (outside / "precious").read_text() == "x"


def test_a_state_directory_that_others_may_write_in_is_refused(runs):
    os.chmod(runs.home / "runs", 0o777)
    done = runs.run("gc", *SOON, check=3)
    assert "others may write" in done.stderr and len(names(runs)) == 4


def test_a_trash_that_is_a_link_is_refused(runs):
    outside = runs.folder / "outside"
    outside.mkdir()
    (outside / "precious").mkdir()
    os.symlink(outside, runs.home / "trash")
    done = runs.run("gc", *SOON)
    assert done.returncode != 0 and "trash" in done.stderr and len(names(runs)) == 4
    assert (outside / "precious").exists()


def test_an_unwritable_state_directory_removes_nothing(runs):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    os.chmod(runs.home, 0o500)
    assert runs.run("gc", *SOON).returncode == 10 and len(names(runs)) == 4
    os.chmod(runs.home, 0o700)


# ---- leftovers


def test_a_start_that_was_cut_short_goes_after_an_hour_unless_it_is_under_way(runs):
    for name in (".new-young-00000000", ".new-old-00000000", ".new-held-00000000"):
        (runs.home / "runs" / name).mkdir()
        (runs.home / "runs" / name / "run.lock").write_text("")
        os.chmod(runs.home / "runs" / name, 0o700)
        if "young" not in name:
            os.utime(runs.home / "runs" / name, (time.time() - 4000,) * 2)
    with open(runs.home / "runs" / ".new-held-00000000" / "run.lock", "a+b") as lock:
        hold(lock)
        told = verdicts(runs.run("gc", "--older-than", "100d", "--json", check=0))
    assert told == {".new-old-00000000": "removed", ".new-held-00000000": "kept"}
    assert [name for name in names(runs) if name[0] == "."] == [".new-held-00000000", ".new-young-00000000"]


def test_what_a_killed_removal_left_goes_next_time(runs):
    os.mkdir(runs.home / "trash", 0o700)
    os.rename(runs.home / "runs" / "r1", runs.home / "trash" / "r1.01234567")
    (runs.home / "trash" / "r1.01234567" / "events.jsonl").unlink()
    assert '"leftovers": 1' in runs.run("gc", "--older-than", "1h", "--dry-run", "--json", check=0).stdout
    assert os.listdir(runs.home / "trash") == ["r1.01234567"]
    assert "and 1 leftover" in runs.run("gc", "--older-than", "1h", check=0).stdout
    assert os.listdir(runs.home / "trash") == []


def test_two_at_once_are_one_S13(runs):
    with open(runs.home / "gc.lock", "w") as lock:
        hold(lock)
        assert "another removal" in runs.run("gc", *SOON, check=8).stderr
    assert len(names(runs)) == 4


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("call", ["renameat2", "unlinkat", "fsync", "openat2", "getdents64", "statx", "fcntl"])
def test_killed_at_any_call_a_run_is_whole_or_gone(runs, call):
    """Kill gc at its n-th such call, for n = 1, 2 ...; runs that are still there verify, then all goes."""
    saved = runs.folder / "saved"
    shutil.copytree(runs.home, saved)
    for n in range(1, 200):
        shutil.rmtree(runs.home)
        shutil.copytree(saved, runs.home)
        done = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={n}",
                               runs.binary, "gc", *SOON], env=runs.env | {"ASAN_OPTIONS": "detect_leaks=0"},
                              capture_output=True)  # leaks are not found below strace
        for name in names(runs):
            runs.run("verify", name, check=0)
        runs.run("gc", *SOON, check=0)
        assert names(runs) == [] and os.listdir(runs.home / "trash") == []
        if done.returncode == 0:
            return
    raise AssertionError("it never came to an end")


def test_s12_what_later_starts_look_at_is_told_before_it_goes(sluice):
    """A partition or a key whose run is gone can be started again: gc says so, and so it is."""
    path = sluice.write("day.yaml", GOOD)
    bad = sluice.write("bad.yaml", "pipeline: demo\nsteps: {a: {run: exit 3}}\n")
    sluice.run("run", "-q", path, "--run-id", "day", "--partition", "2026-01-31", check=0)
    sluice.run("run", "-q", bad, "--run-id", "no", "--partition", "2026-02-01", check=1)
    sluice.run("run", "-q", path, "--idempotency-key", "order 7", check=0)
    key = next(name for name in names(sluice) if "-key-" in name)
    sluice.run("run", "-q", path, "--partition", "2026-01-31", check=3)
    time.sleep(0.01)
    text = sluice.run("gc", *SOON, "--dry-run", check=0).stdout
    assert "  partition 2026-01-31\n" in text and "  key order 7\n" in text
    assert text.splitlines()[-1].startswith("2 of them count for a partition or an idempotency key")
    told = json.loads(sluice.run("gc", *SOON, "--json", check=0).stdout)
    rows = {row["run_id"]: row for row in told["runs"]}
    assert told["forgotten"] == 2 and told["removed"] == 3
    assert (rows["day"]["partition"], rows["day"]["idempotency_key"]) == ("2026-01-31", None)
    assert (rows["no"]["partition"], rows[key]["idempotency_key"]) == ("2026-02-01", "order 7")
    sluice.run("run", "-q", path, "--partition", "2026-01-31", check=0)
    sluice.run("run", "-q", path, "--idempotency-key", "order 7", check=0)
    assert key in names(sluice) and len(names(sluice)) == 2


def test_s12_runs_that_no_start_looks_at_need_no_warning(runs):
    assert "partition" not in runs.run("gc", *SOON, check=0).stdout
