"""S23: the programs are built so that a mistake in them is hard to use."""
import re
import shutil
import subprocess

import pytest

from support.sluice import binary, keeper

PROGRAMS = {"sluice": binary, "sluice-keeper": keeper, "sluice-top": lambda: binary().parent / "sluice-top"}


def readelf(program, *words):
    if not shutil.which("readelf"):
        pytest.skip("needs readelf")
    return subprocess.run(["readelf", "-W", *words, program], capture_output=True, text=True, check=True).stdout


@pytest.fixture(params=PROGRAMS)
def program(request):
    path = PROGRAMS[request.param]()
    if b"__asan_init" in path.read_bytes():
        pytest.skip("built with sanitizers")
    return path


def test_s23_the_place_of_everything_is_random(program):
    assert re.search(r"Type:\s+DYN", readelf(program, "-h"))
    assert re.search(r"FLAGS_1.*\bPIE\b", readelf(program, "-d"))


def test_s23_no_memory_is_writable_and_executable(program):
    segments = [line.split() for line in readelf(program, "-l").splitlines() if line.startswith("  ")]
    flags = {words[0]: "".join(words[6:-1]) for words in segments if words and words[0] in ("GNU_STACK", "LOAD")}
    assert flags["GNU_STACK"] == "RW"
    assert not [words for words in segments if words and words[0] == "LOAD" and "W" in words[6:-1] and "E" in words[6:-1]]
    assert not re.search(r"\bLOAD\b.*\bRWE\b", readelf(program, "-l"))


def test_s23_tables_of_addresses_are_read_only_from_the_start(program):
    assert "GNU_RELRO" in readelf(program, "-l")
    assert re.search(r"\bNOW\b", readelf(program, "-d")), "all of them, at once"
    assert "TEXTREL" not in readelf(program, "-d") and not re.search(r"RPATH|RUNPATH", readelf(program, "-d"))


def test_s23_jumps_land_where_they_may(program):
    if "X86-64" not in readelf(program, "-h"):
        pytest.skip("CET is of x86-64")
    # The note of the whole needs a C library that is built so too; ours are the functions that begin so.
    assert program.read_bytes().count(b"\xf3\x0f\x1e\xfa") > 100


def compile_commands():
    """[(source, words)] of what the compiler was told, for the sources of the programs."""
    import json
    import os
    from pathlib import Path
    file = Path(os.environ.get("SLUICE_BUILD") or binary().parents[2]) / "compile_commands.json"
    if not file.is_file():
        pytest.skip("no compile_commands.json beside the programs")
    return [(entry["file"], entry["command"].split()) for entry in json.loads(file.read_text())
            if "/src/" in entry["file"] and "/test/" not in entry["file"]]


@pytest.mark.parametrize("flag", ["-fstack-protector-strong", "-fstack-clash-protection", "-fcf-protection",
                                  "-D_FORTIFY_SOURCE=3", "-ftrivial-auto-var-init=zero"])
def test_s23_every_source_is_compiled_with(flag):
    if b"__asan_init" in binary().read_bytes():
        pytest.skip("built with sanitizers")
    commands = compile_commands()
    assert len(commands) > 50
    assert not [file for file, words in commands if flag not in words]


def test_s23_stack_and_copies_are_guarded_in_the_programs(program):
    """That the flags were given is one thing; the other is that the guards are there."""
    symbols = readelf(program, "-s") + readelf(program, "--dyn-syms")
    assert "__stack_chk_fail" in symbols
    assert re.search(r"__\w+_chk\b(?<!__stack_chk)", symbols), "nothing is fortified"


HOOKS = ("SLUICE_FP", "SLUICE_FAIL", "SLUICE_TEST", "SLUICE_INJECT", "SLUICE_FAKE", "BUGGIFY", "failpoint", "sluice_sim",
         "clock_fake")


def test_s23_no_hooks_of_tests_are_in_the_programs(program):
    raw = program.read_bytes()
    assert not [hook for hook in HOOKS if hook.encode() in raw]


def test_s23_every_variable_that_is_read_is_a_setting_of_the_manual(program):
    """A variable with our name that no page tells of would be a way in that nobody knows."""
    from support.sluice import ROOT
    told = "".join(path.read_text() for folder in ("docs", "man") for path in (ROOT / folder).rglob("*")
                   if path.suffix in (".md", ".in", ".1", ".7", ".5", ".mdoc"))
    told += (ROOT / "src/api/setting.def").read_text()
    found = {name.decode() for name in re.findall(rb"(?<![A-Z_])SLUICE_[A-Z_]+(?![A-Za-z])", program.read_bytes())}
    assert not {name for name in found if name not in told}


@pytest.mark.parametrize("name", PROGRAMS)
def test_s23_paths_of_the_machine_that_built_it_are_not_in_it(name):
    if b"__asan_init" in binary().read_bytes():
        pytest.skip("built with sanitizers")
    from support.sluice import ROOT
    assert str(ROOT).encode() not in PROGRAMS[name]().read_bytes()
