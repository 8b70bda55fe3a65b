"""`check --format junit`: a test suite for each spec, a test case for each finding."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from cnnplan.codes import INFO
from cnnplan.render.checked import said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagnostics import Diagnostic
    from cnnplan.render.checked import Checked

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(found: Sequence[Checked]) -> str:
    """The report. Errors and warnings fail; so that it shows up, a spec without findings is a case that passes.

    In ASCII, so that it is read alike whatever encoding a shell writes.
    """
    root = ET.Element("testsuites", {"name": "cnnplan"})
    for checked in found:
        _suite(root, checked)
    for suite in root:
        _count(suite)
    _count(root)
    ET.indent(root, " ")
    text = ET.tostring(root, encoding="us-ascii", xml_declaration=False).decode()
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(root: ET.Element, checked: Checked) -> None:
    path = _clean(checked.name)
    group = re.sub(r"\.ya?ml$", "", path)  # what stands behind a dot would be taken for the name of a class
    suite = ET.SubElement(root, "testsuite", {"name": path})
    seen: Counter[str] = Counter()

    def case(name: str) -> ET.Element:
        seen[name] += 1  # cases of one name would be taken for one
        name = f"{name} ({seen[name]})" if seen[name] > 1 else name
        return ET.SubElement(suite, "testcase", {"classname": group, "name": name, "file": path})

    for diagnostic, start, _ in checked.spans():
        place = f" {start.line}:{start.column}" if diagnostic.start else ""
        found = case(f"{diagnostic.code} {diagnostic.name}{place}")
        if diagnostic.start:
            found.set("line", str(start.line))
        if diagnostic.severity == INFO:
            ET.SubElement(found, "system-out").text = _clean(_whole(diagnostic, path))
        else:
            about = {"message": _clean(diagnostic.message), "type": diagnostic.severity}
            ET.SubElement(found, "failure", about).text = _clean(_whole(diagnostic, path))
    if not checked.diagnostics:
        case("cnnplan check")


def _whole(found: Diagnostic, path: str) -> str:
    """All that is said of a finding, for the log of its test case."""
    place = f"{path}:{found.start.line}:{found.start.column}" if found.start else path
    lines = [f"{place}: {found.severity}[{found.code}] {said(found)}"]
    lines += [f"{r.message}{f' (line {r.start.line})' if r.start else ''}" for r in found.related]
    return "\n".join([*lines, found.url])


def _count(element: ET.Element) -> None:
    counts = {"tests": "testcase", "failures": "failure"}
    for name, tag in counts.items():
        element.set(name, str(sum(1 for _ in element.iter(tag))))
    element.set("errors", "0")
    element.set("skipped", "0")
    element.set("time", "0")
    for case in element.findall("testcase"):
        case.set("time", "0")


def _clean(text: str) -> str:
    """The text without what XML does not allow even as a reference."""
    return _NO_XML.sub("", text)
