"""A case for each rule of matching, hand-made; what real feeds say is measured in bench/truth.py."""

from __future__ import annotations

import pytest

from agent.judge import packages
from agent.model.advisory import (
    Affected,
    Authority,
    Candidate,
    Confidence,
    CveFacts,
    Head,
    Known,
    Listing,
    Match,
    Scheme,
    Status,
)
from agent.model.facts import Package


def deb(name, version, source="", source_version="", arch="amd64"):
    return Package(name, version, arch, source or name, source_version or version, "dpkg")


def rpm(name, version, source="", module="", arch="x86_64", source_version=""):
    return Package(name, version, arch, source or name, source_version or version, "rpm", module)


def advisory(ident, *rows, cves=("CVE-2024-1",), authority=Authority.VENDOR, title="", feed="osv/x"):
    head = Head(ident, feed, authority, title, "Important", 7.5, tuple(cves))
    return [Candidate(head, row) for row in rows]


def row(package, fixed="", stream="debian:12", scheme=Scheme.DPKG, by="source", **more):
    status = Status.FIXED if fixed else Status.AFFECTED
    return Affected(stream, package, scheme, by=by, fixed=fixed, **({"status": status} | more))


def rrow(package, fixed="", stream="almalinux:8", **more):
    return row(package, fixed, stream, Scheme.RPM, **({"by": "binary"} | more))


def known(*groups):
    rows: dict[tuple[str, str], tuple[Candidate, ...]] = {}
    for group in groups:
        for one in group:
            key = (one.row.stream, one.row.package)
            rows[key] = (*rows.get(key, ()), one)
    return Known(rows, dict.fromkeys({stream for stream, _ in rows}, 1))


def debian(*installed, kernel="", version="12", **more):
    return Listing("debian", version, packages=installed, kernel=kernel, **more)


def alma(*installed, kernel="", version="8.9", os_id="almalinux", **more):
    return Listing(os_id, version, packages=installed, kernel=kernel, **more)


def told(listing, what) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.package, one.advisory, one.cves) for one in packages.match(listing, what)]


# 1. source packages


def test_a_debian_package_is_matched_by_its_source_and_the_sources_version():
    what = known(advisory("DSA-1", row("openssl", "3.0.11-1~deb12u2")))
    old = debian(deb("libssl3", "3.0.11-1~deb12u1", "openssl"))
    assert told(old, what) == [("libssl3", "DSA-1", ("CVE-2024-1",))]
    assert told(debian(deb("libssl3", "3.0.11-1~deb12u2+b1", "openssl", "3.0.11-1~deb12u2")), what) == []


def test_a_binary_rebuild_number_is_no_newer_source():
    what = known(advisory("DSA-1", row("acl", "2.3.1-4")))
    rebuilt = debian(deb("libacl1", "2.3.1-3+b9", "acl", "2.3.1-3"))
    assert told(rebuilt, what) == [("libacl1", "DSA-1", ("CVE-2024-1",))]


def test_a_binary_that_bears_another_sources_name_is_not_matched_by_it():
    what = known(advisory("DSA-1", row("git", "9")))
    assert told(debian(deb("git", "1", "gnuit")), what) == []


def test_an_rpm_is_matched_by_the_row_that_names_it_and_by_its_source():
    by_binary = known(advisory("A-1", rrow("openssl-libs", "1:1.1.1k-9.el8_7")))
    by_source = known(advisory("A-1", rrow("openssl", "1:1.1.1k-9.el8_7", by="source")))
    old = alma(rpm("openssl-libs", "1:1.1.1k-7.el8_6", "openssl"))
    new = alma(rpm("openssl-libs", "1:1.1.1k-9.el8_7", "openssl"))
    for what in (by_binary, by_source):
        assert told(old, what) == [("openssl-libs", "A-1", ("CVE-2024-1",))]
        assert told(new, what) == []


