"""Red Hat's family and openEuler, by hand: extended streams, real-time kernels, modules, suffixes, epochs."""

# ruff: noqa: E501 - lines as dpkg and rpm print them

from __future__ import annotations

from bench.truth_case import Case, System, osv


def _module(ident: str, stream: str, packages: dict[str, str], cve: str) -> dict[str, object]:
    return osv(
        ident, [("AlmaLinux:8", name, fixed) for name, fixed in packages.items()], [cve],
        summary=f"Important: {stream} security update",
    )  # fmt: skip


MODULES = System(
    "AlmaLinux 8 OSV, 3: earliest fix; 4: modules",
    ("almalinux", "8.10"),
    {
        f"{one['id'].replace(':', '-')}.json": one  # type: ignore[attr-defined]
        for one in (
            _module("ALSA-2099:0001", "postgresql:13", {"postgresql-server": "13.14-1.module_el8.9.0+3735+ab"},
                    "CVE-2099-2001"),
            _module("ALSA-2099:0002", "postgresql:15", {"postgresql-server": "15.6-1.module_el8.9.0+3736+ab"},
                    "CVE-2099-2001"),
            osv("ALSA-2099:0003", [("AlmaLinux:8", "libpq", "13.20-1.el8_10")], ["CVE-2099-2002"]),
            _module("ALSA-2099:0004", "nodejs:18", {"nodejs": "1:18.20.2-1.module_el8.9.0+3775+ab", "npm":
                    "1:10.5.0-1.18.20.2.1.module_el8.9.0+3775+ab", "nodejs-nodemon":
                    "3.0.1-1.module_el8.8.0+3614+ab"}, "CVE-2099-2003"),
            _module("ALSA-2099:0005", "nodejs:20", {"nodejs": "1:20.12.2-2.module_el8.9.0+3787+ab", "nodejs-nodemon":
                    "3.0.1-1.module_el8.9.0+3731+ab"}, "CVE-2099-2003"),
            _module("ALSA-2099:0006", "container-tools:rhel8", {"podman":
                    "3:4.9.4-1.module_el8.10.0+3792+ab", "runc": "1:1.1.12-1.module_el8.10.0+3792+ab"},
                    "CVE-2099-2004"),
            _module("ALSA-2099:0007", "container-tools:4.0", {"podman": "2:4.0.2-26.module_el8.9.0+3756+ab", "runc":
                    "1:1.1.12-1.module_el8.9.0+3756+ab"}, "CVE-2099-2004"),
            _module("ALSA-2099:0008", "httpd:2.4", {"httpd": "2.4.37-64.module_el8.10.0+3801+ab.1"}, "CVE-2099-2005"),
            _module("ALSA-2099:0009", "httpd:2.4", {"httpd": "2.4.37-65.module_el8.10.0+3900+ab"}, "CVE-2099-2005"),
            osv("ALSA-2099:0010", [("AlmaLinux:8", "curl", "7.61.1-30.el8_8.2")], ["CVE-2099-2006"]),
            osv("ALSA-2099:0011", [("AlmaLinux:8", "curl", "7.61.1-33.el8")], ["CVE-2099-2006", "CVE-2099-2007"]),
            osv("ALSA-2099:0012", [("AlmaLinux:8", "java-1.8.0-openjdk-headless", "1:1.8.0.402.b06-2.el8"),
                ("AlmaLinux:8", "java-11-openjdk-headless", "1:11.0.22.0.7-2.el8")], ["CVE-2099-2008"]),
            osv("ALSA-2099:0013", [("AlmaLinux:8", "perl", "4:5.26.3-422.el8")], ["CVE-2099-2009"]),
        )
    },
    (
        Case(
            "labels decide; a plain libpq beside a modular server",
            """
            postgresql-server 0 13.13 1.module_el8.9.0+3706+cd x86_64 postgresql-13.13-1.module_el8.9.0+3706+cd.src.rpm postgresql:13:8090020240101:ab
            libpq 0 13.11 1.el8 x86_64 libpq-13.11-1.el8.src.rpm (none)
            nodejs 1 18.20.2 1.module_el8.9.0+9999+ef x86_64 nodejs-18.20.2-1.module_el8.9.0+9999+ef.src.rpm nodejs:18:8090020240101:ab
            npm 1 10.2.0 1.18.19.0.1.module_el8.9.0+3700+ef x86_64 nodejs-18.19.0-1.module_el8.9.0+3700+ef.src.rpm nodejs:18:8090020240101:ab
            nodejs-nodemon 0 3.0.1 1.module_el8.8.0+3000+ef noarch nodejs-nodemon-3.0.1-1.module_el8.8.0+3000+ef.src.rpm nodejs:18:8090020240101:ab
            podman 2 4.0.2 26.module_el8.9.0+3756+ab x86_64 podman-4.0.2-26.module_el8.9.0+3756+ab.src.rpm container-tools:4.0:8090020240101:ab
            runc 1 1.1.5 1.module_el8.9.0+3627+ab x86_64 runc-1.1.5-1.module_el8.9.0+3627+ab.src.rpm container-tools:4.0:8090020240101:ab
            perl 4 5.32.1 473.module_el8.6.0+2781+ab x86_64 perl-5.32.1-473.module_el8.6.0+2781+ab.src.rpm perl:5.32:8060020220101:ab
            """,
            {
                "postgresql-server": {"CVE-2099-2001"}, "libpq": {"CVE-2099-2002"}, "npm": {"CVE-2099-2003"},
                "runc": {"CVE-2099-2004"},
            },
        ),
        Case(
            "the same without labels, sources and epochs",
            """
            postgresql-server-13.13-1.module_el8.9.0+3706+cd.x86_64
            libpq-13.11-1.el8.x86_64
            nodejs-18.20.2-1.module_el8.9.0+9999+ef.x86_64
            npm-10.2.0-1.18.19.0.1.module_el8.9.0+3700+ef.x86_64
            nodejs-nodemon-3.0.1-1.module_el8.8.0+3000+ef.noarch
            podman-4.0.2-26.module_el8.9.0+3756+ab.x86_64
            runc-1.1.5-1.module_el8.9.0+3627+ab.x86_64
            perl-5.32.1-473.module_el8.6.0+2781+ab.x86_64
            """,
            {
                "postgresql-server": {"CVE-2099-2001"}, "libpq": {"CVE-2099-2002"}, "npm": {"CVE-2099-2003"},
                "runc": {"CVE-2099-2004"},
            },
        ),
        Case(
            "what follows a build context; the earliest fix of two",
            """
            httpd 0 2.4.37 64.module_el8.10.0+3801+ab x86_64 httpd-2.4.37-64.module_el8.10.0+3801+ab.src.rpm httpd:2.4:8100020240101:ab
            curl 0 7.61.1 30.el8_8.3 x86_64 curl-7.61.1-30.el8_8.3.src.rpm (none)
            """,
            {"httpd": {"CVE-2099-2005"}, "curl": {"CVE-2099-2007"}},
        ),
        Case(
            "who has the earliest fix has it",
            "httpd 0 2.4.37 64.module_el8.10.0+3850+ab.1 x86_64 httpd-2.4.37-64.module_el8.10.0+3850+ab.1.src.rpm "
            "httpd:2.4:8100020240101:ab\ncurl 0 7.61.1 33.el8 x86_64 curl-7.61.1-33.el8.src.rpm (none)",
            {},
        ),
        Case(
            "products beside one another with fixes of their own",
            """
            java-1.8.0-openjdk-headless 1 1.8.0.392.b08 4.el8 x86_64 java-1.8.0-openjdk-1.8.0.392.b08-4.el8.src.rpm (none)
            java-11-openjdk-headless 1 11.0.22.0.7 2.el8 x86_64 java-11-openjdk-11.0.22.0.7-2.el8.src.rpm (none)
            """,
            {"java-1.8.0-openjdk-headless": {"CVE-2099-2008"}},
        ),
    ),
)  # fmt: skip

