"""One to five kills at random moments: of the engine, of whoever gives an order, of the keeper, of a step, or of
several; or a pause. What is killed and when follows from a seed; how far the run was by then does not."""
import collections
import contextlib
import os
import random
import signal
import time
from pathlib import Path

import kill_shapes
from kill_sweep import finish, judged, log_of
from support.checker import is_kept
from support.sluice import alive, until

VICTIMS = {"order": 50, "keeper": 15, "order and keeper": 10, "step": 10, "pause": 15}


def children(pid):
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


class Storm:
    """A world of each shape, and kills in copies of them."""

    def __init__(self, place, program):
        self.place, self.program = Path(place), program
        self.scenes = {}
        self.seconds = {}  # that the first order of a run takes where nobody is killed
        self.figures = collections.Counter()

    def scene(self, name):
        if name not in self.scenes:
            (self.place / name).mkdir()
            scene = kill_shapes.fresh(kill_shapes.SHAPES[name])
            scene.build(self.place / name, self.program)
            self.scenes[name] = scene
            self.seconds[name] = min(self.undisturbed(scene) for _ in range(3))
        return self.scenes[name]

    def undisturbed(self, scene):
        world = scene.world(self.program)
        begun = time.monotonic()
        world(*scene.words(world))
        took = time.monotonic() - begun
        world.leave()
        return took

    def pids(self, world, order, victim, with_keeper):
        """Those that live, all that are meant; or none."""
        keepers = world.keepers() if victim != "order" else []
        if victim == "step":
            return [child for keeper in keepers for child in children(keeper) if alive(child)]
        if victim == "keeper" or "keeper" in victim and not keepers:
            return keepers
        found = [order.pid] if order.poll() is None else []
        return found + keepers if found and (victim != "pause" or with_keeper) else found

    def disturb(self, world, order, chance):
        """Where the victim has not begun yet, it is waited for, until the order has ended."""
        victim = chance.choices(list(VICTIMS), VICTIMS.values())[0]
        with_keeper = chance.random() < 0.5

        def found():
            pids = self.pids(world, order, victim, with_keeper)
            return [pids] if pids or order.poll() is not None else None
        pids, = until(found, of=f"{victim} or the end of the order")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP if victim == "pause" else signal.SIGKILL)
        if victim == "pause":
            time.sleep(chance.random() * 0.05)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        self.figures[victim] += bool(pids)
        return victim

    def rage(self, world, shape, seconds, chance):
        """The kills, while an order is carried out that takes so long; answers who was killed."""
        known, victims = b"", set()
        for turn in range(chance.randint(1, 5)):
            words = shape.next(world, log_of(world))
            if words is None:
                break
            order = world.start(*words)
            time.sleep(chance.random() * (seconds if turn == 0 else seconds / 2))
            victims.add(self.disturb(world, order, chance))
            if chance.random() < 0.7:  # else the next order comes while this one may go on
                order.communicate(timeout=30)
            now = world.lines()
            if all(order.poll() is not None for order in world.open):
                world.ledger.check_intents(log_of(world), world.id)
            assert is_kept(known, now), "S1.5: an acknowledged line is gone"
            known = now
        for order in world.open:
            order.communicate(timeout=30)
        return victims

    def one(self, seed):
        chance = random.Random(seed)
        name = chance.choice(list(kill_shapes.SHAPES))
        shape = kill_shapes.SHAPES[name]
        with judged(self.scene(name).world(self.program), f"seed-{seed}") as world:
            victims = self.rage(world, shape, self.seconds[name], chance)
            log = finish(world, shape, may_fail="step" in victims)
            if victims <= {"order", "pause"}:
                assert not log.of("step.lost"), "S8.3: the keeper lived"
                shape.judge(world, log)
            else:
                shape.judge_all(world, log)
        self.figures["runs"] += 1

    def not_hit(self):
        """Kinds of victims of whom none was hit."""
        return [victim for victim in VICTIMS if not self.figures[victim]]