def test_signed_kernels_belong_to_linux_and_are_compared_by_the_binarys_version():
    what = known(advisory("DSA-1", row("linux", "6.1.76-1")))
    image = "linux-image-6.1.0-18-amd64"
    now = debian(deb(image, "6.1.76-1", "linux-signed-amd64", "6.1.76+1"), kernel="6.1.0-18-amd64")
    old = debian(deb(image, "6.1.69-1", "linux-signed-amd64", "6.1.69+1"), kernel="6.1.0-18-amd64")
    assert told(now, what) == []
    assert told(old, what) == [(image, "DSA-1", ("CVE-2024-1",))]


# 2. the running kernel only


def test_headers_and_tools_of_a_kernel_that_does_not_run_are_no_finding():
    what = known(advisory("DSA-1", row("linux", "6.1.99-1")))
    beside = (deb("linux-libc-dev", "6.1.76-1", "linux"), deb("linux-perf", "6.1.76-1", "linux"))
    assert told(debian(*beside, kernel="5.15.0-custom"), what) == []
    assert told(debian(*beside), what) == []


@pytest.mark.parametrize("kernel", ["4.18.0-513.5.1.el8_9.x86_64", ""])
def test_of_several_kernels_only_the_running_one_is_judged(kernel):
    names = ("kernel", "kernel-core", "kernel-headers", "kernel-tools", "perf", "bpftool", "python3-perf")
    what = known(*(advisory("A-1", rrow(name, "4.18.0-513.9.1.el8_9")) for name in names))
    running = [rpm(name, "4.18.0-513.5.1.el8_9", "kernel") for name in names]
    older = [rpm(name, "4.18.0-477.10.1.el8_8", "kernel") for name in ("kernel", "kernel-core")]
    hits = packages.match(alma(*older, *running, kernel=kernel), what)
    assert {(one.package, one.installed) for one in hits} == {
        ("kernel", "4.18.0-513.5.1.el8_9"),
        ("kernel-core", "4.18.0-513.5.1.el8_9"),
    }
    assert all(one.reboot for one in hits)


def test_an_older_running_kernel_is_judged_though_a_fixed_one_is_installed():
    what = known(advisory("A-1", rrow("kernel-core", "4.18.0-513.9.1.el8_9")))
    both = [rpm("kernel-core", version, "kernel") for version in ("4.18.0-477.10.1.el8_8", "4.18.0-513.9.1.el8_9")]
    assert told(alma(*both, kernel="4.18.0-477.10.1.el8_8.x86_64"), what)
    assert not told(alma(*both, kernel="4.18.0-513.9.1.el8_9.x86_64"), what)


def test_a_container_has_no_kernel_of_its_own():
    what = known(advisory("A-1", rrow("kernel-core", "5")))
    assert not told(alma(rpm("kernel-core", "4.18.0-1.el8", "kernel"), container=True), what)


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        ("5.14.0-427.el9.aarch64", "kernel-core"),
        ("5.14.0-427.el9.aarch64+64k", "kernel-64k-core"),
        ("5.14.0-427.el9.aarch64+rt", "kernel-rt-core"),
        ("5.14.0-427.el9.aarch64+rt-64k", "kernel-rt-64k-core"),
        ("5.14.0-427.el9.aarch64+debug", "kernel-debug-core"),
        ("5.14.0-427.el9.aarch64.debug", "kernel-debug-core"),
        ("", "kernel-core"),
    ],
)
def test_of_the_builds_of_one_release_the_running_one_is_judged(kernel, name):
    kinds = ("64k-core", "core", "rt-core", "rt-64k-core", "debug-core", "zfcpdump-core", "modules-extra-matched")
    names = [f"kernel-{kind}" for kind in kinds]
    what = known(*(advisory("A-1", rrow(one, "5.14.0-999.el9", stream="almalinux:9")) for one in names))
    installed = [rpm(one, "5.14.0-427.el9", one, arch="aarch64") for one in names]
    assert [one for one, *_ in told(alma(*installed, kernel=kernel, version="9.4"), what)] == [name]


