"""sluice graph: pipelines and runs as pictures."""
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest

PIPELINE = """\
pipeline: shop
defaults: {on_failure: skip_downstream}
params: {full: {type: bool, default: false}}
steps:
  check: {gate: hard, run: 'true', description: 'disk <free> & "tools"'}
  left: {run: 'true', needs: [check], retry: {max_attempts: 3}}
  right: {run: 'exit 3', needs: [check]}
  either: {run: 'true', needs_any: [left, right]}
  extra: {run: 'true', needs: [either], when: 'params.full'}
  ask: {gate: manual, run: 'true', needs: [either, check]}
"""
SVG = "{http://www.w3.org/2000/svg}"


def test_ascii_has_a_box_for_each_step_and_lines_that_go_down(sluice):
    sluice.write("a.yaml", "pipeline: a\nsteps:\n  one: {noop: true}\n  two: {noop: true}\n")
    assert sluice.run("graph", "a.yaml", check=0).stdout == """\
┌─────┐
│ one │
└──┬──┘
   │
   ▼
┌─────┐
│ two │
└─────┘
"""


def test_ascii_without_utf8_is_ascii(sluice):
    sluice.write("a.yaml", PIPELINE)
    plain = sluice.run("graph", "a.yaml", "--ascii", check=0).stdout
    assert plain.isascii() and "| check [hard] |" in plain and "+" in plain and "v" in plain
    sluice.env["LC_ALL"] = "C"
    assert sluice.run("graph", "a.yaml", check=0).stdout == plain


@pytest.mark.parametrize("width", [60, 80, 120])
def test_ascii_fits_the_width(sluice, width):
    sluice.write("a.yaml", PIPELINE)
    out = sluice.run("graph", "a.yaml", "--width", width, check=0).stdout
    assert max(len(line) for line in out.splitlines()) <= width
    for step in ("check", "left", "right", "either", "extra", "ask"):
        assert step in out


def test_a_graph_that_is_too_wide_is_a_list_of_layers(sluice):
    sluice.write("a.yaml", "pipeline: a\nsteps:\n  root: {noop: true}\n" + "".join(
        f"  s{i}: {{noop: true, needs: [root]}}\n" for i in range(60)) +
        "  last: {noop: true, needs: [" + ", ".join(f"s{i}" for i in range(60)) + "]}\n")
    out = sluice.run("graph", "a.yaml", check=0).stdout
    assert out.startswith("Layer 1\n  root\nLayer 2\n  s0 <- root\n")
    assert out.endswith("Layer 3\n  last <- s0, s1, s2, s3, s4, s5, s6, s7 and 52 more\n")


def test_every_line_of_characters_is_joined_to_a_box(sluice):
    """Follow the lines of the picture from each arrow up: they end at the needs."""
    sluice.write("a.yaml", PIPELINE)
    rows = sluice.run("graph", "a.yaml", "--width", 200, check=0).stdout.splitlines()
    width = max(map(len, rows))
    rows = [row.ljust(width) for row in rows]
    arrows = sum(row.count("▼") for row in rows)
    assert arrows == 7  # as many as needs
    for y, row in enumerate(rows):
        for x, c in enumerate(row):
            if c == "▼":
                assert rows[y - 1][x] in "│┆┼┬┐┌├┤" and rows[y + 1][x] in "─┄"


def test_svg_is_well_formed_and_says_everything_in_words(sluice):
    sluice.write("a.yaml", PIPELINE)
    root = ET.fromstring(sluice.run("graph", "a.yaml", "--format", "svg", check=0).stdout)
    assert root.tag == SVG + "svg" and root.get("role") == "img"
    titles = [t.text for t in root.iter(SVG + "title")]
    assert titles[0] == "shop"
    assert 'check [hard gate]\ndisk <free> & "tools"' in titles
    assert "extra: conditional\nwhen: params.full" in titles
    assert len(root.findall(f".//{SVG}path[@class='e']")) == 5
    assert len(root.findall(f".//{SVG}path[@class='e y']")) == 2  # needs_any
    text = ET.tostring(root, encoding="unicode")
    assert "script" not in text and "prefers-color-scheme:dark" in text
    assert not re.search(r"(href|src|url\()=?.?https?:", text)


def test_svg_of_a_run_shows_states_attempts_and_classes(sluice):
    sluice.write("a.yaml", PIPELINE)
    sluice.run("run", "a.yaml", "--run-id", "r1", check=4)
    root = ET.fromstring(sluice.run("graph", "r1", "--format", "svg", check=0).stdout)
    titles = "\n".join(t.text for t in root.iter(SVG + "title"))
    assert "right: failed (unknown), " in titles
    assert "extra: skipped (condition)" in titles
    assert "ask [manual gate]: waiting" in titles
    assert root.find(f".//{SVG}rect[@class='b failed']") is not None
    assert root.find(f".//{SVG}rect[@class='b c skipped']") is not None


