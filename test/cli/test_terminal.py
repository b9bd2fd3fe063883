"""S20: a terminal never obeys bytes that came from outside, through whatever verb they are shown."""
import re

import pytest

from pipelines import FAILING, GOOD

# Titles, clipboard, device queries, cursor, CR hiding, backspace, C1, DEL, bidi, malformed UTF-8.
HOSTILE = (b"\x1b]0;title\x07 \x1b]52;c;aGk=\x1b\\ \x1b[2J \x1b[c \x1b[6n real\rfake a\x08b \x7f "
           b"\xc2\x9b31m \xe2\x80\xae evil \xe2\x81\xa6 \xd8\x9c \xff\xfe \xe2\x82 \xc0\xaf \x00 end")
SHOWN = (r"\x1b]0;title\x07", r"\x1b[2J", r"real\x0dfake", r"a\x08b", r"\x7f", r"\xc2\x9b31m",
         r"\xe2\x80\xae evil \xe2\x81\xa6", r"\xff\xfe \xe2\x82 \xc0\xaf \x00 end")

OURS = re.compile(rb"\x1b\[(?:0|1|2|31|32|33)m|\r?\x1b\[\d+A\x1b\[J")


def harmless(seen):
    """What is left when our own colours and redrawing are taken away has no control byte."""
    text = OURS.sub(b"", seen).replace(b"\r\n", b"\n").decode("utf-8")
    return not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)


@pytest.fixture
def hostile(sluice):
    (sluice.work / "bytes").write_bytes(HOSTILE + b"\n")
    sluice.write("p.yaml", """\
pipeline: hostile
steps:
  talk:
    run: 'cat bytes; printf "%s" "$(printf "{\\"reason\\":\\"\\\\u001b[31mred\\\\u202e\\\\u009b\\"}")" > "$SLUICE_OUTPUT"; exit 1'
""")
    sluice.run("run", "p.yaml", "--run-id", "r", check=1, text=False)
    return sluice


@pytest.mark.sweep(3)
@pytest.mark.parametrize("words", [
    ["logs", "r"], ["logs", "r", "talk"], ["logs", "r", "--failed"], ["events", "r"],
    ["events", "r", "--json"], ["status", "r"], ["status", "r", "--json"], ["summary", "r"],
    ["summary", "r", "--json"], ["list"], ["list", "--json"], ["list", "-o", "csv"],
    ["verify", "r"], ["resume", "r"], ["run", "p.yaml"], ["run", "-v", "p.yaml"], ["plan", "p.yaml"],
], ids=" ".join)
def test_no_verb_passes_control_bytes_to_a_terminal(hostile, words):
    for env in ({}, {"NO_COLOR": "1"}):
        _, seen = hostile.on_terminal(*words, env=env)
        assert harmless(seen), seen


def test_c20_hostile_output_is_shown_escaped(hostile):
    _, seen = hostile.on_terminal("logs", "r", "talk")
    text = seen.decode()
    for part in SHOWN:
        assert part in text, (part, text)


def test_hostile_names_and_files(sluice):
    name = "\x1b[31mevil\x9b\u202e.yaml"
    sluice.write(name, b"pipeline: x\nsteps:\n  \"\x1b[2Ja\": {run: 'true'}\n# \x1b]0;t\x07\n")
    for words in (["lint", name], ["run", name], ["lint", "none" + name], ["status", name],
                  ["\x1b[31mverb"], ["list", "--\x1b[31mx"], ["explain", "\x1b[31m"]):
        status, seen = sluice.on_terminal(*words)
        assert status != 0 and harmless(seen), (words, seen)


def test_characters_survive_the_borders_of_pieces(sluice):
    """Output is read in pieces: one that ends inside of a character must not show it as bytes."""
    (sluice.work / "big").write_text("x" + "\u20ac" * 100000 + "\n")
    sluice.write("p.yaml", "pipeline: p\nsteps: {a: {run: 'cat big'}}\n")
    sluice.run("run", "p.yaml", "--run-id", "r", check=0)
    _, seen = sluice.on_terminal("logs", "r", "a")
    assert seen.decode().strip() == "x" + "\u20ac" * 100000


def test_progress_on_a_terminal_redraws_and_ends_clean(sluice):
    sluice.write("p.yaml", "pipeline: p\nsteps: {slow: {run: 'sleep 1'}}\n")
    status, seen = sluice.on_terminal("run", "p.yaml", "--run-id", "r")
    text = re.sub("\x1b\\[\\d*m", "", seen.decode())
    assert status == 0 and "▸ slow" in text and "\x1b[2A\x1b[J" in text
    assert "slow" in text and "succeeded" in text and "Receipt: " in text
    after = text[text.rindex("\x1b[J"):]
    assert "▸ slow" not in after


def test_without_a_terminal_there_is_one_plain_line_a_transition(sluice):
    done = sluice.run("run", sluice.write("p.yaml", GOOD), "--run-id", "r", check=0)
    assert "\x1b" not in done.stdout + done.stderr and "\r" not in done.stderr
    assert re.search(r"^\d\d:\d\d:\d\d hello started \(attempt 0\)$", done.stderr, re.M)
    assert re.search(r"^\d\d:\d\d:\d\d hello succeeded in \d+\.\d\ds$", done.stderr, re.M)


@pytest.mark.parametrize("words, env, coloured", [
    ([], {}, True), ([], {"NO_COLOR": "1"}, False), ([], {"NO_COLOR": ""}, True),
    ([], {"TERM": "dumb"}, False), (["--color", "never"], {}, False),
    (["--color=always"], {"NO_COLOR": "1"}, True), (["--color=auto"], {}, True),
])
def test_colours_follow_the_option_and_NO_COLOR(sluice, words, env, coloured):
    sluice.write("p.yaml", FAILING)
    _, seen = sluice.on_terminal("run", "p.yaml", *words, env=env)
    assert (b"\x1b[31m" in seen) == coloured


def test_colour_always_reaches_a_pipe_and_the_answer_stays_plain(sluice):
    done = sluice.run("run", sluice.write("p.yaml", FAILING), "--color=always", check=1)
    assert "\x1b[31m" in done.stderr and "\x1b" not in done.stdout
