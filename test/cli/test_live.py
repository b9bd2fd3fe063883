"""The live view of a run on a terminal: the tree, its width and height, resizing, plain mode."""
import re

import pytest

from support.screen import Screen, set_size

FORK = """\
pipeline: fork
concurrency: 4
steps:
  begin: {noop: true}
  left: {run: 'until test -e go; do sleep 0.05; done', needs: [begin]}
  right: {run: 'until test -e go; do sleep 0.05; done; exit 3', needs: [begin], on_failure: continue}
  after: {noop: true, needs: [right]}
  join: {noop: true, needs: [left, after]}
"""


def frames(seen, size=(24, 80)):
    """The screen before each redraw."""
    screen = Screen(size[1], size[0])
    result = []
    for part in re.split("(?=\r\x1b)", seen.decode().replace("\r\n", "\n")):
        screen.feed(part)
        result.append(screen.text())
    return result


def uncoloured(seen):
    return re.sub("\x1b\\[\\d*m", "", seen.decode(errors="replace"))


def let_go(sluice, when):
    """Let the steps of FORK end once `when` is on the screen."""

    def watch(seen, _main, _process):
        if when in uncoloured(seen):
            (sluice.work / "go").touch()

    return watch


def one(texts, part):
    found = [text for text in texts if part in text]
    assert found, (part, texts[-1])
    return found[0]


def test_the_tree_shows_branches_and_what_joins_them(sluice):
    sluice.write("p.yaml", FORK)
    status, seen = sluice.on_terminal("run", "p.yaml", watch=let_go(sluice, "▸ right"))
    assert status == 5
    texts = frames(seen)
    assert re.search(r"""fork  1 of 5 done  \d+s
  ✓ begin
  ├─ ▸ left  +\d+s
  └─ ▸ right  +\d+s
     · after
  · join$""", one(texts, "▸ right"), re.M), one(texts, "▸ right")
    failed = one(texts, "✗ right")
    assert re.search(r"^\d\d:\d\d:\d\d right failed in \d\.\d\ds \[unknown\]: exit code 3$", failed, re.M)
    assert "└─ ✗ right" in failed and "[unknown] exit code 3" in failed
    assert "1 failed" in failed
    assert "▸" not in texts[-1] and "of 5 done" not in texts[-1]  # the live lines are taken away


def test_a_low_window_shows_what_goes_on_and_counts_the_rest(sluice):
    steps = "".join(f"  s{n}: {{noop: true}}\n" for n in range(40))
    sluice.write("p.yaml", "pipeline: p\nsteps:\n" + steps
                 + "  slow: {run: 'until test -e go; do sleep 0.05; done'}\n"
                 + "".join(f"  t{n}: {{noop: true}}\n" for n in range(40)))
    status, seen = sluice.on_terminal("run", "p.yaml", size=(10, 80), watch=let_go(sluice, "▸ slow"))
    assert status == 0
    shown = one(frames(seen, (10, 80)), "▸ slow").split("\n")
    head = next(i for i, line in enumerate(shown) if "40 of 81 done" in line)
    lines = [line for line in shown[head:] if line]
    assert len(lines) <= 9
    assert re.search(r"not shown: \d+ done, \d+ to come", lines[-1])


@pytest.mark.parametrize("columns", [1, 10, 21, 40])
def test_no_live_line_is_wider_than_the_window(sluice, columns):
    sluice.write("p.yaml", "pipeline: p\nsteps:\n  a_step_with_quite_a_long_name_that_does_not_fit: {run: 'sleep 0.3; exit 1'}\n")
    _, seen = sluice.on_terminal("run", "p.yaml", size=(24, columns))
    live = seen.decode().split("\x1b[J")[1:-1]
    assert live
    for frame in live:
        for line in re.sub("\x1b\\[\\d*m", "", frame.replace("\r\n", "\n").split("\r\x1b")[0]).split("\n"):
            if re.match(r"\d\d:\d\d:\d\d ", line):
                continue  # a line that stays: it may break
            assert len(line) < max(columns, 20), line