def test_json_has_places_and_states_for_the_web_page(sluice):
    sluice.write("a.yaml", PIPELINE)
    plain = json.loads(sluice.run("graph", "a.yaml", "-o", "json", check=0).stdout)
    assert plain["run_id"] is None and "state" not in plain["nodes"][0]
    sluice.run("run", "a.yaml", "--run-id", "r1", check=4)
    graph = json.loads(sluice.run("graph", "r1", "--json", check=0).stdout)
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert graph["run_id"] == "r1" and graph["state"] == "blocked" and graph["layers"] == 4
    assert nodes["right"]["state"] == "failed" and nodes["right"]["error_class"] == "unknown"
    assert nodes["extra"]["skip_reason"] == "condition" and nodes["check"]["gate"] == "hard"
    assert nodes["ask"]["state"] == "waiting" and nodes["ask"]["duration_ms"] is None
    for edge in graph["edges"]:
        first, last = edge["points"][0], edge["points"][-1]
        above, below = nodes[edge["from"]], nodes[edge["to"]]
        assert above["layer"] < below["layer"]
        assert first == [above["x"] + above["width"] // 2, above["y"] + above["height"]]
        assert last == [below["x"] + below["width"] // 2, below["y"]]
    assert {e["kind"] for e in graph["edges"]} == {"needs", "needs_any"}
    assert {(n["x"], n["y"]) for n in nodes.values()}.__len__() == len(nodes)


HOSTILE = r'''pipeline: hostile
steps:
  a: {noop: true, description: "\"];} \\ <script>alert(1)</script> & \n new --> line %% `x` \u202e \u0007 ${x}"}
  node: {noop: true, when: 'true == ("<b>" ~= "]")', description: '</desc></svg><svg onload=x>'}
  graph: {noop: true}
  subgraph: {noop: true}
'''


def test_hostile_descriptions_stay_text_in_svg(sluice):
    sluice.write("a.yaml", HOSTILE)
    root = ET.fromstring(sluice.run("graph", "a.yaml", "--format", "svg", check=0).stdout)
    assert {e.tag[len(SVG):] for e in root.iter()} <= {
        "svg", "title", "desc", "style", "defs", "marker", "path", "rect", "text", "tspan", "g"}
    assert any("<script>alert(1)</script>" in (t.text or "") for t in root.iter(SVG + "title"))


@pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz is not installed")
@pytest.mark.parametrize("text", [PIPELINE, HOSTILE])
def test_graphviz_takes_the_dot_form(sluice, text):
    sluice.write("a.yaml", text)
    out = sluice.run("graph", "a.yaml", "--format", "dot", check=0).stdout
    done = subprocess.run(["dot", "-Tsvg"], input=out, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    nodes = ET.fromstring(done.stdout).findall(f".//{SVG}g[@class='node']")
    assert len(nodes) == out.count("label=\"") - out.count("label=\"any\"")


def test_mermaid_quotes_what_its_grammar_could_take(sluice):
    sluice.write("a.yaml", PIPELINE)
    out = sluice.run("graph", "a.yaml", "--format", "mermaid", check=0).stdout
    assert out.startswith('flowchart TD\n  n0{{"check<br/>hard gate"}}\n')
    assert '  n4(["extra<br/>conditional"])\n' in out and "  n1 -. any .-> n3\n" in out
    sluice.run("run", "a.yaml", "--run-id", "r1", check=4)
    out = sluice.run("graph", "r1", "--format", "mermaid", check=0).stdout
    assert 'n2["right<br/>failed #40;unknown#41;, ' in out and ":::failed\n" in out
    assert "classDef failed fill:" in out


def test_a_name_that_is_a_file_is_a_file(sluice):
    sluice.write("a.yaml", PIPELINE)
    sluice.run("run", "a.yaml", "--run-id", "same", check=4)
    sluice.write("same", "pipeline: file\nsteps: {only: {noop: true}}\n")
    assert "only" in sluice.run("graph", "same", check=0).stdout


@pytest.mark.parametrize("arguments, status, words", [
    (["graph"], 2, "FILE"),
    (["graph", "missing.yaml"], 9, "missing.yaml"),
    (["graph", "no-run"], 9, "no-run"),
    (["graph", "bad.yaml"], 2, "SLU"),
    (["graph", "a.yaml", "--format", "png"], 2, "mermaid"),
    (["graph", "a.yaml", "--format", "svg", "--json"], 2, "--format"),
    (["graph", "a.yaml", "-o", "csv"], 2, "csv"),
    (["graph", "a.yaml", "--width", "5"], 2, "20 to 2000"),
    (["graph", "a.yaml", "--width", "x"], 2, "20 to 2000"),
    (["graph", "a.yaml", "b.yaml"], 2, ""),
])
def test_s13_wrong_use_says_what_to_do(sluice, arguments, status, words):
    sluice.write("a.yaml", PIPELINE)
    sluice.write("bad.yaml", "pipeline: bad\nsteps: {a: {needs: [b]}}\n")
    done = sluice.run(*arguments, check=status)
    assert words in done.stderr and done.stdout == "" and not sluice.home.exists()


def test_s11_4_a_damaged_log_shows_the_good_prefix_and_says_so(sluice):
    sluice.write("a.yaml", PIPELINE)
    sluice.run("run", "a.yaml", "--run-id", "r1", check=4)
    lines = sluice.log("r1").read_bytes().splitlines(keepends=True)
    lines[6] = lines[6].replace(b"step", b"stop", 1)
    sluice.log("r1").write_bytes(b"".join(lines))
    done = sluice.run("graph", "r1", check=7)
    assert "check [hard]" in done.stdout and "after event 6" in done.stderr


def test_large_graphs_are_drawn(sluice):
    sluice.write("chain.yaml", "pipeline: chain\nsteps:\n" +
                 "".join(f"  s{i}: {{noop: true}}\n" for i in range(1000)))
    assert sluice.run("graph", "chain.yaml", check=0).stdout.count("▼") == 999
    sluice.write("fan.yaml", "pipeline: fan\nsteps:\n  s: {noop: true}\n" +
                 "".join(f"  s{i}: {{noop: true, needs: [s]}}\n" for i in range(1000)))
    svg = sluice.run("graph", "fan.yaml", "--format", "svg", check=0).stdout
    assert svg.count("<rect class=\"b\"") == 1001
