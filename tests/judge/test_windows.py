from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from feeds import read, real
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.formats import msrc
from agent.judge import windowsbuilds
from agent.judge.windows import Unjudged, exact_product, match, numbers
from agent.model.advisory import (
    Advisory,
    Affected,
    Authority,
    Candidate,
    Confidence,
    Head,
    Listing,
    Match,
    Scheme,
    Status,
)

WS2016, WS2022, R2 = "Windows Server 2016", "Windows Server 2022", "Windows Server 2012 R2"


def row(
    cve: str, product: str, fixed: str, fix: str = "", *replaced: str, day: str = "2099-01-13", **more
) -> Candidate:
    reboot = more.pop("reboot", True)
    head = Head(cve, "msrc/microsoft", Authority.VENDOR, f"{cve} title", "Important", 7.8, (cve,), published=day)
    return Candidate(
        head,
        Affected(
            f"windows:{product}", product, Scheme.WINDOWS, by="product", fixed=fixed, fix=fix,
            supersedes=replaced, reboot=reboot, **more,
        ),
    )  # fmt: skip


def listing(version: str, product: str = WS2016, *patches: str) -> Listing:
    return Listing("windows", version, product, patches=patches)


def judged(asked: Listing, rows: list[Candidate]) -> tuple[Match, ...]:
    found = match(asked, rows)
    assert not isinstance(found, Unjudged), found
    return found


def opened(asked: Listing, rows: list[Candidate]) -> list[str]:
    return [one.advisory for one in judged(asked, rows)]


def test_a_build_below_the_fixed_one_is_open_and_one_that_reached_it_is_not() -> None:
    rows = [row("CVE-2099-1", WS2016, "10.0.14393.9020", "KB9900002", "KB9900001")]
    (found,) = judged(listing("10.0.14393.9019"), rows)
    assert found == Match(
        advisory="CVE-2099-1", feed="msrc/microsoft", cves=("CVE-2099-1",), package=WS2016, source=WS2016, arch="",
        installed="10.0.14393.9019", fixed="10.0.14393.9020", status=Status.FIXED, confidence=Confidence.VENDOR,
        title="CVE-2099-1 title", severity="Important", score=7.8, fix="KB9900002", reboot=True,
        stream=f"windows:{WS2016}",
    )  # fmt: skip
    assert opened(listing("10.0.14393.9020"), rows) == []
    assert opened(listing("14393.9021"), rows) == []


def test_only_rows_of_the_exact_product_count() -> None:
    core = f"{WS2016} (Server Core installation)"
    rows = [
        row("CVE-2099-1", WS2016, "10.0.14393.9020", "KB9900002"),
        row("CVE-2099-2", core, "10.0.14393.9020", "KB9900002"),
    ]
    assert opened(listing("10.0.14393.1"), rows) == ["CVE-2099-1"]
    assert opened(listing("10.0.14393.1", core), rows) == ["CVE-2099-2"]


def test_any_one_remediation_closes_and_the_cumulative_update_is_told_before_the_hot_patch() -> None:
    rows = [
        row("CVE-2099-1", WS2022, "10.0.20348.9015", "KB9900006", reboot=False),
        row("CVE-2099-1", WS2022, "10.0.20348.9020", "KB9900005", "KB9900001"),
    ]
    assert opened(listing("10.0.20348.9015", WS2022), rows) == []
    (found,) = judged(listing("10.0.20348.9014", WS2022), rows)
    assert (found.fixed, found.fix) == ("10.0.20348.9020", "KB9900005")


def test_the_monthly_rollup_is_told_before_the_security_only_update() -> None:
    rows = [
        row("CVE-2099-1", R2, "6.3.9600.29000", "KB9900004"),
        row("CVE-2099-1", R2, "6.3.9600.29000", "KB9900003", "KB9900001"),
        row("CVE-2099-1", R2, "", "KB9900009"),
    ]
    (found,) = judged(listing("6.3.9600.28000", R2), rows)
    assert (found.fixed, found.fix, found.confidence) == ("6.3.9600.29000", "KB9900003", Confidence.VENDOR)
    assert opened(listing("6.3.9600.28000", R2, "KB9900004"), rows) == []


