"""What documents show is what happens: every console block is run, in a folder of its own."""
import os
import pathlib

import pytest

from support import console

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("SLUICE_BIN", ROOT / "build" / "sluice")).absolute()

# Documents whose blocks are run; each has at least one.
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
                   if "```console" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_a_document_shows_is_what_happens(document, tmp_path):
    programs = tmp_path / "bin"
    work = tmp_path / "work"
    programs.mkdir()
    work.mkdir()
    (programs / "sluice").symlink_to(BINARY)
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "LANG": "C.UTF-8", "TERM": "dumb",
           "USER": "anna", "LOGNAME": "anna", "SLUICE_HOME": str(tmp_path / "state"), "XDG_RUNTIME_DIR": str(tmp_path)}
    assert console.run(ROOT / document, work, env) > 0
