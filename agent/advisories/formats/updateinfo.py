"""updateinfo.xml (createrepo_c): what a repository of RPMs says its updates mend, for dnf and yum.

Only security updates and others that name a CVE are taken; a retracted one takes back what was said.

A feed is one repository of one release (`updateinfo/openeuler/22.03-lts-sp3`): openEuler repeats an id in each release,
AlmaLinux in each repository, with the packages of that one only, so that one feed for all would let the repository
that is imported last take the others' packages away.

Which system an update is for is told by its release or collection; where these say nothing (`updates`, `AppStream`),
by the dist tags of its packages, and for `.el8`, which all rebuilds share, together with the id's prefix. An update of
a system or a layered product that has no stream is left out, as are packages of sources, of debugging symbols, and
builds that are not compared with normal ones (Oracle's ksplice and FIPS packages).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from agent.advisories import fields
from agent.advisories.source import Source
from agent.model import streams
from agent.model.advisory import Advisory, Affected, Authority, Header, Record, Scheme

if TYPE_CHECKING:
    from lxml import etree

_ROOT = re.compile(rb"<updates(?=[\s/>])[^<>]{0,500}>")
_FIRST = re.compile(rb"<update\s[^<>]{0,500}(?:from|status|type)=|</updates>|<updates[^<>]{0,500}/>")
_PACKED = re.compile(r"\.(?:gz|bz2|xz|zst)$")
_HASHED = re.compile(r"^[0-9a-f]{32,128}-")
"""createrepo puts the content's hash before the name: each edition of a file would be a part of its own."""
_SOURCES = {"src", "nosrc"}
_ASIDE = re.compile(r".*-(?:debuginfo|debugsource)(?:-.*)?")
_APART = re.compile(r"\.ksplice\d|_fips\b")
_SECONDS = re.compile(r"\d{9,11}")
"""Some generators write times as Unix does."""
_EXTENDED = re.compile(r"^rhel-.*-(?P<kind>eus|aus|tus|e4s|els)(?:-|$)")
_MINOR = re.compile(r"\.el(\d+)_(\d+)(?!\d)")
_LAYERED = re.compile(r"^(?!rhel-).*-for-(?:rhel|middleware)-")
"""`rhocp-4.12-for-rhel-8-x86_64-rpms`; `rhel-ha-for-rhel-7-server-rpms` is of the system itself."""
_PRINTED = (
    (re.compile(r"\bepel[ -]?(\d+)"), "epel"),
    (re.compile(r"^(?:fedora(?: linux)?[ -]|f)(\d+)(?!\d)"), "fedora"),
    (re.compile(r"^amazon[ -]linux[ -](\d+)(?!\d)"), "amazon"),
    (re.compile(r"^ol(\d+)(?!\d)"), "oracle"),
    (re.compile(r"^rhel-(?:\w+-)*?(\d+)(?!\w)"), "rhel"),
)
"""How repositories are called, besides what `streams.of_name` knows."""
_REBUILDS = {
    "RH": "rhel", "AL": "almalinux", "RL": "rocky", "RX": "rocky", "EL": "oracle", "CE": "centos", "AN": "anolis",
    "FEDORA-EPEL": "epel",
}  # fmt: skip
_PREFIX = re.compile(r"(?:(?P<rebuild>RH|AL|RL|RX|EL|CE|AN)[SBE]A|(?P<extra>FEDORA-EPEL))-")
_STREAM = re.compile(r"[a-z-]+:[a-z0-9.-]{1,40}")
"""What names of collections come to is shown and stored: nothing else is taken for a stream."""
_ENTERPRISE = re.compile(r"[.+]el(\d+)(?!\d)")
_TAGS = (
    (re.compile(r"[.+]ky(\d+)(?!\d)"), "kylin:v{}"),
    (re.compile(r"[.+]an(\d+)(?!\d)"), "anolis:{}"),
    (re.compile(r"[.+]uelc?(\d+)(?!\d)"), "uos:{}"),
    (re.compile(r"\.eulerosv(\d+)r(\d+)(?!\d)"), "euleros:{}.0-sp{}"),
    (re.compile(r"\.oe1(?!\d)"), "openeuler:20.03-lts"),
    (re.compile(r"[.+]amzn(\d+)(?!\d)"), "amazon:{}"),
    (re.compile(r"[.+]fc(\d+)(?!\d)"), "fedora:{}"),
)
"""Dist tags that say alone whose packages these are."""
_NAMES = {
    "rhel": "Red Hat", "almalinux": "AlmaLinux", "rocky": "Rocky Linux", "oracle": "Oracle Linux", "centos": "CentOS",
    "openeuler": "openEuler", "anolis": "Anolis OS", "kylin": "Kylin", "uos": "UOS", "euleros": "EulerOS",
    "fedora": "Fedora", "epel": "EPEL", "amazon": "Amazon Linux",
}  # fmt: skip


