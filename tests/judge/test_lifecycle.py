from __future__ import annotations

import datetime as dt
import gzip

import pytest
from feeds import read, real
from hypothesis import given
from hypothesis import strategies as st

from agent.advisories.formats import endoflife
from agent.advisories.lifecycle import shipped
from agent.judge import lifecycle
from agent.judge.lifecycle import Phase, Support
from agent.model.advisory import Lifecycle

TODAY = dt.date(2026, 11, 22)


def row(product: str, cycle: str, eol: str, extended: str = "", latest: str = "") -> Lifecycle:
    return Lifecycle(product, cycle, eol, extended, latest=latest, source=f"https://example.test/{product}")


KNOWN: dict[str, list[Lifecycle]] = {
    "tomcat": [row("tomcat", "10.1", "no"), row("tomcat", "9.0", "2027-03-31"), row("tomcat", "8.5", "2024-03-31")],
    "centos": [row("centos", "7", "2024-06-30"), row("centos", "8", "2021-12-31")],
    "centos-stream": [row("centos-stream", "8", "2024-05-31")],
    "debian": [row("debian", "12", "2026-07-11", "2028-06-30"), row("debian", "11", "2024-08-14", "2026-08-31")],
    "rhel": [row("rhel", "7", "2024-06-30", "2029-05-31"), row("rhel", "8", "2029-05-31", "2033-05-31")],
    "log4j": [row("log4j", "2", "no"), row("log4j", "2.12", "2021-12-14"), row("log4j", "1", "2015-10-15")],
    "nginx": [row("nginx", "1.30", "no"), row("nginx", "1.18", "2021-04-20"), row("nginx", "1.16", "2020-04-20")],
    "mysql": [row("mysql", "8.0", "2026-04-30"), row("mysql", "5.7", "2023-10-31")],
    "mariadb": [row("mariadb", "10.11", "2028-02-16"), row("mariadb", "10.1", "2020-10-17")],
    "apache-struts": [row("apache-struts", "2.2", "yes")],
    "openeuler": [row("openeuler", "22.03-lts", "2024-03-31"), row("openeuler", "22.03-lts-sp3", "2025-12-31")],
    "kylin-server": [row("kylin-server", "v10-sp3", "")],
    "kingbasees": [row("kingbasees", "v8r6", "2030-01-01")],
    "windows-server": [
        row("windows-server", "2019", "2029-01-09", latest="10.0.17763"),
        row("windows-server", "1809-sac", "2020-11-10", latest="10.0.17763"),
        row("windows-server", "2016", "2027-01-12", "2030-01-12", latest="10.0.14393"),
        row("windows-server", "2012-r2", "2023-10-10", "2026-10-13", latest="6.3.9600"),
        row("windows-server", "2012", "2023-10-10", "2026-10-13", latest="6.2.9200"),
        row("windows-server", "2008-r2-sp1", "2020-01-14", "2023-01-10", latest="6.1.7601"),
        row("windows-server", "23h2-ac", "2026-05-12", latest="10.0.25398"),
    ],
    "mssqlserver": [
        row("mssqlserver", "13.0-sp3", "2026-07-14", "2029-07-17", latest="13.0.6500.1 GDR"),
        row("mssqlserver", "13.0", "2018-01-09", latest="13.0.2218.0 CU9+GDR"),
        row("mssqlserver", "13.0-sp2", "2022-10-11", latest="13.0.5893.48 CU17+GDR"),
    ],
}


@pytest.mark.parametrize(
    ("os_id", "version", "name", "phase", "cycle", "days"),
    [
        ("centos", "7", "CentOS Linux 7 (Core)", Phase.ENDED, "7", -875),
        ("centos", "8", "CentOS Stream 8", Phase.ENDED, "8", -905),
        ("debian", "12", "Debian GNU/Linux 12 (bookworm)", Phase.EXTENDED, "12", 586),
        ("debian", "11", "", Phase.ENDED, "11", -830),
        ("rhel", "7.9", "", Phase.EXTENDED, "7", 921),
        ("RHEL", "8.10", "", Phase.SUPPORTED, "8", 921),
        ("openEuler", "22.03", "openEuler 22.03 (LTS-SP3)", Phase.ENDED, "22.03-lts-sp3", -326),
        ("kylin", "V10", "Kylin Linux Advanced Server V10 (Lance)", Phase.UNKNOWN, "v10-sp3", None),
        ("windows", "10.0.14393.6351", "Windows Server 2016", Phase.ENDING, "2016", 51),
        ("windows", "6.3.9600.21620", "Microsoft Windows Server 2012 R2 Standard", Phase.ENDED, "2012-r2", -1139),
        ("windows", "6.2.9200.1", "Windows Server 2012", Phase.ENDED, "2012", -1139),
        ("windows", "6.1.7601", "Windows Server 2008 R2 Service Pack 1", Phase.ENDED, "2008-r2-sp1", -2504),
        ("windows", "10.0.25398.1", "Windows Server, version 23H2", Phase.ENDED, "23h2-ac", -194),
        ("windows", "10.0.17763.5329", "", Phase.SUPPORTED, "2019", 779),
        ("windows", "10.0.99999.1", "", Phase.UNKNOWN, "", None),
        ("nobody", "1", "", Phase.UNKNOWN, "", None),
    ],
)
def test_systems(os_id: str, version: str, name: str, phase: Phase, cycle: str, days: int | None) -> None:
    found = lifecycle.system(os_id, version, name, KNOWN, TODAY)
    assert (found.phase, found.cycle, found.days) == (phase, cycle, days)
    assert bool(found.reason) is (phase is Phase.UNKNOWN)


