"""Kills: of engines, keepers, resumes, approve, stop, rollback and gc at each of their system calls, in five kinds of
pipelines; then races for one run; then kills at random moments.

usage: campaign.py [--minutes M] [--seed S] [--sweep NAME]... [--races N] [--storms N]

The points of all sweeps come in an order that follows from the seed, for three quarters of the time or until all are
done; races have a twentieth, kills at random moments the rest. Where one of the three is asked for, the others are left
out. Prints one line of JSON at its end; exit 1 when something failed.
Worlds that show a failure are kept in build/campaign/."""
import collections
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import kill_sweep  # noqa: E402
from kill_storm import Storm  # noqa: E402
from owner_races import KINDS, Races  # noqa: E402
from support.family import Closing, options  # noqa: E402
from support.kills import FAILURES  # noqa: E402
from support.sluice import install  # noqa: E402

CHUNK = 25
ENOUGH_STORMS = 200
MOST_FAILURES = 50


def arguments():
    parser = options(__doc__)
    parser.add_argument("--sweep", action="append", choices=list(kill_sweep.sweeps()), help="only these")
    parser.add_argument("--races", type=int, help="so many, each of fifty processes")
    parser.add_argument("--storms", type=int, help="so many runs with kills at random moments")
    return parser.parse_args()


class Campaign:
    def __init__(self, place, seed):
        self.place, self.seed = place, seed
        self.program = install(place / "bin")
        self.chance = random.Random(seed)
        self.figures = collections.Counter()
        self.failures = []

    def case(self, what, *args):
        try:
            what(*args)
        except FAILURES as problem:
            self.failures.append(str(problem)[:1500])

    def is_over(self, until):
        return time.monotonic() > until or len(self.failures) >= MOST_FAILURES

    def sweeps(self, names, until):
        """Answers how many points there are, as far as it is known: all, when there was time to look."""
        made = {name: kill_sweep.begin(name, self.place, self.program) for name in names}
        chunks = []
        for name, sweep in made.items():
            points = sweep.points()
            self.chance.shuffle(points)
            self.figures["points in all"] += len(points)
            chunks += [(sweep, points[at:at + CHUNK]) for at in range(0, len(points), CHUNK)]
        self.chance.shuffle(chunks)
        for sweep, points in chunks:
            for point in points:
                if self.is_over(until):
                    break
                self.case(sweep.one, point)
        for name, sweep in made.items():
            self.figures.update(sweep.figures)
            if sweep.figures["points"] >= CHUNK and not sweep.figures["killed"]:
                self.failures.append(f"{name}: nobody was killed: {sweep.figures}")

    def races(self, most, until):
        races = Races(self.place, self.program)
        n = 0
        while not self.is_over(until) and n != most:
            self.case(races.one, KINDS[n % len(KINDS)], n)
            n += 1
        self.figures.update(races.figures)

    def storms(self, most, until):
        place = self.place / "storm"
        place.mkdir()
        storm = Storm(place, self.program)
        n = 0
        while not self.is_over(until) and n != most:
            self.case(storm.one, self.seed * 1_000_000 + n)
            n += 1
        self.figures.update(storm.figures)
        if n >= ENOUGH_STORMS and storm.not_hit():
            self.failures.append(f"none was hit of: {storm.not_hit()}: {storm.figures}")


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # and its worlds go with it
    closing = Closing("crash", args.seed)
    end = closing.until(args.minutes)
    with kill_sweep.ground("/tmp") as place:
        campaign = Campaign(place, args.seed)
        is_all = not args.sweep and args.races is None and args.storms is None
        if is_all or args.sweep:
            campaign.sweeps(args.sweep or list(kill_sweep.sweeps()), closing.until(args.minutes * 3 / 4) if is_all else end)
        if is_all or args.races is not None:
            campaign.races(args.races, closing.until(args.minutes * 4 / 5) if is_all else float("inf"))
        if is_all or args.storms is not None:
            campaign.storms(args.storms, end if is_all else float("inf"))
    figures = campaign.figures
    cases = figures["points"] + figures["races"] + figures["runs"] + len(campaign.failures)
    return closing.tell(cases, campaign.failures, **figures)


if __name__ == "__main__":
    sys.exit(main())
