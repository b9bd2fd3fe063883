"""S8.7: output goes past the engine: its size is no matter to the memory of sluice and keeper."""
import json
import threading
import time
from pathlib import Path

import pytest

from support.sluice import has_sanitizers

BYTES = 256 << 20

COMMANDS = {
    "lines": f"yes 'a line of output, as steps write them' | head -c {BYTES}",
    "one endless line": f"head -c {BYTES} /dev/zero | tr '\\0' x",
    "binary": f"head -c {BYTES} /dev/urandom",
    "many small writes": "for i in $(seq 20000); do echo $i; done",
}


def bound_kb(sluice):
    """Of each process, whatever the amount. Sanitizers keep what was freed; the amount is more than that, too."""
    return 24 * 1024 * (6 if has_sanitizers(sluice.program) else 1)


def peak_kb(pid):
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


class Watch(threading.Thread):
    """The highest memory of the engine and of its keeper."""

    def __init__(self, sluice, engine):
        super().__init__(daemon=True)
        self.sluice, self.engine = sluice, engine
        self.peak = {"engine": 0, "keeper": 0}
        self.end = False

    def run(self):
        keepers = []
        while not self.end:
            self.peak["engine"] = max(self.peak["engine"], peak_kb(self.engine.pid))
            keepers = keepers or self.sluice.keepers()
            for pid in keepers:
                self.peak["keeper"] = max(self.peak["keeper"], peak_kb(pid))
            time.sleep(0.05)


def run_watched(sluice, steps, **top):
    engine = sluice.start("run", sluice.pipeline(steps, **top), "--run-id", sluice.id, env=top.pop("environ", {}))
    watch = Watch(sluice, engine)
    watch.start()
    out, err = engine.communicate(timeout=300)
    watch.end = True
    watch.join(5)
    return engine.returncode, watch.peak, out + err


@pytest.mark.slow
@pytest.mark.parametrize("what", sorted(COMMANDS))
def test_memory_is_flat_whatever_a_step_writes(sluice, what):
    code, peak, said = run_watched(sluice, {"a": {"run": "set +o pipefail\n" + COMMANDS[what]}})
    assert code == 0, said
    assert 0 < peak["engine"] < bound_kb(sluice) and peak["keeper"] < bound_kb(sluice), peak
    size = (sluice.run_dir() / "logs/a.0.log").stat().st_size
    assert size == BYTES or what == "many small writes"


@pytest.mark.slow
def test_memory_is_flat_when_output_is_masked(sluice):
    path = sluice.pipeline({"a": {"run": "set +o pipefail\n" + COMMANDS["one endless line"], "env": {"T": "${params.t}"}},
                            "b": {"run": "set +o pipefail\nyes $T | head -c 10000000", "env": {"T": "${params.t}"}}},
                           params={"t": {"type": "secret", "from": {"env": "TT"}}})
    engine = sluice.start("run", path, "--run-id", sluice.id, env={"TT": "geheimnis"})
    watch = Watch(sluice, engine)
    watch.start()
    _, err = engine.communicate(timeout=300)
    watch.end = True
    watch.join(5)
    assert engine.returncode == 0, err
    assert watch.peak["engine"] < bound_kb(sluice) and watch.peak["keeper"] < bound_kb(sluice), watch.peak
    assert (sluice.run_dir() / "logs/a.0.log").stat().st_size == BYTES
    masked = (sluice.run_dir() / "logs/b.0.log").read_bytes()
    assert b"geheimnis" not in masked and masked.count(b"***") == 1000000


def test_output_with_every_byte_is_kept(sluice):
    sluice.go({"a": "/usr/bin/python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 5)'"})
    assert sluice.output("a") == bytes(range(256)) * 5
    assert sluice("logs", sluice.id, "a", code=0)


def test_the_last_bytes_before_a_crash_of_the_step_are_kept(sluice):
    sluice.go({"a": "printf 'no newline'; kill -9 $$"}, code=1)
    assert sluice.output("a") == b"no newline"


@pytest.mark.slow
def test_a_chain_of_a_thousand_steps(sluice):
    """Memory and time of a long run; its log is whole."""
    begin = time.monotonic()
    code, peak, said = run_watched(sluice, {f"s{i}": {"argv": ["true"]} for i in range(1000)})
    assert code == 0, said
    assert time.monotonic() - begin < 300
    log = sluice.log(ended="succeeded")
    assert len(log.events) == 2005 and peak["engine"] < 2 * bound_kb(sluice), peak
    assert json.loads(sluice.raw().splitlines()[-1])["event_type"] == "run.completed"
