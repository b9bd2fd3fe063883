"""The manual pages: one for each verb, complete, and without a warning of the programs that show them."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))
PAGES = BUILD / "man"


def verbs():
    return re.findall(r"^VERB\((\w+)\)$", (ROOT / "src/cli/verb.def").read_text(), re.M)


def pages():
    return sorted(path.name for path in PAGES.glob("*.[15]"))


def shown(page):
    done = subprocess.run(["groff", "-man", "-Tascii", "-P-cbou", str(PAGES / page)],
                          capture_output=True, text=True, check=True)
    return re.sub(r"\s+", " ", re.sub("-\n *", "-", done.stdout))


@pytest.mark.sweep(3)
@pytest.mark.parametrize("verb", verbs())
def test_each_verb_has_a_page_with_all_of_its_options(sluice, verb):
    page = PAGES / f"sluice-{verb}.1"
    assert page.exists()
    text = shown(page.name)
    help_text = sluice.run("help", verb, check=0).stdout
    own = help_text.split("Options of every verb:")[0]
    for option in re.findall(r"^ +(?:-\w, )?(--[\w-]+)", own, re.M):
        assert option in text, option
    assert "EXIT STATUS" in text and "SEE ALSO" in text
    assert help_text.split("\n")[0].split(" - ", 1)[1].split()[0] in text


@pytest.mark.sweep(3)
@pytest.mark.parametrize("page", pages())
def test_pages_are_without_warnings(page):
    for command in (["mandoc", "-T", "lint", "-W", "warning"], ["groff", "-man", "-ww", "-z"]):
        if not shutil.which(command[0]):
            pytest.skip(f"{command[0]} is not installed")
        done = subprocess.run([*command, str(PAGES / page)], capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout + done.stderr == "", done.stdout + done.stderr


def test_the_first_page_names_every_verb_exit_status_and_limit(sluice):
    text = shown("sluice.1")
    for verb in verbs():
        assert f"sluice-{verb}(1)" in text
    for line in sluice.run("help", "exit-codes", check=0).stdout.splitlines():
        match = re.match(r" +(\d+) +(\w+)", line)
        assert not match or f" {match[1]} {match[2].capitalize()}" in text, line
    for limit in re.findall(r"^LIMIT\((\w+)", (ROOT / "src/base/limit.def").read_text(), re.M):
        assert limit in text, limit


def test_every_page_is_generated_from_this_tree():
    assert {f"sluice-{verb}.1" for verb in verbs()} | {"sluice.1"} <= set(pages())


def test_the_page_of_the_file_has_every_key():
    text = shown("sluice-pipeline.5")
    for scope, key in re.findall(r"^KEY\((\w+), *(\w+), *NOW", (ROOT / "src/lang/key.def").read_text(), re.M):
        assert re.search(rf"\b{key}\b", text), (scope, key)


def test_the_page_of_events_has_every_event_and_field():
    text = shown("sluice-events.5")
    for name in re.findall(r'^EVENT\(\w+, "([\w.]+)"', (ROOT / "src/core/event.def").read_text(), re.M):
        assert name in text, name
    for name in re.findall(r'^FIELD\(\w+, *"(\w+)"', (ROOT / "src/core/field.def").read_text(), re.M):
        assert name in text, name


def test_the_page_of_settings_has_every_setting():
    text = shown("sluice.conf.5")
    for key in re.findall(r"^SETTING\(([\w.]+),", (ROOT / "src/api/setting.def").read_text(), re.M):
        assert key in text, key


def test_the_chain_is_verified_by_the_recipe_of_the_page(sluice):
    page = (ROOT / "man/sluice-events.5.in").read_text()
    recipe = page.split("END\\(aq\n")[1].split("\nEND\n")[0].replace("\\-", "-")
    sluice.write("p.yaml", "pipeline: p\nsteps: {a: {run: 'true'}}\n")
    run = sluice.run("run", "--run-id", "r", "p.yaml", check=0)
    done = subprocess.run(["/usr/bin/python3", "-c", recipe, str(sluice.log("r"))], capture_output=True, text=True, check=True)
    assert f"Receipt: {done.stdout.strip()}" in run.stdout
