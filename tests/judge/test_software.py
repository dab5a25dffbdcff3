"""Products outside package managers against rows of feeds: which rows count, what fixes, and who judges what."""

from __future__ import annotations

import pytest

from agent.judge.ownership import BACKPORTS, makers_own
from agent.judge.software import database_owner, database_product, keys, match, plain, products, unjudged
from agent.model.advisory import Affected, Authority, Candidate, Confidence, Head, Scheme, Status
from agent.model.facts import DatabaseFacts, HostFacts, Instance, Listener, Package, Software, Subject
from agent.model.products import JARS, names


def said(cve, authority=Authority.NVD, stream="cpe", package="apache:tomcat", identity="", **row):
    head = Head(identity or cve, f"{authority}/feed", authority, "title", "", None, (cve,))
    scheme = Scheme.WINDOWS if stream.startswith("windows:") else Scheme.GENERIC
    return Candidate(head, Affected(stream, package, scheme, "product", **row))


def one(kind, version, **more):
    return Software(kind, version, "/opt/x", **more)


def told(software, *rows):
    return [(found.cves, found.fixed, found.confidence) for found in match(software, rows)]


TOMCAT = one("tomcat", "9.0.70")
EXACT, ROUGH, VENDOR = Confidence.CPE_EXACT, Confidence.CPE_ROUGH, Confidence.VENDOR
BRANCHES = (
    said("CVE-2023-1", introduced="8.5.0", fixed="8.5.86"),
    said("CVE-2023-1", introduced="9.0.0", fixed="9.0.72"),
    said("CVE-2023-1", introduced="10.1.0", fixed="10.1.6"),
)


def test_the_row_whose_range_holds_the_version_names_the_fix():
    assert told(TOMCAT, *BRANCHES) == [(("CVE-2023-1",), "9.0.72", EXACT)]
    assert told(one("tomcat", "9.0.72"), *BRANCHES) == []
    assert told(one("tomcat", "10.0.27"), *BRANCHES) == []


@pytest.mark.parametrize(
    ("row", "seen"),
    [
        ({"introduced": "9.0.0-M1", "last": "9.0.70"}, [(("CVE-2023-1",), "", EXACT)]),
        ({"last": "9.0.69"}, []),
        ({"versions": ("9.0.69", "9.0.70")}, [(("CVE-2023-1",), "", EXACT)]),
        ({"versions": ("9.0.71",)}, []),
        ({}, [(("CVE-2023-1",), "", ROUGH)]),
    ],
)
def test_bounds_of_every_kind(row, seen):
    assert told(TOMCAT, said("CVE-2023-1", **row)) == seen


def test_milestones_lie_before_their_release():
    row = said("CVE-2023-1", introduced="10.1.0-M1", fixed="10.1.0-M8")
    assert told(one("tomcat", "10.1.0-M5"), row) != []
    assert told(one("tomcat", "10.1.0-M8"), row) == []
    assert told(one("tomcat", "10.1.0"), row) == []
    assert told(one("tomcat", "9.0.0.M1"), said("CVE-2023-1", versions=("9.0.0-milestone1",))) != []


def test_the_maker_outranks_everybody_where_it_knows_the_cve():
    makers = said("CVE-2021-1", Authority.VENDOR, package="openssl:openssl", introduced="1.0.2", fixed="1.0.2za")
    nvd = said("CVE-2021-1", package="openssl:openssl", introduced="1.0.2", last="1.0.2zz")
    other = said("CVE-2021-2", package="openssl:openssl", introduced="1.0.2", fixed="1.0.2zb")
    assert told(one("openssl", "1.0.2k-fips"), nvd, makers, other) == [
        (("CVE-2021-1",), "1.0.2za", VENDOR),
        (("CVE-2021-2",), "1.0.2zb", EXACT),
    ]
    assert told(one("openssl", "1.0.2za"), nvd, makers) == []