@pytest.mark.parametrize(("kernel", "name"), [("2.6.18-419.el5", "kernel"), ("2.6.18-419.el5PAE", "kernel-PAE")])
def test_a_kernel_of_release_5_tells_no_architecture(kernel, name):
    names = ("kernel", "kernel-PAE", "kernel-xen", "kernel-debug")
    what = known(*(advisory("A-1", rrow(one, "2.6.18-999.el5", stream="oracle:5")) for one in names))
    installed = tuple(rpm(one, "2.6.18-419.el5", "kernel", arch="i686") for one in names)
    listing = Listing("ol", "5.11", packages=installed, kernel=kernel)
    assert [one for one, *_ in told(listing, what)] == [name]


def test_a_real_time_kernel_with_its_mark_in_its_version_runs_without_one_in_its_name():
    what = known(advisory("A-1", rrow("kernel-rt-core", "4.18.0-999.rt7.1.el8")))
    release = "4.18.0-477.10.1.rt7.274.el8_8"
    assert told(alma(rpm("kernel-rt-core", release, "kernel-rt"), kernel=f"{release}.x86_64"), what)


def test_ubuntus_kernel_is_the_image_of_the_running_release():
    what = known(advisory("USN-1", row("linux-hwe-5.15", "5.15.0-92.102~20.04.1", stream="ubuntu:20.04")))
    image = deb("linux-image-5.15.0-91-generic", "5.15.0-91.101~20.04.1", "linux-signed-hwe-5.15")
    others = (
        deb("linux-modules-5.15.0-91-generic", "5.15.0-91.101~20.04.1", "linux-hwe-5.15"),
        deb("linux-libc-dev", "5.4.0-169.187", "linux"),
    )
    listing = Listing("ubuntu", "20.04", packages=(image, *others), kernel="5.15.0-91-generic")
    assert told(listing, what) == [("linux-image-5.15.0-91-generic", "USN-1", ("CVE-2024-1",))]


@pytest.mark.parametrize(
    ("image", "version", "source"),
    [
        ("6.5.0-27-generic", "6.5.0-27.28~22.04.1", "linux-hwe-6.5"),
        ("5.15.0-91-generic", "5.15.0-91.101", "linux"),
        ("5.15.0-91-lowlatency", "5.15.0-91.101", "linux-lowlatency"),
        ("6.5.0-27-lowlatency", "6.5.0-27.28~22.04.1", "linux-lowlatency-hwe-6.5"),
        ("5.4.0-150-lowlatency", "5.4.0-150.167", "linux"),
        ("5.15.0-1056-aws", "5.15.0-1056.61", "linux-aws"),
        ("6.5.0-1001-azure", "6.5.0-1001.1~22.04.1", "linux-azure-6.5"),
        ("6.5.0-1020-oem", "6.5.0-1020.21", "linux-oem-6.5"),
        ("6.1.0-18-amd64", "6.1.90-1~bpo11+1", "linux"),
    ],
)
def test_ubuntus_kernels_of_a_list_without_sources_are_told_by_name_and_version(image, version, source):
    what = known(advisory("USN-1", row(source, f"{version}.99", stream="ubuntu:22.04")))
    listing = Listing(
        "ubuntu", "22.04", packages=(deb(f"linux-image-{image}", version, "linux"),), kernel=image, sources=False
    )
    assert {("ubuntu:22.04", source)} <= packages.keys(listing, what.sizes)
    assert told(listing, what)


# 3. the earliest fix for each CVE and stream


def test_who_has_the_earliest_fix_is_not_told_of_later_ones():
    what = known(
        advisory("A-1", rrow("curl", "7.61.1-30.el8"), cves=["CVE-2024-1"]),
        advisory("A-2", rrow("curl", "7.61.1-33.el8"), cves=["CVE-2024-1", "CVE-2024-2"]),
    )
    assert told(alma(rpm("curl", "7.61.1-31.el8")), what) == [("curl", "A-2", ("CVE-2024-2",))]
    assert told(alma(rpm("curl", "7.61.1-29.el8")), what) == [
        ("curl", "A-1", ("CVE-2024-1",)),
        ("curl", "A-2", ("CVE-2024-2",)),
    ]


