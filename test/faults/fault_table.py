"""What each failing call must lead to (S11.3, S12, S13): a table of rows, the first that fits counts."""
import re

# What the sweep tries. A short number is a call that takes so many bytes only.
ERRORS = ("EIO", "ENOSPC", "EINTR", "EAGAIN", "EMFILE", "ENFILE", "ENOMEM", "EROFS", "EDQUOT")
SHORT = (7, 100)
SHORTENED = ("read", "pread64", "write", "pwrite64")

# Calls that cannot fail at all, or with these errors only (man pages of section 2): another error would say
# something about the injector and nothing about the program.
ONLY = {
    "brk": (), "rt_sigaction": (), "rt_sigprocmask": (), "getcwd": ("ENOMEM",), "setsid": (), "kill": (),
    "epoll_wait": ("EINTR",), "epoll_pwait": ("EINTR",), "wait4": ("EINTR",), "poll": ("EINTR", "ENOMEM"),
    "prctl": (), "getsockopt": ("ENOMEM",), "prlimit64": (), "mprotect": ("ENOMEM",), "madvise": ("ENOMEM",),
    "sendto": ("EINTR", "EAGAIN", "ENOMEM"), "recvfrom": ("EINTR", "EAGAIN", "ENOMEM"), "getrandom": ("EINTR",),
    "mmap": ("EAGAIN", "ENFILE", "ENOMEM"), "ioctl": ("EIO", "EINTR", "ENOMEM"),
    "clone3": ("EAGAIN", "ENOMEM", "ENOSPC"), "close": ("EINTR", "EIO", "ENOSPC", "EDQUOT"),
}
# Interrupted, or not ready, for ever: whoever calls must try again, and so for ever.
ENDLESS = {"EINTR": None, "EAGAIN": ("sendto", "recvfrom", "read", "write", "accept4", "fcntl", "poll")}

# man 2: calls that say EINTR, and that are simply made again. A sync that was interrupted counts as one that
# failed; mkdir, rename and the like do not know EINTR.
AGAIN = "read|pread64|write|pwrite64|openat2|epoll_wait|wait4|sendto|recvfrom|ftruncate|getrandom|ioctl"

# What changes a file or directory, or makes that last.
CHANGES = "write|writev|pwrite64|fdatasync|fsync|rename|renameat|renameat2|ftruncate|mkdirat"
# What must be there before the run goes on: the log, the frozen definition, results, blobs, and what tells followers
# how far it is synced.
NEEDED = r"/(events\.jsonl(\.new)?|events\.torn-[^/]*|pipeline\.(yaml|json)|run\.lock|blobs/[^/]*|out/[^/]*)$"
# What is opened to be made. The log, blobs and results are read as well, at the very end to be shown.
NEW = r"/(\.new-[^/]*|\.new-.*/[^/]*|blobs/[^/]*\.new|out/[^/]*\.context\.json|events\.torn-[^/]*|events\.jsonl\.new)$"

# What can be made anew from the log (S9.4, S12).
PROJECTION = r"/(checkpoint\.json|audit\.jsonl|runs\.jsonl|history[^/]*)(\.new)?$"
# Of the child between clone and exec.
BIRTH = "clone3|clone|vfork|execve|chdir|close_range|dup2|setsid"

# man 7 socket, man 2 eventfd, signalfd, timerfd_create: what is not ready says EAGAIN, and later it is.
SOCKETS = "recvfrom|sendto|recvmsg|sendmsg|accept4"
COUNTERS = r"^(anon_inode|socket):"

UNSEEN, FAILED, INVALID, LOCKED, ABSENT, STOPPED, ABORTED = 0, 1, 2, 8, 9, 10, 134

