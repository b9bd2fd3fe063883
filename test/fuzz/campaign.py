"""Fuzzers: any bytes to each reader of foreign bytes, and programs of calls to the library.

usage: campaign.py [--minutes M | --seconds S] [--seed S] [--jobs N] [NAME]...

Builds them with clang, AddressSanitizer and UndefinedBehaviorSanitizer into build/fuzz, and runs each one for
its share of the minutes, or for so many seconds; `--jobs` at a time. First inputs are test/fuzz/corpus/NAME,
words of a format test/fuzz/dict/NAME; what is found goes to build/corpus/NAME and is used again. Prints one
line of JSON at its end; exit 1 when something failed. Inputs that show a failure are kept in build/campaign/."""
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.family import Closing, options  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/fuzz"
KEEP = ROOT / "build/campaign"
SANITIZERS = {"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1", "ASAN_OPTIONS": "detect_leaks=1"}


def arguments():
    parser = options(__doc__, minutes=5, seed=0)  # minutes: for all of them together; seed 0: another one each time
    parser.add_argument("--seconds", type=int, help="for each, instead of minutes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("names", nargs="*", metavar="NAME")
    return parser.parse_args()


def build():
    """None, or why there are no fuzzers."""
    if not (BUILD / "build.ninja").exists():
        done = subprocess.run(
            ["meson", "setup", str(BUILD), str(ROOT), "--buildtype=debugoptimized", "-Dfuzz=true",
             "-Db_sanitize=address,undefined", "-Db_lundef=false"],
            env={**os.environ, "CC": "clang"}, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return done.stdout[-2000:] + done.stderr[-2000:]
    done = subprocess.run(["ninja", "-C", str(BUILD), "--quiet", "fuzzers"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stdout[-4000:]


def every():
    return sorted(path.name[len("fuzz_"):] for path in (BUILD / "test/fuzz").glob("fuzz_*") if path.is_file())


def command(name, seconds, seed):
    corpus = ROOT / "build/corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    words = ROOT / "test/fuzz/dict" / name
    seeds = ROOT / "test/fuzz/corpus" / name
    # On the wall: for an input that waits. One that takes the processor is found by hang.c.
    return [str(BUILD / "test/fuzz" / f"fuzz_{name}"), f"-max_total_time={seconds}", "-timeout=20",
            "-rss_limit_mb=2048", "-entropic=0", f"-seed={seed}", "-print_final_stats=1", f"-artifact_prefix={KEEP}/fuzz-{name}-",
            *([f"-dict={words}"] if words.exists() else []), str(corpus), *([str(seeds)] if seeds.is_dir() else [])]


def run(name, seconds, seed):
    """What one of them came to, and the end of what it said when it failed."""
    done = subprocess.run(command(name, seconds, seed), env={**os.environ, **SANITIZERS}, capture_output=True,
                          text=True, errors="replace", check=False)
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    edges = re.findall(r" cov: (\d+) ", done.stderr)
    found = {"runs": int(runs.group(1)) if runs else 0, "edges": int(edges[-1]) if edges else 0}
    if done.returncode == 0 and runs:
        print(f"ok: {name}: {found['runs']} runs, {found['edges']} edges", flush=True)
        return found, None
    kept = re.search(r"Test unit written to (\S+)", done.stderr)
    where = str(Path(kept.group(1)).relative_to(ROOT)) if kept else None
    print(done.stderr[-6000:], f"failed: {name}", sep="\n", flush=True)
    return found, {"target": name, "exit": done.returncode, "input": where}


def main():
    args = arguments()
    closing = Closing("fuzz", args.seed)
    why = build()
    if why:
        print(why)
        return closing.tell(0, [{"build": "failed"}])
    names = args.names or every()
    unknown = sorted(set(names) - set(every()))
    if unknown:
        print(f"there is no fuzzer '{unknown[0]}'; there are: {' '.join(every())}", file=sys.stderr)
        return 2
    KEEP.mkdir(parents=True, exist_ok=True)
    seconds = args.seconds or max(5, int(args.minutes * 60 * args.jobs / len(names)))
    with ThreadPoolExecutor(args.jobs) as pool:
        found = list(pool.map(lambda name: run(name, seconds, args.seed), names))
    failures = [failure for _, failure in found if failure]
    return closing.tell(sum(one["runs"] for one, _ in found), failures,
                        targets={name: one for name, (one, _) in zip(names, found)})


if __name__ == "__main__":
    sys.exit(main())
