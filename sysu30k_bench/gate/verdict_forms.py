"""A verdict for machines and people: Markdown, and JUnit XML, which every build server shows."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from sysu30k_bench.gate.gate import Verdict

_SHOWN = 20


def markdown(verdict: Verdict) -> str:
    """Lays a verdict out as Markdown."""
    mark = "passed" if verdict.passed else f"**failed**: {verdict.outcome}"
    rows = [
        ("verdict", mark),
        (f"{verdict.metric}, {_plain(verdict.run)}", f"{verdict.run_value * 100:.2f}"),
        (f"{verdict.metric}, {_plain(verdict.baseline)} (baseline)", f"{verdict.baseline_value * 100:.2f}"),
        ("difference, points", f"{verdict.difference * 100:+.2f}"),
        ("lower bound, points", f"{verdict.bound * 100:+.2f}"),
        ("largest drop allowed, points", f"{verdict.max_drop * 100:.2f}"),
        (
            "queries lost / won at rank 1",
            f"{len(verdict.lost)} / {len(verdict.won)} (exact McNemar p = {verdict.p:.3g})",
        ),
    ]
    rows.insert(1, ("gallery", f"{verdict.gallery:,}"))
    lines = ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows), "", verdict.reason, ""]
    if verdict.predicted is not None:
        lines += [f"Predicted: {verdict.predicted.summary}.", ""]
    return "\n".join(lines)


def junit(verdict: Verdict) -> str:
    """Lays a verdict out as a JUnit report of one test."""
    failed = "0" if verdict.passed else "1"
    suite = ET.Element("testsuite", name="sysu30k-bench gate", tests="1", failures=failed, errors="0")
    case = ET.SubElement(
        suite, "testcase", classname="sysu30k_bench.gate", name=f"{verdict.metric} of {_plain(verdict.run)}"
    )
    if not verdict.passed:
        fault = ET.SubElement(case, "failure", message=verdict.reason, type=verdict.outcome)
        fault.text = "\n".join(f"lost: {_plain(key)}" for key in verdict.lost[:_SHOWN])
    output = ET.SubElement(case, "system-out")
    output.text = verdict.reason + (f"; {verdict.predicted.summary}" if verdict.predicted is not None else "")
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _plain(name: str) -> str:
    """Names come from folders and files: nothing in them may end a table cell or an XML document."""
    kept = "".join(letter if letter.isprintable() else "?" for letter in name)
    return kept.replace("|", "\\|").replace("<", "&lt;") if "|" in kept or "<" in kept else kept
