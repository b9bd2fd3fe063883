"""Commands and keepers are killed at each of their system calls, or of a call that they make very often at some; then
somebody brings the run to its end, and everything is judged."""
import collections
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import kill_shapes
from support.checker import is_kept
from support.kills import keeper_script, keeper_with_plan, kill_at, read_trace, until_gone
from support.sluice import ROOT, install, processes, until

KEPT = ROOT / "build/campaign"
ORDERS = 25  # more than any run needs


@contextlib.contextmanager
def ground(folder):
    """Where worlds are: in memory where there is room, as nothing here is about disks."""
    memory = Path("/dev/shm")
    has_room = os.access(memory, os.W_OK) and os.statvfs(memory).f_bavail * os.statvfs(memory).f_frsize > 1 << 29
    path = Path(tempfile.mkdtemp(prefix="kills-", dir=memory if has_room else folder))
    try:
        yield path
        until(lambda: not processes(str(path)), of="nothing that goes on")
    finally:
        shutil.rmtree(path, ignore_errors=True)


def log_of(world):
    """The log so far; None before the birth of the run."""
    if not (world.run_dir() / "events.jsonl").exists():
        return None
    return world.log(torn=True)


def finish(world, shape, may_fail=False):
    """Gives one order after the other until the run is at its end. Nothing that was acknowledged may get lost.
    `may_fail`: somebody killed steps, and a person went on without them."""
    known = world.lines()
    for _ in range(ORDERS):
        words = shape.next(world, log_of(world))
        if words is None:
            log = world.log(ended=None if may_fail else shape.end)
            assert log.completed, log.events[-1]
            return log
        result = world(*words)
        now = world.lines()
        assert is_kept(known, now), f"S1.5: an acknowledged line is gone after {words[0]}"
        known = now
        assert result.code in (0, 1, 4, 5, 6, 8), result
        if result.code == 8:
            time.sleep(0.02)
    raise AssertionError(f"it does not end: {result}")


def keep(world, name, why):
    """The reproducer of a failure: the world as it is, and what is wrong with it."""
    folder = KEPT / f"crash-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(world.root, folder, symlinks=True, ignore_dangling_symlinks=True)
    (folder / "why").write_text(f"{why}\n")


@contextlib.contextmanager
def judged(world, name):
    """A world for one case. It is gone afterwards; where something is wrong a copy of it is kept."""
    try:
        yield world
        world.leave()
    except BaseException as problem:
        text = f"{name}: {problem}: build/campaign/crash-{name}"
        problem.args = (text,)
        if isinstance(problem, Exception):
            keep(world, name, problem)
        kill_shapes.go(world)
        with contextlib.suppress(TimeoutError):
            world.close()
        shutil.rmtree(world.root)
        if isinstance(problem, subprocess.TimeoutExpired):  # which does not say what its arguments are
            raise TimeoutError(text) from problem
        raise


class Sweep:
    """The points of one command, or of one keeper."""

    def __init__(self, name, scene, place, program):
        self.name, self.scene, self.place, self.program = name, scene, Path(place), program
        self.figures = collections.Counter()
        self.killed = set()  # points at which somebody was
        scene.build(self.place, self.installed())

    def installed(self):
        return self.program

    def points(self):
        raise NotImplementedError

    def kill(self, world, point):
        raise NotImplementedError

    def count(self, point, is_killed):
        self.figures["killed" if is_killed else "missed"] += 1
        if is_killed:
            self.killed.add(point)

    def one(self, point):
        """One kill and what comes of it."""
        with judged(self.scene.world(self.installed()), "-".join(map(str, (self.name, *point)))) as world:
            self.kill(world, point)
        self.figures["points"] += 1


class Commands(Sweep):
    """A command is killed, and then the next one that somebody gives, at the same place: recovery of a recovery."""

    def points(self):
        """Of two recordings, what both have: on a busy machine a command looks more often at what it waits for."""
        counts = collections.Counter()
        for call, n in self.recorded():
            counts[call] = max(counts[call], n)
        return [(call, n) for call, n in self.recorded() if n <= counts[call]]

    def recorded(self):
        world = self.scene.world(self.program)
        trace = self.place / "trace"
        world(*self.scene.words(world), prefix=("strace", "-qq", "-s", "256", "-o", trace), code=self.scene.codes)
        points = read_trace(trace, after=self.scene.after)
        self.scene.shape.judge(world, finish(world, self.scene.shape))
        world.leave()
        return points

    def look(self, world, call):
        """S1.2, before anybody goes on. Around orders and lines of the log, and else each other time, when all that
        was begun has ended, as no engine adds to the log meanwhile; or at once, so that the next one finds it
        running."""
        log = log_of(world)
        if call in ("write", "sendto") or self.figures["points"] % 2:
            until_gone(world)
        world.ledger.check_intents(log, world.id)

    def kill(self, world, point):
        scene = self.scene
        result = world(*scene.words(world), prefix=kill_at(point))
        assert result.code in (-9, *scene.codes), result
        self.count(point, result.code == -9)
        known = world.lines()
        self.look(world, point[0])
        words = scene.shape.next(world, log_of(world))
        if words is not None:
            result = world(*words, prefix=kill_at(point))
            assert result.code in (-9, 0, 1, 4, 6, 8), result
            self.figures["killed again"] += result.code == -9
        assert is_kept(known, world.lines()), "S1.5: an acknowledged line is gone"
        log = finish(world, scene.shape)
        lost = [event for event in log.events if event.get("error_class") == "lost" or event["event_type"] == "step.lost"]
        assert len(log.of("step.lost") + log.of("compensation.failed")) <= scene.lost, f"S8.3: the keeper lived: {lost}"
        scene.shape.judge(world, log)


