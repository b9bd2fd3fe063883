#!/usr/bin/python3
"""Make a history of many runs: a few real ones, copied under other names with whole chains.

    bench/make_history.py --sluice build/src/cli/sluice --runs 100000 STATE

Of ten runs one has failed; starts are a minute apart. What differs between copies is the run id and
the times; the links of each log's chain are computed anew, so `sluice verify` accepts them."""
import argparse
import datetime
import hashlib
import json
import os
import subprocess
import sys
import tempfile

GOOD = "pipeline: nightly\nsteps:\n  fetch: {run: 'true'}\n  load: {run: 'true'}\n  report: {run: 'true'}\n"
BAD = "pipeline: nightly\nsteps:\n  fetch: {run: 'true'}\n  load: {run: exit 3}\n  report: {run: 'true'}\n"
FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def template(sluice, text, folder):
    """The lines of a real run, and its two definition files."""
    path = os.path.join(folder, "p.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    subprocess.run([sluice, "run", "-q", "--dir", os.path.join(folder, "state"), "--run-id", "r", path],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    run = os.path.join(folder, "state", "runs", "r")
    with open(os.path.join(run, "events.jsonl"), encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    return lines, run


def copy_log(lines, run_id, start):
    """The same events of another run, that began at `start`."""
    chain = hashlib.sha256(run_id.encode()).digest()
    first = datetime.datetime.strptime(lines[0]["timestamp_utc"], FORMAT)
    out = []
    for event in lines:
        event = dict(event, run_id=run_id)
        del event["h"]
        at = start + (datetime.datetime.strptime(event["timestamp_utc"], FORMAT) - first)
        event["timestamp_utc"] = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
        body = json.dumps(event, separators=(",", ":"), ensure_ascii=False)[:-1].encode()
        chain = hashlib.sha256(chain + body).digest()
        out.append(body + b',"h":"' + chain.hex()[:16].encode() + b'"}\n')
    return b"".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default="build/src/cli/sluice")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("state", help="a new state directory")
    given = parser.parse_args()
    sluice = os.path.abspath(given.sluice)
    runs = os.path.join(given.state, "runs")
    os.makedirs(runs, mode=0o700)
    with tempfile.TemporaryDirectory() as good_folder, tempfile.TemporaryDirectory() as bad_folder:
        good, bad = template(sluice, GOOD, good_folder), template(sluice, BAD, bad_folder)
        begin = datetime.datetime(2026, 1, 1)
        definitions = {}
        for n in range(given.runs):
            lines, source = bad if n % 10 == 9 else good
            start = begin + datetime.timedelta(minutes=n)
            run_id = start.strftime("%Y%m%dT%H%M%S-") + f"{n:06x}"
            folder = os.path.join(runs, run_id)
            os.mkdir(folder, 0o700)
            for name in ("pipeline.yaml", "pipeline.json"):
                to = os.path.join(folder, name)
                if (source, name) in definitions and n % 30000:
                    os.link(definitions[source, name], to)  # one file has few links to give
                    continue
                with open(os.path.join(source, name), "rb") as f, open(to, "wb") as g:
                    g.write(f.read())
                definitions[source, name] = to
            with open(os.path.join(folder, "events.jsonl"), "wb") as f:
                f.write(copy_log(lines, run_id, start))
    print(f"{given.runs} runs below {given.state}", file=sys.stderr)


if __name__ == "__main__":
    main()
