"""A state directory with one run of every sort, for tests of wrong use; and what a verb may be given."""
import hashlib
import json
import os
import pathlib
import re
import shutil

from pipelines import APPROVAL, FAILING, GATE, GOOD

PARAMS = """\
pipeline: params
params: {size: {type: int, default: 1, max: 9}}
steps: {a: {run: 'true'}, b: {run: 'true'}}
"""


def lines_of(path):
    return path.read_bytes().splitlines()


def append_event(log, run, event_type):
    """One more line with a right chain."""
    chain = hashlib.sha256(run.encode()).digest()
    lines = lines_of(log)
    for line in lines:
        chain = hashlib.sha256(chain + line[:-24]).digest()
    event = {"event_id": f"evt_{len(lines) + 1}", "event_type": event_type, "run_id": run,
             "timestamp_utc": json.loads(lines[-1])["timestamp_utc"], "actor": "runner", "attempt": 0}
    body = json.dumps(event, separators=(",", ":")).encode()[:-1]
    chain = hashlib.sha256(chain + body).digest()
    with log.open("ab") as out:
        out.write(body + b',"h":"' + chain.hex()[:16].encode() + b'"}\n')


def build(sluice):
    """Runs by sort: ok, failed, gate, ask (blocked), damaged, newer, torn, empty, nolog; twin-1 and twin-2."""
    for name, text, run, code in (("ok", GOOD, "ok", 0), ("failing", FAILING, "failed", 1), ("gate", GATE, "gate", 1),
                                  ("approval", APPROVAL, "ask", 4), ("failing", FAILING, "damaged", 1),
                                  ("approval", APPROVAL, "newer", 4), ("failing", FAILING, "torn", 1),
                                  ("ok", GOOD, "empty", 0), ("params", PARAMS, "twin-1", 0), ("ok", GOOD, "twin-2", 0)):
        sluice.run("run", "-q", sluice.write(f"{name}.yaml", text), "--run-id", run, check=code)
    sluice.write("params.yaml", PARAMS)
    damaged = sluice.log("damaged")
    damaged.write_bytes(damaged.read_bytes().replace(b'"new_state":"executing"', b'"new_state":"succeeded"', 1))
    append_event(sluice.log("newer"), "newer", "run.teleported")
    with sluice.log("torn").open("ab") as log:
        log.write(b'{"event_id":"evt_')
    sluice.log("empty").write_bytes(b"")
    (sluice.home / "runs" / "nolog").mkdir()
    sluice.run("list", check=0)  # the index is there
    return sluice


def tree(folder):
    """What a folder holds: names, kinds, contents. The history database is a projection that readers make."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not name.startswith("sluice.db"):
            found[name] = path.read_bytes() if path.is_file() else path.is_dir()
    return found


def stamps(folder):
    """The same from the inodes alone, to see quickly that nothing changed."""
    found, folders = {}, [str(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                is_dir = entry.is_dir(follow_symlinks=False)
                if is_dir:
                    folders.append(entry.path)
                if not entry.name.startswith("sluice.db"):
                    stat = entry.stat(follow_symlinks=False)
                    found[entry.path] = is_dir or (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_mode)
    return found


def copy_of(folder, to):
    shutil.copytree(folder, to, symlinks=True)


# ---------------------------------------------------------------- what the program says of itself

def verbs(sluice):
    """{verb: its usage} as `sluice help` tells."""
    names = re.findall(r"^  ([a-z]+) ", sluice.run("help", check=0).stdout.split("Verbs:")[1], re.M)
    return {name: re.search(r"^Usage: sluice (.*)$", sluice.run("help", name, check=0).stdout, re.M)[1] for name in names}


def options(sluice, verb):
    """[(name, what its value is called or None)] of a verb."""
    text = sluice.run("help", verb, check=0).stdout
    return re.findall(r"^  (?:-\w, |    )--([a-z-]+)(?: ([A-Z=]+))?  ", text[text.index("\nUsage:"):], re.M)
