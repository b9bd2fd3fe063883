"""Conditions and decisions out of what `llvm-cov export` tells: which are covered, and where the gaps are.

A decision is the whole of an `if`, a loop's test, `? :`, or a `case`; its conditions are what `&&` and `||` join. A
condition alone is covered when it was true and was false. One of several is covered when it was shown to decide on
its own (MC/DC). What BUG_IF asks is left out: it is never true.

A gap is explained by a comment `/* not reached: WHY */` (or `//`-free text that begins so within a longer comment)
on a line of the decision, right above it, or on the first line of what it leads to. A decision that was never asked
is no gap of its own: the one that leads there is. A function that was never called is one."""
import re
from bisect import bisect_right
from pathlib import Path

MARKER = "not reached:"
WORDS = {"BUG_IF", "err_set", "err_sys", "err_sysno", "err_while", "err_hint", "STR_ARG"}
EXPANSION = 1
NEVER = "never asked"


class Place:
    """Lines and columns of a region, from 1; the end is past the last column."""

    def __init__(self, numbers):
        self.start, self.end = (numbers[0], numbers[1]), (numbers[2], numbers[3])

    def holds(self, other):
        return self.start <= other.start and other.end <= self.end

    def key(self):
        return self.start, self.end

    def __repr__(self):
        return f"{self.start}-{self.end}"


class Decision:
    """One decision, with what was seen of each of its conditions."""

    def __init__(self, place, conditions, asked):
        self.place, self.conditions, self.asked = place, conditions, asked  # [(Place, what is missing or "")]

    def add(self, other):
        """The same decision of another copy of an inline function."""
        self.asked = self.asked or other.asked
        if len(self.conditions) == len(other.conditions):
            self.conditions = [mine if not mine[1] else theirs
                               for mine, theirs in zip(self.conditions, other.conditions)]

    @property
    def covered(self):
        return sum(1 for _, missing in self.conditions if not missing)

    @property
    def gap(self):
        return self.asked and self.covered < len(self.conditions)