def test_a_fixed_build_of_another_system_says_nothing_of_this_one() -> None:
    rows = [row(f"CVE-2099-{n}", WS2016, f"10.0.14393.90{n}", f"KB99000{n}") for n in range(10, 30)]
    rows.append(row("CVE-2099-99", WS2016, "10.0.17763.1", "KB9900099", day="2099-01-12"))
    assert opened(listing("10.0.14393.9029"), rows) == []
    assert "CVE-2099-99" in opened(listing("10.0.14393.9009"), rows)
    wrong = match(listing("10.0.17763.9000"), rows)
    assert wrong == Unjudged("build 17763 is no build of Windows Server 2016 (that is 14393)")


def test_twin_builds_share_their_updates() -> None:
    product = "Windows 10 Version 22H2 for x64-based Systems"
    rows = [row("CVE-2099-1", product, "10.0.19041.9020", "KB9900002")]
    assert opened(listing("10.0.19045.9020", product), rows) == []
    assert opened(listing("10.0.19045.9019", product), rows) == ["CVE-2099-1"]


def test_installed_updates_close_what_they_replace_through_several_steps() -> None:
    rows = [
        row("CVE-2099-1", R2, "", "KB9900001"),
        row("CVE-2099-2", R2, "", "KB9900002", "KB9900001"),
        row("CVE-2099-3", R2, "", "KB9900003", "KB9900002"),
        row("CVE-2099-4", R2, "", "KB9900004", "KB9900003"),
    ]
    assert opened(listing("6.3.9600", R2, "9900003"), rows) == ["CVE-2099-4"]
    (found,) = judged(listing("6.3.9600", R2, "kb9900003"), rows)
    assert (found.confidence, found.fix, found.fixed) == (Confidence.VENDOR, "KB9900004", "")


def test_a_rollup_that_replaces_an_unlisted_update_replaces_the_rollup_before_it() -> None:
    rows = [
        row("CVE-2099-1", R2, "", "KB9900001", "KB9899999"),
        row("CVE-2099-2", R2, "", "KB9900010"),  # security only, replaced by nothing
        row("CVE-2099-3", R2, "", "KB9900020", "KB9900015"),
        row("CVE-2099-4", R2, "", "KB9900030", "KB9900020"),
    ]
    assert opened(listing("6.3.9600", R2, "KB9900030"), rows) == ["CVE-2099-2"]


def test_supersedence_in_a_circle_ends() -> None:
    rows = [
        row("CVE-2099-1", R2, "", "KB9900001", "KB9900002"),
        row("CVE-2099-2", R2, "", "KB9900002", "KB9900001"),
    ]
    assert opened(listing("6.3.9600", R2, "KB9900001"), rows) == []


def test_without_a_build_a_later_update_that_is_in_closes_an_earlier_one() -> None:
    rows = [
        row("CVE-2099-1", R2, "", "KB9900001", day="2099-01-01"),
        row("CVE-2099-2", R2, "", "KB9900002", day="2099-02-01"),
        row("CVE-2099-3", R2, "6.3.9600.29000", "KB9900003", "KB9900002", day="2099-03-01"),
    ]
    assert opened(listing("6.3.9600.29000", R2), rows) == []
    found = judged(listing("6.3.9600.28999", R2), rows)
    assert [(one.advisory, one.confidence) for one in found] == [
        ("CVE-2099-1", Confidence.CPE_ROUGH),
        ("CVE-2099-2", Confidence.CPE_ROUGH),
        ("CVE-2099-3", Confidence.VENDOR),
    ]