_OVAL_HEAD = (
    '<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5" '
    'xmlns:oval="http://oval.mitre.org/XMLSchema/oval-common-5" '
    'xmlns:red-def="http://oval.mitre.org/XMLSchema/oval-definitions-5#linux"><generator>'
    "<oval:product_name>Red Hat OVAL Patch Definition Merger</oval:product_name>"
    "<oval:timestamp>2099-01-01T00:00:00</oval:timestamp></generator><definitions>"
)
_KERNELS = ("kernel", "kernel-core", "kernel-headers", "kernel-tools", "perf", "bpftool")


def _definition(number: int, ident: str, cve: str, criteria: str, *, state: str = "") -> str:
    kind = "vulnerability" if state else "patch"
    resolution = f'<affected><resolution state="{state}"><component>x</component></resolution></affected>'
    return (
        f'<definition class="{kind}" id="oval:com.redhat.x:def:{number}" version="1"><metadata><title>{ident}: x '
        f'(Important)</title><reference source="{ident[:4]}" ref_id="{ident}" ref_url="https://x.example/"/>'
        f'<reference source="CVE" ref_id="{cve}" ref_url="https://x.example/"/><advisory><severity>Important</severity>'
        f"{resolution if state else ''}<affected_cpe_list><cpe>cpe:/o:redhat:enterprise_linux:8</cpe>"
        f"</affected_cpe_list></advisory></metadata>{criteria}</definition>"
    )