def test_fixes_of_other_streams_say_nothing():
    what = known(
        advisory("A-8", rrow("curl", "7.61.1-30.el8")),
        advisory("A-9", rrow("curl", "7.60.0-1.el9", stream="almalinux:9")),
    )
    assert told(alma(rpm("curl", "7.61.1-29.el8")), what) == [("curl", "A-8", ("CVE-2024-1",))]


def test_an_advisory_outranks_a_bare_cve_with_the_same_fix():
    what = known(
        advisory("CVE-2024-1", row("curl", "7.88.1-10+deb12u5"), feed="debian-tracker/debian"),
        advisory("DSA-9", row("curl", "7.88.1-10+deb12u5"), feed="debian-dsa/debian"),
    )
    assert told(debian(deb("curl", "7.88.1-10")), what) == [("curl", "DSA-9", ("CVE-2024-1",))]


# 4. module labels

NODE = "1:18.19.0-1.module_el8.9.0+3723+8f79a1a2"


def module(stream, build="8090020240101:63b34585"):
    return f"nodejs:{stream}:{build}"


def test_another_module_stream_says_nothing():
    what = known(advisory("A-20", rrow("nodejs", "1:20.11.1-1.module_el8.9.0+9", modules=("nodejs:20",), modular=True)))
    assert told(alma(rpm("nodejs", NODE, module=module("18"))), what) == []


def test_the_build_context_is_ignored_within_a_stream():
    fixed = "1:18.19.0-1.module+el8.9.0+21137+cce6"
    what = known(advisory("A-18", rrow("nodejs", fixed, modules=("nodejs:18",), modular=True)))
    assert told(alma(rpm("nodejs", NODE, module=module("18"))), what) == []
    old = "1:18.18.2-1.module_el8.9.0+99999+ffffffff"
    assert told(alma(rpm("nodejs", old, module=module("18"))), what) == [("nodejs", "A-18", ("CVE-2024-1",))]


def test_modular_and_plain_builds_are_kept_apart():
    modular = known(advisory("A", rrow("perl", "4:5.32.1-9.module_el8+1", modules=("perl:5.32",), modular=True)))
    assert told(alma(rpm("perl", "4:5.26.3-420.el8")), modular) == []
    plain = known(advisory("A", rrow("perl", "4:5.26.3-421.el8")))
    assert told(alma(rpm("perl", "4:5.24.0-1.module_el8+1", module="perl:5.24:1:2")), plain) == []


def test_without_labels_the_version_tells_the_stream():
    rows = [
        advisory(f"A-{n}", rrow("nodejs", f"1:{n}.99.0-1.module_el8+1", modules=(f"nodejs:{n}",)), cves=[f"CVE-1-{n}"])
        for n in (16, 18, 20)
    ]
    bare = alma(rpm("nodejs", NODE.removeprefix("1:")), epochs=False, sources=False, modules=False)
    assert told(bare, known(*rows)) == [("nodejs", "A-18", ("CVE-1-18",))]


# epochs, architectures, rebuilds


def test_a_bare_list_without_epochs_is_compared_without_them():
    what = known(advisory("A-1", rrow("openssl-libs", "1:1.1.1k-9.el8_7")))
    bare = {"epochs": False, "sources": False, "modules": False}
    assert told(alma(rpm("openssl-libs", "1.1.1k-9.el8_7"), **bare), what) == []
    assert told(alma(rpm("openssl-libs", "1.1.1k-7.el8_6"), **bare), what) != []


@pytest.mark.parametrize(("installed", "open_"), [("2:9.0-15.oe2203sp3", True), ("2:9.0-33.oe2203sp3", False)])
def test_openeulers_rows_bear_no_epoch(installed, open_):
    what = known(advisory("openEuler-SA-1", rrow("vim-common", "9.0-33", stream="openeuler:22.03-lts-sp3")))
    listing = Listing("openEuler", "22.03-LTS-SP3", packages=(rpm("vim-common", installed),))
    assert bool(packages.match(listing, what)) is open_