def test_a_window_made_narrower_leaves_nothing_behind(sluice):
    sluice.write("p.yaml", "pipeline: p\nsteps:\n  a_step_with_a_long_name_that_is_cut_when_it_gets_narrow: {run: 'until test -e go; do sleep 0.05; done'}\n")
    narrow = []

    def watch(seen, main, process):
        if "▸".encode() in seen and not narrow:
            set_size(main, (24, 30))
            narrow.append(len(seen))
        elif narrow and len(seen) > narrow[0] + 400:
            (sluice.work / "go").touch()

    status, seen = sluice.on_terminal("run", "p.yaml", watch=watch)
    assert status == 0 and narrow
    # Two lines of up to 79 columns were broken into rows of 30: more than two rows are taken away.
    ups = [int(n) for n in re.findall(rb"\x1b\[(\d+)A", seen[narrow[0]:])]
    # What was on its way when the window changed may come first.
    assert max(ups) > 2 and ups[-1] == 2


@pytest.mark.parametrize("words, env", [(["--plain"], {}), ([], {"TERM": "dumb"}), ([], {"TERM": ""})])
def test_plain_mode_redraws_nothing_and_uses_plain_letters(sluice, words, env):
    sluice.write("p.yaml", FORK)
    (sluice.work / "go").touch()
    status, seen = sluice.on_terminal("run", "p.yaml", *words, env=env)
    text = seen.decode().replace("\r\n", "\n")
    assert status == 5 and "\x1b" not in text and "\r" not in text
    assert re.search(r"^\d\d:\d\d:\d\d left succeeded in ", text, re.M)
    assert "▸" not in text and "├" not in text


@pytest.mark.parametrize("env", [{"LANG": "C"}, {"LC_ALL": "POSIX"}, {"LC_ALL": "", "LC_CTYPE": "C"}])
def test_a_locale_without_utf8_gets_ascii(sluice, env):
    sluice.write("p.yaml", FORK)
    _, seen = sluice.on_terminal("run", "p.yaml", env=env, watch=let_go(sluice, "> right"))
    live = seen.decode().split("\x1b[J")[1:-1]
    assert any("|- " in frame and "`- " in frame for frame in live)
    assert all(re.sub("\x1b\\[\\d*m", "", frame).isascii() for frame in live)


def test_a_stop_says_how_to_kill(sluice):
    sluice.write("p.yaml", "pipeline: p\nsteps: {slow: {run: 'until test -e go; do sleep 0.05; done'}}\n")
    sent = []

    def watch(seen, main, process):
        if "▸".encode() in seen and not sent:
            process.send_signal(2)
            sent.append(1)
        if b"Ctrl-C again kills" in seen:
            (sluice.work / "go").touch()

    status, seen = sluice.on_terminal("run", "p.yaml", watch=watch)
    assert status == 0 or status == 6
    assert b"stopping, Ctrl-C again kills" in seen


def test_a_resumed_run_begins_with_what_was_done(sluice):
    sluice.write("p.yaml", "pipeline: p\nsteps:\n  a: {noop: true}\n  b: {run: 'test -e go'}\n  c: {run: 'sleep 0.3'}\n")
    sluice.run("run", "p.yaml", "--run-id", "r", check=1)
    (sluice.work / "go").touch()
    status, seen = sluice.on_terminal("resume", "r")
    assert status == 0
    first = frames(seen)
    assert re.search(r"✓ a .*\n  ▸ b ", one(first, "▸ b"))
    assert re.search(r"✓ a .*\n  ✓ b .*\n  ▸ c ", one(first, "▸ c"))


def test_what_is_left_is_estimated_from_earlier_runs(sluice):
    text = "pipeline: p\nsteps:\n  a: {run: 'if test -e again; then sleep 1.4; else sleep 2.2; fi'}\n" \
           "  b: {run: 'test -e again || sleep 1.2'}\n"
    sluice.write("p.yaml", text)
    sluice.run("run", "p.yaml", check=0)
    (sluice.work / "again").touch()
    _, seen = sluice.on_terminal("run", "p.yaml")
    first = uncoloured(seen)
    assert re.search(r"p  0 of 2 done  0s  about 3s left", first)
    assert re.search(r"▸ a +1s of about 2s", first)


def test_without_history_nothing_is_estimated(sluice):
    sluice.write("p.yaml", "pipeline: p\nsteps: {a: {run: 'sleep 1.2'}}\n")
    _, seen = sluice.on_terminal("run", "p.yaml")
    assert "about" not in uncoloured(seen)
