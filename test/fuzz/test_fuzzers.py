"""The fuzzers themselves: each reader of foreign bytes has one (README.md), each is built, and takes the inputs
that are kept for it. New inputs are looked for by script/fuzz."""
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "test/fuzz"
BUILD = ROOT / "build/fuzz/test/fuzz"
SOURCES = {path.stem for path in FOLDER.glob("*.c") if "int LLVMFuzzerTestOneInput(" in path.read_text()}
ROWS = re.findall(r"^\| (?!What)([^|]+) \| ([^|]+) \| ([^|]+) \|", (FOLDER / "README.md").read_text().replace("|---", ""),
                  re.M)


def test_every_reader_of_foreign_bytes_has_a_fuzzer():
    assert len(ROWS) > 20
    for what, places, names in ROWS:
        for place in re.findall(r"`([^`]+)`", places):
            assert (ROOT / "src" / place).exists(), f"{what}: {place}"
        assert re.findall(r"`(\w+)`", names), what
        assert set(re.findall(r"`(\w+)`", names)) <= SOURCES, what
    assert SOURCES == {name for _, _, names in ROWS for name in re.findall(r"`(\w+)`", names)}


def test_every_fuzzer_is_built():
    built = set(re.findall(r"^  '(\w+)': \[", (FOLDER / "meson.build").read_text(), re.M))
    assert SOURCES <= built


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SOURCES))
def test_each_fuzzer_takes_its_first_inputs(name):
    program = BUILD / f"fuzz_{name}"
    seeds = FOLDER / "corpus" / name
    if not program.exists():
        pytest.skip("script/fuzz has not built the fuzzers")
    assert seeds.is_dir()
    inputs = [str(path) for path in sorted(seeds.iterdir())]
    done = subprocess.run([program, *inputs], env={**os.environ, "UBSAN_OPTIONS": "halt_on_error=1"},
                          capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("Executed") == len(inputs)