@pytest.mark.parametrize(
    ("kind", "version", "phase", "cycle"),
    [
        ("tomcat", "9.0.70", Phase.ENDING, "9.0"),
        ("tomcat", "Apache Tomcat/8.5.90", Phase.ENDED, "8.5"),
        ("tomcat", "10.1.5", Phase.SUPPORTED, "10.1"),
        ("tomcat", "12.0.1", Phase.UNKNOWN, ""),
        ("tomcat", "10.0.27", Phase.UNKNOWN, ""),
        ("tomcat-embed-core", "9.0.70", Phase.ENDING, "9.0"),
        ("log4j-core", "2.14.1", Phase.SUPPORTED, "2"),
        ("log4j-core", "2.12.1", Phase.ENDED, "2.12"),
        ("log4j", "1.2.17", Phase.ENDED, "1"),
        ("nginx", "1.17.3", Phase.ENDED, ""),
        ("nginx", "1.25.3", Phase.UNKNOWN, ""),
        ("mysql", "8.0.35-0ubuntu0.22.04.1", Phase.ENDED, "8.0"),
        ("mysql", "5.1.73", Phase.ENDED, ""),
        ("mariadb", "5.5.5-10.11.6-MariaDB-log", Phase.SUPPORTED, "10.11"),
        ("mariadb", "10.1.48-MariaDB", Phase.ENDED, "10.1"),
        ("struts2-core", "2.2.3", Phase.ENDED, "2.2"),
        ("kingbase", "KingbaseES V008R006C007B0024", Phase.SUPPORTED, "v8r6"),
        ("sqlserver", "13.0.6300.2", Phase.EXTENDED, "13.0-sp3"),
        ("sqlserver", "13.0.5026.0", Phase.ENDED, "13.0-sp2"),
        ("sqlserver", "13.0.1601.5", Phase.ENDED, "13.0"),
        ("sqlserver", "13.0.9999.1", Phase.EXTENDED, "13.0-sp3"),
        ("sqlserver", "", Phase.UNKNOWN, ""),
        ("mysql", "", Phase.UNKNOWN, ""),
        ("a kind of its own", "1", Phase.UNKNOWN, ""),
    ],
)
def test_software(kind: str, version: str, phase: Phase, cycle: str) -> None:
    found = lifecycle.software(kind, version, KNOWN, TODAY)
    assert (found.phase, found.cycle, found.version) == (phase, cycle, version)


def test_the_last_day_of_support_still_counts() -> None:
    table = {"tomcat": [row("tomcat", "9.0", "2026-11-22")]}
    assert lifecycle.software("tomcat", "9.0.1", table, TODAY).days == 0
    assert lifecycle.software("tomcat", "9.0.1", table, TODAY).phase is Phase.ENDING
    assert lifecycle.software("tomcat", "9.0.1", table, TODAY + dt.timedelta(days=1)).phase is Phase.ENDED


def test_an_end_without_a_day_and_a_version_below_the_table_say_on_what_they_rest() -> None:
    assert lifecycle.software("struts2-core", "2.2.3", KNOWN, TODAY).reason == "停止维护的日期未公布"
    older = lifecycle.software("mysql", "5.1.73", KNOWN, TODAY)
    assert older.reason == "未收录该版本，比它新的 5.7 已停止维护"
    assert older.source == "https://example.test/mysql"


def test_of_two_rows_for_one_cycle_the_one_that_tells_a_day_counts() -> None:
    table = {"tongweb": [row("tongweb", "7.0", ""), row("tongweb", "7.0", "2030-01-01")]}
    assert lifecycle.software("tongweb", "7.0.4.9_M5", table, TODAY).eol == "2030-01-01"


def test_every_phase_has_its_word() -> None:
    assert len({phase.zh for phase in Phase}) == len(Phase)


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_hostile_versions_are_judged_or_unknown(os_id: str, version: str, name: str) -> None:
    assert isinstance(lifecycle.system(os_id, version, name, KNOWN, TODAY), Support)
    assert isinstance(lifecycle.system("windows", version, name, KNOWN, TODAY), Support)
    for kind in ("tomcat", "sqlserver", "kingbase", os_id):
        assert isinstance(lifecycle.software(kind, version, KNOWN, TODAY), Support)


def test_the_real_table_knows_what_customers_run() -> None:
    known: dict[str, list[Lifecycle]] = {}
    found = read(endoflife.FORMATS[0], gzip.decompress(real("endoflife/endoflife-products.json.gz")))
    for one in (*found, *shipped()):
        if isinstance(one, Lifecycle):
            known.setdefault(one.product, []).append(one)
    assert set(lifecycle.products()) <= set(known)
    assert lifecycle.software("openssl", "1.0.2k-fips", known, TODAY).eol == "2019-12-31"
    assert lifecycle.software("weblogic", "12.2.1.4.0", known, TODAY).phase is Phase.ENDING
    assert lifecycle.system("anolis", "8.8", "Anolis OS 8.8", known, TODAY).phase is Phase.SUPPORTED
