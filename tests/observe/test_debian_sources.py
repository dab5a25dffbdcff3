from __future__ import annotations

import pytest

from agent.observe import listing
from agent.observe.debian_sources import source


@pytest.mark.parametrize(
    ("binary", "built_from"),
    [
        ("libssl3", "openssl"),
        ("libssl1.1", "openssl"),
        ("libssl3t64", "openssl"),
        ("libc6", "glibc"),
        ("libudev1", "systemd"),
        ("linux-image-6.1.0-18-amd64", "linux"),
        ("curl", "curl"),
        ("libcurl4", "curl"),
        ("nobody-knows-it", "nobody-knows-it"),
    ],
)
def test_sources(binary, built_from):
    assert source(binary) == built_from


def test_a_table_of_dpkg_gets_its_sources():
    text = "ii  libssl3:amd64  3.0.11-1~deb12u1  amd64  Secure Sockets Layer\nii  bash  5.2.15-2+b2  amd64  shell\n"
    told = listing.parse(text, os_id="debian", os_version="12")
    assert [(one.name, one.source) for one in told.packages] == [("libssl3", "openssl"), ("bash", "bash")]
    assert not told.sources
