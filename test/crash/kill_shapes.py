"""Five kinds of pipelines, how somebody brings a run of each to its end from wherever it stands, and what
must hold there. Each step leaves its traces in the ledger."""
import os
from pathlib import Path

from support.checker import Ledger
from support.kills import World, copy_of, until_gone
from support.sluice import until

DO, UNDO = Ledger.SCRIPT, Ledger.UNDO
OUT = '; echo rows=7 >"$SLUICE_OUTPUT"'
ROWS = {"rows": {"type": "int", "required": True}}
# Waits in its first attempt until the file `go` is there.
HOLD = '; [ "$SLUICE_ATTEMPT" != 0 ] || while [ ! -e go ]; do sleep 0.02; done'
AS = ("--as", "anna", "--reason", "looked at")
GONE = ("--older-than", "1ms")


class Shape:
    """What a kind does not say differently: one run, that succeeds."""
    end = "succeeded"
    twice = ()    # steps whose first attempt fails
    cached = ()   # steps that are not executed

    def steps(self):
        raise NotImplementedError

    def prepare(self, world):
        """What there is before the run."""

    def begin(self, world):
        return world.begin()

    def next(self, world, log):
        """What somebody does who wants the run at its end; None when it is there. `log` is None before its birth."""
        if log is None:
            return self.begin(world)
        if not log.completed:
            return self.ask(world, log) or ("resume", world.id)
        barred = [name for name, step in log.steps.items() if step.gate_barred]
        if log.state == self.end or log.outcome == "partial" and log.of("run.override_applied"):
            return None
        return ("resume", world.id, *(("--override", barred[0], *AS) if barred else ()))

    def ask(self, _world, _log):
        return None

    def judge(self, world, log):
        """Of a run whose keeper was never killed, and whose steps were not: but for what was lost before."""
        times = world.ledger.check(log)
        for name in self.steps():
            want = 0 if name in self.cached else 2 if name in self.twice else 1
            done = sum(count for token, count in times.items() if token.split()[1] == name)
            assert want <= done <= want + log.steps[name].lost, f"{name} was executed {done} times"
        states = {name: step.state for name, step in log.steps.items()}
        assert set(states.values()) == {"succeeded"}, states

    def judge_all(self, world, log):
        """Of any run at its end."""
        world.ledger.check(log)


class Linear(Shape):
    """One after the other: hard gates with evidence, a retry, outputs."""
    twice = ("again",)

    def steps(self):
        return {
            "preflight": {"gate": "hard", "run": DO + '; echo ok=1 >"$SLUICE_OUTPUT"',
                          "outputs": {"ok": {"type": "int", "required": True}}, "pass": "output.ok == 1"},
            "again": {"run": DO + '; [ "$SLUICE_ATTEMPT" != 0 ] || exit 75',
                      "retry": {"max_attempts": 3, "initial": "1ms", "jitter": "0%"}},
            "load": {"run": DO + HOLD + OUT, "outputs": ROWS},
            "use": {"gate": "hard", "run": DO + '; [ "$OUTPUT_load_rows" = 7 ]', "needs": ["load"]},
        }


class Diamond(Shape):
    """Two at a time, outputs on both sides, an artifact."""

    def steps(self):
        def side(name):
            return {"run": DO + HOLD + OUT.replace("7", name), "outputs": {"rows": {"type": "string", "required": True}},
                    "needs": ["stage"]}
        return {
            "stage": {"run": DO},
            "left": side("left"), "right": side("right"), "middle": {"run": DO, "needs": ["stage"]},
            "join": {"run": DO + '; [ "$OUTPUT_left_rows$OUTPUT_right_rows" = leftright ]; echo x >out.$SLUICE_RUN_ID',
                     "needs": ["left", "right", "middle"], "artifacts": [{"name": "out", "path": "out.${run.id}"}]},
        }

    def judge(self, world, log):
        super().judge(world, log)
        assert len(log.of("artifact.emitted")) == 1, "an artifact once"
        assert (world.root / f"out.{world.id}").read_text() == "x\n", "the artifact itself"