def _oval(rows: list[tuple[str, str, str, list[str], str, str]]) -> str:
    """Red Hat's OVAL of release 8: id, CVE, fixed version (empty: none), packages, module, state of what has no fix."""
    definitions, tests, objects, states = [], [], [], []
    for number, (ident, cve, fixed, packages, module, state) in enumerate(rows, 1):
        leaves = ""
        for place, name in enumerate(packages):
            at = number * 100 + place
            said = f"{name} is earlier than {fixed}" if fixed else f"{name} is installed"
            leaves += f'<criterion comment="{said}" test_ref="oval:t:tst:{at}"/>'
            version = f'<red-def:state state_ref="oval:t:ste:{number}"/>' if fixed else ""
            tests.append(
                f'<red-def:rpminfo_test check="at least one" comment="{said}" id="oval:t:tst:{at}" version="1">'
                f'<red-def:object object_ref="oval:t:obj:{at}"/>{version}</red-def:rpminfo_test>'
            )
            objects.append(
                f'<red-def:rpminfo_object id="oval:t:obj:{at}" version="1"><red-def:name>{name}</red-def:name>'
                "</red-def:rpminfo_object>"
            )
        if fixed:
            states.append(
                f'<red-def:rpminfo_state id="oval:t:ste:{number}" version="1"><red-def:evr datatype="evr_string" '
                f'operation="less than">{fixed}</red-def:evr></red-def:rpminfo_state>'
            )
        enabled = f'<criterion comment="Module {module} is enabled" test_ref="oval:t:tst:9{number}"/>' if module else ""
        criteria = (
            '<criteria operator="AND"><criterion comment="Red Hat Enterprise Linux 8 is installed" '
            f'test_ref="oval:t:tst:1"/>{enabled}<criteria operator="OR">{leaves}</criteria></criteria>'
        )
        if module:
            tests.append(
                '<ind-def:textfilecontent54_test xmlns:ind-def="http://oval.mitre.org/XMLSchema/oval-definitions-5'
                f'#independent" check="all" comment="Module {module} is enabled" id="oval:t:tst:9{number}" version="1">'
                f'<ind-def:object object_ref="oval:t:obj:9{number}"/></ind-def:textfilecontent54_test>'
            )
        definitions.append(_definition(number, ident, cve, criteria, state=state))
    parts = ["".join(definitions), "</definitions><tests>", "".join(tests), "</tests><objects>", "".join(objects)]
    return _OVAL_HEAD + "".join(parts) + "</objects><states>" + "".join(states) + "</states></oval_definitions>"