# (program, calls, errors, path, how often, exit statuses). "" fits everything.
ROWS = [
    ("", "", "short", "", "", {UNSEEN}),
    ("", AGAIN, "EINTR", "", "", {UNSEEN}),
    ("", SOCKETS, "EAGAIN", "", "once", {UNSEEN}),
    ("", "read|write", "EAGAIN", COUNTERS, "once", {UNSEEN}),
    # A pipe of somebody who has made it one that does not wait; or the own one of libuv, see below.
    ("engine", "write", "EAGAIN", r"^pipe:", "once", {UNSEEN, ABORTED}),
    # What has to last was synced before, so this says nothing new. A context is not: it is made for one command.
    ("engine", "close", "EIO|ENOSPC|EDQUOT", r"/out/[^/]*\.context\.json$", "", {STOPPED}),
    ("", "close", "", "", "once", {UNSEEN}),
    ("engine", "openat", "EINTR", r"sluice\.conf|\.yaml$", "", {UNSEEN}),
    ("engine", "openat", "ENOMEM", r"sluice\.conf", "", {STOPPED}),
    ("engine", "openat", "", r"sluice\.conf", "", {INVALID}),
    ("engine", "access", "", r"sluice-keeper", "", {ABSENT}),
    ("engine", "newfstatat", "", r"sluice-keeper", "once", {UNSEEN, ABSENT}),
    # The shell of the steps is looked for when the definition is checked.
    ("engine", "faccessat2|newfstatat", "", r"/(ba|da)?sh$", "", {UNSEEN, INVALID}),
    ("engine", "fdatasync", "", r"/events\.jsonl$", "", {STOPPED}),
    ("engine", "write|writev|pwrite64|ftruncate", "", NEEDED, "", {STOPPED}),
    ("engine", "openat2", "", NEW, "", {STOPPED}),
    # To have the lock is another's right; whoever only asks for it is never told so.
    ("engine", "fcntl", "EAGAIN", r"/run\.lock$", "", {UNSEEN, LOCKED, STOPPED}),
    ("engine", "write|pwrite64|openat2|openat|renameat|fsync|fdatasync|ftruncate|unlinkat|newfstatat|pread64|read",
     "", PROJECTION, "once", {UNSEEN}),
    ("engine", "renameat", "", PROJECTION, "for ever", {UNSEEN, STOPPED}),
    # Every other file and folder is made, synced and named before something is said of it.
    ("engine", "fsync|renameat|renameat2|mkdirat", "", "", "", {STOPPED}),
    # A keeper that does not come up beside the first commit is asked for again by the first command (S8.1).
    ("engine", "execve|clone3|socket|bind|listen|connect", "", "", "once", {UNSEEN, STOPPED}),
    ("engine", "execve|clone3|socket|bind|listen|connect|eventfd2|epoll_create1|timerfd_create", "", "", "",
     {STOPPED}),
    # Of the two pipes the first is ours, to see whether there are any; libuv ends the program for the other.
    ("engine", "pipe2", "", "", "", {STOPPED, ABORTED}),
    # Nor is it prepared for an error of its own pipe, which none can have.
    ("engine", "read|write", "", r"^pipe:", "", {UNSEEN, STOPPED, ABORTED}),
    # libuv ends the program when the kernel refuses what it has allowed before: as if it had been killed.
    ("engine", "epoll_ctl", "", "", "", {UNSEEN, STOPPED, ABORTED}),
    # Tried again without a control group; then it is an event, with its errno (D22).
    ("keeper", BIRTH, "", "", "", {UNSEEN, FAILED}),
    ("", "", "", "", "", {UNSEEN, STOPPED}),
]


def is_waited_for(fault, paths):
    """A keeper that can never look at processes or control groups does not know what lives: it waits a minute
    before it says so (KEEPER_PATIENCE_NS)."""
    return fault.role == "keeper" and fault.for_ever and any(path.startswith(("/proc", "/sys/fs/cgroup")) for path in paths)


def is_real(call, error):
    """Can that happen to a program?"""
    if isinstance(error, int):
        return call in SHORTENED
    return error in ONLY.get(call, ERRORS)


def can_last(call, error):
    """Can it go on for ever without that every program hangs?"""
    return isinstance(error, int) or error not in ENDLESS or \
        ENDLESS[error] is not None and call not in ENDLESS[error]


def can_be_unready(call, path):
    """Is EAGAIN an answer that it may get at any time?"""
    return bool(re.fullmatch(SOCKETS, call) or call in ("read", "write") and re.search(COUNTERS, path) or
                call == "write" and path.startswith("pipe:"))


def expected(fault, path):
    """The exit statuses that are right for it."""
    word = "short" if isinstance(fault.error, int) else fault.error
    often = "for ever" if fault.for_ever else "once"
    for role, calls, errors, place, when, codes in ROWS:
        if role in ("", fault.role) and (not calls or re.fullmatch(calls, fault.call)) and \
                (not errors or re.fullmatch(errors, word)) and re.search(place, path) and when in ("", often):
            return codes
    raise AssertionError("the last row fits everything")