class _Row(NamedTuple):
    """A package of one stream."""

    stream: str
    name: str
    version: str
    modules: tuple[str, ...]


class UpdateInfo:
    """One repository's updates. No snapshot: a repository forgets what was replaced, and it stays true."""

    name = "updateinfo"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By the root element and the first update's attributes."""
        return _ROOT.search(head[:4096]) is not None and _FIRST.search(head) is not None

    def read(self, source: Source) -> Iterator[Header | Record]:
        """An `Advisory` for each update that matters. Raises FeedError with the update's line."""
        headed = False
        for element in source.elements(["{*}update"]):
            try:
                advisory = _advisory(element)
            except ValueError as error:
                place = f"line {element.sourceline} {fields.line(_text(element, 'id'))}"
                raise source.error(str(error), place.rstrip()) from error
            if advisory is None:
                continue
            if not headed:
                headed = True
                yield _header(source, advisory.affected[0].stream, _repository(element))
            yield advisory
        if not headed:
            yield _header(source, "", "")


def _header(source: Source, stream: str, repository: str) -> Header:
    distribution, _, version = stream.partition(":")
    parts = (distribution or "other", version, repository)
    return Header(
        feed="/".join(("updateinfo", *filter(None, parts))),
        scope=fields.line(_HASHED.sub("", _PACKED.sub("", source.base))),
        ecosystem=_NAMES.get(distribution.partition("-")[0], distribution) or "updateinfo",
        authority=Authority.VENDOR if stream else Authority.THIRD_PARTY,
    )


def _repository(element: etree._Element) -> str:
    """The first collection's short name, without the minor release that some carry (`__8_DOT_6__default`)."""
    found = element.find("{*}pkglist/{*}collection")
    short = "" if found is None else found.get("short", "").partition("__")[0]
    return re.sub(r"[^a-z0-9._]+", "-", short.lower()).strip("-")[:80]


def _text(element: etree._Element, tag: str) -> str:
    return (element.findtext(f"{{*}}{tag}") or "").strip()


def _advisory(element: etree._Element) -> Advisory | None:
    ident = fields.word(_text(element, "id"), "an update's id")
    if not ident:
        raise ValueError("an update without an id")
    security = element.get("type", "").lower() == "security"
    references = list(element.iterfind("{*}references/{*}reference"))
    cves = _cves(element, references, security=security)
    if not security and not cves:
        return None
    rows = tuple(_affected(element, ident))
    if not rows:
        return None
    own = (one.get("href", "") for one in references if one.get("type") == "self")
    return Advisory(
        id=ident,
        title=fields.line(_text(element, "title")).removeprefix(f"{ident}: ") or ident,
        severity=_severity(element),
        cves=cves,
        published=_time(element, "issued"),
        modified=_time(element, "updated"),
        url=fields.link(next(own, "")),
        withdrawn=element.get("status", "").lower() == "retracted",
        affected=rows,
    )


def _cves(element: etree._Element, references: list[etree._Element], *, security: bool) -> tuple[str, ...]:
    """From the references; Fedora names them in their titles, others only in the update's own text."""
    if found := fields.cves(" ".join(one.get(key, "") for key in ("id", "title", "href")) for one in references):
        return found
    return fields.cves(f"{_text(element, 'title')} {_text(element, 'description')}") if security else ()


def _severity(element: etree._Element) -> str:
    word = fields.line(_text(element, "severity"))
    return "" if word.lower() == "none" else word


def _time(element: etree._Element, tag: str) -> str:
    found = element.find(f"{{*}}{tag}")
    text = "" if found is None else found.get("date", "").strip().removesuffix(" UTC")
    if _SECONDS.fullmatch(text):
        text = datetime.fromtimestamp(int(text), UTC).isoformat()
    return fields.utc(text)