ENTERPRISE = System(
    "RHEL 8 OVAL, modules and states",
    ("rhel", "8.9"),
    {
        "rhel-8-including-unpatched.oval.xml": _oval([
            ("RHSA-2099:0001", "CVE-2099-3001", "0:4.18.0-513.9.1.el8_9", list(_KERNELS), "", ""),
            ("RHSA-2099:0002", "CVE-2099-3001", "0:4.18.0-513.9.1.rt7.311.el8_9", ["kernel-rt", "kernel-rt-core"], "",
             ""),
            ("RHSA-2099:0003", "CVE-2099-3002", "0:1-5.el8_6", ["kpatch-patch-4_18_0-372"], "", ""),
            ("RHSA-2099:0004", "CVE-2099-3003", "1:18.19.0-1.module+el8.9.0+21385+ab", ["nodejs", "npm"], "nodejs:18",
             ""),
            ("CVE-2099-3004", "CVE-2099-3004", "", ["nodejs", "npm"], "nodejs:18", "Affected"),
            ("CVE-2099-3005", "CVE-2099-3005", "", ["vim-common", "vim-minimal"], "", "Will not fix"),
            ("CVE-2099-3006", "CVE-2099-3006", "", ["vim-minimal"], "", "Out of support scope"),
            ("RHSA-2099:0005", "CVE-2099-3007", "0:2.28-225.el8_8.6", ["glibc"], "", ""),
        ])
    },
    (
        Case(
            "the running kernel; kpatch; EUS marks in the main stream; states",
            """
            kernel 0 4.18.0 513.5.1.el8_9 x86_64 kernel-4.18.0-513.5.1.el8_9.src.rpm (none)
            kernel-core 0 4.18.0 513.5.1.el8_9 x86_64 kernel-4.18.0-513.5.1.el8_9.src.rpm (none)
            kernel-core 0 4.18.0 477.10.1.el8_8 x86_64 kernel-4.18.0-477.10.1.el8_8.src.rpm (none)
            kernel-headers 0 4.18.0 477.10.1.el8_8 x86_64 kernel-4.18.0-477.10.1.el8_8.src.rpm (none)
            kernel-rt-core 0 4.18.0 513.5.1.rt7.307.el8_9 x86_64 kernel-rt-4.18.0-513.5.1.rt7.307.el8_9.src.rpm (none)
            perf 0 4.18.0 477.10.1.el8_8 x86_64 kernel-4.18.0-477.10.1.el8_8.src.rpm (none)
            kpatch-patch-4_18_0-372 0 1 4.el8_6 x86_64 kpatch-patch-4_18_0-372-1-4.el8_6.src.rpm (none)
            glibc 0 2.28 236.el8_9.7 x86_64 glibc-2.28-236.el8_9.7.src.rpm (none)
            vim-minimal 2 8.0.1763 19.el8_6.4 x86_64 vim-8.0.1763-19.el8_6.4.src.rpm (none)
            nodejs 1 18.18.2 2.module+el8.9.0+20408+ab x86_64 nodejs-18.18.2-2.module+el8.9.0+20408+ab.src.rpm nodejs:18:8090020231201:ab
            """,
            {
                "kernel": {"CVE-2099-3001"}, "kernel-core": {"CVE-2099-3001"}, "kpatch-patch-4_18_0-372":
                {"CVE-2099-3002"}, "vim-minimal": {"CVE-2099-3005", "CVE-2099-3006"}, "nodejs":
                {"CVE-2099-3003", "CVE-2099-3004"},
            },
            "4.18.0-513.5.1.el8_9.x86_64",
        ),
        Case(
            "the real-time kernel runs",
            """
            kernel-core 0 4.18.0 513.5.1.el8_9 x86_64 kernel-4.18.0-513.5.1.el8_9.src.rpm (none)
            kernel-rt-core 0 4.18.0 513.5.1.rt7.307.el8_9 x86_64 kernel-rt-4.18.0-513.5.1.rt7.307.el8_9.src.rpm (none)
            nodejs 1 20.11.0 1.module+el8.9.0+21380+ab x86_64 nodejs-20.11.0-1.module+el8.9.0+21380+ab.src.rpm nodejs:20:8090020231201:ab
            """,
            {"kernel-rt-core": {"CVE-2099-3001"}},
            "4.18.0-513.5.1.rt7.307.el8_9.x86_64",
        ),
    ),
)  # fmt: skip

CENTOS = System(
    "CentOS 7 by Red Hat's OVAL, rebuilds' suffixes",
    ("centos", "7"),
    {
        "rhel-7.oval.xml": _oval([
            ("RHSA-2099:0101", "CVE-2099-4001", "0:2.4.6-97.el7_9.5", ["httpd"], "", ""),
            ("RHSA-2099:0102", "CVE-2099-4002", "1:1.0.2k-26.el7_9", ["openssl-libs"], "", ""),
            ("RHSA-2099:0103", "CVE-2099-4003", "32:9.11.4-26.P2.el7_9.15", ["bind-libs"], "", ""),
            ("RHSA-2099:0104", "CVE-2099-4004", "0:3.10.0-1160.108.1.el7", ["kernel", "perf", "python-perf"], "", ""),
        ]).replace("Linux 8", "Linux 7").replace("enterprise_linux:8", "enterprise_linux:7")
    },
    (
        Case(
            "suffixes and epochs",
            """
            httpd 0 2.4.6 97.el7.centos.5 x86_64 httpd-2.4.6-97.el7.centos.5.src.rpm
            openssl-libs 1 1.0.2k 25.el7_9 x86_64 openssl-1.0.2k-25.el7_9.src.rpm
            bind-libs 32 9.11.4 26.P2.el7_9.15 x86_64 bind-9.11.4-26.P2.el7_9.15.src.rpm
            perf 0 3.10.0 1160.el7 x86_64 kernel-3.10.0-1160.el7.src.rpm
            kernel 0 3.10.0 1160.108.1.el7 x86_64 kernel-3.10.0-1160.108.1.el7.src.rpm
            """,
            {"openssl-libs": {"CVE-2099-4002"}},
            "3.10.0-1160.108.1.el7.x86_64",
        ),
        Case(
            "one build before, as a bare list",
            """
            httpd-2.4.6-97.el7.centos.4.x86_64
            openssl-libs-1.0.2k-26.el7_9.x86_64
            bind-libs-9.11.4-26.P2.el7_9.14.x86_64
            kernel-3.10.0-1160.el7.x86_64
            python-perf-3.10.0-1160.el7.x86_64
            gpg-pubkey-f4a80eb5-53a7ff4b.(none)
            """,
            {"httpd": {"CVE-2099-4001"}, "bind-libs": {"CVE-2099-4003"}, "kernel": {"CVE-2099-4004"}},
            "3.10.0-1160.el7.x86_64",
        ),
    ),
)  # fmt: skip