def test_old_builds_of_2016_come_from_the_update_history() -> None:
    rows = [
        row("CVE-2019-1", WS2016, "", "KB4507460", "KB4503267", day="2019-07-09"),
        row("CVE-2021-2", WS2016, "10.0.14393.4401", "KB5003197", "KB5001347", day="2021-05-11"),
    ]
    (found,) = judged(listing("10.0.14393.4350"), rows)
    assert found.advisory == "CVE-2021-2"
    older = judged(listing("10.0.14393.3084"), rows)
    assert [(one.fixed, one.confidence) for one in older] == [
        ("10.0.14393.3085", Confidence.VENDOR), ("10.0.14393.4401", Confidence.VENDOR),
    ]  # fmt: skip


def test_without_ubr_an_installed_cumulative_update_tells_the_build() -> None:
    rows = [
        row("CVE-2099-1", WS2016, "10.0.14393.9010", "KB9900001"),
        row("CVE-2099-2", WS2016, "10.0.14393.9020", "KB9900002", "KB9900015"),
        row("CVE-2099-3", WS2016, "10.0.14393.9030", "KB9900003", "KB9900002"),
        row("CVE-2099-4", WS2016, "10.0.14393.9040", "KB9900004"),  # stands alone: its build is no cumulative one
    ]
    assert opened(listing("10.0.14393", WS2016, "KB9900002"), rows) == ["CVE-2099-3", "CVE-2099-4"]
    assert opened(listing("10.0.14393", WS2016, "KB9900004"), rows) == ["CVE-2099-1", "CVE-2099-2", "CVE-2099-3"]


def test_what_cannot_be_judged_says_why() -> None:
    rows = [row("CVE-2099-1", WS2016, "10.0.14393.9020", "KB9900002")]
    bare = [row("CVE-2099-1", R2, "", "KB9900002")]
    assert match(listing("10.0.14393"), rows) == Unjudged(
        "neither the UBR (the last number of 10.0.14393.6351) nor the installed KBs are known"
    )
    for asked, known, word in (
        (listing("10.0.14393.1"), [], "no imported feed"),
        (listing("2016"), rows, "no build of"),
        (listing("sixteen"), rows, "no Windows version"),
        (listing("6.3.9600.1", R2), bare, "bring the list of installed KBs"),
    ):
        found = match(asked, known)
        assert isinstance(found, Unjudged)
        assert word in found.reason


def test_server_2008_before_its_renumbering_is_older_than_every_later_build() -> None:
    product = "Windows Server 2008 for x64-based Systems Service Pack 2"
    rows = [row("CVE-2099-1", product, "6.0.6003.22000", "KB9900002")]
    assert opened(listing("6.0.6002.24600", product), rows) == ["CVE-2099-1"]


def test_what_runs_on_windows_is_judged_by_its_own_updates() -> None:
    product = "Microsoft .NET Framework 4.8 on Windows Server 2016"
    rows = [
        row("CVE-2099-1", product, "4.8.4515.0", "KB9900001", "KB9900000"),
        row("CVE-2099-2", product, "4.8.4605.0", "KB9900002", "KB9900001"),
    ]
    assert opened(listing("10.0.14393.6351", product, "KB9900001"), rows) == ["CVE-2099-2"]
    assert isinstance(match(listing("10.0.14393.6351", product), rows), Unjudged)


def test_a_customers_word_counts_too() -> None:
    good = row("CVE-2099-1", WS2016, "10.0.14393.9020", "KB9900002")
    none = row("CVE-2099-2", WS2016, "", status=Status.AFFECTED)
    denied = replace(good, row=replace(good.row, fixed="", fix="", status=Status.NOT_AFFECTED))
    found = judged(listing("10.0.14393.1"), [good, denied, none])
    assert [(one.advisory, one.status, one.confidence) for one in found] == [
        ("CVE-2099-2", Status.AFFECTED, Confidence.VENDOR)
    ]


