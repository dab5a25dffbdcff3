"""Red Hat's security data API (access.redhat.com/hydra/rest/securitydata): one CVE, or a list of CVEs.

A release that mends names its source package (`openssl-1:1.1.1k-12.el8_9`); one that is a whole module's build
(`nodejs:18-8090020231019152822.a75119d5`) tells no package's version and is left out. A list tells severities only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.advisories import fields
from agent.advisories.formats.csaftree import module
from agent.advisories.source import Source
from agent.model import streams
from agent.model.advisory import Advisory, Affected, Authority, CveNote, Header, Record, Scheme, Status

_CVE = re.compile(r"CVE-\d{4}-\d{4,12}").fullmatch
_BUILD = re.compile(r"(?P<name>[A-Za-z0-9_][A-Za-z0-9_.+-]*?)-(?:(?P<epoch>\d+):)?(?P<version>[^-:\s/]+-[^-:\s/]+)")
_STATES = {
    "affected": Status.AFFECTED,
    "new": Status.UNDER_INVESTIGATION,
    "under investigation": Status.UNDER_INVESTIGATION,
    "fix deferred": Status.DEFERRED,
    "will not fix": Status.WILL_NOT_FIX,
    "out of support scope": Status.END_OF_LIFE,
    "not affected": Status.NOT_AFFECTED,
}
"""A word that is new to us counts as affected."""


class RedHatCve:
    """A CVE's page, or a list of CVEs."""

    name = "redhat-cve"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By keys of a CVE's page or of a list's entry."""
        return (b'"threat_severity"' in head and (b'"public_date"' in head or b'"bugzilla"' in head)) or (
            b'"bugzilla_description"' in head and b'"resource_url"' in head
        )

    def read(self, source: Source) -> Iterator[Header | Record]:
        """An `Advisory` and a `CveNote`, or only notes of a list. Raises FeedError with the CVE."""
        place = ""
        try:
            document = source.json()
            if isinstance(document, list):
                yield _header("*")
                for number, one in enumerate(document, 1):
                    place = f"entry {number}"
                    yield _listed(fields.obj(one, "an entry"))
                return
            record = fields.obj(document)
            cve = place = _id(record, "name")
            yield _header(cve)
            note = _note(cve, record)
            published = fields.utc(fields.text(record, "public_date"))
            yield Advisory(
                id=cve,
                title=note.title,
                severity=note.severity,
                score=note.score,
                vector=note.vector,
                cves=(cve,),
                published=published,
                url=f"https://access.redhat.com/security/cve/{cve}",
                affected=tuple(dict.fromkeys((*_released(record), *_open(record)))),
            )
            yield note
        except ValueError as error:
            raise source.error(str(error), place) from error


def _id(record: Mapping[str, Any], key: str) -> str:
    cve = fields.text(record, key).strip().upper()
    if not _CVE(cve):
        raise ValueError(f"field {key!r} holds no CVE id")
    return cve


def _header(scope: str) -> Header:
    return Header("redhat-cve/redhat", scope, "Red Hat", Authority.VENDOR, licence="CC-BY-4.0")


def _listed(one: Mapping[str, Any]) -> CveNote:
    score, vector = fields.best_score(fields.text(one, f"{kind}_scoring_vector") for kind in ("cvss", "cvss3"))
    return CveNote(
        cve=_id(one, "CVE"),
        title=fields.line(fields.text(one, "bugzilla_description")),
        score=score,
        vector=vector,
        severity=fields.line(fields.text(one, "severity")),
    )


def _note(cve: str, record: Mapping[str, Any]) -> CveNote:
    vectors = [fields.text(fields.child(record, kind), f"{kind}_scoring_vector") for kind in ("cvss", "cvss3")]
    score, vector = fields.best_score(vectors)
    title = fields.line(fields.text(fields.child(record, "bugzilla"), "description"))
    return CveNote(
        cve=cve,
        title=title,
        score=score,
        vector=vector,
        severity=fields.line(fields.text(record, "threat_severity")),
        rejected=title.lstrip("* ").upper().startswith("REJECT"),
    )


def _released(record: Mapping[str, Any]) -> Iterator[Affected]:
    for one in fields.children(record, "affected_release"):
        stream = streams.of_cpe(fields.text(one, "cpe"))
        build = _BUILD.fullmatch(fields.text(one, "package").strip())
        if stream and build:
            epoch = "" if build["epoch"] in {None, "0"} else f"{build['epoch']}:"
            version = fields.line(f"{epoch}{build['version']}")
            yield Affected(
                stream, build["name"], Scheme.RPM, by="source", fixed=version, modular=".module" in version
            )  # fmt: skip


def _open(record: Mapping[str, Any]) -> Iterator[Affected]:
    for one in fields.children(record, "package_state"):
        stream = streams.of_cpe(fields.text(one, "cpe"))
        word = fields.text(one, "fix_state").strip().lower()
        label, slash, name = fields.line(fields.text(one, "package_name")).rpartition("/")
        label = module(label)
        if not stream or not name or bool(slash) is not bool(label):
            continue  # a layered product, or a container's image (`rhel8/nodejs-18`)
        yield Affected(
            stream, name, Scheme.RPM, by="source", status=_STATES.get(word, Status.AFFECTED),
            modules=(label,) if label else (), modular=bool(label),
        )  # fmt: skip


FORMATS = (RedHatCve(),)