class Decisions(Shape):
    """Two people are asked, while a step goes on until the file `go` is there."""

    def steps(self):
        return {
            "first": {"run": DO, "needs": []},
            "slow": {"run": DO + HOLD, "needs": []},
            "ask": {"gate": "manual", "approve": {"count": 2}, "run": DO, "needs": ["first"]},
            "last": {"run": DO, "needs": ["ask", "slow"]},
        }

    def ask(self, world, log):
        who = []
        for event in log.events:
            if event.get("step_id") == "ask":
                who = [] if event["event_type"] == "step.waiting" else who
                who += [event["actor"]] if event["event_type"] == "gate.approved" else []
        if log.steps["ask"].state == "waiting" and len(who) < 2:
            return self.approve(world, "bert" if "manual:anna" in who else "anna")
        return None

    def approve(self, world, name):
        return ("approve", world.id, "ask", "--as", name, "--reason", "looked at")

    def judge(self, world, log):
        super().judge(world, log)
        who = [event["actor"] for event in log.of("gate.approved")]
        assert sorted(who) == ["manual:anna", "manual:bert"], f"S5.6: {who}"


class Caches(Shape):
    """A partition, figures with thresholds, a step that a run before has done for this one."""
    cached = ("make",)

    def steps(self):
        figures = '{"quality": {"record_count": 100, "valid_count": 100, "null_count": 0}}'
        return {
            "make": {"run": DO + OUT, "outputs": ROWS, "inputs": [], "cache": True},
            "measure": {"run": DO + HOLD + f"; echo '{figures}' >\"$SLUICE_OUTPUT\"",
                        "quality": {"min_valid_rate": 0.99, "min_record_count": 1}},
            "use": {"run": DO + '; [ "$OUTPUT_make_rows" = 7 ]', "needs": ["make", "measure"]},
        }

    def prepare(self, world):
        go(world)
        world("run", world.file, "--run-id", f"{world.id}.0", "--partition", "p0", code=0)

    def begin(self, world):
        return (*world.begin(), "--partition", "p1")

    def judge(self, world, log):
        super().judge(world, log)
        assert len(log.of("quality.recorded")) == 1, "figures once"
        world("run", world.file, "--run-id", f"{world.id}.2", "--partition", "p1", code=3)
        # Of a birth that was cut short `.new-*` stays, until gc finds it.
        names = sorted(name for name in os.listdir(world.home / "runs") if not name.startswith(".new-"))
        assert names == sorted([world.id, f"{world.id}.0"]), names


class Undone(Shape):
    """A diamond of steps that can be undone, one that cannot, and one that fails: all is rolled back."""
    end = "rolled_back"
    undone = ("first", "left", "right", "join", "last")

    def __init__(self, on_failure="compensate"):
        self.on_failure = on_failure

    def steps(self):
        def step(**more):
            return {"run": DO, "compensate": {"run": UNDO}, **more}
        return {
            "first": step(), "left": step(needs=["first"]), "right": step(needs=["first"]),
            "join": {**step(needs=["left", "right"]), "compensate": {"run": UNDO + HOLD}}, "kept": {"run": DO}, "last": step(),
            "fails": {"run": DO + "; exit 1", "on_failure": self.on_failure},
        }

    def next(self, world, log):
        if log is not None and log.completed:
            return None if log.state == self.end else ("rollback", world.id)
        return super().next(world, log)

    def undos(self, world, log):
        """{step: how often it was undone}, of those that can be."""
        seen = world.ledger.check(log)
        return {name: sum(count for token, count in seen.items() if token.split()[1] == name + ".comp")
                for name in self.undone}

    def judge(self, world, log):
        if log.of("compensation.failed"):
            self.judge_all(world, log)
            return
        assert set(self.undos(world, log).values()) == {1}, f"S10.2: {self.undos(world, log)}"
        order = [event["step_id"] for event in log.of("step.compensated")]
        assert sorted(order) == sorted(self.undone) and order[:2] == ["last", "join"] and order[-1] == "first", order
        states = {name: log.steps[name].state for name in ("kept", "fails")}
        assert states == {"kept": "succeeded", "fails": "failed"}, states

    def judge_all(self, world, log):
        """A keeper that dies with a compensation in its hands: nobody knows how far that came, and somebody asks
        for it again. Whatever had succeeded is undone in the end, and nothing else is."""
        undos = self.undos(world, log)
        failed = {event["step_id"] for event in log.of("compensation.failed")}
        for name, times in undos.items():
            state = log.steps[name].state
            assert state == "compensated" and (times == 1 or name in failed) or \
                state != "compensated" and times == 0 and state != "succeeded", f"S10.2: {name} is {state}, undone {times} times"