def test_a_row_of_another_architecture_says_nothing():
    what = known(advisory("A-1", rrow("curl", "9-1", arches=("aarch64",))))
    assert told(alma(rpm("curl", "8-1")), what) == []
    assert told(alma(rpm("curl", "8-1", arch="aarch64")), what) != []


@pytest.mark.parametrize(
    ("installed", "open_"),
    [("2.4.6-97.el7.centos.5", False), ("2.4.6-97.el7.centos.4", True), ("2.4.6-99.el7.centos", False)],
)
def test_centos_builds_are_compared_with_red_hats(installed, open_):
    what = known(advisory("RHSA-1", rrow("httpd", "2.4.6-97.el7_9.5", stream="rhel:7")))
    listing = Listing("centos", "7", packages=(rpm("httpd", installed),))
    assert bool(packages.match(listing, what)) is open_


def test_a_siblings_mark_is_no_newer_build():
    what = known(advisory("ALSA-1", rrow("grub2", "1:2.02-150.el8_9.alma.1")))
    assert not told(Listing("rhel", "8.9", packages=(rpm("grub2", "1:2.02-150.el8_9"),)), what)
    own = alma(rpm("grub2", "1:2.02-150.el8_9"))
    assert told(own, what)


# statuses and who says them


@pytest.mark.parametrize(
    "status", [Status.AFFECTED, Status.DEFERRED, Status.WILL_NOT_FIX, Status.UNDER_INVESTIGATION, Status.END_OF_LIFE]
)
def test_what_has_no_fix_is_told_with_the_vendors_word(status):
    what = known(advisory("CVE-2024-1", row("curl", status=status)))
    (hit,) = packages.match(debian(deb("curl", "1")), what)
    assert (hit.status, hit.fixed) == (status, "")


def test_a_fix_outranks_an_older_word_that_there_is_none():
    what = known(advisory("CVE-2024-1", row("curl", status=Status.WILL_NOT_FIX)), advisory("DSA-1", row("curl", "2")))
    (hit,) = packages.match(debian(deb("curl", "1")), what)
    assert (hit.advisory, hit.status) == ("DSA-1", Status.FIXED)
    assert not packages.match(debian(deb("curl", "2")), what)


def test_not_affected_takes_back_what_others_claim():
    what = known(
        advisory("CVE-2024-1", row("curl", status=Status.NOT_AFFECTED)),
        advisory("X-1", row("curl", "9"), authority=Authority.THIRD_PARTY),
    )
    assert not packages.match(debian(deb("curl", "1")), what)


def test_a_rejected_cve_supports_no_finding():
    what = known(
        advisory("DSA-1", row("curl", "9"), cves=["CVE-2024-1", "CVE-2024-2"]),
    )
    cves = {"CVE-2024-1": CveFacts("CVE-2024-1", rejected=True)}
    (hit,) = packages.standing(packages.match(debian(deb("curl", "1")), what), cves)
    assert hit.cves == ("CVE-2024-2",)
    assert packages.standing([hit], {"CVE-2024-2": CveFacts("CVE-2024-2", rejected=True)}) == []


@pytest.mark.parametrize(
    ("authority", "confidence"),
    [(Authority.VENDOR, Confidence.VENDOR), (Authority.CHANGELOG, Confidence.CHANGELOG)],
)
def test_how_sure_it_is_follows_from_who_says_it(authority, confidence):
    (hit,) = packages.match(debian(deb("curl", "1")), known(advisory("A", row("curl", "2"), authority=authority)))
    assert hit.confidence is confidence


def test_a_range_with_a_beginning_concerns_only_what_lies_in_it():
    what = known(advisory("A", row("curl", "8.5-1", introduced="8.0-1")))
    assert [bool(packages.match(debian(deb("curl", v)), what)) for v in ("7.9-1", "8.0-1", "8.4-1", "8.5-1")] == [
        False,
        True,
        True,
        False,
    ]


