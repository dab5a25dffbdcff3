"""A target may answer anything: nothing but UnreachedError comes of it, and no control character survives."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.errors import UnreachedError
from agent.model.frames import split
from agent.model.session import Result
from agent.observe.host import facts, pack, parse, unpack

NONCE = "0123456789abcdef"
PROGRAMS = ("dpkg-query", "apt-cache", "rpm", "dnf", "sshd", "auditctl", "systemd")
KEYS = (
    *("base", "conf", "users", "sshd", "ss", "service", "sysctl", "mount", "file", "audit", "time", "firewall"),
    *("stale", "setuid", "dpkg", "apt-sources", "apt-policy", "apt-show", "apt-age", "rpm"),
    *("dnf-age", "dnf-list", "dnf-cves", "dnf-check", "control.X"),
)
BASE = "uid=0\nnow=1763838000\nkernel=6.1\n" + "".join(f"has={one}\n" for one in PROGRAMS)
WORDS = (
    *(
        "@/etc/pam.d/sshd",
        "@/etc/pam.d/passwd",
        "@/etc/os-release",
        "@/etc/sudoers",
        " @include sshd",
        " auth include x",
    ),
    *(" ID=", "P\t", "S\t", "G\t", "K\t", "!\t", "tcp LISTEN 0 0 0.0.0.0:", "proc tcp6 ", 'users:(("', "\tii \t"),
    *("l\t/etc/systemd/system/", "\n--\n", "/proc/sys/", ":", "=", "-", "\\", "[", "]", "1:", ".x86_64", "\n", "\r"),
    *("CVE-2023-1 Important/Sec. a-1:1-1.x", "Package: a\nVersion: 1\nFilename: ", "9999999999999999999999", "\n\n"),
    *("\x1b[31m", "\x1b]0;t", "\u202e", "\x00", "\x9b", "\u2028", "{{7*7}}", "<script>", " 500 http://x/ y Packages"),
    *("release a=b", "1763838000 /x", "5 indexes"),
)
body = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)), max_size=25).map(
        lambda words: "".join(words).encode("utf-8", "surrogatepass")
    ),
    st.text(max_size=60).map(lambda text: text.encode("gb18030", "replace")),
)
rc = st.sampled_from(["0", "1", "2", "124", "255", "999999"])


def framed(bodies, end=True) -> bytes:
    out = b"noise before"
    for key, (data, code) in bodies.items():
        out += f"\n{NONCE} > {key}\n".encode() + data + f"\n{NONCE} < {key} {code}\n".encode()
    return out + (f"\n{NONCE} . end\n".encode() if end else b"")


def texts(value):
    if isinstance(value, str):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from texts(key)
            yield from texts(one)
    elif isinstance(value, tuple | list | frozenset | set):
        for one in value:
            yield from texts(one)


def assert_clean(found):
    for text in texts(found):
        assert not re.search(
            r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text
        ), text


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), st.tuples(body, rc), max_size=8), body)
def test_any_bytes_in_sections(bodies, noise):
    sections = {"base": (BASE.encode(), "0"), **bodies}
    assert_clean(parse("h", framed(sections), framed({"base": (noise, "0")}), NONCE, "SSH-2.0-\x1b[31m\x00"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(min_value=0, max_value=400))
def test_any_payload(junk, cut):
    whole = pack(Result(0, framed({"base": (BASE.encode(), "0"), "ss": (junk, "0")}), b"", 0.1), NONCE, "b")
    assert facts("h", whole).target == "h"
    for payload in (junk, whole[: min(cut, len(whole) - 1)], b"secops-host 1\n" + junk, whole + b"x"):
        with pytest.raises(UnreachedError):
            facts("h", payload)


def test_broken_off_and_garbled_are_told_apart():
    with pytest.raises(UnreachedError, match="breaks off after section 'ss'") as broken:
        split(framed({"ss": (b"x", "0")}, end=False), b"", NONCE)
    assert broken.value.reason == "broken-off"
    with pytest.raises(UnreachedError) as garbled:
        split(b"Last login: today\n", b"", NONCE)
    assert garbled.value.reason == "garbled"
    with pytest.raises(UnreachedError) as other:
        split(framed({"ss": (b"x", "0")}), b"", "another0another0")
    assert other.value.reason == "garbled"


def test_one_bad_line_spoils_no_other():
    data = "中文 good\n".encode() + b"caf\xe9 \xff\n" + "尾 end".encode()
    text = split(framed({"a": (data, "0")}), b"", NONCE)["a"].text
    assert text.startswith("中文 good\n")
    assert text.endswith("尾 end")


def test_what_was_packed_is_unpacked():
    result = Result(3, b"\x00out\n", b"err", 1.2345)
    sealed = unpack(pack(result, NONCE, "banner \x1b"))
    assert sealed.result == Result(3, b"\x00out\n", b"err", 1.234)
    assert (sealed.nonce, sealed.banner) == (NONCE, "banner \x1b")


def answered(**bodies):
    """An answer whose sections hold these bodies and ended with these codes."""
    sections = "".join(f"\n{NONCE} > {key}\n{body}\n{NONCE} < {key} {rc}\n" for key, (body, rc) in bodies.items())
    return f"{sections}\n{NONCE} . end\n".encode()


@pytest.mark.parametrize("base", [("", 0), ("", 1), (BASE, 2), (BASE, 124)])
def test_a_host_that_does_not_tell_what_it_has_has_unknown_features(base):
    told = parse("h", answered(base=base), b"", NONCE)
    assert "base" in told.unseen
    assert told.subjects[0].missing["features"]
    assert "features" not in parse("h", answered(base=(BASE, 0)), b"", NONCE).subjects[0].missing


def test_a_port_of_thousands_of_digits_is_no_port():
    line = "tcp LISTEN 0 128 0.0.0.0:" + "9" * 5000 + " 0.0.0.0:*"
    assert parse("h", answered(base=(BASE, 0), ss=(line, 0)), b"", NONCE).listeners == ()
