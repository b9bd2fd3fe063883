"""script/mcdc.py, which script/coverage judges by: what it counts, what it calls a gap, what explains one."""
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "script"))
import mcdc  # noqa: E402

SOURCE = """\
static int f(int a, int b)
{
	if (a && b)
		return 1;
	if (a)
		return 2;
	BUG_IF(a || b);
	return err_set(a ? b : a);
}
"""


def told(path, branches=(), records=(), count=7, regions=()):
    """What llvm-cov would say of a source of one function."""
    return {"data": [{"functions": [{
        "name": "x.c:f", "count": count, "filenames": [str(path), "/err.h"], "branches": list(branches),
        "mcdc_records": list(records), "regions": [[1, 1, 9, 2, count, 0, 0, 0], *regions]}]}]}


def branch(line, start, end, true, false, file=0):
    return [line, start, line, end, true, false, file, 0, 4]


AND = [branch(3, 6, 7, 5, 1), branch(3, 11, 12, 3, 2)]
RECORD = [3, 6, 3, 12, 0, 5, [True, True]]
ALONE = branch(5, 6, 7, 2, 4)


def read(tmp_path, source=SOURCE, **what):
    path = tmp_path / "x.c"
    path.write_text(source)
    return mcdc.read(told(path, **what), lambda name: name == str(path))[str(path)]


def gaps(file):
    return [(line, text) for line, text, explained in file.gaps() if not explained]


def test_a_decision_whose_conditions_decide_alone_has_no_gap(tmp_path):
    file = read(tmp_path, branches=[*AND, ALONE], records=[RECORD])
    assert (len(file.decisions), file.conditions, file.covered) == (2, 3, 3)
    assert gaps(file) == []


def test_a_condition_that_was_never_false_is_a_gap(tmp_path):
    file = read(tmp_path, branches=[*AND, branch(5, 6, 7, 2, 0)], records=[RECORD])
    assert gaps(file) == [(5, "`a` never false")]


def test_a_condition_that_does_not_decide_alone_is_a_gap(tmp_path):
    never_false = [branch(3, 6, 7, 5, 0), branch(3, 11, 12, 3, 2)]
    file = read(tmp_path, branches=never_false, records=[[3, 6, 3, 12, 0, 5, [False, True]]])
    assert gaps(file) == [(3, "`a` does not decide alone")]


def test_in_a_chain_the_branches_tell_what_the_compiler_did_not_note(tmp_path):
    file = read(tmp_path, branches=AND, records=[[3, 6, 3, 12, 0, 5, [False, False]]])
    assert gaps(file) == []


def test_what_was_never_asked_is_the_gap_of_what_leads_there(tmp_path):
    file = read(tmp_path, branches=[branch(3, 6, 7, 0, 0), branch(3, 11, 12, 0, 0)],
                records=[[3, 6, 3, 12, 0, 5, [False, False]]])
    assert gaps(file) == [] and (file.conditions, file.covered) == (2, 0)


def test_a_function_that_is_never_called_is_a_gap(tmp_path):
    assert gaps(read(tmp_path, count=0)) == [(1, "f() is never called")]


def test_bugs_and_the_words_of_an_error_do_not_count(tmp_path):
    words = [branch(40, 9, 10, 1, 0, file=1)]
    uses = [[8, 9, 8, 16, 1, 0, 1, mcdc.EXPANSION]]
    assert read(tmp_path, branches=words, regions=uses).conditions == 0
    assert read(tmp_path, branches=[branch(7, 9, 10, 0, 1), branch(7, 14, 15, 0, 1)],
                records=[[7, 9, 7, 15, 0, 5, [False, False]]]).conditions == 0


@pytest.mark.parametrize("old, new", [
    ("\tif (a)\n", "\tif (a) /* not reached: why */\n"),
    ("\tif (a)\n", "\t/* not reached: why */\n\tif (a)\n"),
    ("\tif (a)\n", "\t/* A longer text.\n\t * (not reached: why) */\n\tif (a)\n"),
    ("\t\treturn 2;", "\t\treturn 2; /* not reached: why */"),
])
def test_a_comment_at_the_place_explains_a_gap(tmp_path, old, new):
    line = SOURCE.replace(old, new).split("\n").index(next(
        text for text in SOURCE.replace(old, new).split("\n") if text.startswith("\tif (a)"))) + 1
    file = read(tmp_path, SOURCE.replace(old, new), branches=[branch(line, 6, 7, 0, 4)])
    assert len(file.gaps()) == 1 and gaps(file) == []


@pytest.mark.parametrize("new", ["\tif (a) /* seldom */\n", "\t/* not reached: why */\n\n\tif (a)\n"])
def test_another_comment_does_not(tmp_path, new):
    text = SOURCE.replace("\tif (a)\n", new)
    line = next(i for i, part in enumerate(text.split("\n"), 1) if part.startswith("\tif (a)"))
    assert len(gaps(read(tmp_path, text, branches=[branch(line, 6, 7, 0, 4)]))) == 1


def test_labels_that_stand_together_are_one_decision(tmp_path):
    source = "int f(int a)\n{\n\tswitch (a) {\n\tcase 1:\n\tcase 2:\n\t\treturn 1;\n\tcase 3:\n\t\treturn 2;\n\t}\n}\n"
    labels = [branch(4, 2, 8, 0, 9), branch(5, 2, 8, 3, 6), branch(7, 2, 8, 0, 9)]
    file = read(tmp_path, source, branches=labels)
    assert file.conditions == 2 and gaps(file) == [(7, "`case 3` never true")]
