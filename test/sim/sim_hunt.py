"""Seeds of the simulator, on all cores: those that failed once first, then ranges of new ones."""
import re
import subprocess
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/src/sim/sluice-sim"
KNOWN = Path(__file__).resolve().parent / "seeds.txt"
CHUNK = 250
CHUNK_SECONDS = 900
SEED_SECONDS = 120
FAILURES_MAX = 10
FAILED = re.compile(r"^FAILED seed (\d+): (.*)$", re.M)
COUNTED = re.compile(r"(\d+) (scenarios|compared|engines|crashes|keepers killed|power cuts|disk faults|commands"
                     r"|compensations|ticks|second runs|successes taken)\b")


def known_seeds(path=KNOWN):
    """The seeds of a file like seeds.txt."""
    words = [line.split("#")[0].split() for line in path.read_text().splitlines()]
    return [int(word[0]) for word in words if word]


class Hunt:
    """Runs seeds; `failures` has {"seed", "what", "trace"} for each one that broke a rule."""

    def __init__(self, program=PROGRAM, keep=ROOT / "build/campaign", known=KNOWN, jobs=2):
        self.program, self.keep, self.known, self.jobs = Path(program), Path(keep), Path(known), jobs
        self.figures, self.failures = {}, []
        self.lock = threading.Lock()

    def _run(self, words, seconds):
        """(exit status, what it says); a program that does not end, or is killed, has a status below 0."""
        try:
            done = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True, errors="replace",
                                  timeout=seconds)
        except subprocess.TimeoutExpired:
            return -1, f"it does not end in {seconds} s"
        return done.returncode, done.stdout + done.stderr

    def _count(self, text):
        with self.lock:
            for number, name in COUNTED.findall(text):
                name = name.replace(" ", "_")
                self.figures[name] = self.figures.get(name, 0) + int(number)

    def _keep_failure(self, seed, what):
        _, trace = self._run(["--seed", seed, "--trace"], SEED_SECONDS)
        self.keep.mkdir(parents=True, exist_ok=True)
        path = self.keep / f"sim-{seed}.txt"
        path.write_text(f"{what}\nreplay: sluice-sim --seed {seed} --trace\n\n{trace}")
        with self.lock:
            self.failures.append({"seed": seed, "what": what, "trace": str(path)})
            if seed not in known_seeds(self.known):
                with self.known.open("a") as file:
                    file.write(f"{seed} # {' '.join(what.split())[:150]}\n")

    def seed(self, seed):
        """One seed by itself; True when all rules held."""
        status, text = self._run(["--seed", seed], SEED_SECONDS)
        found = FAILED.search(text)
        if status == 0:
            self._count(text)
            return True
        last = text.strip().splitlines()[-1:] or ["nothing"]
        self._keep_failure(seed, found.group(2) if found else f"it ended with {status} and said: {last[0][:200]}")
        return False

    def range(self, first, count):
        """Seeds first .. first + count - 1. Goes on behind one that fails."""
        end = first + count
        while first < end and len(self.failures) < FAILURES_MAX:
            status, text = self._run(["--seeds", end - first, "--from", first], CHUNK_SECONDS)
            found = FAILED.search(text)
            if status == 0 or found:
                self._count(text)
            if status == 0:
                return
            if not found:  # it was killed, or hangs: by which seed?
                for seed in range(first, end):
                    if len(self.failures) < FAILURES_MAX:
                        self.seed(seed)
                return
            self._keep_failure(int(found.group(1)), found.group(2))
            first = int(found.group(1)) + 1

    def _work(self, take):
        while len(self.failures) < FAILURES_MAX:
            work = take()
            if work is None:
                return
            work()

    def _spread(self, works):
        """Carry out what an iterator gives, `jobs` at a time."""
        def take():
            with self.lock:
                return next(works, None)

        threads = [threading.Thread(target=self._work, args=(take,)) for _ in range(self.jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def run(self, first, count=None, until=lambda: False):
        """The known seeds, then `count` from `first` on, or as many as there is time for."""
        known = known_seeds(self.known)
        self._spread(iter([lambda seed=seed: self.seed(seed) for seed in known]))

        def chunks():
            at = first
            while (count is None or at < first + count) and not until():
                size = CHUNK if count is None else min(CHUNK, first + count - at)
                yield lambda at=at, size=size: self.range(at, size)
                at += size

        self._spread(chunks())
