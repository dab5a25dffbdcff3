"""Changelogs out of real, tiny .deb files, served by a loopback HTTP server."""

from __future__ import annotations

import gzip
import http.server
import io
import lzma
import tarfile
import threading
import time

import pytest
import zstandard

from agent.model.errors import ToolError
from agent.model.facts import HostFacts, Package, PendingUpdate
from agent.model.kernels import source_name
from agent.observe.changelog import Changelogs, Memory, cves_between, enrich
from agent.versions import dpkg

TEXT = """openssl (3.0.22-1~deb12u2) bookworm-security; urgency=medium

  * CVE-2026-0001 (wrong length) and cve-2026-0002.

 -- A Person <a@example.org>  Mon, 02 Nov 2026 00:00:00 +0000

openssl (3.0.20-1~deb12u2) bookworm-security; urgency=medium

  * CVE-2025-11111, see also openssl (3.0.1) CVE-2025-9999

 -- A Person <a@example.org>  Mon, 02 Mar 2026 00:00:00 +0000

openssl (3.0.15-1~deb12u1) bookworm; urgency=medium

  * CVE-2024-1

 -- A Person <a@example.org>  Mon, 02 Sep 2024 00:00:00 +0000
"""
PACKERS = {
    "xz": lzma.compress,
    "gz": gzip.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
    "": lambda data: data,
}


