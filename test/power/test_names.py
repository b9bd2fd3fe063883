"""D05, D06: a name is durable when its directory was synced. Each name that an event depends on was, before anything
was done or said that needs it: read off a trace of the system calls."""
import re

import pytest

CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?")
PATH = re.compile(r'(?:AT_FDCWD|\d+)<([^>]*)>, "([^"]*)"')
CALLS = "trace=openat,mkdirat,rename,renameat,renameat2,linkat,unlinkat,fsync,fdatasync,write,pwrite64,execve"
STEPS = {"big": 'printf \'{"outputs":{"text":"%s"}}\' $(head -c 20000 /dev/zero | tr "\\0" x) >"$SLUICE_OUTPUT"', "next": "true",
         "again": 'printf \'{"outputs":{"text":"%s"}}\' $(head -c 30000 /dev/zero | tr "\\0" y) >"$SLUICE_OUTPUT"', "fails": "[ -e ok ]"}


def is_durable(path):
    """Files that the log names or is; the rest can be made again, or is a witness that may be missing."""
    name = path.rsplit("/", 1)[-1]
    return name in ("events.jsonl", "pipeline.json", "pipeline.yaml", "blobs", "runs") or "/blobs/" in path


def folder(path):
    return path.rsplit("/", 1)[0]


def judged(trace, home):
    """[what is wrong]; and how many names were made durable."""
    pending, bad, count = {}, [], 0
    for line in trace.read_text(errors="replace").splitlines():
        call = CALL.match(line)
        if not call or int(call[3]) < 0:
            continue
        name, words = call[1], call[2]
        paths = [f"{at}/{given}" if not given.startswith("/") else given for at, given in PATH.findall(words)]
        made = paths[-1] if paths else ""
        if not made.startswith(home) and name not in ("fsync", "fdatasync", "write", "pwrite64", "execve"):
            continue
        if name in ("rename", "renameat", "renameat2", "linkat", "mkdirat") or name == "openat" and "O_CREAT" in words:
            if name.startswith("rename"):
                pending = {path: at for path, at in pending.items() if path != paths[0]}
            if is_durable(made) or name.startswith("rename") and folder(made).endswith("/runs"):
                pending[made] = name
        elif name == "unlinkat":
            pending.pop(made, None)
        elif name == "fsync":
            synced = re.match(r"\d+<([^>]*)>", words)[1]
            count += sum(folder(path) == synced for path in pending)
            pending = {path: at for path, at in pending.items() if folder(path) != synced}
        elif name in ("write", "pwrite64") and "events.jsonl>" in words.split(",")[0]:
            bad += [f"{path} ({at}) before a line that may name it: {line[:120]}" for path, at in pending.items() if "/blobs" in path]
        elif name == "execve" and "sluice" not in words.split(",")[0]:
            bad += [f"{path} ({at}) before a command: {line[:120]}" for path, at in pending.items()]
    return bad, count


@pytest.fixture
def traced(sluice, need_strace):
    def run(*args, code):
        trace = sluice.root / "trace"
        sluice(*args, code=code, prefix=("strace", "-qq", "-f", "-y", "-s", "200", "-o", str(trace), "-e", CALLS))
        return judged(trace, str(sluice.home))
    return run


def test_d06_each_name_that_an_event_needs_was_synced_with_its_directory_before_what_follows(sluice, traced):
    bad, count = traced("run", sluice.pipeline(STEPS), "--run-id", sluice.id, code=1)
    assert not bad, "\n".join(bad)
    assert count >= 5, "run, definition, log, two blobs"
    (sluice.root / "ok").touch()
    other = sluice.pipeline({**STEPS, "more": "true"}, file="other.yaml")
    bad, count = traced("resume", sluice.id, "--file", other, "--accept-changes", code=0)
    assert not bad, "\n".join(bad)
    assert count >= 2, "the definition and its text"


def test_d06_the_judge_of_these_traces_finds_a_directory_that_was_not_synced(tmp_path):
    good = '1 openat(5</h/runs/r/blobs>, "ab", O_WRONLY|O_CREAT|O_EXCL, 0600) = 6</h/runs/r/blobs/ab>\n{}' \
        '1 write(7</h/runs/r/events.jsonl>, "...", 100) = 100\n'
    trace = tmp_path / "trace"
    trace.write_text(good.format("1 fsync(5</h/runs/r/blobs>) = 0\n"))
    assert judged(trace, "/h") == ([], 1)
    trace.write_text(good.format(""))
    assert len(judged(trace, "/h")[0]) == 1
