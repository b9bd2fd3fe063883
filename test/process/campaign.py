"""Processes and clocks: random trees of processes that do not want to end, while owners are killed, stopped and
signalled and the wall clock jumps.

usage: campaign.py [--minutes M] [--seed S] [--cases N]

Each case is a run of some steps that leave processes behind in one way or another, with some accidents at random
moments, brought to its end by resumes. Judged: each step ends as its command says, no attempt is executed twice, nothing
lasts a negative time, and nothing of it lives on. Before them, and beside their time, come tests that are no company for
others (COSTLY), unless --cases is given. Prints one line of JSON at its end; exit 1 when something failed. Worlds that
show a failure are kept in build/campaign/."""
import collections
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from support.checker import Ledger  # noqa: E402
from support.family import Closing, options  # noqa: E402
from support.sluice import ROOT, Sluice, install, processes, until  # noqa: E402
from test_clocks import DAY, SHIM  # noqa: E402

MOST_FAILURES = 20
KEPT = ROOT / "build/campaign"

# With SLUICE_CAMPAIGN in their environment they make thousands of processes; else fewer, or they are skipped.
COSTLY = ["test_trees.py::test_p01_2000_short_steps_leave_no_zombie_and_no_descriptor",
          "test_trees.py::test_p06_what_an_engine_does_about_a_lost_command_is_no_silence_of_the_keeper"]
COSTLY_SECONDS = 500

# What a step does after it has told the ledger, and how it ends.
DEEDS = {
    "nothing": ("true", True),
    "takes a while": ("sleep 0.1", True),
    "a child in the background": ("sleep 60 & exit 0", True),
    "a child in a session of its own": ("setsid sleep 60 & exit 0", True),
    "a daemon that forked twice": ("(setsid sh -c 'sleep 60 & sleep 60' &); exit 0", True),
    "a child that ignores TERM": ("(trap '' TERM HUP; exec setsid sleep 60) & exit 0", True),
    "a child that hides its environment": ("env -i setsid sleep 60 & exit 0", True),
    "a child that holds the output": ("(sleep 60; echo late) & exit 0", True),
    "ignores TERM": ("trap '' TERM; sleep 0.2", True),
    "no output left": ("exec >&- 2>&-; sleep 0.05", True),
    "much output": ("head -c 300000 /dev/zero", True),
    "a crowd": ("for i in 1 2 3 4 5 6 7 8; do (setsid sleep 60 &); done; exit 0", True),
    "a code": ("exit {code}", False),
    "a signal": ("kill -{signal} $$; sleep 60", False),
    "stops itself": ("kill -STOP $$; sleep 60", False),
    "takes too long": ("sleep 60", False),
}
FATAL = [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT, signal.SIGUSR1, signal.SIGHUP, signal.SIGPIPE]
ACCIDENTS = {"engine killed": 25, "keeper killed": 10, "both killed": 10, "both stopped for a moment": 10, "keeper stopped for a moment": 10,
             "SIGINT": 8, "SIGTERM": 4, "SIGHUP": 4, "clock": 19}
JUMPS = [-10 * DAY, -3600, -1, 1, 3600, DAY, 10 * 365 * DAY]


def arguments():
    parser = options(__doc__)
    parser.add_argument("--cases", type=int, help="so many, however long it takes")
    return parser.parse_args()