class Source:
    """The text of a file, and which lines explain a gap."""

    def __init__(self, path):
        self.lines = Path(path).read_text().split("\n")
        self.code, self.comments = self.split()

    def split(self):
        """For each line its code without comments, and the comments that touch it (whole texts)."""
        text = "\n".join(self.lines)
        code, comments = list(text), [[] for _ in self.lines]
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line) + 1)
        for found in re.finditer(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|/\*.*?\*/|//[^\n]*', text, re.S):
            if found[0][0] != "/":
                continue
            for at in range(found.start(), found.end()):
                if code[at] != "\n":
                    code[at] = " "
            first, last = (bisect_right(starts, at) - 1 for at in (found.start(), found.end() - 1))
            for line in range(first, last + 1):
                comments[line].append(" ".join(found[0].split()))
        return "".join(code).split("\n"), comments

    def text(self, place):
        (first, begin), (last, end) = place.key()
        if first == last:
            return self.lines[first - 1][begin - 1:end - 1]
        parts = [self.lines[first - 1][begin - 1:], *self.lines[first:last - 1], self.lines[last - 1][:end - 1]]
        return " ".join(part.strip() for part in parts)

    def marked(self, line):
        """Does a comment on this line (from 1) explain?"""
        return 0 < line <= len(self.lines) and any(MARKER in text for text in self.comments[line - 1])

    def alone(self, line):
        """Is there a comment on this line, and nothing else?"""
        return 0 < line <= len(self.lines) and self.comments[line - 1] and not self.code[line - 1].strip()

    def explains(self, first, last):
        """Is what stands on these lines explained on them, right above, or right below?"""
        if any(self.marked(line) for line in range(first, last + 1)):
            return True
        return (self.alone(first - 1) and self.marked(first - 1)) or self.marked(last + 1)

    def before(self, place):
        """The statement up to a place."""
        line, column = place.start
        text = "\n".join(self.code[max(0, line - 6):line - 1] + [self.code[line - 1][:column - 1]])
        return re.split(r"[;{}]", text)[-1]

    def is_bug_if(self, place):
        """Is it the argument of BUG_IF?"""
        return "BUG_IF(" in self.before(place)

    def is_switch(self, place):
        """Is it what a switch without `default` asks? The compiler sees to it that each value has a label."""
        return re.search(r"\bswitch \($", self.before(place)) is not None

    def is_label_only(self, start, end):
        """Is there nothing but a colon between two labels?"""
        text = "\n".join(self.code[start[0] - 1:end[0]])
        last = len(text) - len(self.code[end[0] - 1]) + end[1] - 1
        return text[start[1] - 1:last].strip() in ("", ":")


class File:
    """What is known of one source file."""

    def __init__(self, path):
        self.path, self.source = path, Source(path)
        self.decisions = {}  # by place
        self.calls = {}  # of functions: line -> (name, how often it was called)

    def add_function(self, line, name, count):
        self.calls[line] = (name, count + self.calls.get(line, (name, 0))[1])

    def add(self, decision):
        known = self.decisions.setdefault(decision.place.key(), decision)
        if known is not decision:
            known.add(decision)

    def gaps(self):
        """[(line, text, explained)]"""
        found = []
        for line, (name, count) in self.calls.items():
            if not count:
                found.append((line, f"{name}() is never called", self.source.explains(line, line)))
        for key in sorted(self.decisions):
            decision = self.decisions[key]
            if decision.gap:
                first, last = key[0][0], key[1][0]
                texts = [f"`{self.source.text(place)}` {missing}" for place, missing in decision.conditions if missing]
                found.append((first, "; ".join(texts), self.source.explains(first, last)))
        return sorted(found)

    @property
    def conditions(self):
        return sum(len(decision.conditions) for decision in self.decisions.values())

    @property
    def covered(self):
        return sum(decision.covered for decision in self.decisions.values())


def outer(file_id, expansions):
    """Where a macro that stands for file `file_id` of the function is used in the function's own file."""
    place = None
    while file_id in expansions:
        place, file_id = expansions[file_id]
    return place if file_id == 0 else None


class Function:
    """What llvm-cov tells of one function, with the places that macros stand for."""

    def __init__(self, file, told):
        self.source = file.source
        self.expansions = {region[6]: (Place(region), region[5]) for region in told["regions"]
                           if region[7] == EXPANSION}
        self.branches, self.inner = [], []  # [(Place, true, false)] of its own file; of macros
        for branch in told["branches"]:
            place, seen = Place(branch), (branch[4], branch[5])
            if branch[6] == 0:
                self.branches.append((place, *seen))
            else:
                self.inner.append((place, outer(branch[6], self.expansions), *seen))
        self.records = [(Place(record), record[-1]) for record in told["mcdc_records"]]

    def is_ours(self, place):
        """Does a decision count: is it not of BUG_IF, or of the words of an error?"""
        return not self.source.is_bug_if(place)

    def compounds(self):
        """Decisions of several conditions; takes their branches away."""
        for place, shown in self.records:
            own = sorted((branch for branch in self.branches if place.holds(branch[0])), key=lambda one: one[0].start)
            if len(own) != len(shown):  # it is in a macro
                inner = [branch for branch in self.inner if place.holds(branch[0])]
                self.inner = [branch for branch in self.inner if branch not in inner]
                own = [(use, true, false) for _, use, true, false in inner if use and self.counts(use)]
                if len(own) != len(shown):
                    continue
                place = own[0][0]
            else:
                self.branches = [branch for branch in self.branches if branch not in own]
            if not self.is_ours(place):
                continue
            shown = [any(ways) for ways in zip(shown, self.chain(own))]
            texts = [(where, "" if ok else "does not decide alone") for ok, (where, _, _) in zip(shown, own)]
            yield Decision(place, texts, any(true or false for _, true, false in own))

    def chain(self, own):
        """Which conditions decide alone in a decision of `||` only, or of `&&` only: there it follows from how often
        each was true and false. (clang 19 does not note what `a || b ? x : y` gave when x and y are structs.)"""
        joints = [self.source.text(Place((*one[0].end, *two[0].start))) for one, two in zip(own, own[1:])]
        if all("||" in joint and "&&" not in joint for joint in joints):
            return [true > 0 and own[-1][2] > 0 for _, true, _ in own]
        if all("&&" in joint and "||" not in joint for joint in joints):
            return [false > 0 and own[-1][1] > 0 for _, _, false in own]
        return [False] * len(own)

    def counts(self, use):
        """Is a macro used here that decides something?"""
        return self.source.text(use) not in WORDS

    def singles(self):
        """Decisions of one condition; the labels of a switch that stand together are one."""
        sums = {}
        inner = [(use, true, false) for _, use, true, false in self.inner if use and self.counts(use)]
        for place, true, false in self.branches + inner:
            if self.is_ours(place) and self.source.text(place) and not self.source.is_switch(place):
                known = sums.get(place.key(), (place, 0, 0))
                sums[place.key()] = (place, known[1] + true, known[2] + false)
        labels = None
        for place, true, false in sorted(sums.values(), key=lambda one: one[0].start):
            if not self.source.text(place).startswith(("case ", "default")):
                missing = {(False, False): NEVER, (True, False): "never false", (False, True): "never true"}
                seen = (true > 0, false > 0)
                yield Decision(place, [(place, missing.get(seen, ""))], seen != (False, False))
                continue
            if labels and self.source.is_label_only(labels[0].end, place.start):
                labels = (place, labels[1] + [place], labels[2] + true, labels[3] + false)
            else:
                yield from self.label(labels)
                labels = (place, [place], true, false)
        yield from self.label(labels)

    @staticmethod
    def label(labels):
        if labels:
            _, places, true, false = labels
            place = Place((*places[0].start, *places[-1].end))
            yield Decision(place, [(place, "" if true else "never true")], true > 0 or false > 0)


def read_function(files, told, wanted):
    path = told["filenames"][0]
    if not wanted(path):
        return
    file = files.setdefault(path, File(path))
    file.add_function(Place(told["regions"][0]).start[0], told["name"].split(":")[-1], told["count"])
    function = Function(file, told)
    for decision in [*function.compounds(), *function.singles()]:
        file.add(decision)


def read(export, wanted):
    """{path: File} of the files for which `wanted(path)`; `export` is what llvm-cov wrote, loaded."""
    files = {}
    for function in export["data"][0]["functions"]:
        read_function(files, function, wanted)
    return files