class Keepers(Sweep):
    """The first keeper of a run is killed, and with it what runs below it: nobody knows how far that came."""

    def __init__(self, name, scene, place, program):
        self.with_plan, self.plan, self.sign = keeper_with_plan(Path(place) / "bin")
        self.trace = Path(place) / "trace"
        self.traced = keeper_script(Path(place) / "traced", f"-qq -o {self.trace}")
        super().__init__(name, scene, place, program)

    def points(self):
        world = self.scene.world(self.traced)
        world(*self.scene.words(world), code=self.scene.codes)
        until_gone(world)
        points = read_trace(self.trace)  # of the first keeper: the next one's will take its place
        finish(world, self.scene.shape)
        world.leave()
        return points

    def kill(self, world, point):
        scene = self.scene
        world.program = self.with_plan
        self.sign.unlink(missing_ok=True)
        self.plan.write_text("{} {}\n".format(*point))
        result = world(*scene.words(world))
        # A keeper that cannot start is a storage failure.
        assert result.code in (0, 1, 4, 10), result
        assert not self.plan.exists(), "no keeper began, or killat does not know this call"
        log = finish(world, scene.shape)
        until_gone(world)
        self.count(point, self.sign.exists())
        scene.shape.judge_all(world, log)


class Owners(Commands):
    """The engine is killed while people decide and stop: what they were told of stays."""

    def points(self):
        """Those of an engine to whom nobody comes."""
        world = self.scene.world(self.program)
        trace = self.place / "trace"
        self.disturb(world, world.start(*self.scene.words(world), prefix=("strace", "-qq", "-s", "256", "-o", trace)))
        world.leave()
        return read_trace(trace, after=self.scene.after)

    def disturb(self, world, engine):
        """Approves, then stops; answers what was accepted."""
        shape = self.scene.shape
        until(lambda: engine.poll() is not None or world.has_event("step.waiting", "ask"), of="a question")
        accepted = []
        if (world.run_dir() / "events.jsonl").exists():
            for kind, words in (("gate.approved", shape.approve(world, "anna")), ("run.stop_requested", ("stop", world.id))):
                result = world(*words)
                assert result.code in (0, 3, 8), result
                if result.code == 0:
                    accepted.append(kind)
        kill_shapes.go(world)
        engine.communicate(timeout=30)
        return accepted

    def kill(self, world, point):
        engine = world.start(*self.scene.words(world), prefix=kill_at(point))
        accepted = self.disturb(world, engine)
        self.count(point, engine.returncode == -9)
        assert engine.returncode in (-9, 4, 6), engine.returncode
        log = log_of(world)
        for kind in accepted:
            assert log.of(kind), f"S5.6: {kind} was accepted, and it is gone"
        log = finish(world, self.scene.shape)
        assert not log.of("step.lost"), "S8.3: the keeper lived"
        if "run.stop_requested" in accepted:
            assert any(event.get("new_state") == "stopped" for event in log.of("run.state_changed")), "S7.5"
        self.scene.shape.judge(world, log)


class Clients(Commands):
    """approve and stop are killed while the engine that they speak to lives on."""

    def live(self, world):
        engine = world.start(*world.begin())
        until(lambda: world.has_event("step.waiting", "ask"), of="a question")
        return engine

    def end(self, world, engine):
        kill_shapes.go(world)
        engine.communicate(timeout=30)
        assert engine.returncode in (0, 4, 6), engine.returncode

    def points(self):
        world = self.scene.world(self.program)
        trace = self.place / "trace"
        engine = self.live(world)
        world(*self.scene.words(world), prefix=("strace", "-qq", "-s", "256", "-o", trace), code=0)
        self.end(world, engine)
        world.leave()
        return read_trace(trace, after=self.scene.after)

    def kill(self, world, point):
        engine = self.live(world)
        result = world(*self.scene.words(world), prefix=kill_at(point))
        assert result.code in (-9, 0), result
        self.count(point, result.code == -9)
        self.end(world, engine)
        log = finish(world, self.scene.shape)
        assert not log.of("step.lost"), "S8.3: the keeper lived"
        self.scene.shape.judge(world, log)


def held(shape, words):
    return kill_shapes.Scene(shape, words, lambda _world: None, after="runs")


def sweeps():
    """{name: how its sweep is made: of (place, program)}"""
    decisions = kill_shapes.SHAPES["decisions"]
    made = {}

    def add(name, kind, scene):
        made[name] = lambda place, program: kind(name, scene, place, program)
    for name, scene in kill_shapes.scenes().items():
        add(name, Commands, scene)
    for name, shape in kill_shapes.SHAPES.items():
        codes = {"decisions": (4,), "undone": (1,)}.get(name, (0,))
        add(f"{name}-keeper", Keepers, kill_shapes.fresh(shape, codes))
    add("decisions-owner", Owners, held(decisions, decisions.begin))
    add("decisions-approve-live", Clients, held(decisions, lambda world: decisions.approve(world, "anna")))
    add("decisions-stop-live", Clients, held(decisions, lambda world: ("stop", world.id)))
    return made


def begin(name, place, program=None):
    """The sweep of this name, in a folder of its own."""
    place = Path(place) / name
    place.mkdir()
    return sweeps()[name](place, program or install(place / "installed"))