class Case:
    def __init__(self, world, shim, chance, figures):
        self.world, self.chance, self.figures = world, chance, figures
        self.ledger = Ledger(world.root)
        world.env.update(self.ledger.env)
        self.has_clock = shim and chance.random() < 0.4
        if self.has_clock:
            self.set_clock(0)
            world.env.update({"LD_PRELOAD": str(shim), "WALL_OFF": str(world.root / "off")})
        self.expected = {}

    def set_clock(self, seconds):
        (self.world.root / "off.new").write_text(str(seconds))
        (self.world.root / "off.new").rename(self.world.root / "off")

    def steps(self):
        found, names = {}, []
        for number in range(self.chance.randint(2, 6)):
            deed = self.chance.choice(list(DEEDS))
            text, is_fine = DEEDS[deed]
            text = text.format(code=self.chance.choice((1, 2, 126, 127, 128, 255)), signal=int(self.chance.choice(FATAL))) if "{" in text else text
            name = f"s{number}"
            found[name] = {"run": f"{Ledger.SCRIPT}; {text}", "needs": self.chance.sample(names, min(len(names), self.chance.randint(0, 2))),
                           "on_failure": "continue", "on_lost": "rerun", "grace": "100ms"}
            if deed in ("stops itself", "takes too long"):
                found[name]["timeout"] = "400ms"
            names.append(name)
            self.expected[name] = "succeeded" if is_fine else "failed"
            self.figures[deed] += 1
        return found

    def accident(self, order):
        what = self.chance.choices(list(ACCIDENTS), ACCIDENTS.values())[0]
        if what == "clock":
            if not self.has_clock:
                return
            self.set_clock(self.chance.choice(JUMPS))
            self.figures[what] += 1
            return
        keepers = self.world.keepers() if "keeper" in what or "both" in what else []
        pids = keepers + ([order.pid] if "keeper" not in what else [])
        how = signal.SIGKILL if "killed" in what else signal.SIGSTOP if "stopped" in what else getattr(signal, what)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        if how == signal.SIGSTOP:
            time.sleep(self.chance.random() * 0.2)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        self.figures[what] += bool(pids)

    def live(self):
        """Accidents at random moments; then to the end."""
        path = self.world.pipeline(self.steps(), env={name: {"from": "env"} for name in self.ledger.env}, concurrency=self.chance.randint(1, 4))
        words = ("run", path, "--run-id", self.world.id)
        for _ in range(self.chance.randint(0, 3)):
            order = self.world.start(*words)
            time.sleep(self.chance.random() * 0.4)
            self.accident(order)
            if self.chance.random() < 0.8:
                order.communicate(timeout=60)
            if (self.world.run_dir() / "events.jsonl").exists():
                words = ("resume", self.world.id)
        for order in self.world.open:
            order.communicate(timeout=60)
        for _ in range(15):
            result = self.world(*words)
            if (self.world.run_dir() / "events.jsonl").exists():
                words = ("resume", self.world.id)
            if result.code in (0, 5):
                return
            assert result.code in (1, 3, 6, 8, 9), result
            time.sleep(0.02)
        raise AssertionError(f"it comes to no end: {result}")

    def judge(self):
        log = self.world.log(ended="failed" if "failed" in self.expected.values() else "succeeded")
        self.ledger.check(log)
        got = {name: step.state for name, step in log.steps.items()}
        assert got == self.expected, f"{got}, not {self.expected}"
        assert all(0 <= event["duration_ms"] < 60000 for event in log.events if "step_id" in event and "duration_ms" in event)
        assert [event["event_id"] for event in log.events] == [f"evt_{n}" for n in range(1, len(log.events) + 1)]
        self.figures["lost"] += len(log.of("step.lost"))
        until(lambda: not processes(f"SLUICE_RUN_ID={self.world.id}") and not self.world.keepers(), 15, of="the end of all that was started")


class Campaign:
    def __init__(self, place, seed):
        self.place, self.seed = place, seed
        self.program = install(place / "bin")
        self.chance = random.Random(seed)
        self.figures, self.failures = collections.Counter(), []
        self.shim = self.make_shim()

    def make_shim(self):
        """Where there is no compiler, or a sanitizer wants to be loaded first, clocks stay as they are."""
        if not shutil.which("cc") or b"__asan_init" in self.program.read_bytes():
            return None
        (self.place / "clock.c").write_text(SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.place / "clock.so", self.place / "clock.c", "-ldl"], check=True)
        return self.place / "clock.so"

    def case(self, number):
        seed = f"{self.seed}-{number}"
        world = Sluice(Path(tempfile.mkdtemp(prefix="w-", dir=self.place)), self.program)
        try:
            case = Case(world, self.shim, random.Random(seed), self.figures)
            case.live()
            case.judge()
        except (AssertionError, TimeoutError, subprocess.TimeoutExpired) as problem:
            kept = KEPT / f"process-{seed}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(world.root, kept, ignore=shutil.ignore_patterns("*.sock"), ignore_dangling_symlinks=True)
            self.failures.append({"case": seed, "what": f"{type(problem).__name__}: {problem}"[:1500], "kept": kept.name})
        finally:
            world.close()
            shutil.rmtree(world.root, ignore_errors=True)

    def costly(self):
        """Answers how many tests that were; the figures have what pytest says at its end, what was skipped too."""
        log = KEPT / "process-costly.log"
        KEPT.mkdir(parents=True, exist_ok=True)
        with open(log, "wb") as said:
            done = subprocess.run(
                ["timeout", "--signal=INT", str(COSTLY_SECONDS), sys.executable, "-m", "pytest", "-q", "-p",
                 "no:cacheprovider", *(f"test/process/{name}" for name in COSTLY)], cwd=ROOT,
                env={**os.environ, "SLUICE_CAMPAIGN": "1"}, stdout=said, stderr=subprocess.STDOUT, check=False)
        last = log.read_text(errors="replace").strip().rpartition("\n")[2]
        self.figures["costly"] = last
        if done.returncode:
            self.failures.append({"case": "costly", "what": f"exit {done.returncode}: {last}", "kept": log.name})
        return len(COSTLY)

    def work(self, minutes, cases):
        others = 0 if cases else self.costly()
        until_then, number = time.monotonic() + minutes * 60, 0
        while len(self.failures) < MOST_FAILURES and (number < cases if cases else time.monotonic() < until_then):
            self.case(number)
            number += 1
        return number + others


def main():
    args = arguments()
    closing = Closing("process", args.seed)
    with tempfile.TemporaryDirectory(prefix="process-") as place:
        campaign = Campaign(Path(place), args.seed)
        done = campaign.work(args.minutes, args.cases)
    return closing.tell(done, campaign.failures, **campaign.figures)


if __name__ == "__main__":
    sys.exit(main())
