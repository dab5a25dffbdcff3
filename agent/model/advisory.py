"""Advisories as every feed is brought to: who says what of which package in which stream, and how to order the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from agent.model.facts import Package


class Scheme(StrEnum):
    """How versions of a stream are ordered."""

    DPKG = "dpkg"
    """Debian Policy 5.6.12."""
    RPM = "rpm"
    """rpmvercmp over epoch:version-release."""
    GENERIC = "generic"
    """Dotted upstream versions: SemVer, Maven, OpenSSL's letters (1.0.2k), Oracle's dates."""
    WINDOWS = "windows"
    """Four numbers, `10.0.14393.6351`; the last is the UBR."""


class Status(StrEnum):
    """What the vendor says of a package in a stream (the words that trivy's users know)."""

    FIXED = "fixed"
    """A fix is out, in `fixed`."""
    AFFECTED = "affected"
    """Affected; no fix yet."""
    DEFERRED = "fix_deferred"
    WILL_NOT_FIX = "will_not_fix"
    UNDER_INVESTIGATION = "under_investigation"
    END_OF_LIFE = "end_of_life"
    """Affected or not: out of support, nobody looks."""
    NOT_AFFECTED = "not_affected"
    """Said by the vendor: takes back what a lesser source claims."""

    @property
    def zh(self) -> str:
        """The word used in reports."""
        return {
            "fixed": "已有修复",
            "affected": "受影响，暂无修复",
            "fix_deferred": "受影响，厂商推迟修复",
            "will_not_fix": "受影响，厂商不予修复",
            "under_investigation": "厂商调查中",
            "end_of_life": "已停止支持，厂商不再处理",
            "not_affected": "不受影响",
        }[self.value]


class Confidence(StrEnum):
    """How sure a match is, the surest first."""

    VENDOR = "vendor"
    """The vendor's own advisory for that very package, or product, and stream."""
    MIRROR = "mirror"
    """The host's own mirror offers the update."""
    CHANGELOG = "changelog"
    """The changelog of a newer package names it."""
    CPE_EXACT = "cpe-exact"
    """Product and version range of NVD, or of a third party, hold the exact version that runs."""
    CPE_ROUGH = "cpe-rough"
    """Product agrees, the version range does not say enough."""

    @property
    def rank(self) -> int:
        """0 is the surest."""
        return list(Confidence).index(self)


class Authority(StrEnum):
    """Who speaks in a feed, the weightiest first: a vendor outranks NVD (rule 5)."""

    VENDOR = "vendor"
    CUSTOMER = "customer"
    """Written down by the customer or operator from a vendor's notice."""
    CHANGELOG = "changelog"
    THIRD_PARTY = "third-party"
    NVD = "nvd"


@dataclass(frozen=True, slots=True)
class Affected:
    """One statement: this package in this stream, from here to there. Rows of one advisory share `cves` or carry own.

    A version is concerned when it is `>= introduced`, and `< fixed` or `<= last` where given, or is among
    `versions`. A row whose range is empty on both sides with `versions` concerns exactly those.
    """

    stream: str
    """`debian:12`, `almalinux:9`, `windows:Windows Server 2016` (exact product), `maven`, `cpe`: model.streams."""
    package: str
    """Package name as its manager says it; `vendor:product` in stream `cpe`, `group:artifact` in `maven`,
    the exact product name again in `windows:`."""
    scheme: Scheme
    by: str = "binary"
    """`binary`, `source` (compare the source package's version) or `product`."""
    introduced: str = ""
    """Inclusive; empty: from the first version on. OSV's `0` becomes empty."""
    fixed: str = ""
    """Exclusive; empty: none known. RPM: `epoch:version-release`, epoch 0 left out."""
    last: str = ""
    """Inclusive upper end where no fix is known (NVD versionEndIncluding, OSV last_affected)."""
    versions: tuple[str, ...] = ()
    """Exact versions, where a feed enumerates instead of ranging."""
    status: Status = Status.FIXED
    cves: tuple[str, ...] = ()
    """CVEs that this row speaks of; empty: all of its advisory."""
    modules: tuple[str, ...] = ()
    """RPM module streams, `nodejs:18`; the installed package's label must agree with one (rule 4)."""
    modular: bool = False
    """The package is built in a module, whether or not the feed says which stream."""
    arches: tuple[str, ...] = ()
    """Only these architectures; empty: all."""
    fix: str = ""
    """What closes it besides a package version: `KB5034119`, a hot patch's package."""
    supersedes: tuple[str, ...] = ()
    """Windows: KBs that this KB replaces."""
    reboot: bool = False
    """The vendor says that a restart of the machine is needed."""


@dataclass(frozen=True, slots=True)
class Advisory:
    """One advisory of one feed. All text is cleaned by the importer (`model.text`)."""

    id: str
    """As its publisher writes it: `ALSA-2024:4451`, `DSA-5380-1`, `CVE-2024-1` where the feed is by CVE."""
    title: str
    severity: str = ""
    """The publisher's own word (Important, HIGH, 超危 ...); empty when none."""
    score: float | None = None
    """CVSS base score, the newest version that the record has."""
    vector: str = ""
    cves: tuple[str, ...] = ()
    """Upper case, sorted by year and number, each once."""
    aliases: tuple[str, ...] = ()
    """Other ids: CNNVD-..., GHSA-..., KYSA-..."""
    published: str = ""
    """UTC, `2024-07-09T00:00:00Z`; empty when the feed does not say."""
    modified: str = ""
    url: str = ""
    withdrawn: bool = False
    """Taken back by its publisher: an import removes it."""
    affected: tuple[Affected, ...] = ()


@dataclass(frozen=True, slots=True)
class CveNote:
    """What one source says of a CVE as such, whichever software it is in."""

    cve: str
    title: str = ""
    score: float | None = None
    """CVSS base score, newest version of CVSS first."""
    vector: str = ""
    severity: str = ""
    cnnvd: str = ""
    rejected: bool = False
    """The numbering authority took the CVE back: no finding may rest on it."""


@dataclass(frozen=True, slots=True)
class Exploited:
    """A CVE of CISA's catalogue of known exploited vulnerabilities (KEV)."""

    cve: str
    added: str
    """ISO day."""
    due: str = ""
    ransomware: bool = False
    name: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """EPSS (FIRST): the probability, 0 to 1, that the CVE is exploited within 30 days."""

    cve: str
    probability: float
    percentile: float


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Until when one cycle of a product is mended by its maker."""

    product: str
    """endoflife.date's name (`debian`, `tomcat`), or ours for what it lacks (`openeuler`, `kylin-server`)."""
    cycle: str
    """`12`, `9.0`, `22.03-lts-sp3`; lower case."""
    eol: str
    """ISO day after which nothing is mended for everyone; `yes` (day unknown), `no` (not ended), empty (not said)."""
    extended: str = ""
    """ISO day of paid support's end, or empty."""
    released: str = ""
    latest: str = ""
    """Newest version of the cycle that the source knows; empty when not said."""
    source: str = ""
    """Whose word it is, a URL or a document's title."""
    checked: str = ""
    """ISO day on which somebody looked it up; empty: the feed's own date counts."""


Record = Advisory | CveNote | Exploited | Likelihood | Lifecycle


@dataclass(frozen=True, slots=True)
class Header:
    """What a document says of itself. It precedes its records; a later header in one file begins another document."""

    feed: str
    """Stable name, `FORMAT/WHOSE`: `osv/almalinux`, `kev/cisa`, `cvrf/openeuler`, `msrc/microsoft`."""
    scope: str
    """Which part of the feed this document is: an advisory's id, `2024-Jan`, a file's stream; `*` for the whole."""
    ecosystem: str
    """For people, in `agent feeds status`: `AlmaLinux`, `Windows`, `CVE 利用情况`."""
    authority: Authority
    date: str = ""
    """UTC time at which the publisher made it; empty when it does not say (then the newest record's counts)."""
    licence: str = ""
    snapshot: bool = False
    """It is all that the feed has to say in this scope: what it no longer holds is removed."""


@dataclass(frozen=True, slots=True)
class Head:
    """An advisory without its rows, as matching carries it along."""

    id: str
    feed: str
    authority: Authority
    title: str
    severity: str
    score: float | None
    cves: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    published: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that names the package in question, with its advisory."""

    head: Head
    row: Affected


@dataclass(frozen=True, slots=True)
class CveFacts:
    """All that the store knows of one CVE, merged: the surest source's score, KEV and EPSS."""

    cve: str
    title: str = ""
    score: float | None = None
    severity: str = ""
    cnnvd: str = ""
    kev: Exploited | None = None
    epss: float | None = None
    rejected: bool = False


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """One line of `agent feeds status` and of the report's table of feeds."""

    feed: str
    ecosystem: str
    source: str
    """File or bundle that the newest document came in, without its folder."""
    records: int
    newest: str
    """UTC time of the newest record or document; empty when nothing in it bears a date."""
    licence: str
    sha256: str
    """Over the hashes of all its documents: equal feeds have equal ones."""
    signature: str
    """`unsigned`, or the fingerprint of the key that signed the bundle that it came in."""
    imported_at: str
    imported_by: str
    documents: int = 1
    streams: tuple[str, ...] = ()
    """Streams that it speaks of (not for `cpe` and CVE-wide feeds)."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is handed to matching: all that the store knows of the packages in question."""

    rows: Mapping[tuple[str, str], tuple[Candidate, ...]] = field(default_factory=dict)
    """(stream, package) to candidates."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Every stream that any feed speaks of, with the number of advisories."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A system's packages, however they were had: a collection, or a bare list that somebody brought."""

    os_id: str
    """ID of os-release, `windows` for Windows."""
    os_version: str
    """VERSION_ID of os-release; Windows: build and UBR, `10.0.14393.6351`."""
    os_name: str = ""
    """PRETTY_NAME; Windows: the product's exact name."""
    kernel: str = ""
    """`uname -r` of the running kernel; empty: not known, then the newest installed is taken for it."""
    packages: tuple[Package, ...] = ()
    epochs: bool = True
    """False: a bare `rpm -qa`, which does not tell epochs; they are then left out of every comparison."""
    sources: bool = True
    """False: source packages are not known (bare `rpm -qa`, `dpkg -l`)."""
    modules: bool = True
    """False: module labels are not known."""
    container: bool = False
    """The kernel is another machine's: no kernel package is judged."""
    patches: tuple[str, ...] = ()
    """Windows: installed KBs, `KB5034119`."""
    skipped: tuple[str, ...] = ()
    """Lines that were not understood, each with its number and reason."""


@dataclass(frozen=True, slots=True)
class Match:
    """One advisory that concerns one installed package."""

    advisory: str
    feed: str
    cves: tuple[str, ...]
    """Those that the installed version does not fix yet."""
    package: str
    source: str
    arch: str
    installed: str
    fixed: str
    """Earliest version that fixes; empty when none is out."""
    status: Status
    confidence: Confidence
    title: str = ""
    severity: str = ""
    """The publisher's word."""
    score: float | None = None
    url: str = ""
    fix: str = ""
    """KB or hot patch."""
    reboot: bool = False
    stream: str = ""
    aliases: tuple[str, ...] = ()
    location: str = ""
    """For what no package manager knows: the file or instance."""
