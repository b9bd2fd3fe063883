"""Many who want one run at the same moment: one gets it, and all others are refused while it has it."""
import collections
import os
from pathlib import Path

from kill_shapes import DO, Scene, Shape, go, half
from kill_sweep import judged
from support.sluice import until

CROWD = 50
LIMIT = 60
KINDS = ("starters", "resumers", "resumers of a lost machine", "starters and resumers")
GATE = ("sh", "-c", 'read -r _; exec "$@" </dev/null', "sh")  # until nobody has the other end of what it reads


class Held(Shape):
    """Its second step, in each attempt, goes on until all but one have been answered: who comes late is refused, too."""

    def steps(self):
        return {"first": {"run": DO}, "held": {"run": DO + "; while [ ! -e go ]; do sleep 0.02; done"}, "last": {"run": DO}}


class Races:
    """Worlds in which a crowd is let go at once."""

    def __init__(self, place, program):
        self.program = program
        self.figures = collections.Counter()
        shape = Held()
        self.fresh, self.lost = Scene(shape, shape.begin, lambda _world: None), half(shape, "held")
        for scene in (self.fresh, self.lost):
            folder = Path(place) / f"races-{len(os.listdir(place))}"
            folder.mkdir()
            scene.build(folder, program)

    def race(self, world, *orders):
        """As many of each order; answers how many of them had which exit status."""
        read_end, write_end = os.pipe()
        try:
            crowd = [(words[0], world.start(*words, prefix=GATE, stdin=read_end))
                     for _ in range(CROWD // len(orders)) for words in orders]
        finally:
            os.close(read_end)
            os.close(write_end)
        until(lambda: sum(process.poll() is None for _, process in crowd) <= 1, LIMIT, of="answers for all but one")
        go(world)
        codes = collections.Counter((name, process.wait(LIMIT)) for name, process in crowd)
        self.figures["refused by the owner"] += codes["resume", 8]
        return codes

    def starters(self, world):
        codes = self.race(world, world.begin())
        assert codes == {("run", 0): 1, ("run", 3): CROWD - 1}, codes

    def resumers(self, world):
        if not world.run_dir().exists():
            engine = world.start(*world.begin())
            until(lambda: f"{world.id} held 0" in world.ledger.executions(), of="the step that is held")
            world.cut(engine)
        codes = self.race(world, ("resume", world.id))
        assert codes == {("resume", 0): 1, ("resume", 8): CROWD - 1}, codes
        assert len(world.log().of("run.resumed")) == 1

    def both(self, world):
        """Before the birth of the run there is nothing to resume."""
        codes = self.race(world, world.begin(), ("resume", world.id))
        runs = {code: count for (name, code), count in codes.items() if name == "run"}
        assert runs == {0: 1, 3: CROWD // 2 - 1}, codes
        assert {code for name, code in codes if name == "resume"} <= {8, 9}, codes

    def one(self, kind, n):
        scene = self.lost if kind == "resumers of a lost machine" else self.fresh
        race = {"starters": self.starters, "starters and resumers": self.both}.get(kind, self.resumers)
        with judged(scene.world(self.program), f"race-{n}-{kind.replace(' ', '-')}") as world:
            race(world)
            scene.shape.judge(world, world.log(ended="succeeded"))
            assert os.listdir(world.home / "runs") == [world.id], "no temporary names are left"
        self.figures["races"] += 1
