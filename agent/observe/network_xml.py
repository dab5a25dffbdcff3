"""nmap's XML to facts; strict, because what services answered is quoted in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn

from lxml import etree

from agent.model.errors import ToolError
from agent.model.facts import NetworkFacts, Port
from agent.model.text import clean, one_line

_DOCTYPE = re.compile(rb"<!DOCTYPE\s+nmaprun\s*>")
_OUTPUT = 20_000
"""Most characters of one script's output kept as a fact; the whole lies in the evidence."""


def _wrong(problem: str, place: str) -> NoReturn:
    raise ToolError(
        f"nmap's answer is not usable: {problem}", where=f"nmap XML, {place}", remedy="scan the network layer again"
    )


def _place(data: bytes, offset: int) -> str:
    line = data.count(b"\n", 0, offset) + 1
    return f"line {line}, byte {offset}"


def _tree(data: bytes) -> etree._Element:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        _wrong("bytes that are not UTF-8", _place(data, error.start))
    # Entities in attributes are expanded whatever the parser is told; nmap writes no declarations at all.
    bare = _DOCTYPE.sub(b"", data, count=1)
    for forbidden in (b"<!DOCTYPE", b"<!ENTITY"):
        if forbidden in bare:
            _wrong(f"{forbidden.decode()} declares entities", _place(data, data.find(forbidden)))
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=True, load_dtd=False, encoding="utf-8", remove_comments=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        _wrong(one_line(error.msg or "no XML", 200), f"line {error.lineno}, column {error.offset}")
    if root.tag != "nmaprun":
        _wrong(f"its root is {one_line(str(root.tag), 40)}, not nmaprun", "line 1")
    return root


def _number(element: etree._Element, attribute: str) -> int:
    text = element.get(attribute, "")
    if not (text.isascii() and text.isdecimal()) or int(text[:6]) > 65535:  # noqa: PLR2004 - the largest port
        _wrong(f"{attribute}={one_line(text, 20)!r} is no port", f"line {element.sourceline}")
    return int(text)


def _port(element: etree._Element) -> Port:
    state, service = element.find("state"), element.find("service")
    told = {} if service is None else {str(key): one_line(str(value)) for key, value in service.items()}
    name = told.get("name", "")
    return Port(
        proto=one_line(element.get("protocol", ""), 10),
        port=_number(element, "portid"),
        state=one_line("" if state is None else state.get("state", ""), 20),
        service=f"{told['tunnel']}/{name}" if told.get("tunnel") else name,
        product=told.get("product", ""),
        version=told.get("version", ""),
        cpes=tuple(one_line(cpe.text or "") for cpe in element.iterfind("service/cpe")),
        scripts={
            one_line(script.get("id", ""), 60): clean(script.get("output", ""), _OUTPUT)
            for script in element.iterfind("script")
        },
    )


def parse(xml: bytes, addresses: Mapping[str, str]) -> tuple[NetworkFacts, ...]:
    """What nmap saw, for each name of `addresses` (name to address) that it answers for.

    A name that the XML does not hold is absent from the result; one that nmap
    gave up on has `timed_out`. Every CPE of a service is kept.

    Raises:
        ToolError: truncated, not UTF-8, with entity declarations, of another root, or an unfinished run;
            `where` names line and column or byte.
    """
    root = _tree(xml)
    finished = root.find("runstats/finished")
    if finished is None or finished.get("exit", "success") != "success":
        told = "" if finished is None else one_line(finished.get("errormsg", ""), 200)
        _wrong(f"the run did not finish {told}".strip(), f"line {root.sourceline}")
    info = root.find("scaninfo")
    scanned = "" if info is None else clean(info.get("services", ""))
    seen: dict[str, etree._Element] = {}
    for host in root.iterfind("host"):
        for address in host.iterfind("address"):
            if address.get("addrtype") != "mac":
                seen.setdefault(address.get("addr", ""), host)
        for name in host.iterfind("hostnames/hostname"):
            if name.get("type") == "user":  # a target that was named, not a name that the network claims
                seen.setdefault(name.get("name", ""), host)
    return tuple(
        _facts(name, address, seen[address], scanned) for name, address in addresses.items() if address in seen
    )


def _facts(name: str, address: str, host: etree._Element, scanned: str) -> NetworkFacts:
    status = host.find("status")
    return NetworkFacts(
        target=name,
        address=address,
        up=status is not None and status.get("state") == "up",
        ports=tuple(_port(element) for element in host.iterfind("ports/port")),
        scanned=scanned,
        timed_out=host.get("timedout") == "true",
    )
