"""D31, D32, C19: a file of a run that is gone, or is something else."""
import os
import shutil
import socket
import stat

import pytest

FILES = ["events.jsonl", "checkpoint.json", "audit.jsonl", "pipeline.json", "run.lock", "blobs", "attempts.log", "keeper.lock"]
KINDS = ["gone", "a link", "a dangling link", "a second name", "a pipe", "a directory", "a socket", "a device", "empty",
         "another owner", "no mode", "open to all"]
# Without these there is no truth to go on with; the others are made again, or not needed.
NEEDED = {"events.jsonl", "pipeline.json"}
LOOKS = ["status", "summary", "events", "verify", "export", "graph"]
STEPS = {"a": 'printf \'{"outputs":{"text":"%s"}}\' $(head -c 20000 /dev/zero | tr "\\0" x) >"$SLUICE_OUTPUT"',
         "b": "echo b >>ran; [ -e ok ]", "c": "echo c >>ran"}


def marked(kinds):
    """A few of them before each commit, the rest with all tests."""
    return [kind if kind in ("gone", "a link", "a pipe") else pytest.param(kind, marks=pytest.mark.slow) for kind in kinds]


def replace(path, kind, aside):
    """Put something else under the name; answers the bytes that must stay as they are elsewhere, or None."""
    if kind == "another owner":
        os.chown(path, 65534, 65534)
        return
    if kind in ("no mode", "open to all"):
        path.chmod(0 if kind == "no mode" else 0o777)
        return
    if kind == "empty" and path.is_dir():
        shutil.rmtree(path)
        path.mkdir()
        return
    if kind == "empty":
        path.write_bytes(b"")
        return
    if kind == "a second name" and path.is_dir():
        pytest.skip("a directory has one name")
    path.rename(aside)
    if kind == "a link":
        path.symlink_to(aside)
    elif kind == "a dangling link":
        path.symlink_to(aside.with_name("nowhere"))
    elif kind == "a second name":
        path.hardlink_to(aside)
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a directory":
        path.mkdir()
        (path / "in the way").touch()
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as s:
            here = os.getcwd()
            os.chdir(path.parent)
            try:
                s.bind(path.name)
            finally:
                os.chdir(here)
    elif kind == "a device":
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero: it has no end


def content(path):
    if path.is_dir():
        return {p.name: p.read_bytes() for p in path.iterdir() if p.is_file()}
    return path.read_bytes() if path.exists() else None


@pytest.fixture
def half(sluice):
    sluice.go(STEPS, code=1)
    (sluice.root / "ok").touch()
    (sluice.root / "ran").unlink()
    return sluice


def need(kind):
    if kind in ("another owner", "a device", "no mode") and os.geteuid():
        pytest.skip("needs root")


@pytest.mark.sweep(5)
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", marked(KINDS))
def test_d31_a_file_that_is_something_else_is_refused_or_made_again_and_never_followed(half, file, kind):
    need(kind)
    path, aside = half.run_dir() / file, half.root / "aside"
    if not path.exists():
        pytest.skip(f"this run has no {file}")
    raw, before = half.raw(), content(path)
    replace(path, kind, aside)
    for look in LOOKS:
        done = half(look, half.id, timeout=30)
        assert done.code in (0, 3, 7, 9, 10), (look, done)
        assert done.code == 0 or done.stderr.startswith(("sluice: ", half.id)) or look == "verify", (look, done)
    done = half("resume", half.id, timeout=30)
    assert done.code in (0, 3, 7, 8, 9, 10), done
    if aside.exists() and kind != "a second name":
        assert content(aside) == before, "what a link leads to is not touched"
    if done.code == 0:
        log = half.log(ended="succeeded")
        assert log.events[0] and half.raw().startswith(raw), "the same run, gone on with"
        assert (half.root / "ran").read_text() == "b\nc\n"
    else:
        assert "c" not in ((half.root / "ran").read_text() if (half.root / "ran").exists() else ""), done
        assert file in done.stderr or half.id in done.stderr, done
        assert half("list").code in (0, 7)
    if file in NEEDED and kind not in ("a second name", "another owner", "open to all", "no mode") or (file, kind) == (
            "events.jsonl", "a second name"):
        assert done.code != 0, done
