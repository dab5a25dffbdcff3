from __future__ import annotations

import pytest

from agent.model import streams


@pytest.mark.parametrize(
    ("said", "stream"),
    [
        ("AlmaLinux:8", "almalinux:8"),
        ("Rocky Linux:9", "rocky:9"),
        ("Debian:12", "debian:12"),
        ("Ubuntu:22.04:LTS", "ubuntu:22.04"),
        ("Ubuntu:23.10", "ubuntu:23.10"),
        ("Ubuntu:Pro:18.04:LTS", "ubuntu-pro:18.04"),
        ("Ubuntu:Pro:FIPS-updates:20.04:LTS", "ubuntu-pro-fips-updates-20.04-lts"),
        ("openEuler:22.03-LTS-SP3", "openeuler:22.03-lts-sp3"),
        ("Red Hat:enterprise_linux:8::appstream", "rhel:8"),
        ("Red Hat:rhel_eus:8.4::baseos", "rhel-eus:8.4"),
        ("Maven", "maven"),
    ],
)
def test_osv_ecosystems(said, stream):
    assert streams.of_osv(said) == stream


@pytest.mark.parametrize(
    ("cpe", "stream"),
    [
        ("cpe:/o:redhat:enterprise_linux:8::baseos", "rhel:8"),
        ("cpe:/o:redhat:enterprise_linux:8::hypervisor", ""),
        ("cpe:/a:redhat:enterprise_linux:9", "rhel:9"),
        ("cpe:/a:redhat:rhel_aus:7.7::server", "rhel-aus:7.7"),
        ("cpe:/o:redhat:rhel_els:7", "rhel-els:7"),
        ("cpe:/a:redhat:rhel_extras_other:7", ""),
        ("cpe:/a:redhat:ansible_engine:2::el8", ""),
        ("cpe:2.3:o:openeuler:openeuler:22.03:lts_sp3:*:*:*:*:*:*", "openeuler:22.03-lts-sp3"),
        ("cpe:/a:openEuler:openEuler:22.03-LTS-SP2", "openeuler:22.03-lts-sp2"),
        ("cpe:/a:oracle:linux:7::latest", "oracle:7"),
        ("cpe:/a:apache:tomcat:9.0", ""),
    ],
)
def test_cpes_of_systems(cpe, stream):
    assert streams.of_cpe(cpe) == stream


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("Red Hat Enterprise Linux 8", "rhel:8"),
        ("openEuler-22.03-LTS-SP3", "openeuler:22.03-lts-sp3"),
        ("openEuler 22.03 (LTS-SP4)", "openeuler:22.03-lts-sp4"),
        ("Oracle Linux 7", "oracle:7"),
        ("Debian GNU/Linux 12 (bookworm)", "debian:12"),
        ("Ubuntu 22.04 LTS (jammy)", "ubuntu:22.04"),
        ("Anolis OS 23", "anolis:23"),
        ("Kylin Linux Advanced Server V10 (Lance)", "kylin:v10-sp3"),
        ("CentOS Linux 7 (Core)", "centos:7"),
        ("something else 3", ""),
    ],
)
def test_names_of_platforms(name, stream):
    assert streams.of_name(name) == stream


@pytest.mark.parametrize(
    ("system", "choices"),
    [
        (("debian", "12.5"), (("debian:12",),)),
        (("Ubuntu", "22.04"), (("ubuntu:22.04", "ubuntu-pro:22.04"),)),
        (("CentOS", "7.9.2009"), (("centos:7",), ("rhel:7",), ("almalinux:7",), ("rocky:7",), ("oracle:7",))),
        (("rhel", "8.4"), (("rhel:8",), ("almalinux:8",), ("rocky:8",))),
        (("ol", "7.9"), (("oracle:7",), ("rhel:7",))),
        (("openEuler", "22.03-LTS-SP3"), (("openeuler:22.03-lts-sp3",),)),
        (("openEuler", "22.03 (LTS-SP3)"), (("openeuler:22.03-lts-sp3",),)),
        (("openEuler", "22.03", "openEuler 22.03 (LTS-SP3)"),
         (("openeuler:22.03-lts-sp3",), ("openeuler:22.03",), ("openeuler:22.03-lts",))),
        (("openEuler", "22.03", "", ("1.2-3.oe2203sp4",)),
         (("openeuler:22.03-lts-sp4",), ("openeuler:22.03",), ("openeuler:22.03-lts",))),
        (("kylin", "V10", "Kylin Linux Advanced Server V10 (Lance)"), (("kylin:v10-sp3",), ("kylin:v10",))),
        (("kylin", "V10-SP2"), (("kylin:v10-sp2",), ("kylin:v10",))),
        (("uos", "20", "UnionTech OS Server 20 1060e"), (("uos:20-1060",), ("uos:20",))),
        (("anolis", "8.8"), (("anolis:8",),)),
        (("euleros", "2.0 (SP8)"), (("euleros:2.0-sp8",),)),
        (("windows", "10.0.14393.1", "Windows Server 2016"), (("windows:Windows Server 2016",),)),
    ],
)  # fmt: skip
def test_systems_and_their_streams(system, choices):
    assert streams.of_host(*system) == choices


def test_older_names_of_a_product_are_one():
    assert streams.product("cpe:2.3:a:igor_sysoev:nginx:1.0:*:*:*:*:*:*:*") == "f5:nginx"
    assert streams.product("cpe:/a:apache:tomcat") == "apache:tomcat"
    assert streams.product("cpe:2.3:o:linux") == ""
