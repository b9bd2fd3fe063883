"""System calls, and what else a process has of the world, are in src/sys: every other object needs from the C library
only what computes. What is on neither list is refused, so a call that nobody thought of is found too."""
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What depends on its arguments and on memory alone. Locks are memory too; locales are a thread's own (newlocale(3)).
PURE = set("""
    memchr memcmp memcpy memmem memmove memset explicit_bzero bcmp
    strcasestr strchr strcmp strcspn strerror strlen strncasecmp strncmp strrchr strsignal strspn strstr
    ctype_b_loc ctype_toupper_loc ctype_tolower_loc errno_location
    snprintf vsnprintf strtod_l strtol strtoul qsort round lround
    newlocale uselocale freelocale
    pthread_mutex_init pthread_mutex_destroy pthread_mutex_lock pthread_mutex_unlock
    _GLOBAL_OFFSET_TABLE_ stack_chk_fail tls_get_addr
""".split())
LIBRARIES = re.compile(r"(lua|luaL|luaopen|yaml|nettle|asan|ubsan|sanitizer)_")

PRINTED = set("printf vfprintf putchar puts fflush fwrite stdout".split())
# What else a file may have, and why.
OTHERS = {
    "base/mem.c": (set("calloc realloc free madvise".split()), "memory comes from here, and on which pages it lies"),
    "base/err.c": (set("abort fprintf stderr".split()), "BUG_IF ends the process"),
    "sim/main.c": (PRINTED | {"fprintf", "stderr"}, "the simulator is a program that prints"),
    "sim/sim_world.c": (PRINTED, "the trace of a seed"),
    "sim/sim_scenario.c": (PRINTED, "the trace of a seed"),
    "cli/top/main.c": (set("""
        COLS LINES cbreak curs_set endwin fprintf fwrite has_colors init_pair initscr keypad nl_langinfo noecho printw
        set_escdelay setlocale start_color stderr stdscr use_default_colors waddnstr wattr_off wattr_on wattrset
        wclrtoeol wgetch whline wmove wrefresh wtimeout""".split()), "the screen is ncurses's, and so is its locale"),
}
# The keeper's executable is one process around a table: a loop over its children, written as the system calls it is.
KEEPER = {"keeper/main.c", "keeper/child.c", "keeper/tree.c"}


def plain(symbol):
    """The function behind what headers and compilers make of it: __read_chk, open64, __isoc99_sscanf."""
    symbol = re.sub(r"^__(isoc\d+_)?", "", symbol.split("@")[0])
    return re.sub(r"(_chk|64)$", "", symbol) if symbol != "stack_chk_fail" else symbol


def source_of(path, folder):
    """src/cli/sluice.p/verb_graph.c.o is made of cli/verb/graph.c."""
    parts = path.relative_to(folder / "src").parts
    name = parts[-1].removesuffix(".o")
    return f"{parts[0]}/{name.replace('_', '/', 1)}" if not (ROOT / "src" / parts[0] / name).exists() else f"{parts[0]}/{name}"


def symbols(paths, *options):
    """{object: its symbols}"""
    listing = subprocess.run(["nm", "-A", *options, *paths], capture_output=True, text=True, check=True).stdout
    found = {str(path): set() for path in paths}
    for line in listing.splitlines():
        path, _, rest = line.partition(":")
        found[path].add(rest.split()[-1])
    return found


def objects(folder):
    """[(source, object)] of what is built, without what is left of sources that are gone."""
    found = [(source_of(path, folder), path) for path in sorted((folder / "src").rglob("*.c.o"))]
    return [(source, path) for source, path in found if (ROOT / "src" / source).exists()]


def violations(parts):
    """Names that no object of the product defines, where they may not be used."""
    own = set().union(*symbols([path for _, path in parts], "--defined-only").values())
    needed = symbols([path for _, path in parts], "-u")
    found = set()
    for source, path in parts:
        if source.startswith("sys/") or source in KEEPER:
            continue
        allowed = PURE | OTHERS.get(source, (set(), ""))[0]
        names = {plain(symbol) for symbol in needed[str(path)] - own}
        found |= {f"{source}: {name}" for name in names - allowed if not LIBRARIES.match(name)}
    return sorted(found)


def test_system_calls_are_in_sys_alone(build):
    parts = objects(build)
    assert len({source for source, _ in parts}) > 150
    assert violations(parts) == []


def test_what_may_have_more_is_there():
    assert [source for source in [*OTHERS, *KEEPER] if not (ROOT / "src" / source).is_file()] == []


@pytest.mark.sweep(7)
@pytest.mark.parametrize("call", [
    "open(path, 0)", "openat(1, path, 0)", "close(1)", "send(1, path, 1, 0)", "recv(1, path, 1, 0)", "poll(0, 0, 1)",
    "getenv(path)", "getuid()", "geteuid()", "getpwuid(1)", "unlink(path)", "rename(path, path)", "fork()", "kill(1, 1)",
    "time(0)", "clock_gettime(1, 0)", "nanosleep(0, 0)", "dlopen(path, 1)", "system(path)", "printf(path)", "malloc(1)",
    "fopen(path, path)", "fdatasync(1)", "isatty(1)", "gethostname(path, 1)", "getpid()", "rand()"])
def test_the_check_finds_a_planted_call(build, tmp_path, call):
    source = tmp_path / "planted.c"
    source.write_text("#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <fcntl.h>\n#include <poll.h>\n#include <pwd.h>\n"
                      "#include <signal.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <sys/socket.h>\n"
                      "#include <time.h>\n#include <unistd.h>\n"
                      f"long planted(char *path);\nlong planted(char *path) {{ return path ? (long){call} : 0; }}\n")
    made = tmp_path / "planted.o"
    subprocess.run(["cc", "-w", "-O2", "-D_FORTIFY_SOURCE=2", "-c", source, "-o", made], check=True)
    found = violations([("core/decide.c", made)])
    assert [line.split(": ")[1] for line in found] == [call.split("(")[0]]
    assert violations([("sys/clock.c", made)]) == []


def test_the_names_of_symbols():
    assert plain("__read_chk") == "read" and plain("open64") == "open" and plain("__isoc99_sscanf") == "sscanf"
    assert plain("getenv@GLIBC_2.2.5") == "getenv" and plain("__stack_chk_fail") == "stack_chk_fail"
