"""X08: the model of log, keeper and recovery (sluice.pml, docs/model.md), searched through by Spin."""
import re
from pathlib import Path

import pytest
import spin_model

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/model.md"
needs_spin = pytest.mark.skipif(bool(spin_model.missing()), reason=spin_model.missing())

# What finds each planted error: a part of what is asserted, or an end that is none.
FOUND_BY = {
    "PLANT_NO_SYNC": "cache<=disk",
    "PLANT_SYNC_AGAIN": "cache<=disk",
    "PLANT_TRUST_THE_CACHE": "cache<=disk",
    "PLANT_TORN_TAIL_STAYS": "known>=told",
    "PLANT_GATE_BY_EVENT": "is_there",
    "PLANT_REBOOT_UNNOTICED": "executed",
    "PLANT_EXECUTE_BEFORE_ARMED": "executed",
    "PLANT_OLD_FRAMES": "executed",
    "PLANT_NO_SWEEP": "command",
    "PLANT_DEAF": "invalid end state",
}


@needs_spin
@pytest.mark.slow
def test_x08_three_accidents_anywhere_break_no_rule(tmp_path, record_property):
    """Never two executions of a token, never an acknowledgement of what is not durable, nothing below a
    failed gate (the assertions), and a run that is over at each end (no invalid end state)."""
    found = spin_model.search(tmp_path, {"ACCIDENTS": 3})
    print(f"{found['states']} states with 3 accidents")
    record_property("states", found["states"])
    assert found["errors"] == 0, found["what"] + "\n" + spin_model.trail(tmp_path)[-5000:]
    assert found["is_whole"] and found["states"] > 1_000_000
    assert not found["unreached"], "a part of the model never happens"


@needs_spin
@pytest.mark.slow
def test_x08_every_run_ends(tmp_path, record_property):
    """No cycle at all: nothing in the model is marked as progress, so any cycle would be an error."""
    found = spin_model.search(tmp_path, {"ACCIDENTS": 2}, ("-O2", "-DNP", "-DCOLLAPSE"), ("-l",))
    record_property("states", found["states"])
    assert found["errors"] == 0, found["what"]
    assert found["is_whole"] and found["states"] > 100_000


@needs_spin
@pytest.mark.slow
@pytest.mark.parametrize("error", spin_model.planted())
def test_x08_a_planted_error_is_found(tmp_path, error):
    found = spin_model.search(tmp_path, {"ACCIDENTS": 2, error: 1}, ("-O0", "-DSAFETY"))
    assert found["errors"] == 1
    assert FOUND_BY[error] in found["what"]


def test_each_planted_error_is_told_of():
    assert set(spin_model.planted()) == set(FOUND_BY)
    assert all(f"`{error}`" in DOCUMENT.read_text() for error in FOUND_BY)


def functions(path):
    """Names of functions that a C file defines."""
    return set(re.findall(r"^[a-z][^;=()]*?\b\*?(\w+)\([^;]*?\)\s*\{", (ROOT / path).read_text(), re.M | re.S))


def test_each_function_that_the_document_names_exists():
    rows = re.findall(r"^\| .* \| (`src/.*) \|$", DOCUMENT.read_text(), re.M)
    named = [(path, name) for row in rows for path, names in re.findall(r"`(src/\S+)`: ((?:`\w+`,? ?)+)", row)
             for name in re.findall(r"`(\w+)`", names)]
    assert len(named) > 25
    missing = [f"{path}: {name}" for path, name in named if name not in functions(path)]
    assert not missing


def test_each_action_that_the_document_names_is_in_the_model():
    model = spin_model.MODEL.read_text()
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", DOCUMENT.read_text(), re.M)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(named) > 15
    assert not [name for name in named if not re.search(rf"\b{name}\b", model)]
