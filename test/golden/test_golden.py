"""D30, D37, S11.5: run directories that earlier versions made are read by this one, and say the same; what was open goes on.

A folder of each format of the log, made by write.py when the format was new, never changed afterwards."""
import json
from pathlib import Path

import pytest
from golden_reading import answers, asked, placed

GOLDEN = sorted(path.parent for path in Path(__file__).resolve().parent.glob("format-*/*/expected.json"))
NAMES = [f"{path.parent.name}/{path.name}" for path in GOLDEN]


def test_d30_there_is_a_golden_run_of_each_shape():
    assert len(GOLDEN) >= 15 and {name.split("/")[0] for name in NAMES} == {"format-1"}


@pytest.mark.parametrize("golden", GOLDEN, ids=NAMES)
def test_d30_d37_a_run_of_an_earlier_version_says_what_it_said_and_goes_on(sluice_program, golden):
    expected = json.loads((golden / "expected.json").read_text())
    got = json.loads(json.dumps(answers(sluice_program, golden / "run", f"golden-{golden.name}")))
    assert set(expected) <= set(got)
    for what, answer in expected.items():
        assert got[what] == answer, what


@pytest.mark.slow
@pytest.mark.parametrize("golden", GOLDEN, ids=NAMES)
def test_d30_without_what_can_be_made_again_it_says_the_same(sluice, golden):
    """S12: the log, the frozen definition and the blobs are enough."""
    placed(sluice, golden / "run", f"golden-{golden.name}")
    for name in ("checkpoint.json", "audit.jsonl", "attempts.log"):
        (sluice.run_dir() / name).unlink(missing_ok=True)
    expected = json.loads((golden / "expected.json").read_text())
    got = asked(sluice)
    for what in ("status", "summary", "verify", "events"):
        assert json.loads(json.dumps(got[what])) == expected[what], what
    if "torn" not in golden.name and expected["verify"]["code"] == 0 and "interrupted" not in golden.name:
        sluice.log()
