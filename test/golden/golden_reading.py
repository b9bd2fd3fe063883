"""What is asked of a golden run, and what of the answers is the same on every machine."""
import json
import shutil
import tempfile
from pathlib import Path

from support.sluice import Sluice


def settled(value):
    """Without what depends on where and when it is asked."""
    if isinstance(value, dict):
        return {key: settled(item) for key, item in value.items() if key not in ("dir", "path", "home", "age_ms", "elapsed_ms", "now")}
    return [settled(item) for item in value] if isinstance(value, list) else value


def placed(world, run, run_id):
    """A copy of a golden run in the state directory of a world."""
    world.id = run_id
    world.run_dir().parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(run, world.run_dir())
    for path in [world.run_dir(), *world.run_dir().rglob("*")]:  # a checkout has its own modes
        path.chmod(0o700 if path.is_dir() else 0o600)


def asked(world):
    found = {}
    for verb in (("status", "--json"), ("summary", "--json"), ("list", "--json")):
        words = [verb[0], *([world.id] if verb[0] != "list" else []), *verb[1:]]
        done = world(*words)
        found[verb[0]] = {"code": done.code, "json": settled(json.loads(done.stdout))}
    done = world("verify", world.id)
    found["verify"] = {"code": done.code, "text": done.stdout.splitlines()}
    done = world("events", world.id, "--json")
    found["events"] = {"code": done.code, "count": len(done.stdout.splitlines())}
    return found


def resumed(world):
    """How it goes on: the end, and what it adds to the log, without what differs from time to time."""
    before = len(world.raw().splitlines())
    done = world("resume", world.id)
    added = [json.loads(line) for line in world.raw().splitlines()[before:]] if done.code not in (7, 9) else []
    return {"code": done.code, "added": [[event["event_type"], event.get("step_id"), event["attempt"]] for event in added]}


def answers(program, run, run_id):
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        world = Sluice(Path(folder), program)
        try:
            placed(world, run, run_id)
            found = asked(world)
            # The folders that others began in are not there any more.
            if found["status"]["json"]["state"] == "succeeded" or run_id.startswith("golden-open-"):
                found["resume"] = resumed(world)
            return found
        finally:
            world.close()
