"""Programs with sanitizers: what they are told, and what they find in keepers. A keeper has no environment, its standard
error is nobody's, and one that a sanitizer ends looks like any that was killed. So what is found there is kept in a file, and
a fixture (fixtures.py) looks at the files behind each test."""
import contextlib
import os
import re
import shlex
import shutil
from pathlib import Path

from .sluice import has_sanitizers, install, keeper, processes, until

IN_VAIN = "LeakSanitizer has encountered a fatal error"  # below strace no leaks can be looked for
FINDING = re.compile(r"Sanitizer| runtime error: ")  # what a sanitizer says when it ends a program
VARIABLES = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
LINGERS_S = 10

folders = set()  # of installations whose keepers are observed


def given_options():
    """What this process was told, for an environment that is made anew."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def sanitizer_options(finds_leaks=True):
    """Of the environment, for a program with sanitizers."""
    more = {"UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1", "ASAN_OPTIONS": f"detect_leaks={finds_leaks:d}"}
    return {name: f"{os.environ.get(name, '')}:{text}" for name, text in more.items()}


def keeper_words(folder, more="", **options):
    """What stands before a keeper so that a sanitizer writes what it finds into `folder`/said. UndefinedBehaviorSanitizer
    writes into no file, but its abort is told of there, as that of BUG_IF is. A path of one word: for a longer one folders
    are made, by calls that would be counted."""
    said = Path(folder) / "said"
    said.mkdir(parents=True, exist_ok=True)
    said.chmod(0o1777)  # a keeper may be another user's
    folders.add(Path(folder))
    given = sanitizer_options(**options)
    given["ASAN_OPTIONS"] += f":handle_abort=1{more}"
    return f"env -C {said} {' '.join(f'{name}={shlex.quote(text)}:log_path=of' for name, text in given.items())}"


def install_observed(folder, **options):
    """An installation. Of keepers with sanitizers what they say is kept."""
    folder = Path(folder)
    if not has_sanitizers(keeper()):
        return install(folder)
    real = folder / "real/sluice-keeper"  # the injector knows it by its name
    real.parent.mkdir(parents=True)
    shutil.copy2(keeper(), real)
    return install(folder, keeper_text=f"#!/bin/sh\nexec {keeper_words(folder, **options)} {real} \"$@\"\n")


def take_said(program):
    """What sanitizers have found in the keepers of an installation since this was asked last. One that is killed while it
    looks for leaks, or looks for them in vain, says something, too: that is no finding."""
    found = sorted(Path(program).parent.glob("said/of.*"))
    texts = [path.read_text(errors="replace") for path in found]
    for path in found:
        path.unlink()
    return "\n".join(text for text in texts if FINDING.search(text) and IN_VAIN not in text)


def take_all_said():
    """The same of every installation that this process has made."""
    return "\n".join(filter(None, (take_said(folder / "sluice") for folder in sorted(folders))))


def let_keepers_end():
    """Wait a while for those that outlived their tests: what looks for leaks does so at the end."""
    with contextlib.suppress(TimeoutError):
        until(lambda: not folders or not processes(*folders), LINGERS_S)