def _openeuler(ident: str, cve: str, package: str, fixed: str, pack: str, files: list[str]) -> dict[str, object]:
    record = osv(ident, [(f"openEuler:{pack}", package, fixed)], [], aliases=[], upstream=[cve])
    record["affected"][0]["ecosystem_specific"] = {
        "x86_64": [f"{name}-{fixed}.x86_64.rpm" for name in files], "src": [f"{package}-{fixed}.src.rpm"],
    }  # fmt: skip
    return record


OPENEULER = System(
    "openEuler 22.03 OSV, packs, epochs, kernels",
    ("openEuler", "22.03"),
    {
        f"{one['id']}.json": one
        for one in (
            _openeuler("OESA-2099-1001", "CVE-2099-5001", "vim", "9.0-33.oe2203sp3", "22.03-LTS-SP3",
                       ["vim-common", "vim-minimal"]),
            _openeuler("OESA-2099-1002", "CVE-2099-5002", "kernel", "5.10.0-225.0.0.128.oe2203sp3", "22.03-LTS-SP3",
                       ["kernel", "kernel-headers", "kernel-tools", "perf", "bpftool"]),
            _openeuler("OESA-2099-1003", "CVE-2099-5003", "openssl", "1.1.1wa-5.oe2203sp3", "22.03-LTS-SP3",
                       ["openssl", "openssl-libs"]),
            _openeuler("OESA-2099-1004", "CVE-2099-5003", "openssl", "1.1.1wa-9.oe2203sp4", "22.03-LTS-SP4",
                       ["openssl", "openssl-libs"]),
        )
    },
    (
        Case(
            "epochs that the advisory leaves out, the host's own pack, the running kernel",
            """
            vim-common 2 9.0 15.oe2203sp3 x86_64 vim-9.0-15.oe2203sp3.src.rpm (none)
            vim-minimal 2 9.0 33.oe2203sp3 x86_64 vim-9.0-33.oe2203sp3.src.rpm (none)
            openssl-libs 1 1.1.1wa 5.oe2203sp3 x86_64 openssl-1.1.1wa-5.oe2203sp3.src.rpm (none)
            kernel 0 5.10.0 182.0.0.95.oe2203sp3 x86_64 kernel-5.10.0-182.0.0.95.oe2203sp3.src.rpm (none)
            kernel 0 5.10.0 225.0.0.128.oe2203sp3 x86_64 kernel-5.10.0-225.0.0.128.oe2203sp3.src.rpm (none)
            kernel-headers 0 5.10.0 182.0.0.95.oe2203sp3 x86_64 kernel-5.10.0-182.0.0.95.oe2203sp3.src.rpm (none)
            perf 0 5.10.0 182.0.0.95.oe2203sp3 x86_64 kernel-5.10.0-182.0.0.95.oe2203sp3.src.rpm (none)
            """,
            {"vim-common": {"CVE-2099-5001"}, "kernel": {"CVE-2099-5002"}},
            "5.10.0-182.0.0.95.oe2203sp3.x86_64",
        ),
        Case(
            "a bare list",
            "vim-common-9.0-15.oe2203sp3.x86_64\nopenssl-libs-1.1.1wa-4.oe2203sp3.x86_64\n"
            "kernel-5.10.0-225.0.0.128.oe2203sp3.x86_64\nkernel-headers-5.10.0-182.0.0.95.oe2203sp3.x86_64",
            {"vim-common": {"CVE-2099-5001"}, "openssl-libs": {"CVE-2099-5003"}},
            "5.10.0-225.0.0.128.oe2203sp3.x86_64",
        ),
    ),
    "openEuler 22.03 (LTS-SP3)",
)  # fmt: skip
