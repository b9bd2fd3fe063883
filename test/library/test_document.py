"""docs/library.md: every piece of C in it compiles, and the whole program runs."""
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs/library.md").read_text()
PIECES = re.findall(r"^```c\n(.*?)^```$", DOCUMENT, re.M | re.S)
FLAGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-D_POSIX_C_SOURCE=200809L"]
AROUND = """#include <sluice/sluice.h>
#include <stdio.h>
int benchmark(struct sluice_step_ctx *ctx, void *arg);
void on_event(void *arg, const char *line, size_t len);
int piece(struct sluice *sluice, struct sluice_pipeline *pipeline, struct sluice_run *run);
int piece(struct sluice *sluice, struct sluice_pipeline *pipeline, struct sluice_run *run)
{
	struct sluice_error err;
	(void)sluice;
	(void)pipeline;
	(void)run;
%s
	return (int)err.code;
}
"""


def unit(piece):
    """A piece as a file: what is no function stands inside of one."""
    if "\n{\n" not in piece:
        return AROUND % piece
    return piece if "#include" in piece else f"#include <sluice/sluice.h>\n#include <stdio.h>\n{piece}"


def test_there_are_pieces():
    assert len(PIECES) >= 8


@pytest.mark.parametrize("piece", PIECES, ids=range(len(PIECES)))
def test_a_piece_compiles(piece, tmp_path):
    done = subprocess.run(["cc", "-x", "c", *FLAGS, f"-I{ROOT}/include", "-c", "-o", str(tmp_path / "o"), "-"],
                          input=unit(piece), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_whole_program_runs(prefix, run, tmp_path):
    (whole,) = [piece for piece in PIECES if "int main(" in piece]
    (tmp_path / "program.c").write_text(whole)
    program = prefix.compile(tmp_path / "program.c", tmp_path / "program", "-std=c99")
    assert run(program).endswith(": succeeded\n")


def test_every_function_that_it_names_is_there():
    headers = "".join(p.read_text() for p in (ROOT / "include/sluice").glob("*.h"))
    for name in set(re.findall(r"\bsluice_[a-z0-9_]*[a-z0-9]\b", DOCUMENT)):
        assert re.search(rf"\b{name}", headers), name


def test_the_line_that_links_statically_works(prefix, tmp_path):
    (line,) = re.findall(r"^(cc .*-l:libsluice\.a.*)$", DOCUMENT, re.M)
    (tmp_path / "program.c").write_text("#include <sluice/sluice.h>\nint main(void) { sluice_free(0); return 0; }\n")
    line = line.replace("pkg-config", f"pkg-config --define-variable=prefix={prefix.path}")
    more = " ".join([f"-L{prefix.libdir}", *prefix.sanitizer_flags()])
    subprocess.run(["sh", "-ec", line.replace("cc ", f"cc {more} ", 1)], cwd=tmp_path, check=True,
                   env={**__import__("os").environ, "PKG_CONFIG_PATH": str(prefix.libdir / "pkgconfig")})
    needed = subprocess.run(["readelf", "-d", tmp_path / "program"], check=True, capture_output=True, text=True)
    assert "libsluice" not in needed.stdout
    subprocess.run([tmp_path / "program"], check=True)
