"""D05, D06: a name is durable when its directory was synced. Each name that an event depends on was, before anything
was done or said that needs it: read off a trace of the system calls."""
import collections
import re

import pytest

PID = re.compile(r"(\d+) +(.*)")
SPLIT = re.compile(r"<\.\.\. \w+ resumed>")
CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?")
PATH = re.compile(r'(?:AT_FDCWD|\d+)<([^>]*)>, "([^"]*)"')
SHELL = '"-euo"'  # of a step's shell, and of no program that it starts
CALLS = "trace=openat,mkdirat,rename,renameat,renameat2,linkat,unlinkat,fsync,fdatasync,write,pwrite64,execve"
STEPS = {"big": 'printf \'{"outputs":{"text":"%s"}}\' $(head -c 20000 /dev/zero | tr "\\0" x) >"$SLUICE_OUTPUT"', "next": "true",
         "again": 'printf \'{"outputs":{"text":"%s"}}\' $(head -c 30000 /dev/zero | tr "\\0" y) >"$SLUICE_OUTPUT"', "fails": "[ -e ok ]"}


def is_durable(path):
    """Files that the log names or is; the rest can be made again, or is a witness that may be missing."""
    name = path.rsplit("/", 1)[-1]
    return name in ("events.jsonl", "pipeline.json", "pipeline.yaml", "blobs", "runs") or "/blobs/" in path


def folder(path):
    return path.rsplit("/", 1)[0]


class Call:
    """One that was answered. It took effect between two lines of the trace."""

    def __init__(self, begin, end, found):
        self.begin, self.end = begin, end
        self.name, self.words, self.answer = found[1], found[2], int(found[3])
        self.first = self.words.split(",")[0]
        # What needs a name does so as soon as it may; what makes or syncs one counts when that is certain.
        self.at = begin if self.name in ("write", "pwrite64", "execve") else end


def calls(trace):
    """Calls in the order in which they count. One that a call of another process interrupts is two lines of the trace."""
    begun, found = {}, []
    for n, line in enumerate(trace.read_text(errors="replace").splitlines()):
        pid, text = PID.match(line).groups()
        if text.endswith("<unfinished ...>"):
            begun[pid] = n, text.removesuffix("<unfinished ...>").rstrip()
            continue
        rest = SPLIT.match(text)
        begin, text = (begun[pid][0], begun.pop(pid)[1] + text[rest.end():]) if rest else (n, text)
        call = CALL.match(text)
        if call:
            found.append(Call(begin, n, call))
    return sorted(found, key=lambda call: call.at)


def judged(trace, home):
    """[what is wrong]; and how many names were made durable, lines of the log and commands looked at."""
    pending, bad, count = {}, [], collections.Counter()
    for call in calls(trace):
        if call.answer < 0:
            continue
        name, words = call.name, call.words
        paths = [f"{at}/{given}" if not given.startswith("/") else given for at, given in PATH.findall(words)]
        made = paths[-1] if paths else ""
        if not made.startswith(home) and name not in ("fsync", "fdatasync", "write", "pwrite64", "execve"):
            continue
        if name in ("rename", "renameat", "renameat2", "linkat", "mkdirat") or name == "openat" and "O_CREAT" in words:
            if name.startswith("rename"):
                pending = {path: at for path, at in pending.items() if path != paths[0]}
            if is_durable(made) or name.startswith("rename") and folder(made).endswith("/runs"):
                pending[made] = call
        elif name == "unlinkat":
            pending.pop(made, None)
        elif name == "fsync":
            synced = re.match(r"\d+<([^>]*)>", words)[1]
            left = {path: at for path, at in pending.items() if folder(path) != synced or at.end > call.begin}
            count["synced"] += len(pending) - len(left)
            pending = left
        elif name in ("write", "pwrite64") and "events.jsonl>" in call.first:
            count["lines"] += 1
            bad += [f"{path} ({at.name}) before a line that may name it: {words[:120]}" for path, at in pending.items()
                    if "/blobs" in path]
        elif name == "execve" and not call.first.rsplit("/", 1)[-1].startswith("sluice"):
            count["commands"] += SHELL in words
            bad += [f"{path} ({at.name}) before a command: {words[:120]}" for path, at in pending.items()]
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
    assert count["synced"] >= 5, "run, definition, log, two blobs"
    assert count["commands"] == len(STEPS) and count["lines"] >= len(STEPS), f"all of them were looked at: {count}"
    (sluice.root / "ok").touch()
    other = sluice.pipeline({**STEPS, "more": "true"}, file="other.yaml")
    bad, count = traced("resume", sluice.id, "--file", other, "--accept-changes", code=0)
    assert not bad, "\n".join(bad)
    assert count["synced"] >= 2, "the definition and its text"
    assert count["commands"] == 2 and count["lines"] >= 2, f"'fails' and 'more': {count}"


MADE = '1 openat(5</h/runs/r/blobs>, "ab", O_WRONLY|O_CREAT|O_EXCL, 0600) = 6</h/runs/r/blobs/ab>'
SYNCED = "1 fsync(5</h/runs/r/blobs>) = 0"
LINE = '1 write(7</h/runs/r/events.jsonl>, "...", 100) = 100'
COMMAND = '2 execve("/bin/sh", ["sh", "-euo", "pipefail", "-c", "true"], 0x1 /* 3 vars */) = 0'


def split(call, *between):
    """The same call, with lines of other processes in its midst."""
    words, answer = call.rsplit(")", 1)
    pid, name = re.match(r"(\d+) (\w+)", call).groups()
    return [f"{words} <unfinished ...>", *between, f"{pid} <... {name} resumed>){answer}"]


@pytest.mark.parametrize("lines, wrong, count", [
    ([MADE, SYNCED, LINE, COMMAND], 0, (1, 1, 1)),
    ([MADE, LINE, COMMAND], 2, (0, 1, 1)),
    ([MADE, SYNCED.replace("= 0", "= -1 EIO (Input/output error)"), LINE], 1, (0, 1, 0)),
    ([*split(MADE, *split(COMMAND, "3 +++ exited with 0 +++")), *split(SYNCED, COMMAND), *split(LINE, COMMAND)], 1, (1, 1, 3)),
    ([MADE, *split(COMMAND, SYNCED), *split(LINE)], 1, (1, 1, 1)),
    ([MADE, *split(LINE, SYNCED.replace("1 ", "2 ", 1))], 1, (1, 1, 0)),
    ([*split(SYNCED, MADE.replace("1 ", "2 ", 1)), LINE], 1, (0, 1, 0)),
    ([MADE, COMMAND.replace("= 0", "= -1 ENOENT (No such file or directory)")], 0, (0, 0, 0)),
], ids=["synced", "not synced", "the sync failed", "split", "a command in front of the sync", "a line in front of the sync",
        "made behind the sync", "no command"])
def test_d06_the_judge_of_these_traces_finds_a_directory_that_was_not_synced(tmp_path, lines, wrong, count):
    trace = tmp_path / "trace"
    trace.write_text("".join(line + "\n" for line in lines))
    bad, looked_at = judged(trace, "/h")
    assert len(bad) == wrong and (looked_at["synced"], looked_at["lines"], looked_at["commands"]) == count, (bad, looked_at)