def test_good_versions_of_the_maker_are_taken_back_and_named_as_fix():
    rows = (
        said("CVE-2026-1", Authority.VENDOR, package="f5:nginx", introduced="0.9.6", last="1.31.2"),
        said("CVE-2026-1", Authority.VENDOR, package="f5:nginx", introduced="1.30.4", fixed="1.31.0",
             status=Status.NOT_AFFECTED),
        said("CVE-2026-1", package="f5:nginx"),
    )  # fmt: skip
    assert told(one("nginx", "1.22.1"), *rows) == [(("CVE-2026-1",), "1.30.4", VENDOR)]
    assert told(one("nginx", "1.30.4"), *rows) == []


def test_third_parties_and_nvd_are_read_together():
    third = said("CVE-2023-1", Authority.THIRD_PARTY, identity="BIT-1", introduced="7.0.100", fixed="9.0.72")
    [found] = match(TOMCAT, [*BRANCHES, third])
    assert (found.advisory, found.fixed, found.confidence) == ("BIT-1", "9.0.72", EXACT)


def test_a_row_without_bounds_gives_way_to_one_with_bounds():
    bare = said("CVE-2023-1")
    assert told(TOMCAT, bare, said("CVE-2023-1", introduced="10.1.0", fixed="10.1.5")) == []


def test_rejected_and_unversioned_are_not_judged():
    assert match(TOMCAT, BRANCHES, rejected=frozenset({"CVE-2023-1"})) == ()
    assert match(one("tomcat", ""), BRANCHES) == ()
    assert unjudged(one("tomcat", "")) == "版本未能读出"
    assert unjudged(one("something", "1.0")) == "没有漏洞库以产品名收录"
    assert unjudged(TOMCAT) == ""


def test_an_oracle_home_without_its_release_update_is_rough():
    row = said("CVE-2024-1", package="oracle:database_server", introduced="19.3", last="19.24")
    assert told(one("oracle", "19.0.0.0.0"), row) == [(("CVE-2024-1",), "", ROUGH)]
    assert told(one("oracle", "19.24.0.0.0"), row) == [(("CVE-2024-1",), "", EXACT)]
    assert told(one("oracle", "19.25.0.0.0"), row) == []
    assert told(one("oracle", "21.0.0.0.0"), row) == []


def test_weblogic_does_not_show_its_patches():
    row = said("CVE-2024-1", package="oracle:weblogic_server", versions=("12.2.1.3.0", "12.2.1.4.0"))
    assert told(one("weblogic", "12.2.1.3.0"), row) == [(("CVE-2024-1",), "", ROUGH)]


def test_sql_server_is_compared_within_its_branch():
    def fix(mark, build):
        name = f"Microsoft SQL Server 2019 for x64-based Systems ({mark})"
        return said("CVE-2024-1", Authority.VENDOR, f"windows:{name}", name, fixed=build, fix="KB1")

    rows = [fix("GDR", "15.0.2116.2"), fix("CU 27", "15.0.4382.1")]
    assert {row.row.package for row in rows} <= {name for _, name in keys(one("sqlserver", "15.0.2000.5"))}
    assert told(one("sqlserver", "15.0.2000.5"), *rows) == [(("CVE-2024-1",), "15.0.2116.2", VENDOR)]
    assert told(one("sqlserver", "15.0.4236.7"), *rows) == [(("CVE-2024-1",), "15.0.4382.1", VENDOR)]
    assert told(one("sqlserver", "15.0.4385.2"), *rows) == []
    assert told(one("sqlserver", "15.0.2116.2"), *rows) == []


