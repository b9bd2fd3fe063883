"""Surgery: random edits of the logs of random runs, judged by the program's own readers.

usage: campaign.py [--minutes M] [--seed S] [--cases N]

Each round makes a run of some shape and edits its log some thousands of times: bytes, blocks, lines, cuts, splices,
several at once; a sample is also given to the built program. Every edit must be found, with its line, or be nothing
that was ever acknowledged. In three minutes or more a run also goes to its end among 10,000 logs of noise. Prints one line
of JSON at its end; exit 1 when something failed. Logs that show a failure are kept in build/campaign/."""
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from judging import expected, goes_on_among_noise, objection, verdicts  # noqa: E402
from shapes import SHAPES, long_log  # noqa: E402
from support.family import Closing, options  # noqa: E402
from support.sluice import ROOT, Sluice, install  # noqa: E402

ROUND = 3000
NOISE, NOISE_MINUTES = 10_000, 3
MOST_FAILURES = 50


def arguments():
    parser = options(__doc__)
    parser.add_argument("--cases", type=int, help="so many, however long it takes")
    return parser.parse_args()


# --- edits: of bytes, and of lines

def flip(raw, chance):
    at = chance.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1:]


def put_byte(raw, chance):
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + bytes([chance.choice(b"\0\n\r\"\\{},: 09aZ\xc3\xff")]) + raw[at:]


def take_bytes(raw, chance):
    at = chance.randrange(len(raw))
    return raw[:at] + raw[at + chance.choice((1, 1, 2, 16, 512)):]


def block(raw, chance):
    """A block that did not arrive, or holds what another file had."""
    size = chance.choice((512, 1024, 4096))
    at = chance.randrange(len(raw)) // size * size
    filler = chance.choice((bytes(size), chance.randbytes(size), raw[:size].ljust(size, b"\0")))
    return raw[:at] + filler[:len(raw) - at] + raw[at + size:]


def cut(raw, chance):
    return raw[:chance.randrange(len(raw) + 1)]


def tail(raw, chance):
    return raw + chance.choice((bytes(chance.randrange(1, 5000)), chance.randbytes(chance.randrange(1, 400)),
                                raw[:chance.randrange(len(raw)) + 1], b'{"event_id":"evt_', b"\n", b"{}\n"))


def lines(raw, chance):
    """One or two lines deleted, doubled, moved, swapped, reversed."""
    rows = raw.splitlines(True)
    for _ in range(chance.choice((1, 1, 2))):
        at, to = chance.randrange(len(rows)), chance.randrange(len(rows))
        deed = chance.randrange(4)
        if deed == 0 and len(rows) > 1:
            del rows[at]
        elif deed == 1:
            rows.insert(to, rows[at])
        elif deed == 2:
            rows.insert(to, rows.pop(at))
        else:
            rows[at], rows[to] = rows[to], rows[at]
        if not rows:
            break
    return b"".join(rows)


def word(raw, chance):
    """A value that is another one, of the same length or not."""
    old, new = chance.choice([(b"succeeded", b"failed"), (b"failed", b"succeeded"), (b'"attempt":0', b'"attempt":1'),
                              (b"runner", b"manual:eve"), (b"evt_1", b"evt_01"), (b"true", b"false"), (b"2026", b"2027")])
    count = raw.count(old)
    if not count:
        return flip(raw, chance)
    at = -1
    for _ in range(chance.randrange(count) + 1):
        at = raw.index(old, at + 1)
    return raw[:at] + new + raw[at + len(old):]


EDITS = [flip, flip, put_byte, take_bytes, block, cut, tail, lines, lines, word]


