"""X05 is worth what is compared: each field of the state of a run is in its hash, or stands here with the reason."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATE = (ROOT / "src/core/run_state.h").read_text()
HASH = (ROOT / "src/sim/sim_hash.c").read_text()

# How sim_hash.c calls one of each struct that the state consists of.
CALLED = {"run_state": "run->", "step_state": "at->", "undo_state": "undo->", "retry_due": "due->", "approver": "approver->",
          "context_update": "run->updates[i].", "emitted_artifact": "run->artifacts[i].", "retired_step": "run->retired[i]."}
CAPACITY = "room, not state"
LEFT_OUT = {
    "run_state": {"arena": "where texts lie, not what they are", "likely": "a hint: where the next event is looked for first",
                  "updates_capacity": CAPACITY, "artifacts_capacity": CAPACITY, "retired_capacity": CAPACITY},
}


def structs(text):
    """{struct: names of its fields} of a header."""
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    found = {}
    for name, body in re.findall(r"^struct (\w+) \{\n(.*?)^\};", bare, re.M | re.S):
        declared = [re.sub(r"\[.*?\]", "", field) for field in body.split(";")[:-1]]
        found[name] = [re.search(r"(\w+)\s*$", one)[1] for field in declared for one in field.split(",")]
    return found


def not_hashed(name, fields, source):
    return {field for field in fields if not re.search(rf"(?<!\w){re.escape(CALLED[name] + field)}\b", source)}


@pytest.mark.parametrize("name", structs(STATE))
def test_x05_each_field_of_the_state_is_in_its_hash(name):
    missing = not_hashed(name, structs(STATE)[name], HASH)
    assert missing == LEFT_OUT.get(name, {}).keys(), f"struct {name}: in sim_hash.c, or here with a reason"


def test_x05_every_struct_of_the_state_is_known():
    assert structs(STATE).keys() == CALLED.keys()


def test_the_check_can_fail():
    assert structs("struct a {\n\tint b; /* c; */\n\tstruct d\n\t    e[2], *f;\n};\n") == {"a": ["b", "e", "f"]}
    assert not_hashed("step_state", ["due_ms", "due"], "x(at->due_ms, that->due, at->due_to)") == {"due"}