@pytest.mark.parametrize(
    ("kind", "version", "wanted"),
    [
        ("mysql", "8.0.36-0ubuntu0.22.04.1", "8.0.36"),
        ("mysql", "5.7.44-log", "5.7.44"),
        ("mariadb", "5.5.5-10.11.6-MariaDB-0+deb12u1", "10.11.6"),
        ("mariadb", "10.3.39-MariaDB-log", "10.3.39"),
        ("postgresql", "15.6 (Debian 15.6-0+deb12u1)", "15.6"),
        ("postgresql", "9.2.24", "9.2.24"),
        ("postgresql", "17beta2", "17beta2"),
        ("openssl", "1.0.2k-fips", "1.0.2k"),
        ("openssl", "3.0.0-beta1", "3.0.0-beta1"),
        ("openssh", "OpenSSH_7.4p1", "7.4p1"),
        ("tomcat", "9.0.0.M1", "9.0.0.M1"),
        ("tomcat", "10.1.0-M5", "10.1.0-M5"),
        ("redis", "7.0.15", "7.0.15"),
        ("fastjson", "1.2.24.sec10", "1.2.24.sec10"),
        ("fastjson", "${project.version}", ""),
        ("redis", "unknown", ""),
    ],
)
def test_the_makers_version_is_read_out_of_any_wording(kind, version, wanted):
    assert plain(kind, version) == wanted


def test_jars_are_asked_for_by_both_their_names():
    assert set(names("log4j-core")) == {("cpe", "apache:log4j"), ("maven", "org.apache.logging.log4j:log4j-core")}
    maven = ("maven", "org.apache.logging.log4j:log4j-core")
    shell = said("CVE-2021-44228", Authority.THIRD_PARTY, *maven, introduced="2.13.0", fixed="2.15.0")
    older = said("CVE-2021-44228", Authority.THIRD_PARTY, *maven, introduced="2.4", fixed="2.12.2")
    assert told(one("log4j-core", "2.14.1"), shell, older) == [(("CVE-2021-44228",), "2.15.0", EXACT)]
    assert told(one("log4j-core", "2.17.1"), shell, older) == []
    assert told(one("log4j-core", "2.12.1"), shell, older) == [(("CVE-2021-44228",), "2.12.2", EXACT)]


def test_a_projects_jars_share_no_product_name():
    families = {"spring": "spring-", "shiro": "shiro-"}
    for family in families.values():
        cpes = [cpe for jar, (_, named) in JARS.items() if jar.startswith(family) for cpe in named]
        assert len(cpes) == len(set(cpes))


# --- who judges what ---------------------------------------------------------


def host(packages=(), instances=(), software=(), listeners=()):
    return HostFacts(
        "h", "debian", "12", "", "debian", "", (), tuple(packages), (), None, tuple(listeners), (), tuple(instances),
        None, (), (), software=tuple(software),
    )  # fmt: skip


def package(name, version):
    return Package(name, version, "amd64", name, version, "dpkg")


def test_what_a_distribution_owns_is_left_to_its_package():
    owned = Instance("redis", "/etc/redis/redis.conf", "7.0.15", "/usr/bin/redis-server", "redis-tools", "redis", 5)
    loose = Instance("redis", "/opt/redis.conf", "7.0.15", "/usr/local/bin/redis-server", "", "redis", 6)
    jar = Software("log4j-core", "2.19.0", "/usr/share/java/log4j-core.jar", "liblog4j2-java", "file")
    there = host(
        [package("redis-tools", "5:7.0.15-1"), package("liblog4j2-java", "2.19.0-2")],
        [owned, loose],
        [jar],
        [Listener("tcp", "0.0.0.0", 6379, "redis-server", 6)],
    )
    [found] = products(there)
    assert (found.location, found.package, found.listening) == ("/opt/redis.conf", "", True)


def test_a_version_that_the_instance_lacks_is_taken_from_its_program():
    loose = Instance("redis", "/opt/redis.conf", "", "/opt/redis/redis-server", "", "redis", 6)
    read = Software("redis", "7.0.15", "/opt/redis/redis-server", pid=6)
    [found] = products(host((), [loose], [read]))
    assert (found.version, found.location) == ("7.0.15", "/opt/redis.conf")


