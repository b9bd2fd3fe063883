"""docs/GUARANTEES.md: every promise names tests, and every test that it names is there."""
import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs/GUARANTEES.md").read_text()
CONTRACT = (ROOT / "docs/semantics.md").read_text()
TESTS = re.compile(r"^- `(test/[^`]+)`:((?:\s+`\w+`,?)+)", re.M)


def promises(text):
    """[(title, body)] of the headings of the third order, and of those of the second that name tests."""
    parts = re.split(r"^(#{2,3}) (.+)$", text, flags=re.M)[1:]
    found = [(order, title, body) for order, title, body in zip(parts[::3], parts[1::3], parts[2::3])]
    return [(title, body) for order, title, body in found if order == "###" or TESTS.search(body)]


@functools.cache
def functions(path):
    """Names of the tests in a file, without `test_`."""
    text = (ROOT / path).read_text()
    if path.endswith(".py"):
        return {node.name.removeprefix("test_") for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
    return set(re.findall(r"^static void (\w+)\(void \*\*\w+\)", text, re.M))


def named(body):
    return [(path, name) for path, names in TESTS.findall(body) for name in re.findall(r"`(\w+)`", names)]


def missing(wanted):
    known = {path: functions(path) if (ROOT / path).is_file() else set() for path, _ in wanted}
    return [f"{path}: {name}" for path, name in wanted if name not in known[path]]


@pytest.mark.parametrize("title, body", promises(DOCUMENT), ids=lambda text: text[:40])
def test_a_promise_names_tests_that_exist(title, body):
    assert named(body), f"'{title}' names no test"
    assert not missing(named(body))


@pytest.mark.parametrize("title, body", promises(DOCUMENT), ids=lambda text: text[:40])
def test_the_rules_of_a_promise_are_rules(title, body):
    for rule in re.findall(r"\bS\d+(?:\.\d+)?\b", body):
        section, _, item = rule.partition(".")
        assert re.search(rf"^## {section}\b", CONTRACT, re.M), rule
        assert not item or f"**{rule}**" in CONTRACT or re.search(rf"^{item}\. \*\*", CONTRACT, re.M), rule


@functools.cache
def all_tests():
    """{file, below test/: names of its tests}"""
    name = re.compile(r"(?:^def test_|^static void )(\w+)\(", re.M)
    files = [*(ROOT / "test").rglob("*.py"), *(ROOT / "test").rglob("*_test.c")]
    return {str(path.relative_to(ROOT / "test")): name.findall(path.read_text()) for path in files}


def files_with(fault):
    """The files, below test/, that have a test with the id in its name."""
    name = re.compile(rf"(?:\w+_)?{fault.lower()}_\w+")
    return {path for path, names in all_tests().items() if any(map(name.fullmatch, names))}


def faults(text):
    return {row[0]: set(re.findall(r"`([\w/.]+)`", row[1]))
            for row in re.findall(r"^\| ([CDPXS]\d\d) \|.*\| ([^|]*) \|$", text, re.M)}


@pytest.mark.parametrize("fault", faults(DOCUMENT))
def test_a_fault_names_the_files_that_make_it(fault):
    there = files_with(fault)
    if fault.startswith("S"):  # rules of the contract have the same letter
        there &= faults(DOCUMENT)[fault]
    row = ", ".join(f"`{path}`" for path in sorted(there))
    assert there and faults(DOCUMENT)[fault] == there, f"the row of {fault} should name {row}"


def test_every_id_in_the_name_of_a_test_is_explained():
    named_by = re.compile(r"(?:\w+_)?([cdpx]\d\d)_\w+")
    for path, names in all_tests().items():
        unknown = {match[1].upper() for match in map(named_by.fullmatch, names) if match} - set(faults(DOCUMENT))
        assert not unknown, f"{path}: {unknown}"


def test_the_check_can_fail():
    assert promises("## A\n\n### P\n\ntext\n")[0] == ("P", "\n\ntext\n")
    assert not named("no test\n")
    assert missing([("test/structure/test_guarantees.py", "nothing_of_the_kind")])
    assert missing([("test/no_such_file.py", "a")])
    assert not missing([("test/structure/test_guarantees.py", "the_check_can_fail")])
    assert faults("| D99 | f | w | `a/b.py`, `c_test.c` |\n") == {"D99": {"a/b.py", "c_test.c"}}
    assert faults("| C99 | f | w | `a/b.py` |\n") == {"C99": {"a/b.py"}}
    assert not files_with("D99") and files_with("P01")
