"""The binary under test, in a world of its own: state directory, sockets, processes."""
import contextlib
import fcntl
import json
import os
import resource
import secrets
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from .checker import check_log

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 60


def binary():
    """The sluice under test: $SLUICE_BIN, else build/sluice or where the build puts it."""
    given = os.environ.get("SLUICE_BIN")
    places = [Path(given)] if given else [ROOT / "build/sluice", ROOT / "build/src/cli/sluice"]
    for place in places:
        if place.is_file():
            return place.resolve()
    raise FileNotFoundError(f"no sluice at {', '.join(map(str, places))}: set SLUICE_BIN")


def keeper():
    given = os.environ.get("SLUICE_KEEPER")
    folder = binary().parent
    places = [Path(given)] if given else [folder / "sluice-keeper", folder / "../keeper/sluice-keeper",
                                          folder / "../libexec/sluice/sluice-keeper"]
    for place in places:
        if place.is_file():
            return place.resolve()
    raise FileNotFoundError(f"no sluice-keeper at {', '.join(map(str, places))}: set SLUICE_KEEPER")


def install(folder, keeper_text=None):
    """A folder with sluice, runner and sluice-keeper (or a script in its place); answers sluice."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(binary(), folder / "sluice")
    if keeper_text is None:
        shutil.copy2(keeper(), folder / "sluice-keeper")
    else:
        (folder / "sluice-keeper").write_text(keeper_text)
        (folder / "sluice-keeper").chmod(0o755)
    (folder / "runner").symlink_to("sluice")
    return folder / "sluice"


def is_locked(path):
    """Asked without taking the lock: who comes for it meanwhile is not refused for us."""
    question = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    with open(path, "rb") as file:
        answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, question)
    return struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK


def has_sanitizers(program):
    return b"__asan_init" in Path(program).read_bytes()


def bounded(program, memory, seconds=None):
    """What a child calls before it executes the program: so many bytes of addresses, so much of a processor. None for a
    program with sanitizers, which reserves terabytes."""
    if has_sanitizers(program):
        return None

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        if seconds:
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    return limit


def until(what, timeout=30.0, every=0.005, of=None):
    """Wait until `what()` is true; answers its value. `of` says in the error what was waited for. What lasts is
    looked at less often."""
    begin = time.monotonic()
    while True:
        value = what()
        if value:
            return value
        passed = time.monotonic() - begin
        if passed > timeout:
            raise TimeoutError(f"not within {timeout} s: {of or what}")
        time.sleep(max(every, min(passed / 16, 0.05)))


def alive(pid):
    """Is it there, and not a zombie?"""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(b")", 1)[1].split()[0] not in (b"Z", b"X")


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def processes(*markers):
    """Pids of processes whose environment or command line holds one of the texts."""
    markers = [os.fsencode(marker) for marker in markers]
    own = str(os.getpid())
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or entry == own:
            continue
        with contextlib.suppress(OSError):
            text = read(f"/proc/{entry}/environ") + b"\0" + read(f"/proc/{entry}/cmdline")
            if any(marker in text for marker in markers) and alive(int(entry)):
                found.append(int(entry))
    return found


class Result(subprocess.CompletedProcess):
    @property
    def code(self):
        return self.returncode

    def __repr__(self):
        return f"exit {self.returncode}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


class Sluice:
    """Runs the binary. Everything that it and its steps leave is below `root`."""

    def __init__(self, root, program):
        self.root = Path(root)
        # Unique on this machine: tests run side by side.
        self.id = f"r{os.getpid():x}-{secrets.token_hex(3)}"
        self.program = Path(program)
        self.home = self.root / "home"
        # Short: the path of a socket holds 107 bytes.
        self.sockets = Path(tempfile.mkdtemp(prefix="slt-"))
        self.marker = f"SLUICE_TEST_ROOT={self.root}"
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(self.root), "LANG": "C.UTF-8",
            "SLUICE_HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.sockets),
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"), "SLUICE_TEST_ROOT": str(self.root),
            **{k: v for k, v in os.environ.items() if k in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")},
        }
        self.open = []

    # ------------------------------------------------------------------------- processes

    def environ(self, env, prefix):
        """Of one process. A leak is no finding where it is traced: the leak sanitizer does not work there."""
        is_traced = prefix and Path(prefix[0]).name in ("strace", "killat")
        traced = {"ASAN_OPTIONS": f"{self.env.get('ASAN_OPTIONS', '')}:detect_leaks=0"} if is_traced else {}
        return {**self.env, **traced, **(env or {})}

    def command(self, *args, prefix=(), name="sluice"):
        return [*map(str, prefix), str(self.program.parent / name), *map(str, args)]

    def start(self, *args, env=None, prefix=(), name="sluice", **kwargs):
        """A process that goes on; stdout and stderr are pipes."""
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(self.command(*args, prefix=prefix, name=name), text=True,
                                   env=self.environ(env, prefix), cwd=kwargs.pop("cwd", self.root), **kwargs)
        self.open.append(process)
        return process

    def __call__(self, *args, code=None, env=None, prefix=(), name="sluice", timeout=TIMEOUT, **kwargs):
        """Run to its end. `code`: the exit status, or several, that it must have."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        if "input" in kwargs:
            del kwargs["stdin"]
        done = subprocess.run(self.command(*args, prefix=prefix, name=name), text=True,
                              errors="surrogateescape", capture_output=True,
                              env=self.environ(env, prefix), cwd=kwargs.pop("cwd", self.root),
                              timeout=timeout, check=False, **kwargs)
        result = Result(done.args, done.returncode, done.stdout, done.stderr)
        if code is not None:
            assert result.returncode in (code if isinstance(code, tuple) else (code,)), \
                f"{args}: expected exit {code}\n{result}"
        return result

    def runner(self, *args, **kwargs):
        """The binary by its other name."""
        return self(*args, name="runner", **kwargs)

    def close(self):
        """End what this test left: its own children, then keepers and steps below its root."""
        for process in self.open:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGCONT)
                    process.kill()
            process.wait()
        # Keepers first: whatever they own dies with them.
        for _ in range(20):
            left = processes(self.sockets, self.root)
            if not left:
                break
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        for process in self.open:
            process.communicate()  # now that nobody holds its pipes any more
        shutil.rmtree(self.sockets, ignore_errors=True)

    # ------------------------------------------------------------------------- pipelines

    def pipeline(self, steps, *, file="pipeline.yaml", **top):
        """Write a pipeline file. `steps`: {name: step}; a text is a `run:`. JSON is YAML."""
        steps = {name: {"run": step} if isinstance(step, str) else step for name, step in steps.items()}
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"pipeline": "test", **top, "steps": steps}, indent=1))
        return path

    def go(self, steps, *args, run_id=None, code=0, env=None, timeout=TIMEOUT, **top):
        """Write, run, check the log; answers it."""
        run_id = run_id or self.id
        path = self.pipeline(steps, **top)
        self("run", path, "--run-id", run_id, *args, code=code, env=env, timeout=timeout)
        return self.log(run_id)

    # ------------------------------------------------------------------------------ runs

    def run_dir(self, run_id=None):
        return self.home / "runs" / (run_id or self.id)

    def raw(self, run_id=None):
        return (self.run_dir(run_id) / "events.jsonl").read_bytes()

    def rewrite(self, raw, run_id=None):
        """Put another log in its place, with nothing beside it that has seen the old one (S9.4)."""
        (self.run_dir(run_id) / "events.jsonl").write_bytes(raw)
        (self.run_dir(run_id) / "checkpoint.json").unlink(missing_ok=True)

    def hard_gates(self, run_id=None):
        frozen = json.loads((self.run_dir(run_id) / "pipeline.json").read_text())
        steps = frozen["steps"]
        named = steps.items() if isinstance(steps, dict) else ((s.get("id"), s) for s in steps)
        return {name for name, step in named if step.get("gate") == "hard"}

    def log(self, run_id=None, **kwargs):
        return check_log(self.run_dir(run_id), run_id or self.id, hard_gates=self.hard_gates(run_id), **kwargs)

    def output(self, step, attempt=0, run_id=None):
        return (self.run_dir(run_id) / "logs" / f"{step}.{attempt}.log").read_bytes()

    def has_event(self, event_type, step=None, run_id=None):
        """Is such a line in the log, as far as it is written? For waiting, not for judging."""
        try:
            lines = self.raw(run_id).split(b"\n")[:-1]
        except FileNotFoundError:
            return False
        for line in lines:
            event = json.loads(line)
            if event["event_type"] == event_type and step in (None, event.get("step_id")):
                return True
        return False

    def wait_event(self, event_type, step=None, run_id=None, timeout=30.0):
        until(lambda: self.has_event(event_type, step, run_id), timeout,
              of=f"{event_type} of {step or self.id}")

    def keepers(self, run_id=None):
        """Pids of keepers of the run."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                words = read(f"/proc/{entry}/cmdline")
                argv = words.split(b"\0")
                if b"keeper" not in argv[0] or (run_id or self.id).encode() not in argv[3:4]:
                    continue
                all_words = read(f"/proc/{entry}/environ") + words
                if self.marker.encode() in all_words or str(self.sockets).encode() in all_words:
                    found.append(int(entry))
        return sorted(pid for pid in found if alive(pid))

    def is_owned(self, run_id=None):
        return is_locked(self.run_dir(run_id) / "run.lock")

    def cut(self, process, run_id=None):
        """SIGKILL for the engine. A child of it that is just between clone and exec still holds the lock
        for that moment; nothing may hold it longer (D25): a step that shows it must outlive the limit."""
        process.kill()
        process.wait()
        until(lambda: not self.is_owned(run_id), of="a lock that nobody holds")

    def kill_machine(self, process, run_id=None):
        """As a power cut kills: the engine, the keeper and everything below, at once."""
        # Keepers first: one that outlives its command by a moment would record how that ended.
        for pid in [process.pid, *self.keepers(run_id)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        for _ in range(100):
            left = self.keepers(run_id) + processes(str(self.root))
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        raise TimeoutError("something cannot be killed")

    def resume_to_end(self, run_id=None, code=(0,), times=12):
        """Resume until it ends, as often as it takes."""
        for _ in range(times):
            result = self("resume", run_id or self.id)
            if result.code in code:
                return result
            assert result.code in (0, 1, 4, 5, 6, 8), result
            if result.code == 8:
                time.sleep(0.02)
        raise AssertionError(f"not at its end after {times} resumes: {result}")
