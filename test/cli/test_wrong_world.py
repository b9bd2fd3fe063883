"""Each verb in a world that is not as it should be: closed or full stdio, no HOME, few descriptors, no room, a state
directory that is no directory or somebody else's. Never a crash or a hang; the log stays whole."""
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile

import pytest

import world
from command import Sluice
from test_wrong_words import GOOD_WORDS, RUN_WORDS, VERBS

pytestmark = pytest.mark.slow  # together half a minute

OPENS = [verb for verb in VERBS if verb not in ("help", "completion", "schema", "lint", "plan", "doctor", "explain")]
STARTS = ("run", "resume", "rerun", "rollback")           # have an engine
ACTS = ("stop", "approve", "reject")                      # write an event
NO_ANSWER = {"stop", "approve", "reject", "lint"}         # say what they did on stderr
CODES = {"resume": 1, "reindex": 7}                       # of the good words


class Wrong(Sluice):
    def __init__(self, folder):
        super().__init__(folder)
        self.stamps = None
        world.build(self)
        self.saved = folder / "saved"
        world.copy_of(self.home, self.saved)

        self.again()

    def again(self):
        """As it was built, when a command changed it."""
        if self.home.exists():
            if self.stamps == world.stamps(self.home):
                return
            shutil.rmtree(self.home)
        world.copy_of(self.saved, self.home)
        self.stamps = world.stamps(self.home)

    def ask(self, verb, env=None, words=None, **options):
        """(exit status, stdout, stderr) of the good words; the logs are whole afterwards."""
        env = {name: value for name, value in {**self.env, **(env or {})}.items() if value is not None}
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        done = subprocess.run(self.command(verb, *(words or GOOD_WORDS[verb])), cwd=self.work, env=env, timeout=20, **options)
        said = (done.stderr or b"").decode("utf-8", "surrogateescape")
        assert done.returncode >= 0, (verb, done.returncode, said)
        for log in self.home.glob("runs/[!.]*/events.jsonl"):
            old = self.saved / log.relative_to(self.home)
            if not old.exists() or old.read_bytes() != log.read_bytes():
                self.run("verify", log.parent, check=0)
        return done.returncode, (done.stdout or b"").decode("utf-8", "surrogateescape"), said


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return Wrong(tmp_path_factory.mktemp("wrong"))


@pytest.fixture
def wrong(shared):
    shared.again()
    return shared


def closed(*numbers):
    return lambda: [os.close(number) for number in numbers]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("numbers", [(0,), (2,), (0, 2)], ids=str)
def test_closed_stdin_or_stderr_changes_nothing(wrong, verb, numbers):
    assert wrong.ask(verb, preexec_fn=closed(*numbers))[0] == CODES.get(verb, 0)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("numbers", [(1,), (0, 1), (1, 2), (0, 1, 2)], ids=str)
def test_what_is_said_on_closed_descriptors_goes_into_no_file_S1_5(wrong, verb, numbers):
    """The descriptors of the log and the lock would be 0, 1 and 2: progress would go into the log."""
    status, _, said = wrong.ask(verb, preexec_fn=closed(*numbers))
    assert status == (CODES.get(verb, 0) if verb in NO_ANSWER else CODES.get(verb, 10))
    if 2 not in numbers and verb not in NO_ANSWER:
        assert "write the answer: " in said


@pytest.mark.parametrize("verb", VERBS)
def test_a_full_stdout_is_told_S13(wrong, verb):
    with open("/dev/full", "wb") as full:
        status, _, said = wrong.ask(verb, stdout=full)
    assert status == (CODES.get(verb, 0) if verb in NO_ANSWER else CODES.get(verb, 10))
    assert verb in NO_ANSWER or "write the answer: No space left on device" in said


@pytest.mark.parametrize("verb", VERBS)
def test_a_full_stderr_changes_nothing(wrong, verb):
    with open("/dev/full", "wb") as full:
        assert wrong.ask(verb, stderr=full)[0] == CODES.get(verb, 0)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_went_away_is_quiet(wrong, verb, stream):
    read, write = os.pipe()
    os.close(read)
    try:
        status, _, said = wrong.ask(verb, **{stream: write})
    finally:
        os.close(write)
    assert status == CODES.get(verb, 0) and "write the answer" not in said


@pytest.mark.parametrize("verb", VERBS)
def test_a_bare_environment_S13(wrong, verb):
    """Without HOME the state directory is not known: said by who needs it, with what to do."""
    assert wrong.ask(verb, env={"TERM": None, "LANG": None, "PATH": None})[0] == CODES.get(verb, 0)
    wrong.again()
    status, _, said = wrong.ask(verb, env={"HOME": None, "SLUICE_HOME": None, "XDG_RUNTIME_DIR": None, "TERM": None})
    if verb in OPENS or verb == "explain":
        assert status == 2 and "hint: name one with --dir" in said
    else:
        assert status == (1 if verb == "doctor" else 0)


def limit(kind, value):
    def set_it():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(kind, (value, value))
    return set_it


@pytest.mark.parametrize("verb", VERBS)
def test_few_descriptors_are_an_error_before_anything_happens(wrong, verb):
    before = world.tree(wrong.home)
    status, _, said = wrong.ask(verb, preexec_fn=limit(resource.RLIMIT_NOFILE, 20))
    if verb in STARTS:
        assert status == 10 and "ulimit" in said
        assert {n: c for n, c in world.tree(wrong.home).items() if not n.endswith("run.lock")} == \
            {n: c for n, c in before.items() if not n.endswith("run.lock")}
    else:
        assert status == CODES.get(verb, 0)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("size", [0, 1024])
