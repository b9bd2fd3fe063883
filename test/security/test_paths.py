"""S12, C19: names lead nowhere but where they say, also while somebody changes what they mean."""
import contextlib
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from support.sluice import until

GOOD = (0, 1, 2, 3, 5, 7, 8, 9, 10)
NO_RUN = 9
FILES = ["events.jsonl", "pipeline.json", "pipeline.yaml", "run.lock", "keeper.lock", "attempts.log", "checkpoint.json", "audit.jsonl", "logs/a.0.log"]


def canaries(folder):
    """Folders too: their times tell of a name that came and went."""
    return {path: (path.is_file() and path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
            for path in [folder, *sorted(folder.rglob("*"))]}


@pytest.fixture
def outside(sluice):
    """A file and a folder that nobody may touch."""
    folder = sluice.root / "outside"
    (folder / "logs").mkdir(parents=True)
    for name in FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("precious\n")
    return folder


@pytest.mark.sweep(5)
@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo", "directory", "dangling", "socket"])
@pytest.mark.parametrize("name", FILES)
def test_s12_a_planted_name_is_not_followed(sluice, outside, name, kind):
    """In place of each file of a run that failed: reading and going on harm nothing, hang never, and are refused or tell."""
    sluice.go({"a": "[ -e go ]"}, code=1)
    (sluice.root / "go").touch()
    place = sluice.run_dir() / name
    place.unlink(missing_ok=True)
    if kind == "symlink":
        place.symlink_to(outside / name)
    elif kind == "dangling":
        place.symlink_to(outside / "new")
    elif kind == "hard link":
        os.link(outside / name, place)
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    else:
        import socket
        with socket.socket(socket.AF_UNIX) as s, contextlib.suppress(OSError):
            cwd = os.getcwd()
            os.chdir(place.parent)
            try:
                s.bind(place.name)
            finally:
                os.chdir(cwd)
    before = canaries(outside)
    # A second name of a file of our own user is read like any: whoever made it could read it as well.
    shows = kind == "hard link" and name.startswith("logs/")
    for words in (["status"], ["summary"], ["events"], ["logs"], ["verify"], ["explain"], ["resume"], ["stop"], ["rollback"]):
        result = sluice(words[0], sluice.id, *words[1:], timeout=20)
        assert result.code in GOOD and (shows or "precious" not in result.stdout), (words, result)
    sluice("list", timeout=20)
    sluice("reindex", timeout=20)
    sluice("gc", "--keep", "0", "--older-than", "0s", timeout=20)
    assert canaries(outside) == before, "nothing outside was written to"
    assert not (outside / "new").exists()


@pytest.mark.parametrize("what", ["home", "runs", "run", "logs"])
def test_s12_a_directory_that_is_somebody_elses_link(sluice, outside, what):
    """A link in place of a directory below the state directory leads nowhere. The state directory itself may be one."""
    sluice.go({"a": "[ -e go ]"}, code=1)
    place = {"home": sluice.home, "runs": sluice.home / "runs", "run": sluice.run_dir(), "logs": sluice.run_dir() / "logs"}[what]
    place.rename(sluice.root / "moved")
    place.symlink_to(outside if what != "home" else sluice.root / "moved")
    before = canaries(outside)
    for verb in ("status", "resume", "logs", "verify"):
        result = sluice(verb, sluice.id, timeout=20)
        assert result.code in GOOD, (verb, result)
    sluice("gc", "--older-than", "0s", timeout=20)
    assert canaries(outside) == before


@pytest.mark.parametrize("plant", ["mkfifo {}", "ln {outside}/events.jsonl {}", "ln -s {outside}/events.jsonl {}", "mkdir {}", "mknod {} c 1 3"],
                         ids=["fifo", "hard link", "symlink", "directory", "device"])
def test_p21_a_step_that_plants_something_where_the_next_ones_output_goes(sluice, outside, plant):
    """The run stops, and can go on when it is gone; the keeper does not wait for the other end of a pipe."""
    before = canaries(outside)
    place = sluice.run_dir() / "logs/b.0.log"
    plant = plant.replace("{outside}", str(outside)).replace("{}", str(place))
    path = sluice.pipeline({"a": plant + " || exit 9", "b": "echo hi; touch ran"})
    result = sluice("run", path, "--run-id", sluice.id, timeout=30, code=(1, 10))
    if result.code == 1:
        pytest.skip("it cannot be planted here")
    assert not (sluice.root / "ran").exists() and canaries(outside) == before
    assert not sluice.log().of("step.failed"), "it is no fault of the step"
    if place.is_dir():
        place.rmdir()
    else:
        place.unlink()
    sluice("resume", sluice.id, code=0)
    assert (sluice.root / "ran").exists()


def test_s12_a_state_directory_of_somebody_else_is_told_of(sluice, need_root):
    """Sockets are in a directory whose owner is looked at: one of another user is refused."""
    place = sluice.sockets / "sluice"
    place.mkdir(mode=0o700)
    os.chown(place, 65534, 65534)
    path = sluice.pipeline({"a": "touch ran"})
    result = sluice("run", path, "--run-id", sluice.id)
    assert result.code not in (0,) and str(place) in result.stderr and not (sluice.root / "ran").exists(), result


def test_s12_a_directory_of_sockets_that_others_may_write_to_is_refused_or_closed(sluice):
    place = sluice.sockets / "sluice"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    path = sluice.pipeline({"a": "true"})
    result = sluice("run", path, "--run-id", sluice.id)
    assert result.code != 0 or place.stat().st_mode & 0o077 == 0, result


class Swapper(threading.Thread):
    """Directory, link to the outside, directory ... as fast as it goes, from the moment when it is there."""

    def __init__(self, place, target, aside=None):
        super().__init__(daemon=True)
        self.place, self.aside, self.is_over, self.swaps = Path(place), Path(aside or f"{place}.aside"), False, 0
        self.aside.symlink_to(target)
        import ctypes
        self.libc = ctypes.CDLL(None, use_errno=True)

    def exchange(self):
        return self.libc.renameat2(-100, os.fsencode(self.place), -100, os.fsencode(self.aside), 2) == 0

    def run(self):
        while not self.is_over:
            if not self.exchange():
                time.sleep(0.0001)
                continue
            self.swaps += 1
            if self.swaps % 51 == 0:  # an odd number: it rests as a link as often as not
                time.sleep(0.0005)

    def end(self):
        self.is_over = True
        self.join()
        if self.place.is_symlink():
            assert self.exchange()
        self.aside.unlink()


STEPS = [f"s{n}" for n in range(12)]
# The folder that it is in stays the same while its name does not, and a step is no part of what is tested.
WRITE = 'cd "${SLUICE_OUTPUT%/*}"; [ -e foreign ] || echo n=1 >"${SLUICE_OUTPUT##*/}"; echo mine'


def foreign_run(sluice, outside, run_id):
    """Another run of this name, somewhere else, which a resume would go on with. Answers its directory."""
    path = sluice.pipeline({step: {"run": "echo precious; exit 1", "needs": []} for step in STEPS},
                           file="foreign.yaml", pipeline="precious")
    sluice("run", path, "--run-id", run_id, code=1, env={"SLUICE_HOME": str(outside)})
    home = outside / "runs" / run_id
    until(lambda: not sluice.keepers(run_id), 60, of="its keeper's end")
    (home / "out").mkdir(exist_ok=True)
    (home / "out/foreign").touch()
    for step in STEPS:
        (home / f"out/{step}.0.json").write_text('{"outputs": {"n": "precious"}}\n')
    return home


def test_s12_a_link_among_the_runs_leads_nowhere_not_to_a_run_either(sluice, outside):
    target = foreign_run(sluice, outside, sluice.id)
    (sluice.home / "runs").mkdir(parents=True)
    sluice.run_dir().symlink_to(target)
    before = canaries(outside)
    for verb in ("status", "logs", "events", "verify", "explain", "resume", "rollback", "stop"):
        result = sluice(verb, sluice.id)
        assert result.code == NO_RUN and "precious" not in result.stdout + result.stderr, (verb, result)
    assert canaries(outside) == before
    sluice("status", target, code=0)


def swapped_run(sluice, path, run_id, place, target):
    """A run one of whose directories is swapped from its birth on. Answers how often, and all that was shown."""
    swapper = Swapper(place, target, sluice.root / "aside")
    swapper.start()
    shown = ""
    try:
        for words in (["run", path, "--run-id", run_id], *[[verb, run_id] for verb in ("resume", "logs", "status", "events") * 4],
                      ["gc", "--older-than", "1d"]):
            result = sluice(*words, timeout=60)
            assert result.code in GOOD, (words, result)
            shown += result.stdout + result.stderr
    finally:
        swapper.end()
    return swapper.swaps, shown


@pytest.mark.parametrize("what", ["logs", ".", "out"])
def test_c19_a_directory_that_is_swapped_for_a_link_while_it_is_used(sluice, outside, what):
    """Whoever owns the race never makes sluice read or write outside: who writes stops, and goes on later."""
    path = sluice.pipeline({step: {"run": WRITE, "needs": []} for step in STEPS}, concurrency=3)
    end, number, swaps, begun = time.monotonic() + 60, 0, 0, 0
    while number < 4 or (swaps < 500 or not begun) and time.monotonic() < end:
        run_id, number = f"{sluice.id}-{number}", number + 1
        target, home = foreign_run(sluice, outside, run_id), sluice.run_dir(run_id)
        before = canaries(outside)
        more, shown = swapped_run(sluice, path, run_id, home / what, target / what)
        swaps += more
        assert "precious" not in shown, shown
        assert canaries(outside) == before
        if not (home / "events.jsonl").exists():
            continue
        begun += len(sluice.log(run_id).of("step.succeeded"))
        sluice.resume_to_end(run_id)
        log = sluice.log(run_id, ended="succeeded")
        assert all(event.get("outputs", {"n": "1"}) == {"n": "1"} for event in log.of("step.succeeded")), run_id
        assert not [file for file in home.rglob("*") if file.is_file() and b"precious" in file.read_bytes()]
        assert canaries(outside) == before
    assert swaps >= 500 and begun, f"{swaps} swaps, {begun} steps meanwhile"


def test_c19_gc_beside_somebody_who_swaps_removes_nothing_outside(sluice, outside):
    for n in range(8):
        sluice("run", sluice.pipeline({"a": "echo x"}), "--run-id", f"{sluice.id}-{n}", code=0)
    before = canaries(outside)
    swappers = [Swapper(sluice.home / "runs" / f"{sluice.id}-{n}" / "logs", outside) for n in range(4)]
    for swapper in swappers:
        swapper.start()
    until(lambda: all(swapper.swaps for swapper in swappers), 60, of="swaps")
    try:
        for _ in range(3):
            result = sluice("gc", "--older-than", "0s", timeout=30)
            assert result.code in GOOD, result
    finally:
        for swapper in swappers:
            with contextlib.suppress(OSError):
                swapper.end()
    assert canaries(outside) == before


HOSTILE = ["../outside/events.jsonl", "/etc/passwd", "a/../../outside", "..", "runs/../..", "a\nb", "."]


@pytest.mark.parametrize("name", HOSTILE)
def test_s12_c16_names_of_artifacts_do_not_leave_their_place(sluice, outside, name):
    before = canaries(outside)
    path = sluice.pipeline({"a": {"run": "true", "artifacts": [{"name": name, "path": "x"}]}})
    sluice("run", path, "--run-id", sluice.id, code=2)
    assert canaries(outside) == before and not sluice.run_dir().exists()


# --- S13: modes

@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777, 0o027])
def test_s13_nothing_of_a_run_is_for_others_whatever_the_umask(sluice, umask):
    """Also what is used only by some: blobs, artifacts, quarantine, history, split streams, torn tails."""
    big = "python3 -c \"import json,os; json.dump({'outputs': {'b': 'x' * 100000}}, open(os.environ['SLUICE_OUTPUT'], 'w'))\""
    path = sluice.pipeline({"a": {"run": "echo hi; echo err >&2; touch made", "streams": "split", "artifacts": [{"name": "m", "path": "made"}], "context": True},
                            "b": {"run": big, "outputs": {"b": {"type": "string"}}, "cache": True, "inputs": []},
                            "c": {"run": "[ -e go ]"}, "d": {"run": "true", "gate": "manual"}})
    old = os.umask(umask)
    try:
        sluice("run", path, "--run-id", sluice.id, code=1)
        if umask != 0o777:
            (sluice.root / "go").touch()
        log = sluice.run_dir() / "events.jsonl"
        with open(log, "ab") as f:
            f.write(b'{"torn')
        sluice("resume", sluice.id, code=(1, 4))
        sluice("list", code=0)
        sluice("stats", code=0)
        sluice("reindex", code=0)
    finally:
        os.umask(old)
    seen = 0
    for entry in [sluice.home, *sluice.home.rglob("*")]:
        mode = entry.lstat().st_mode & 0o7777
        if entry.parent.name == "out" and entry.suffix == ".json" and "context" not in entry.name:
            continue  # made by the command, below a 0700 directory
        seen += 1
        assert mode & 0o077 == 0, (entry, oct(mode))
        assert mode & 0o700 in (0o700, 0o600), (entry, oct(mode))
    assert seen > 15 and list(sluice.run_dir().glob("events.torn-*"))
    for entry in sluice.sockets.rglob("*"):
        assert entry.lstat().st_mode & 0o077 == 0, entry


def test_s13_another_user_reads_nothing(sluice, need_root):
    sluice.go({"a": "echo hi"})
    for folder in [sluice.root, *sluice.root.parents]:
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "find", sluice.home], capture_output=True, check=False)
    assert done.stdout.decode().split() in ([], [str(sluice.home)]), done.stdout