def test_a_later_range_opens_again_what_an_earlier_one_closed():
    what = known(advisory("A", row("curl", "7.9-1", introduced="7.0-1"), row("curl", "8.5-1", introduced="8.0-1")))
    assert [bool(packages.match(debian(deb("curl", v)), what)) for v in ("7.8-1", "7.9-1", "8.1-1", "8.6-1")] == [
        True,
        False,
        True,
        False,
    ]


# streams


def test_a_system_without_a_feed_has_no_stream():
    listing = Listing("kylin", "V10", packages=(rpm("curl", "1-1"),))
    assert packages.stream_of(listing, {"debian:12": 9}) == ()
    assert packages.stream_of(listing, {"kylin:v10": 9}) == ("kylin:v10",)


def test_a_sample_of_its_own_does_not_hide_a_siblings_feed():
    rhel = Listing("rhel", "8.9", packages=(rpm("curl", "1-1"),))
    assert packages.stream_of(rhel, {"rhel:8": 3, "almalinux:8": 3000}) == ("rhel:8", "almalinux:8")
    assert packages.stream_of(rhel, {"rhel:8": 2000, "almalinux:8": 3000}) == ("rhel:8",)
    assert packages.stream_of(rhel, {"rocky:8": 3}) == ("rocky:8",)


def test_the_pack_of_openeuler_is_told_by_the_packages():
    listing = Listing("openEuler", "22.03", packages=(rpm("curl", "7.79.1-12.oe2203sp3"),))
    assert packages.stream_of(listing, {"openeuler:22.03-lts-sp3": 9, "openeuler:22.03-lts": 9}) == (
        "openeuler:22.03-lts-sp3",
    )


def test_a_regression_update_without_a_cve_is_no_vulnerability():
    hit = Match(
        "DSA-1-2",
        "f",
        (),
        "curl",
        "curl",
        "",
        "1",
        "2",
        Status.FIXED,
        Confidence.VENDOR,
        title="curl - regression update",
    )
    assert packages.standing([hit], {}) == []


@pytest.mark.parametrize(("ident", "stands"), [("ALBA-2024:1", False), ("RHEA-2024:1", False), ("RHSA-2024:1", True)])
def test_a_bug_fix_advisory_counts_for_the_cves_that_it_names(ident, stands):
    bare = packages.match(alma(rpm("curl", "1-1")), known(advisory(ident, rrow("curl", "2-1"), cves=())))
    named = packages.match(alma(rpm("curl", "1-1")), known(advisory(ident, rrow("curl", "2-1"))))
    assert bool(packages.standing(bare, {})) is stands
    assert packages.standing(named, {})


# module streams where no label tells them


def test_what_follows_the_build_context_counts():
    fixed = "2.4.37-43.module+el8.5.0+14530+6f259f31.3"
    what = known(advisory("A", rrow("httpd", fixed, modules=("httpd:2.4",), modular=True)))
    old = rpm("httpd", "2.4.37-43.module+el8.5.0+13806+b30d9eec.1", module="httpd:2.4:1:2")
    new = rpm("httpd", "2.4.37-43.module_el8.5.0+9+0.3", module="httpd:2.4:1:2")
    assert told(alma(old), what)
    assert not told(alma(new), what)


UNLABELLED = {"epochs": False, "sources": False, "modules": False}


def test_the_package_that_bears_the_series_tells_the_stream_of_what_comes_along():
    what = known(
        *(
            advisory(
                f"A-{n}",
                rrow("nodejs", f"1:{n}.99.0-1.module_el8.9.0+1{n}+ab", modules=(f"nodejs:{n}",)),
                rrow("nodejs-nodemon", "3.0.3-1.module_el8.9.0+2+cd", modules=(f"nodejs:{n}",)),
                cves=[f"CVE-1-{n}"],
            )
            for n in (18, 20)
        )
    )
    node = rpm("nodejs", "20.1.0-1.module_el8.9.0+3+ef")
    nodemon = rpm("nodejs-nodemon", "2.0.19-1.module_el8.9.0+4+01")
    assert told(alma(node, nodemon, **UNLABELLED), what) == [
        ("nodejs", "A-20", ("CVE-1-20",)),
        ("nodejs-nodemon", "A-20", ("CVE-1-20",)),
    ]


