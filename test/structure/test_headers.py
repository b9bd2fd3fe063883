"""Every public header stands alone, in C99 and in C++17, and says what each function does."""
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

INCLUDE = ROOT / "include"
HEADERS = sorted((INCLUDE / "sluice").glob("*.h"))
IDS = [path.name for path in HEADERS]
WARNINGS = ["-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Werror"]


@pytest.mark.sweep(5)
@pytest.mark.parametrize("header", HEADERS, ids=IDS)
@pytest.mark.parametrize("compiler, language, standard", [
    ("cc", "c", "c99"), ("clang", "c", "c99"), ("cc", "c", "c17"), ("c++", "c++", "c++17"),
    ("clang++", "c++", "c++17")])
def test_a_header_stands_alone(header, compiler, language, standard):
    if not shutil.which(compiler):
        pytest.skip(f"needs {compiler}")
    strict = ["-Wstrict-prototypes", "-Wshadow"] if language == "c" else []
    source = f"#include <sluice/{header.name}>\n#include <sluice/{header.name}>\nint main(void) {{ return 0; }}\n"
    if language == "c++":
        source = source.replace("main(void)", "main()")
    done = subprocess.run([compiler, "-x", language, f"-std={standard}", *WARNINGS, *strict, f"-I{INCLUDE}",
                           "-fsyntax-only", "-"], input=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_one_header_includes_every_other():
    text = (INCLUDE / "sluice/sluice.h").read_text()
    for header in HEADERS:
        if header.name != "sluice.h":
            assert f"#include <sluice/{header.name}>" in text


def uncommented(text):
    """Public functions without a comment directly above them or their group: declarations without an
    empty line between."""
    found = []
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if not line.startswith("SLUICE_API"):
            continue
        above = at - 1
        while above >= 0 and lines[above].strip() and not lines[above].rstrip().endswith("*/"):
            above -= 1
        if above < 0 or not re.search(r"\*/\s*$", lines[above]):
            found.append(" ".join(lines[at:at + 2]))
    return found


@pytest.mark.parametrize("header", HEADERS, ids=IDS)
def test_every_function_has_a_comment(header):
    assert uncommented(header.read_text()) == []


@pytest.mark.parametrize("header", HEADERS, ids=IDS)
def test_every_header_begins_with_what_it_is(header):
    assert header.read_text().startswith(f"/* {header.name} - ")


def test_the_check_of_comments_can_fail():
    assert uncommented("/* a */\n\nSLUICE_API int a(void);\n") != []
    assert uncommented("/* a */\nSLUICE_API int a(void);\nSLUICE_API int b(void);\n") == []


def keys(scope):
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "src/lang/key.def").read_text(), flags=re.S)
    return [(name, use) for s, name, _, use in re.findall(r"^KEY\((\w+),\s*(\w+),\s*(\w+),\s*(\w+)\)", text, re.M)
            if s == scope]


def test_every_key_of_a_step_has_a_field():
    """Kinds without one go through `kind` and `config_json`, steps inside a step through `extra`."""
    fields = set(re.findall(r'FIELD\("(\w+)"', (ROOT / "src/api/writing.c").read_text()))
    assert fields
    for name, use in keys("step"):
        assert name in fields or use == "KIND" or name in ("params", "steps"), name
    assert fields <= {name for name, _ in keys("step")}


def test_every_key_of_a_parameter_has_a_field():
    text = (ROOT / "src/api/writing.c").read_text()
    for name, _ in keys("param"):
        assert f'"{name}"' in text, name


def public_functions():
    text = "".join(re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S) for path in HEADERS)
    return set(re.findall(r"SLUICE_API\b[^;]*?\b(sluice_\w+)\s*\(", text))


def test_no_function_is_missing_from_the_table_of_wrong_uses():
    """test/unit/api/misuse_*_test.c: a public function that is new gets a row there."""
    text = "".join(path.read_text() for path in (ROOT / "test/unit/api").glob("misuse_*_test.c"))
    table = set(re.findall(r"\bROW\((sluice_\w+)\)", text))
    assert table == public_functions()
