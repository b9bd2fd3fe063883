"""Every function that a header of src/ declares says what it does: in a comment directly above it, above its group
(declarations without an empty line between), or behind it on its line."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADERS = sorted((ROOT / "src").rglob("*.h"))


def declarations(lines):
    """Where functions are declared: lines that begin in the first column, outside of comments and of macros."""
    is_comment = False
    for at, line in enumerate(lines):
        began_inside = is_comment
        is_comment = line.rfind("/*") > line.rfind("*/") or (is_comment and "*/" not in line)
        if began_inside or (at and lines[at - 1].endswith(("\\", ",", "("))):
            continue
        if re.match(r"(?!typedef\b|extern \")[A-Za-z_]\w*[ *].*\w\(", line):
            yield at
        elif re.match(r"(?!typedef\b|struct \w+ \{|enum \w+ \{)[A-Za-z_][\w *]*$", line) and \
                at + 1 < len(lines) and re.match(r"\w+\(", lines[at + 1]):
            yield at  # the type has a line of its own


def uncommented(text):
    lines = text.splitlines()
    found = []
    for at in declarations(lines):
        above = at - 1
        while above >= 0 and lines[above].strip() and not lines[above].rstrip().endswith("*/"):
            above -= 1
        if above >= 0 and lines[above].rstrip().endswith("*/"):
            continue
        if not re.search(r";\s*/\*.*\*/$", lines[at]):
            found.append(lines[at])
    return found


@pytest.mark.parametrize("header", HEADERS, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_every_function_of_a_header_has_a_comment(header):
    assert uncommented(header.read_text()) == []


@pytest.mark.parametrize("header", HEADERS, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_header_begins_with_its_name_and_what_it_is(header):
    assert header.read_text().startswith(f"/* {header.name} - ")


def test_the_check_can_fail():
    assert uncommented("int a(void);\n") == ["int a(void);"]
    assert uncommented("/* a */\n\nint a(void);\n") != []
    assert uncommented("/* a */\nint a(void);\n\nMUST_CHECK enum err_code b(int x,\n\t\t\t   int y);\n") != []
    assert uncommented("/* a\n * b(c) */\n\nstruct x *\nbcd(void);\n") == ["struct x *"]
    assert uncommented("static inline int a(void)\n{\n\treturn b(1);\n}\n") == ["static inline int a(void)"]


def test_the_check_knows_what_is_commented():
    assert uncommented("/* a */\nint a(void);\nint b(int x,\n      int y);\n") == []
    assert uncommented("int a(void); /* a */\n") == []
    assert uncommented("/* text\nint a(void);\n */\n#define M(x) \\\nn(x)\ntypedef int fn(void);\nstruct s {\n\tint (*f)(void);\n};\n") == []