def _affected(element: etree._Element, ident: str) -> Iterator[Affected]:
    rows: dict[_Row, set[str]] = {}
    reboots: set[_Row] = set()
    whole = _flag(element)
    for collection in element.iterfind("{*}pkglist/{*}collection"):
        packages = list(collection.iterfind("{*}package"))
        told = (_text(collection, "name"), collection.get("short", ""), _text(element, "release"))
        stream = _stream(told, [one.get("release", "") for one in packages], ident)
        if not _STREAM.fullmatch(stream):
            continue
        modules = tuple(_modules(collection))
        for package in packages:
            row, arch = _row(package, stream, modules)
            if arch in _SOURCES or _ASIDE.fullmatch(row.name) or _APART.search(row.version):
                continue
            rows.setdefault(row, set()).add(arch)
            if whole or _flag(package):
                reboots.add(row)
    versions = Counter((row.stream, row.name, row.modules) for row in rows)
    for row, arches in rows.items():
        several = versions[row.stream, row.name, row.modules] > 1
        yield Affected(
            row.stream,
            row.name,
            Scheme.RPM,
            fixed=row.version,
            modules=row.modules,
            modular=bool(row.modules) or ".module" in row.version,
            arches=tuple(sorted(filter(None, arches))) if several else (),
            reboot=row in reboots,
        )


def _flag(element: etree._Element) -> bool:
    """Whether a restart of the machine is suggested: the element alone says so, unless it says no."""
    text = element.findtext("{*}reboot_suggested")
    return text is not None and text.strip().lower() not in {"false", "0", "no"}


def _modules(collection: etree._Element) -> Iterator[str]:
    for one in collection.iterfind("{*}module"):
        name, stream = (fields.word(one.get(key, ""), f"a module's {key}") for key in ("name", "stream"))
        if not name or not stream:
            raise ValueError("a module without a name or a stream")
        yield f"{name}:{stream}"


def _row(package: etree._Element, stream: str, modules: tuple[str, ...]) -> tuple[_Row, str]:
    name, version, release, epoch, arch = (
        fields.word(package.get(key, ""), f"a package's {key}")
        for key in ("name", "version", "release", "epoch", "arch")
    )
    if not name or not version or not release:
        raise ValueError(f"a package without {'a version or release' if name else 'a name'}: {name or version!r}")
    if epoch and not (epoch.isascii() and epoch.isdigit()):
        raise ValueError(f"the epoch of {name} is {epoch!r}")
    before = f"{epoch}:" if epoch.strip("0") else ""
    return _Row(stream, name, f"{before}{version}-{release}", modules), arch


def _stream(told: Iterable[str], releases: list[str], ident: str) -> str:
    """The stream of a collection's packages; empty for none that we know.

    Args:
        told: what the collection and the release are called, the first that says something counts.
        releases: of its packages.
        ident: the update's id.
    """
    words = [text.strip().lower() for text in told]
    if any(_LAYERED.search(text) for text in words):
        return ""
    tagged = _tagged(releases, ident)
    for text in words:
        if hit := _EXTENDED.search(text):
            return _extended(hit["kind"], text, releases)
        if printed := _printed(text):
            # `openEuler 22.03 LTS` hides the pack that its packages tell
            return tagged if tagged.startswith(f"{printed}-") else printed
    return tagged


def _printed(text: str) -> str:
    found = next((f"{name}:{hit[1]}" for pattern, name in _PRINTED if (hit := pattern.search(text))), "")
    found = found or streams.of_name(text)
    return found if re.search(r"\d", found.partition(":")[2]) else ""


def _extended(kind: str, text: str, releases: list[str]) -> str:
    """An extended stream of Red Hat's, whose minor release the repository (`__8_DOT_6`) or the packages tell."""
    if kind == "els":
        hit = re.search(r"\d+", text)
        return f"rhel-els:{hit[0]}" if hit else ""
    if hit := re.search(r"__(\d+)_dot_(\d+)", text):
        return f"rhel-{kind}:{hit[1]}.{hit[2]}"
    minors = Counter(f"{hit[1]}.{hit[2]}" for one in releases if (hit := _MINOR.search(one)))
    return f"rhel-{kind}:{minors.most_common(1)[0][0]}" if minors else ""


def _tagged(releases: list[str], ident: str) -> str:
    """By dist tags, the most frequent one; `.el8` counts for the distribution that the id's prefix names."""
    if found := streams.of_packages("openeuler", releases):
        return found
    counts = Counter(form.format(*hit.groups()) for one in releases for tag, form in _TAGS if (hit := tag.search(one)))
    if counts:
        return counts.most_common(1)[0][0]
    prefix = _PREFIX.match(ident)
    name = _REBUILDS[prefix["rebuild"] or prefix["extra"]] if prefix else ""
    majors = Counter(hit[1] for one in releases if (hit := _ENTERPRISE.search(one)))
    if name and majors:
        return f"{name}:{majors.most_common(1)[0][0]}"
    return f"centos:{majors.most_common(1)[0][0]}" if any(".centos" in one for one in releases) and majors else ""


FORMATS = (UpdateInfo(),)