def test_the_build_that_an_advisory_lists_tells_a_stream_without_a_number():
    modules = {"old": "container-tools:3.0", "new": "container-tools:rhel8"}
    what = known(
        advisory("OLD-1", rrow("podman", "3.0.1-6.module_el8.5.0+10+aa", modules=(modules["old"],)), cves=["CVE-1-1"]),
        advisory("OLD-2", rrow("podman", "3.0.1-9.module_el8.5.0+30+aa", modules=(modules["old"],)), cves=["CVE-1-2"]),
        advisory("NEW-1", rrow("podman", "4.0.2-1.module_el8.6.0+20+bb", modules=(modules["new"],)), cves=["CVE-1-3"]),
        advisory("NEW-2", rrow("podman", "4.9.4-1.module_el8.9.0+40+bb", modules=(modules["new"],)), cves=["CVE-1-4"]),
    )
    old, new = rpm("podman", "3.0.1-6.module_el8.5.0+10+aa"), rpm("podman", "4.0.2-1.module_el8.6.0+20+bb")
    assert told(alma(old, **UNLABELLED), what) == [("podman", "OLD-2", ("CVE-1-2",))]
    assert told(alma(new, **UNLABELLED), what) == [("podman", "NEW-2", ("CVE-1-4",))]


def test_a_label_of_one_package_tells_the_stream_of_another_that_lost_it():
    what = known(
        *(
            advisory(f"A-{n}", rrow("npm", f"1:9.{n}-1.module_el8.9.0+1+ab", modules=(f"nodejs:{n}",)), cves=[f"C-{n}"])
            for n in (18, 20)
        )
    )
    labelled = rpm("nodejs", NODE, module=module("18"))
    assert [one for _, one, _ in told(alma(labelled, rpm("npm", "1:9.1-1.module_el8.9.0+7+cd")), what)] == ["A-18"]


def test_a_package_of_another_manager_is_not_compared():
    what = known(advisory("openEuler-SA-1", rrow("openssl", "1:1.1.1-9", stream="openeuler:22.03-lts-sp3")))
    both = (deb("openssl", "3.0.20-1~deb12u2"), rpm("openssl", "1:1.1.1-9"))
    assert not told(Listing("openEuler", "22.03-LTS-SP3", packages=both), what)


def test_the_only_stream_of_a_module_that_is_known_needs_no_sign():
    what = known(advisory("A-1", rrow("libvirt", "8.0.0-1.module_el8.7.0+1+ab", modules=("virt:rhel",))))
    assert told(alma(rpm("libvirt", "6.0.0-35.module_el8.5.0+2+cd"), **UNLABELLED), what)


@pytest.mark.parametrize("lesser", [Authority.CUSTOMER, Authority.THIRD_PARTY, Authority.CHANGELOG])
def test_a_lesser_feed_cannot_hide_what_the_vendor_says(lesser):
    vendor = advisory("ALSA-1", rrow("openssl", "3.0.7-27.el8"))
    hides = advisory("X-1", rrow("openssl", "0.1"), authority=lesser)
    denies = advisory("X-2", rrow("openssl", status=Status.NOT_AFFECTED), authority=lesser)
    old = alma(rpm("openssl", "3.0.7-1.el8"))
    assert told(old, known(vendor, hides, denies)) == [("openssl", "ALSA-1", ("CVE-2024-1",))]


def test_a_lesser_feed_names_a_fix_that_the_vendor_has_not():
    vendor = advisory("CVE-2024-1", row("curl", status=Status.AFFECTED))
    own = advisory("OUR-1", row("curl", "9-1"), authority=Authority.CUSTOMER)
    (hit,) = packages.match(debian(deb("curl", "8-1")), known(vendor, own))
    assert (hit.advisory, hit.fixed) == ("OUR-1", "9-1")