@pytest.mark.parametrize(
    ("name", "version", "exact"),
    [
        ("Windows Server 2016", "10.0.14393.6351", WS2016),
        ("  windows  server 2016 ", "10.0.14393.6351", WS2016),
        ("Windows Server 2016 Standard", "10.0.14393", WS2016),
        ("Microsoft Windows Server 2016 Datacenter", "10.0.14393", WS2016),
        ("Microsoft(R) Windows(R) Server 2016 Standard Evaluation", "10.0.14393", WS2016),
        ("Windows Server 2016 (Server Core installation)", "10.0.14393", f"{WS2016} (Server Core installation)"),
        ("Windows Server 2016  (Server Core installation)", "", f"{WS2016} (Server Core installation)"),
        ("Windows Server 2019 Datacenter Core", "10.0.17763", "Windows Server 2019 (Server Core installation)"),
        ("Microsoft Hyper-V Server 2019", "10.0.17763.1", "Windows Server 2019 (Server Core installation)"),
        ("Windows Server 2022 Datacenter: Azure Edition", "10.0.20348", WS2022),
        ("Windows Server 2016 Standard", "10.0.17763.1", WS2016),
        ("Windows Server 2012 R2 Standard", "6.3.9600", R2),
        ("Windows Server 2012 Standard", "6.2.9200", "Windows Server 2012"),
        ("Windows Server® 2008 R2 Web", "6.1.7601", "Windows Server 2008 R2 for x64-based Systems Service Pack 1"),
        ("Windows Server 2008 Standard (32-bit)", "6.0.6003", "Windows Server 2008 for 32-bit Systems Service Pack 2"),
        (
            "Windows Server 2008 for 32-bit Systems Service Pack 2", "6.0.6003",
            "Windows Server 2008 for 32-bit Systems Service Pack 2",
        ),
        ("Windows Server, version 20H2", "10.0.19042.1", "Windows Server, version 20H2 (Server Core Installation)"),
        ("Windows Server, version 2004", "10.0.19041.1", "Windows Server, version 2004 (Server Core installation)"),
        ("Windows Server Datacenter", "10.0.25398.1", "Windows Server 2022, 23H2 Edition (Server Core installation)"),
        ("Windows Server", "10.0.26100.1742", "Windows Server 2025"),
        (
            "Windows Server 2022, 23H2 Edition (Server Core installation)", "10.0.25398.1",
            "Windows Server 2022, 23H2 Edition (Server Core installation)",
        ),
        ("Windows 10 Pro", "10.0.22631.1", "Windows 11 Version 23H2 for x64-based Systems"),
        ("Microsoft Windows 11 Enterprise", "10.0.22000.1", "Windows 11 version 21H2 for x64-based Systems"),
        ("Windows 10 Enterprise LTSC 2019", "10.0.17763", "Windows 10 Version 1809 for x64-based Systems"),
        (
            "Windows 10 Version 22H2 for x64-based Systems", "10.0.19045.3803",
            "Windows 10 Version 22H2 for x64-based Systems",
        ),
        (
            "Microsoft .NET Framework 4.8 on Windows Server 2016", "10.0.14393",
            "Microsoft .NET Framework 4.8 on Windows Server 2016",
        ),
        (
            "windows 10 version 22h2 for x64-based systems", "10.0.19045.3803",
            "Windows 10 Version 22H2 for x64-based Systems",
        ),
        ("Windows Server 2099", "10.0.99999", "Windows Server 2099"),
        ("", "10.0.14393", ""),
    ],
)  # fmt: skip
def test_names_are_brought_to_microsofts_own(name: str, version: str, exact: str) -> None:
    assert exact_product(name, version) == exact


