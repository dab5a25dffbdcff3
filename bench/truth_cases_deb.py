"""Debian and Ubuntu, by hand: sources of other names, kernels beside the running one, rebuilds, epochs, ESM."""

# ruff: noqa: E501 - lines as dpkg and rpm print them

from __future__ import annotations

from bench.truth_case import Case, System, osv


def _issue(**releases: tuple[str, str] | tuple[str, str, str]) -> dict[str, object]:
    """An issue of the tracker: release to status and fixed version, or to status, reason of no DSA and urgency."""
    told = {}
    for name, (status, what, *urgency) in releases.items():
        told[name] = {"status": status, "repositories": {name: "1"}, "urgency": (urgency or ["not yet assigned"])[0]}
        if status == "resolved":
            told[name]["fixed_version"] = what
        elif what:
            told[name] |= {"nodsa": "Minor issue", "nodsa_reason": what}
    return {"description": "fictional", "scope": "remote", "releases": told}


DEBIAN = System(
    "Debian 12 tracker, 1: sources; 2: kernels",
    ("debian", "12"),
    {
        "tracker.json": {
            "openssl": {"CVE-2099-0001": _issue(bookworm=("resolved", "3.0.11-1~deb12u2"), sid=("open", ""))},
            "linux": {
                "CVE-2099-0002": _issue(bookworm=("resolved", "6.1.76-1")),
                "CVE-2099-0003": _issue(bookworm=("open", "")),
                "CVE-2099-0004": _issue(bookworm=("resolved", "0")),
            },
            "gcc-12": {"CVE-2099-0005": _issue(bookworm=("open", "postponed"))},
            "curl": {
                "CVE-2099-0006": _issue(bookworm=("open", "ignored"), sid=("resolved", "8.0-1")),
                "CVE-2099-0007": _issue(sid=("resolved", "8.5-1"), trixie=("resolved", "8.5-1")),
                "CVE-2099-0012": _issue(bookworm=("resolved", "7.88.1-10+deb12u5")),
            },
            "vim": {"CVE-2099-0008": _issue(bookworm=("resolved", "2:9.0.1378-2"))},
            "docker.io": {"CVE-2099-0009": _issue(bookworm=("resolved", "20.10.24+dfsg1-1"))},
            "glibc": {"CVE-2099-0010": _issue(bookworm=("resolved", "2.36-9+deb12u4"))},
            "openssl1.1": {"CVE-2099-0011": _issue(bullseye=("resolved", "1.1.1w-0+deb11u1"))},
            "systemd": {"CVE-2099-0013": _issue(bookworm=("undetermined", ""))},
        }
    },
    (
        Case(
            "sources of other names, epochs, rebuilds",
            """
            libssl3:amd64,ii ,3.0.11-1~deb12u1,openssl,3.0.11-1~deb12u1
            openssl,ii ,3.0.11-1~deb12u2,openssl,3.0.11-1~deb12u2
            gcc-12-base:amd64,ii ,12.2.0-14,gcc-12,12.2.0-14
            libgcc-s1:amd64,ii ,12.2.0-14,gcc-12,12.2.0-14
            vim-tiny,ii ,2:9.0.1378-1,vim,2:9.0.1378-1
            vim-common,ii ,2:9.0.1378-2,vim,2:9.0.1378-2
            docker.io,ii ,20.10.24+dfsg1-1+b3,docker.io,20.10.24+dfsg1-1
            libc6:amd64,ii ,2.36-9+deb12u3,glibc,2.36-9+deb12u3
            libc-bin,ii ,2.36-9+deb12u10,glibc,2.36-9+deb12u10
            """,
            {
                "libssl3": {"CVE-2099-0001"}, "gcc-12-base": {"CVE-2099-0005"}, "libgcc-s1": {"CVE-2099-0005"},
                "vim-tiny": {"CVE-2099-0008"}, "libc6": {"CVE-2099-0010"},
            },
        ),
        Case(
            "a rebuild of the version before is no fix, nor is a removed package open",
            """
            docker.io,ii ,20.10.23+dfsg1-1+b9,docker.io,20.10.23+dfsg1-1
            libssl3:amd64,rc ,3.0.9-1,openssl,3.0.9-1
            """,
            {"docker.io": {"CVE-2099-0009"}},
        ),
        Case(
            "no fix and refused fixes are told; what this release never had is not",
            "libcurl4:amd64,ii ,7.88.1-10+deb12u5,curl,7.88.1-10+deb12u5\nudev,ii ,252.19-1,systemd,252.19-1",
            {"libcurl4": {"CVE-2099-0006"}, "udev": {"CVE-2099-0013"}},
        ),
        Case(
            "only the running kernel; no headers, tools or libc-dev",
            """
            linux-image-6.1.0-17-amd64,ii ,6.1.69-1,linux-signed-amd64,6.1.69+1
            linux-image-6.1.0-18-amd64,ii ,6.1.76-1,linux-signed-amd64,6.1.76+1
            linux-image-amd64,ii ,6.1.76-1,linux-signed-amd64,6.1.76+1
            linux-libc-dev:amd64,ii ,6.1.69-1,linux,6.1.69-1
            linux-perf,ii ,6.1.69-1,linux,6.1.69-1
            linux-headers-6.1.0-17-amd64,ii ,6.1.69-1,linux,6.1.69-1
            linux-kbuild-6.1,ii ,6.1.69-1,linux,6.1.69-1
            bpftool,ii ,7.1.0+6.1.69-1,linux,6.1.69-1
            """,
            {"linux-image-6.1.0-18-amd64": {"CVE-2099-0003"}},
            "6.1.0-18-amd64",
        ),
        Case(
            "a kernel of backports or another machine: no kernel finding",
            "linux-libc-dev:amd64,ii ,6.1.69-1,linux,6.1.69-1\nlinux-perf,ii ,6.1.69-1,linux,6.1.69-1",
            {},
            "5.10.0-9-custom",
        ),
        Case(
            "the same as a status file",
            "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\n"
            "Version: 3.0.11-1~deb12u1\n\nPackage: docker.io\nStatus: install ok installed\nArchitecture: amd64\n"
            "Source: docker.io (20.10.24+dfsg1-1)\nVersion: 20.10.24+dfsg1-1+b3\n",
            {"libssl3": {"CVE-2099-0001"}},
        ),
    ),
)  # fmt: skip