@pytest.mark.parametrize(
    ("name", "version", "own"),
    [
        ("mysql-community-server", "8.0.36-1.el7", True),
        ("mssql-server", "15.0.4236.7-16", True),
        ("MariaDB-server", "10.11.6-1.el7.centos", True),
        ("mongodb-org-server", "4.4.18-1.el7", True),
        ("postgresql15-server", "15.6-1PGDG.rhel7", True),
        ("nginx", "1:1.22.1-1.el7.ngx", True),
        ("nginx", "1.22.1-1~bookworm", True),
        ("nginx", "1.22.1-9+deb12u1", False),
        ("mariadb-server", "1:10.11.6-0+deb12u1", False),
        ("postgresql-15", "15.6-0+deb12u1", False),
        ("mysql-server", "8.0.36-1.el9", False),
    ],
)
def test_a_makers_own_package_is_judged_as_a_product(name, version, own):
    assert makers_own(package(name, version)) is own
    found = products(host([package(name, version)], (), [Software("x", "1.0", "/x", name)]))
    assert bool(found) is own


def test_forks_are_judged_under_their_own_names():
    rows = [
        Instance("redis", "/a", "7.2.5", "/usr/local/bin/valkey-server", "", ""),
        Instance("nginx", "/b", "1.21.4.1", "/usr/local/openresty/nginx/sbin/nginx", "", ""),
        Instance("nginx", "/c", "2.3.2", "/opt/tengine/sbin/nginx", "", ""),
    ]
    found = [(each.kind, each.version) for each in products(host((), rows))]
    assert found == [("valkey", "7.2.5"), ("nginx", "1.21.4"), ("tengine", "2.3.2")]


def database(version="10.11.6", build="10.11.6-MariaDB-0+deb12u1", flavour="mariadb"):
    subject = Subject("mysql", "maria-01")
    return DatabaseFacts("maria-01", flavour, flavour, version, subject, build=build)


LIVE = Software("mariadb", "10.11.6", "/usr/sbin/mariadbd", "mariadb-server-core", pid=9)


def test_a_database_whose_server_a_package_owns_refers_to_it():
    there = host([package("mariadb-server-core", "1:10.11.6-0+deb12u1")], (), [LIVE])
    assert database_product(database(), there) is None
    assert database_owner(database(), there) == "mariadb-server-core"
    assert database_owner(database(), None) == ""


def test_a_database_that_was_put_there_by_hand_is_a_product():
    by_hand = Software("mariadb", "10.6.1", "/opt/mariadb/bin/mariadbd", pid=10)
    there = host([package("mariadb-server-core", "1:10.11.6-0+deb12u1")], (), [LIVE, by_hand])
    found = database_product(database("10.6.1", "10.6.1-MariaDB"), there)
    assert found is not None
    assert (found.package, found.how, found.version) == ("", "sql", "10.6.1")
    makers = host([package("mysql-community-server", "8.0.36-1.el7")], (),
                  [Software("mysql", "8.0.36", "/usr/sbin/mysqld", "mysql-community-server", pid=1)])  # fmt: skip
    other = database_product(database("8.0.36", "8.0.36", "mysql"), makers)
    assert other is not None
    assert other.package == ""


def test_where_no_process_is_seen_an_equal_version_of_the_package_decides():
    there = host([package("mariadb-server", "1:10.11.6-0+deb12u1")])
    assert database_owner(database(), there) == "mariadb-server"
    assert database_owner(database("10.6.1", "10.6.1-MariaDB"), there) == ""


def test_a_distributions_build_on_an_unseen_host_is_rough():
    row = said("CVE-2024-1", package="mariadb:mariadb", introduced="10.11.0", fixed="10.11.8")
    unseen, makers = database_product(database(), None), database_product(database(build="10.11.6-MariaDB"), None)
    assert unseen is not None
    assert makers is not None
    assert unseen.detail == BACKPORTS
    assert [told(each, row)[0][2] for each in (unseen, makers)] == [ROUGH, EXACT]
    assert database_product(database(version=""), None) is None