def test_versions_are_a_build_and_perhaps_its_revision() -> None:
    assert numbers("10.0.14393.6351") == (14393, 6351)
    assert numbers(" 14393.0 ") == (14393, 0)
    assert numbers("6.3.9600") == (9600, None)
    assert numbers("10.0") is None
    assert numbers("10.0.14393.6351.1") is None


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_name_and_version_get_an_answer(name: str, version: str) -> None:
    assert exact_product(exact_product(name, version), version) == exact_product(name, version)
    match(listing(version, WS2016, name), [row("CVE-2099-1", WS2016, version, name, version)])


_UPDATES = st.integers(0, 8).map(lambda number: f"KB99000{number:02}")
_ROWS = st.lists(
    st.builds(
        lambda cve, told, fix, replaced, day: row(
            f"CVE-2099-{cve}", WS2016, f"10.0.14393.{told}" if told else "", fix, *replaced, day=f"2099-01-{day:02}"
        ),
        st.integers(1, 9), st.integers(0, 30), _UPDATES, st.lists(_UPDATES, max_size=2), st.integers(1, 28),
    ),
    min_size=1, max_size=25,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(_ROWS, st.lists(_UPDATES, max_size=2), st.integers(0, 31), st.integers(0, 31))
def test_a_higher_revision_never_has_more_open(rows: list[Candidate], patches: list[str], one: int, two: int) -> None:
    low, high = (match(listing(f"10.0.14393.{at}", WS2016, *patches), rows) for at in sorted((one, two)))
    if isinstance(low, Unjudged) or isinstance(high, Unjudged):
        assert low == high
    else:
        assert {each.advisory for each in high} <= {each.advisory for each in low}


MONTHS = ("2018-Nov", "2019-Jul", "2020-Sep", "2021-Apr", "2021-Nov", "2023-Oct", "2024-Jan", "2025-Jul")


@cache
def real_rows() -> dict[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = {}
    for month in MONTHS:
        for one in read(msrc.FORMATS[0], real(f"msrc-cvrf/months/{month}.xml.zst")):
            if isinstance(one, Advisory):
                head = Head(one.id, "msrc/microsoft", Authority.VENDOR, one.title, one.severity, one.score, one.cves,
                            published=one.published)  # fmt: skip
                for each in one.affected:
                    found.setdefault(each.package, []).append(Candidate(head, each))
    return found


@pytest.mark.parametrize(
    ("product", "line"),
    [(WS2016, "10.0.14393"), ("Windows Server 2019", "10.0.17763"), (WS2022, "10.0.20348"), (R2, "6.3.9600")],
)
def test_of_the_real_feed_too_a_higher_revision_never_has_more_open(product: str, line: str) -> None:
    rows = real_rows()[product]
    before: set[str] | None = None
    for revision in range(0, 25_000, 500):
        found = {one.advisory for one in judged(listing(f"{line}.{revision}", product), rows)}
        assert before is None or found <= before
        before = found
    assert before == set()


def test_the_real_october_2023_update_closes_its_month_and_what_came_before() -> None:
    found = judged(listing("10.0.14393.6351"), real_rows()[WS2016])
    assert {one.cves[0][:8] for one in found if one.cves} <= {"CVE-2024", "CVE-2025", "CVE-2022", "CVE-2023"}
    told = {one.advisory: one for one in found}
    assert (told["CVE-2024-20674"].fixed, told["CVE-2024-20674"].fix) == ("10.0.14393.6614", "KB5034119")
    assert {one.confidence for one in found} == {Confidence.VENDOR}
    by_update = judged(listing("10.0.14393", WS2016, "KB5031362"), real_rows()[WS2016])
    assert {one.advisory for one in by_update} == set(told)


def test_tables_of_builds_agree_with_names_and_are_in_the_order_of_time() -> None:
    for build, name in windowsbuilds.SERVERS.items():
        assert exact_product(name, f"10.0.{build}") == name
    for build, name in windowsbuilds.CLIENTS.items():
        assert exact_product(name, f"10.0.{build}") == name
    for known in windowsbuilds.BROUGHT.values():
        assert list(known.values()) == sorted(set(known.values()))