class Campaign:
    def __init__(self, place, seed):
        self.place, self.seed = place, seed
        self.program = install(place / "bin")
        self.chance = random.Random(seed)
        self.failures = []
        self.figures = {"logs": 0, "damaged": 0, "torn": 0, "unchanged": 0, "by the built program": 0}

    def fail(self, shape, raw, problem):
        keep = ROOT / "build/campaign"
        keep.mkdir(parents=True, exist_ok=True)
        name = f"surgery-{self.seed}-{len(self.failures)}"
        (keep / f"{name}.events.jsonl").write_bytes(raw)
        self.failures.append({"shape": shape, "what": str(problem)[:1500], "kept": name})

    def edited(self, raw, other):
        """One log after some edits; sometimes with lines of another run."""
        rows = raw.splitlines(True)
        for _ in range(self.chance.choice((1, 1, 1, 2, 3))):
            raw = self.chance.choice(EDITS)(raw, self.chance) or b"x"
        if other and self.chance.random() < 0.05:
            at = self.chance.randrange(len(rows))
            raw = b"".join(rows[:at]) + b"".join(other.splitlines(True)[at:])
        return raw

    def noise(self):
        world = Sluice(Path(tempfile.mkdtemp(prefix="n-", dir=self.place)), self.program)
        try:
            goes_on_among_noise(world, NOISE, self.chance)
            self.figures["logs of noise"] = NOISE
        except (AssertionError, subprocess.TimeoutExpired) as problem:
            self.failures.append({"shape": "among noise", "what": str(problem)[:1500]})
        finally:
            world.close()
            shutil.rmtree(world.root)

    def round(self, number, most, until):
        world = Sluice(Path(tempfile.mkdtemp(prefix="w-", dir=self.place)), self.program)
        shape = self.chance.choice([*SHAPES, None])
        name = shape.name if shape else "long"
        try:
            if shape:
                shape.make(world)
            else:
                long_log(world)
            self.figures["logs"] += 1
            return self.judge(world, name, most, until)
        finally:
            world.close()
            shutil.rmtree(world.root)

    def judge(self, world, name, most, until):
        raw = world.raw()
        rows = raw.splitlines(True)
        witness = len(rows) if number_of(world) and self.chance.random() < 0.5 else 0
        if not witness:
            (world.run_dir() / "checkpoint.json").unlink(missing_ok=True)
        cases = [self.edited(raw, self.other) for _ in range(most)]
        self.other = raw
        done = 0
        for case, verdict in zip(cases, verdicts(world.run_dir(), iter(cases), "fold")):
            problem = objection(rows, case, verdict, witness)
            end = expected(rows, case)[0]
            self.figures["damaged"] += end in ("damaged", "first", "none")
            self.figures["torn"] += end == "torn"
            self.figures["unchanged"] += end == "whole"
            if problem:
                self.fail(name, case, problem)
            done += 1
        for case in self.chance.sample(cases, min(8, len(cases))):
            if time.monotonic() > until or len(self.failures) > MOST_FAILURES:
                break
            self.built(world, name, rows, case)
        return done

    def built(self, world, name, rows, case):
        end, good = expected(rows, case)
        if end not in ("damaged", "first"):
            return
        world.rewrite(case)
        self.figures["by the built program"] += 1
        result = world("resume", world.id)
        if result.code != 7 or f"line {good + 1}:" not in result.stderr or world.raw() != case:
            self.fail(name, case, result)

    def work(self, until, cases):
        self.other, done, number = None, 0, 0
        while len(self.failures) < MOST_FAILURES and (done < cases if cases else time.monotonic() < until):
            done += self.round(number, min(ROUND, cases - done) if cases else ROUND, until)
            number += 1
        return done


def number_of(world):
    """The line that the checkpoint has seen; 0 when there is none."""
    path = world.run_dir() / "checkpoint.json"
    return path.exists() and len(world.raw().splitlines()) or 0


def main():
    args = arguments()
    closing = Closing("surgery", args.seed)
    with tempfile.TemporaryDirectory(prefix="surgery-") as place:
        campaign = Campaign(Path(place), args.seed)
        if args.minutes >= NOISE_MINUTES and not args.cases:
            campaign.noise()
        done = campaign.work(closing.until(1440 if args.cases else args.minutes), args.cases)
    return closing.tell(done, campaign.failures, **campaign.figures)


if __name__ == "__main__":
    sys.exit(main())
