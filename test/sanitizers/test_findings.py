"""What sanitizers find is seen wherever it is found, and a campaign that hangs or shrinks has failed."""
import importlib.util
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "cli"))

from command import Sluice  # noqa: E402
from support import observed  # noqa: E402
from support.fixtures import keepers_said_nothing  # noqa: E402

pytestmark = pytest.mark.slow
FAULTS = {"leak": "volatile char *p = malloc(7); p[0] = 1; p = 0;", "overflow": "volatile int n = 2147483647; n++;",
          "beyond": "char *p = malloc(4); volatile int i = 4; p[i] = 1; free(p);", "abort": "abort();", "nothing": ""}


@pytest.fixture
def campaign(monkeypatch, tmp_path):
    """The module, with results in a place of the test's own."""
    spec = importlib.util.spec_from_file_location("sanitizers_campaign", HERE / "campaign.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "KEEP", tmp_path)
    return module


def a_file(folder, text):
    path = folder / "test_made.py"
    path.write_text("import time\nimport pytest\n" + text)
    return str(path)


GOOD = "def test_a():\n    pass\n\n\ndef test_b():\n    pass\n"
HANGS = GOOD + "\n\ndef test_c():\n    time.sleep(600)\n"


def test_a_file_that_ends_is_counted(campaign, tmp_path):
    files = campaign.Files(1)
    files.run({a_file(tmp_path, GOOD): 2}, "not slow")
    assert (files.cases, files.failures, files.not_finished) == (2, [], [])


def test_a_file_with_too_few_cases_has_failed(campaign, tmp_path):
    files = campaign.Files(1)
    files.run({a_file(tmp_path, GOOD + "\n\n@pytest.mark.skip\ndef test_c():\n    pass\n"): 3}, "not slow")
    assert files.cases == 2 and "2 cases, not 3" in files.failures[0]


@pytest.mark.parametrize("text", ["def test_a():\n    assert False\n", "import nonsense\n", "syntax error\n"])
def test_a_file_that_fails_or_cannot_be_read_has_failed(campaign, tmp_path, text):
    files = campaign.Files(1)
    files.run({a_file(tmp_path, text): 0}, "not slow")
    assert len(files.failures) == 1


def test_a_file_that_hangs_has_failed(campaign, tmp_path, monkeypatch):
    monkeypatch.setitem(campaign.FILE_SECONDS, "not slow", 3)
    for until in (None, time.monotonic() + 1000):
        files = campaign.Files(1, until)
        files.run({a_file(tmp_path, HANGS): 0}, "not slow")
        assert "hangs" in files.failures[0] and not files.not_finished


@pytest.mark.parametrize("quiet", [300, 0])
def test_a_file_under_way_at_the_end_of_the_time_is_told_of_and_has_failed_when_it_was_long_quiet(campaign, tmp_path,
                                                                                                monkeypatch, quiet):
    monkeypatch.setattr(campaign, "QUIET_SECONDS", quiet)
    files = campaign.Files(1, time.monotonic() + 3)
    name = a_file(tmp_path, HANGS)
    files.run({name: 9, str(tmp_path / "test_later.py"): 0}, "not slow")
    assert len(files.left_out) == 1
    assert files.not_finished == [name] and not files.failures if quiet else "hangs" in files.failures[0]


def test_nothing_chosen_is_no_failure_of_a_file(campaign, tmp_path):
    files = campaign.Files(1)
    files.run({a_file(tmp_path, GOOD): 0}, "slow")
    assert (files.cases, files.failures) == (0, [])


def test_each_file_of_the_share_is_there(campaign):
    assert all((campaign.ROOT / file).is_file() for file in campaign.SHARE)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """A program with sanitizers that has the fault that its argument names."""
    folder = tmp_path_factory.mktemp("faulty")
    cases = "\n".join(f'\tif (strcmp(argv[1], "{name}") == 0) {{ {code} }}' for name, code in FAULTS.items())
    (folder / "f.c").write_text("#include <stdlib.h>\n#include <string.h>\n"
                                f"int main(int argc, char **argv)\n{{\n\t(void)argc;\n{cases}\n\treturn 0;\n}}\n")
    made = subprocess.run(["gcc", "-fsanitize=address,undefined", "-o", folder / "f", folder / "f.c"], capture_output=True,
                          text=True, check=False)
    if made.returncode or subprocess.run([folder / "f", "nothing"], capture_output=True, check=False).returncode:
        pytest.skip(f"sanitizers do not work here: {made.stderr[-200:]}")
    return folder / "f"


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_found_in_a_program_without_environment_or_standard_error_fails_the_test(faulty, tmp_path, fault):
    (tmp_path / "keeper").write_text(f"#!/bin/sh\nexec {observed.keeper_words(tmp_path)} {faulty} {fault}\n")
    behind = keepers_said_nothing.__wrapped__(None)  # as a test that uses it
    next(behind)
    subprocess.run(["/bin/sh", tmp_path / "keeper"], env={"PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if fault == "nothing":
        assert list(behind) == []
    else:
        with pytest.raises(AssertionError, match="Sanitizer"):
            next(behind)
    observed.folders.discard(tmp_path)
    assert not list((tmp_path / "said").iterdir()), "each is told once"


def test_what_a_sanitizer_says_of_itself_is_no_finding(tmp_path):
    observed.keeper_words(tmp_path)
    (tmp_path / "said/of.1").write_text("==2==Unable to get registers from thread 3.\n")
    (tmp_path / "said/of.2").write_text("==2==LeakSanitizer has encountered a fatal error.\n")
    assert observed.take_said(tmp_path / "sluice") == ""
    (tmp_path / "said/of.1").write_text("==2==ERROR: LeakSanitizer: detected memory leaks\n")
    assert "leaks" in observed.take_all_said()
    observed.folders.discard(tmp_path)


def test_a_sanitizers_options_reach_what_the_tests_of_the_command_line_start(monkeypatch, tmp_path, faulty):
    monkeypatch.setenv("ASAN_OPTIONS", "abort_on_error=1")
    monkeypatch.setenv("UBSAN_OPTIONS", "halt_on_error=1:abort_on_error=1")
    sluice = Sluice(tmp_path)
    sluice.binary = str(shutil.copy2(faulty, tmp_path / "sluice"))
    for fault in ("leak", "overflow", "beyond"):
        process = sluice.start(fault)
        process.communicate()
        assert process.returncode == -6, fault
        with pytest.raises(AssertionError):
            sluice.run(fault)
        with pytest.raises(AssertionError):
            sluice.on_terminal(fault)
    sluice.run("nothing", check=0)