SHAPES = {"linear": Linear(), "diamond": Diamond(), "decisions": Decisions(), "caches": Caches(), "undone": Undone()}


# ------------------------------------------------------------------- where a command is given

def cut_off(world, shape, step):
    """The run as a power cut leaves it while the step is held: engine, keeper and steps are gone at once."""
    (world.root / "go").unlink(missing_ok=True)
    engine = world.start(*shape.begin(world))
    until(lambda: f"{world.id} {step} 0" in world.ledger.executions(), 20, of=f"{step} begins")
    world.kill_machine(engine)


class Scene:
    """A world in which a command is given again and again: made once, and copied for each time, always to
    the same place, as paths stand in runs and in keys of the cache."""

    def __init__(self, shape, words, make, *, codes=(0,), after="runs"):
        self.shape, self.words, self.make = shape, words, make
        self.codes, self.after = codes, after
        self.template = self.place = None
        self.lost = 0  # attempts that were running when the world was cut off

    def build(self, ground, program):
        self.place = Path(ground) / "world"
        world = World(self.place, program, on_lost="rerun", steps=self.shape.steps())
        self.shape.prepare(world)
        self.make(world)
        if (world.run_dir() / "events.jsonl").exists():
            log = world.log(torn=True)
            self.lost = sum(len(step.started) - len(step.ends) + step.undos - len(step.undo_ends)
                            for step in log.steps.values())
        world.close()
        self.template = world
        world.root = self.place.rename(self.place.with_name("template"))

    def world(self, program):
        """A copy in its place. Nobody else may be there."""
        return copy_of(self.template, self.place, program)


def go(world):
    (world.root / "go").touch()


def fresh(shape, codes=(0,)):
    return Scene(shape, shape.begin, go, codes=codes, after="pipeline.yaml")


def at_rest(shape, words, *, codes=(0,)):
    """A run that has come to a rest, where nobody owns it."""
    def make(world):
        go(world)
        world(*shape.begin(world), code=(1, 4))
    return Scene(shape, words, make, codes=codes)


def half(shape, step, codes=(0,)):
    return Scene(shape, lambda world: ("resume", world.id), lambda world: cut_off(world, shape, step), codes=codes,
                 after="events.jsonl")


class Collection(Caches):
    """Runs that ended long ago are removed while one is there that was cut off: it stays, and goes on."""
    cached = ()

    def make(self, world):
        for n in (1, 2):
            world("run", world.file, "--run-id", f"{world.id}.{n}", "--partition", f"q{n}", code=0)
        cut_off(world, self, "measure")

    def words(self, _world):
        return ("gc", *GONE)

    def judge(self, world, log):
        world.ledger.check(log)
        world("verify", "--all", code=0)
        world("list", code=0)
        until_gone(world)
        world(*self.words(world), code=0)
        world(*self.words(world), code=0)
        left = os.listdir(world.home / "runs") + os.listdir(world.home / "trash")
        assert not left, f"after gc there is still {left}"

    judge_all = judge


def scenes():
    """{name: the command that is killed at each of its system calls}. Only engines and clients: a keeper lives on."""
    linear, diamond, decisions, caches, undone = SHAPES.values()
    removed, failed = Collection(), Undone(on_failure="stop")
    return {
        "linear-run": fresh(linear),
        "linear-resume": half(linear, "load"),
        "diamond-run": fresh(diamond),
        "diamond-resume": half(diamond, "left"),
        "decisions-run": fresh(decisions, codes=(4,)),
        "decisions-approve": at_rest(decisions, lambda world: decisions.approve(world, "anna")),
        "decisions-stop": at_rest(decisions, lambda world: ("stop", world.id)),
        "caches-run": fresh(caches),
        "caches-resume": half(caches, "measure"),
        "caches-gc": Scene(removed, removed.words, removed.make),
        "undone-run": fresh(undone, codes=(1,)),
        "undone-rollback": at_rest(failed, lambda world: ("rollback", world.id)),
        "undone-resume": half(undone, "join.comp", codes=(1,)),
    }