def deb(files: dict[str, bytes], packer: str = "xz") -> bytes:
    """An ar archive as dpkg-deb makes it."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": gzip.compress(b"odd"),
        "data.tar" + (f".{packer}" if packer else ""): PACKERS[packer](tar.getvalue()),
    }
    out = b"!<arch>\n"
    for name, data in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


def doc(name: str = "changelog.Debian.gz", text: str = TEXT) -> dict[str, bytes]:
    data = text.encode()
    return {
        "./usr/bin/x": b"\0" * 100_000,
        f"./usr/share/doc/openssl/{name}": gzip.compress(data) if name.endswith("gz") else data,
    }


class Mirror(http.server.BaseHTTPRequestHandler):
    """Serves what the test put under a path; counts what was asked."""

    files: dict[str, bytes]
    asked: list[str]
    drip = False

    def do_GET(self):
        self.asked.append(self.path)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/good.deb")
            self.end_headers()
            return
        data = self.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.drip:
            for at in range(0, len(data), 10):
                try:
                    self.wfile.write(data[at : at + 10])
                except OSError:
                    return
                time.sleep(0.05)
        else:
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror():
    handler = type("Handler", (Mirror,), {"files": {}, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    handler.base = f"http://127.0.0.1:{server.server_port}"
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def logs(**more) -> Changelogs:
    return Changelogs(Memory(), ["127.0.0.1"], **more)


def test_cves_of_the_versions_between():
    assert cves_between(TEXT, "3.0.15-1~deb12u1", "3.0.22-1~deb12u2") == (
        "CVE-2025-9999",
        "CVE-2025-11111",
        "CVE-2026-0001",
        "CVE-2026-0002",
    )
    assert cves_between(TEXT, "3.0.20-1~deb12u2") == ("CVE-2026-0001", "CVE-2026-0002")
    assert cves_between(TEXT, "3.0.15-1~deb12u1", "3.0.20-1~deb12u2") == ("CVE-2025-9999", "CVE-2025-11111")
    assert cves_between(TEXT, "3.0.22-1~deb12u2") == ()
    assert cves_between("no changelog", "1") == ()


def test_version_order_is_debians_and_never_raises():
    assert dpkg.compare("1.0~rc1", "1.0") < 0
    assert dpkg.compare("1:0.1", "9.9") > 0
    assert dpkg.compare("not a version!", "1") < 0
    assert dpkg.compare("", "") == 0
    assert sorted(["1.10", "1.9", "1.9+deb12u1"], key=dpkg.key) == ["1.9", "1.9+deb12u1", "1.10"]


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", ["changelog.Debian.gz", "changelog.Debian", "changelog.gz"])
def test_every_packing(mirror, packer, name):
    mirror.files["/good.deb"] = deb(doc(name), packer)
    assert logs().text("openssl", "1", [mirror.base + "/good.deb"]) == TEXT


def test_the_distributions_changelog_outranks_upstreams(mirror):
    files = {"./usr/share/doc/x/changelog.gz": gzip.compress(b"Changes of upstream"), **doc()}
    mirror.files["/good.deb"] = deb(files)
    assert logs().text("openssl", "1", [mirror.base + "/good.deb"]) == TEXT


def test_fetched_once_by_many_threads(mirror):
    mirror.files["/good.deb"] = deb(doc())
    changelogs, texts = logs(), []
    threads = [
        threading.Thread(target=lambda: texts.append(changelogs.text("openssl", "1", [mirror.base + "/good.deb"])))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [TEXT] * 8
    assert mirror.asked == ["/good.deb"]


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "http://127.0.0.2/x.deb",
        "http://127.0.0.1@evil.example/x.deb",
        "http://user:pw@127.0.0.1/x.deb",
        "ftp://127.0.0.1/x",
        "http://[broken/x",
        "http://127.0.0.1:99999/x",
        "",
    ],
)
def test_only_declared_mirrors(uri):
    changelogs = logs()
    assert not changelogs.allowed(uri)
    with pytest.raises(ToolError):
        changelogs.text("x", "1", [uri])


def test_a_mirror_with_a_port_is_that_port_only():
    changelogs = Changelogs(Memory(), ["mirror.example:8080"])
    assert changelogs.allowed("http://MIRROR.example:8080/x")
    assert not changelogs.allowed("http://mirror.example/x")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"<html>login</html>", "no Debian package|breaks off"),
        (deb(doc())[:-200], "cannot be read|breaks off"),
        (deb(doc())[:30], "breaks off"),
        (deb({"./usr/bin/x": b"1"}), "no changelog"),
        (deb({"./usr/share/doc/x/changelog.gz": gzip.compress(b"only upstream's")}), "no changelog"),
        (deb({"./usr/share/doc/x/changelog.Debian.gz": b"not gzip"}), "cannot be read"),
    ],
)
def test_broken_packages_say_so(mirror, data, problem):
    mirror.files["/x.deb"] = data
    with pytest.raises(ToolError, match=problem):
        logs().text("x", "1", [mirror.base + "/x.deb"])


def test_redirects_limits_and_slow_mirrors_are_refused(mirror):
    mirror.files["/good.deb"] = deb(doc())
    with pytest.raises(ToolError, match="302"):
        logs().text("x", "1", [mirror.base + "/moved"])
    with pytest.raises(ToolError, match="404"):
        logs().text("x", "1", [mirror.base + "/absent"])
    with pytest.raises(ToolError):
        logs(limit=200).text("x", "1", [mirror.base + "/good.deb"])
    mirror.drip = True
    begun = time.monotonic()
    with pytest.raises(ToolError, match="too long"):
        logs(timeout=0.5).text("x", "1", [mirror.base + "/good.deb"])
    assert time.monotonic() - begun < 5


def host(pending, packages) -> HostFacts:
    return HostFacts(
        target="web-01",
        os_id="debian",
        os_version="12",
        os_name="",
        family="debian",
        kernel="",
        kernels=(),
        packages=packages,
        pending=pending,
        lists_age_days=0.0,
        listeners=(),
        accounts=(),
        instances=(),
        reboot_required=False,
        stale_libraries=(),
        subjects=(),
    )


def test_enrich_fills_cves_and_says_what_could_not_be_had(mirror):
    mirror.files["/good.deb"] = deb(doc())

    def update(package, installed, candidate, source, path):
        return PendingUpdate(
            package, installed, candidate, "Debian-Security", security=True, source=source, uri=mirror.base + path
        )

    old, new = "3.0.20-1~deb12u2", "3.0.22-1~deb12u2"
    packages = (
        Package("libssl3", old, "amd64", "openssl", old, "dpkg"),
        Package("openssl", old + "+b1", "amd64", "openssl", old, "dpkg"),
        Package("perl", "5.36.0-7", "amd64", "perl", "5.36.0-7", "dpkg"),
        Package("linux-libc-dev", "6.1.1-1", "amd64", "linux", "6.1.1-1", "dpkg"),
    )
    pending = (
        update("libssl3", old, new, "openssl", "/gone.deb"),
        update("openssl", old + "+b1", new, "openssl", "/good.deb"),
        update("perl", "5.36.0-7", "5.36.0-8", "perl", "/gone-too.deb"),
        update("linux-libc-dev", "6.1.1-1", "6.1.2-1", "linux", "/kernel.deb"),
    )
    found = enrich(host(pending, packages), logs())
    assert [one.cves for one in found.pending] == [("CVE-2026-0001", "CVE-2026-0002")] * 2 + [()] * 2
    assert list(found.unseen) == ["changelog perl"]
    assert "404" in found.unseen["changelog perl"]
    assert "/kernel.deb" not in mirror.asked


def test_signed_kernels_are_the_kernel():
    assert source_name("linux-signed-amd64") == "linux"
    assert source_name("linux-firmware") == "linux-firmware"