_PRO, _LTS = "Ubuntu:Pro:22.04:LTS", "Ubuntu:22.04:LTS"
_UBUNTU = [
    osv("UBUNTU-CVE-2099-1001", [(_LTS, "openssh", "1:8.9p1-3ubuntu0.6"), ("Ubuntu:20.04:LTS", "openssh",
        "1:8.2p1-4ubuntu0.11")], [], upstream=["CVE-2099-1001"]),
    osv("USN-9001-1", [(_LTS, "openssh", "1:8.9p1-3ubuntu0.6")], [], upstream=["CVE-2099-1001"]),
    osv("UBUNTU-CVE-2099-1002", [(_LTS, "linux", "5.15.0-101.111"), (_LTS, "linux-hwe-6.5", "6.5.0-28.29~22.04.1"),
        (_LTS, "linux-aws", "5.15.0-1057.63"), (_LTS, "linux-aws-6.5", "")], [], upstream=["CVE-2099-1002"]),
    osv("UBUNTU-CVE-2099-1003", [(_LTS, "imagemagick", ""), (_PRO, "imagemagick",
        "8:6.9.11.60+dfsg-1.3ubuntu0.22.04.3+esm1")], [], upstream=["CVE-2099-1003"]),
    osv("UBUNTU-CVE-2099-1004", [(_LTS, "pcre3", "2:8.39-13ubuntu0.22.04.1")], [], upstream=["CVE-2099-1004"]),
    osv("UBUNTU-CVE-2099-1005", [(_LTS, "zabbix", "")], [], upstream=["CVE-2099-1005"]),
    osv("UBUNTU-CVE-2099-1006", [("Ubuntu:Pro:FIPS-updates:22.04:LTS", "openssl", "3.0.2-0ubuntu1.99+Fips1")], [],
        upstream=["CVE-2099-1006"]),
]  # fmt: skip
UBUNTU = System(
    "Ubuntu 22.04 OSV, 1: sources; 2: kernels",
    ("ubuntu", "22.04"),
    {f"{one['id']}.json": one for one in _UBUNTU},
    (
        Case(
            "epochs, several binaries, ESM, no fix, other products' fixes",
            """
            openssh-server,ii ,1:8.9p1-3ubuntu0.5,openssh,1:8.9p1-3ubuntu0.5
            openssh-client,ii ,1:8.9p1-3ubuntu0.6,openssh,1:8.9p1-3ubuntu0.6
            libmagickcore-6.q16-6:amd64,ii ,8:6.9.11.60+dfsg-1.3ubuntu0.22.04.3,imagemagick,8:6.9.11.60+dfsg-1.3ubuntu0.22.04.3
            imagemagick-6-common,ii ,8:6.9.11.60+dfsg-1.3ubuntu0.22.04.3+esm1,imagemagick,8:6.9.11.60+dfsg-1.3ubuntu0.22.04.3+esm1
            libpcre3:amd64,ii ,2:8.39-13ubuntu0.22.04.1,pcre3,2:8.39-13ubuntu0.22.04.1
            libpcre16-3:amd64,ii ,2:8.39-13build5,pcre3,2:8.39-13build5
            zabbix-agent,ii ,1:5.0.17+dfsg-1,zabbix,1:5.0.17+dfsg-1
            libssl3:amd64,ii ,3.0.2-0ubuntu1.15,openssl,3.0.2-0ubuntu1.15
            """,
            {
                "openssh-server": {"CVE-2099-1001"}, "libmagickcore-6.q16-6": {"CVE-2099-1003"},
                "libpcre16-3": {"CVE-2099-1004"}, "zabbix-agent": {"CVE-2099-1005"},
            },
        ),
        Case(
            "the running hwe kernel, not the generic one that is installed too",
            """
            linux-image-6.5.0-27-generic,ii ,6.5.0-27.28~22.04.1,linux-signed-hwe-6.5,6.5.0-27.28~22.04.1
            linux-modules-6.5.0-27-generic,ii ,6.5.0-27.28~22.04.1,linux-hwe-6.5,6.5.0-27.28~22.04.1
            linux-image-5.15.0-91-generic,ii ,5.15.0-91.101,linux-signed,5.15.0-91.101
            linux-libc-dev:amd64,ii ,5.15.0-91.101,linux,5.15.0-91.101
            linux-tools-common,ii ,5.15.0-91.101,linux,5.15.0-91.101
            linux-firmware,ii ,20220329.git681281e4-0ubuntu3.29,linux-firmware,20220329.git681281e4-0ubuntu3.29
            """,
            {"linux-image-6.5.0-27-generic": {"CVE-2099-1002"}},
            "6.5.0-27-generic",
        ),
        Case(
            "the generic kernel",
            "linux-image-5.15.0-101-generic,ii ,5.15.0-101.111,linux-signed,5.15.0-101.111\n"
            "linux-image-5.15.0-91-generic,ii ,5.15.0-91.101,linux-signed,5.15.0-91.101",
            {},
            "5.15.0-101-generic",
        ),
        Case(
            "a cloud's kernel is another source; one of its series has no fix",
            "linux-image-5.15.0-1056-aws,ii ,5.15.0-1056.61,linux-signed-aws,5.15.0-1056.61\n"
            "linux-image-6.5.0-1001-aws,ii ,6.5.0-1001.1~22.04.1,linux-signed-aws-6.5,6.5.0-1001.1~22.04.1",
            {"linux-image-5.15.0-1056-aws": {"CVE-2099-1002"}},
            "5.15.0-1056-aws",
        ),
        Case(
            "the cloud's newer series",
            "linux-image-6.5.0-1001-aws,ii ,6.5.0-1001.1~22.04.1,linux-signed-aws-6.5,6.5.0-1001.1~22.04.1",
            {"linux-image-6.5.0-1001-aws": {"CVE-2099-1002"}},
            "6.5.0-1001-aws",
        ),
    ),
)  # fmt: skip
