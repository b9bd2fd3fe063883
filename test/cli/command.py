"""The command line in a directory of its own, for black-box tests of what a user sees.

The binary is $SLUICE_BIN, else build/sluice. Each test has a state directory and a working directory
of its own. Test names carry the rule that they prove (S5.4, S13 ...).
"""
import atexit
import functools
import os
import pathlib
import pty
import select
import shutil
import subprocess
import tempfile
import time

import pytest

from support.observed import FINDING, given_options, install_observed
from support.screen import set_size
from support.sluice import has_sanitizers

ROOT = pathlib.Path(__file__).resolve().parents[2]


@functools.cache
def binary():
    path = pathlib.Path(os.environ.get("SLUICE_BIN", ROOT / "build" / "sluice"))
    if not path.exists():
        pytest.fail(f"{path} is not there: build it, or set SLUICE_BIN")
    return observed() if has_sanitizers(path) else str(path.absolute())


@functools.cache
def observed():
    """One with sanitizers in a place of its own, where what its keepers say is kept."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="slt-bin-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)  # some tests are other users
    built = pathlib.Path(os.environ.get("SLUICE_BIN", ROOT / "build" / "sluice")).resolve().parent / "sluice-top"
    program = install_observed(folder)
    if built.exists():
        shutil.copy2(built, folder)
    return str(program)


def no_finding(said):
    """Nothing that a program wrote is the report of a sanitizer, whatever its exit status is taken for."""
    text = said if isinstance(said, str) else said.decode(errors="replace")
    assert not FINDING.search(text), text[-4000:]


class Sluice:
    """The command line in a directory of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "home"
        self.work = folder / "work"
        self.work.mkdir()
        self.binary = binary()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "SLUICE_HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(folder),
            **given_options(),
        }

    def write(self, name, content):
        path = self.work / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content)
        return str(path)

    def command(self, *args):
        return [self.binary, *map(str, args)]

    def run(self, *args, check=None, timeout=60, text=True, **options):
        """Run a command; `check` is the exit status that it must have."""
        done = subprocess.run(self.command(*args), cwd=self.work, env=self.env, timeout=timeout,
                              capture_output=True, text=text, stdin=subprocess.DEVNULL, **options)
        no_finding(done.stderr)
        if check is not None:
            assert done.returncode == check, (args, done.returncode, done.stdout, done.stderr)
        return done

    def start(self, *args, **options):
        return subprocess.Popen(self.command(*args), cwd=self.work, env=self.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **options)

    def on_terminal(self, *args, env=None, timeout=30, size=(24, 80), watch=None):
        """Run a command with all of its stdio on a pseudo terminal of (rows, columns): (exit status, bytes).
        `watch(all bytes so far, main end, process)` is called after each piece."""
        main, other = pty.openpty()
        set_size(main, size)
        process = subprocess.Popen(self.command(*args), cwd=self.work,
                                   env={**self.env, **(env or {})}, stdin=other, stdout=other,
                                   stderr=other, start_new_session=True)
        os.close(other)
        seen = b""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            ready, _, _ = select.select([main], [], [], 0.2)
            if ready:
                try:
                    piece = os.read(main, 65536)
                except OSError:  # the other end is closed
                    break
                if not piece:
                    break
                seen += piece
                if watch:
                    watch(seen, main, process)
            elif process.poll() is not None:
                break
        os.close(main)
        no_finding(seen)
        return process.wait(timeout=5), seen

    def wait_for(self, run, state, timeout=20):
        """Until the run is in the state."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            done = self.run("status", run)
            if f"\nState: {state}\n" in done.stdout:
                return
            time.sleep(0.05)
        pytest.fail(f"{run} did not become {state}: {done.stdout}")

    def log(self, run):
        return self.home / "runs" / run / "events.jsonl"