def test_files_that_may_not_grow_S11_3(wrong, verb, size):
    """Who writes an event stops with 10, and the run can be gone on with; who only reads answers."""
    status, _, said = wrong.ask(verb, preexec_fn=limit(resource.RLIMIT_FSIZE, size))
    if verb in STARTS + ACTS or verb == "reindex":
        assert status == 10 and "File too large" in said and "hint: " in said
    else:
        assert status == (1 if verb == "doctor" else 0)
    for run in wrong.home.glob("runs/2*"):  # was it begun? Then it goes on
        wrong.run("resume", run.name, check=0)


# ------------------------------------------------------------------------ the state directory

@pytest.mark.parametrize("verb", OPENS)
@pytest.mark.parametrize("place", ["a file", "below a file", "below a device", "a link to itself"])
def test_a_state_directory_that_cannot_be_S13(wrong, verb, place):
    (wrong.folder / "loop").unlink(missing_ok=True)
    os.symlink("loop", wrong.folder / "loop")
    path = {"a file": wrong.work / "ok.yaml", "below a file": wrong.work / "ok.yaml" / "x", "below a device": "/dev/null/x",
            "a link to itself": wrong.folder / "loop"}[place]
    text = (wrong.work / "ok.yaml").read_bytes()
    status, out, said = wrong.ask(verb, env={"SLUICE_HOME": str(path)})
    assert (status, out) == (10, "") and str(path) in said and "hint: " in said
    assert (wrong.work / "ok.yaml").read_bytes() == text


@pytest.mark.parametrize("verb", OPENS)
def test_a_state_directory_that_is_not_there_is_made_by_who_writes_only_S12(wrong, verb):
    path = wrong.folder / "not" / "there"
    status, _, said = wrong.ask(verb, env={"SLUICE_HOME": str(path)})
    assert status == (9 if verb in RUN_WORDS else 0), said
    assert path.exists() == (verb == "run")
    shutil.rmtree(wrong.folder / "not", ignore_errors=True)


@pytest.fixture(scope="module")
def foreign():
    """A state directory of root's that nobody may look through."""
    if os.geteuid() != 0:
        pytest.skip("needs root: becomes another user")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="slt-foreign-"))
    folder.chmod(0o755)
    made = Wrong(folder)
    yield made
    shutil.rmtree(folder)


def nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def reachable(binary):
    return all(part.stat().st_mode & 0o001 for part in pathlib.Path(binary).resolve().parents)


@pytest.mark.parametrize("verb", OPENS)
@pytest.mark.parametrize("mode", [0o000, 0o755])
def test_a_state_directory_of_somebody_else_S13(foreign, verb, mode):
    """Unreadable: 10. Readable: questions are answered, and what would write says 10."""
    if not reachable(foreign.binary):
        pytest.skip("the binary cannot be reached by another user")
    foreign.again()
    for path in [foreign.home, *foreign.home.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    foreign.home.chmod(mode)
    before = world.tree(foreign.home)
    try:
        done = subprocess.run(foreign.command(verb, *GOOD_WORDS[verb]), cwd=foreign.work, timeout=20, capture_output=True,
                              env={**foreign.env, "XDG_RUNTIME_DIR": ""}, preexec_fn=nobody, stdin=subprocess.DEVNULL)
    finally:
        foreign.home.chmod(0o755)
    said = done.stderr.decode("utf-8", "surrogateescape")
    writes = verb in STARTS + ACTS + ("reindex",)
    if mode == 0 or writes:
        assert done.returncode == 10 and "ermission denied" in said and "hint: " in said, (done.returncode, said)
    else:
        # Nothing is removed in what somebody else owns.
        assert done.returncode == (3 if verb == "gc" else CODES.get(verb, 0)), said
    assert world.tree(foreign.home) == before


@pytest.fixture
def full(wrong):
    """The state directory on a file system of 4 MiB that is full."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a file system")
    shutil.rmtree(wrong.home)
    wrong.home.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "none", wrong.home], capture_output=True)
    if mounted.returncode:
        wrong.again()
        pytest.skip("no file system can be mounted here")
    try:
        shutil.copytree(wrong.saved, wrong.home, dirs_exist_ok=True)
        with open(wrong.home / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass
        yield wrong
    finally:
        subprocess.run(["umount", "-l", wrong.home], check=True)


@pytest.mark.parametrize("verb", OPENS)
def test_a_full_file_system_S11_3(full, verb):
    status, out, said = full.ask(verb)
    if verb in STARTS[:3] + ("reindex",):
        assert status == 10 and "hint: " in said and "No space left" in said, (status, said)
    elif verb in ACTS + ("rollback",):
        # A line may still find room in the last page of its file.
        assert status == 0 or status == 10 and "No space left" in said, (status, said)
    else:
        assert status == 0, said
    (full.home / "filler").unlink()
    for run in full.home.glob("runs/2*"):
        full.run("resume", run.name, check=0)
    if status == 10 and verb in STARTS[1:] + ACTS:
        assert full.ask(verb)[0] == CODES.get(verb, 0), "there is room again"
