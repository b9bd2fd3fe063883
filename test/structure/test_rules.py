"""Every rule of docs/semantics.md has a test that names it, on the real binary; and no test names a rule that is not
there.

A test names a rule in its name (`..._s5_4_...`, `..._S13`), its docstring, or the comment above it or in it. A unit
test alone does not do: a rule is what a user can see."""
import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = (ROOT / "docs/semantics.md").read_text()
ID = re.compile(r"(?<![A-Za-z0-9])[sS](\d{1,2})(?:[._](\d{1,2}))?(?![0-9A-Za-z])")

# What promises nothing by itself.
WORDS = {"S2": "words only"}
# What the contract has of later versions: the words before the mark *(planned)*, and what would ask for it, which is
# refused: a key of a step (tested here on the list in docs/pipeline-format.md and, with the program, by
# test_a_key_of_a_later_version_is_refused in test/cli) or an option.
LATER = {
    "steps that only wait": "wait",
    "a choice went the other way": "choice",
    "later, waits": "wait",
    "start again": "lua",
    "is unknown, `step.lost`": "http",
}


def rules(text):
    """Ids in order: of a section the rules in it, or itself when it has none."""
    found = []
    for section in re.split(r"^## (?=S\d)", text, flags=re.M)[1:]:
        number = re.match(r"S(\d+)", section)[1]
        items = re.findall(rf"^- \*\*(S{number}\.\d+)\*\*", section, re.M)
        items = items or [f"S{number}.{item}" for item in re.findall(r"^(\d+)\. \*\*", section, re.M)]
        found += items or [f"S{number}"]
    return found


def ids(text):
    """The rules that a text names."""
    return {f"S{section}" + (f".{item}" if item else "") for section, item in ID.findall(text)}


def python_tests(text):
    """[(name, the ids)] of the tests in a file."""
    lines = text.splitlines()
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
        above = first
        while above > 0 and lines[above - 1].startswith("#"):
            above -= 1
        comments = re.findall(r"#.*", "\n".join(lines[above:node.end_lineno]))
        found.append((node.name, ids("\n".join([node.name, ast.get_docstring(node) or "", *comments]))))
    return found


def c_tests(text):
    """The same of a unit test: the comment directly above the function counts."""
    return [(name, ids(name + " " + comment))
            for comment, name in re.findall(r"(/\*(?:(?!\*/).)*\*/\n)?static void (\w+)\(void \*\*state\)", text, re.S)]


def named(folders, pattern, read):
    return [(f"{path.relative_to(ROOT)}:{name}", found) for folder in folders
            for path in sorted((ROOT / "test" / folder).rglob(pattern)) for name, found in read(path.read_text())]


BLACK_BOX = named(["cli", "conform", "crash", "docs", "engine", "library"], "test_*.py", python_tests)
UNIT = named(["unit"], "*.c", c_tests)


def test_the_rules_are_found():
    assert len(rules(CONTRACT)) > 50 and len(BLACK_BOX) > 500 and len(UNIT) > 500
    assert rules("## S1 A\n\n1. **x**\n2. **y**\n## S2 B\n## S3 C\n- **S3.1** z\n") == ["S1.1", "S1.2", "S2", "S3.1"]


def test_the_names_are_found():
    assert ids("test_s5_4_a_thing") == {"S5.4"} and ids("x_S13") == {"S13"} and ids("S8.1, S8.3: y (S4)") == {"S8.1", "S8.3", "S4"}
    assert ids("SS1 s1x xs1 SHA256 status_5 S100.1") == set()
    assert python_tests('# S1.1\n@mark\ndef test_a():\n    """S1.2"""\n    pass  # S1.3\n') == [("test_a", {"S1.1", "S1.2", "S1.3"})]
    assert c_tests("/* S6 */\nint b;\n/* S7.1 */\nstatic void a_s4(void **state)\n") == [("a_s4", {"S7.1", "S4"})]


@pytest.mark.parametrize("rule", [rule for rule in rules(CONTRACT) if rule not in WORDS])
def test_every_rule_has_a_test_on_the_binary(rule):
    assert [name for name, found in BLACK_BOX if rule in found], f"no test of {rule}"


def test_no_test_names_a_rule_that_is_not_there():
    known = set(rules(CONTRACT)) | set(re.findall(r"^## (S\d+)", CONTRACT, re.M))
    assert {(name, rule) for name, found in BLACK_BOX + UNIT for rule in found - known} == set()


def test_what_is_planned_is_listed():
    """Each mark stands behind words that LATER has, and LATER has nothing that is there by now."""
    text = re.sub(r"\s+", " ", CONTRACT.split("## S1 ")[1])
    before = text.split(" *(planned)*")[:-1]
    assert [words[-60:] for words in before if not words.endswith(tuple(LATER))] == []
    assert [words for words in LATER if not any(text.endswith(words) for text in before)] == []
    keys = (ROOT / "docs/pipeline-format.md").read_text().split("<!-- later: ")[1].split("<!-- end -->")[0]
    assert [key for key in LATER.values() if f"`{key}`" not in keys and not key.startswith("--")] == []
