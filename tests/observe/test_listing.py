"""Package lists as people bring them: every form says the same, and nothing is dropped without a word."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.errors import AgentError
from agent.model.facts import Package
from agent.observe.listing import DPKG_QUERY, KEPT, parse

BLANKS = """\
warning: Generating 12 missing index(es), please wait...
bash 0 5.1.8 6.el9 x86_64 bash-5.1.8-6.el9.src.rpm (none)

openssl-libs 1 3.0.7 27.el9 x86_64 openssl-3.0.7-27.el9.src.rpm (none)
nodejs 1 18.19.1 1.module_el9 x86_64 nodejs-18.19.1-1.module_el9.src.rpm nodejs:18:9040:abcd
gpg-pubkey (none) 3dbdc284 53674dd4 (none) (none) (none)
python3-pip (none) 21.2.3 7.el9 noarch (none) (none)
"""
TABLE = """\
期望状态=未知(u)/安装(i)/删除(r)/清除(p)/保持(h)
| 状态=未安装(n)/已安装(i)/仅存配置(c)/仅解压缩(U)/配置失败(F)/不完全安装(H)/触发器等待(W)/触发器未决(T)
|/ 错误?=(无)/须重装(R) (状态，错误：大写=故障)
||/ 名称           版本         体系结构     描述
+++-==============-============-============-=================================
ii  adduser        3.134        all          add and remove users and groups
hi  libc6:amd64    2.36-9       amd64        GNU C Library
rc  nginx          1.22.1-9     amd64        small web server
un  exim4          <none>       <none>       (no description available)
iU  bash           5.2.15-2+b8  amd64        GNU Bourne Again SHell
"""
STATUS = """\
Package: libssl3
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: openssl (3.0.15-1~deb12u1)
Version: 3.0.15-1~deb12u1+b1
Description: Secure Sockets Layer toolkit
 Package: not-this-one
 .
 Status: install ok installed

Package: nginx
Status: deinstall ok config-files
Architecture: amd64
Version: 1.22.1-9

Package: bash
Status: hold ok installed
Architecture: amd64
Version: 5.2.15-2
"""


def of(text, os_id="rocky", **more):
    return parse(text, os_id=os_id, os_version="9", **more)


def brief(listing):
    return [(one.name, one.version, one.source, one.source_version) for one in listing.packages]


def test_the_query_form_tells_epochs_sources_and_modules():
    got = of(BLANKS, kernel="5.14.0")
    assert brief(got) == [
        ("bash", "5.1.8-6.el9", "bash", "5.1.8-6.el9"),
        ("openssl-libs", "1:3.0.7-27.el9", "openssl", "1:3.0.7-27.el9"),
        ("nodejs", "1:18.19.1-1.module_el9", "nodejs", "1:18.19.1-1.module_el9"),
        ("python3-pip", "21.2.3-7.el9", "python3-pip", "21.2.3-7.el9"),
    ]
    assert got.packages[2].module == "nodejs:18:9040:abcd"
    assert (got.epochs, got.sources, got.modules, got.kernel) == (True, True, True, "5.14.0")
    assert got.skipped == ("line 1: is no line of this form: warning: Generating 12 missing index(es), please wait...",)


@pytest.mark.parametrize("mark", ["\t", "|", " | ", "   "])
def test_the_marks_between_columns_may_differ(mark):
    assert of(BLANKS.replace(" ", mark)).packages == of(BLANKS).packages


def test_old_rpm_know_no_label_and_say_so():
    six = "\n".join(line.removesuffix(" (none)") for line in BLANKS.splitlines() if "nodejs" not in line)
    assert not of(six).modules
    assert of(six).sources
    five = of("bash 0 4.1.2 48.el6 x86_64\nzlib 0 1.2.3 29.el6 x86_64")
    assert (five.sources, five.epochs, five.modules) == (False, True, False)


def test_bare_rpm_qa_tells_neither_epoch_nor_source():
    got = of("bash-5.1.8-6.el9.x86_64\njava-1.8.0-openjdk-1.8.0.412.b08-2.el9.x86_64\ngpg-pubkey-3dbdc284-53674dd4\n")
    assert [(one.name, one.version, one.arch) for one in got.packages] == [
        ("bash", "5.1.8-6.el9", "x86_64"),
        ("java-1.8.0-openjdk", "1.8.0.412.b08-2.el9", "x86_64"),
    ]
    assert (got.epochs, got.sources, got.modules, got.skipped) == (False, False, False, ())


def test_old_rpm_leave_the_architecture_out():
    got = of("glibc-2.5-123.el5_11.3\nlibstdc++-4.1.2-55.el5\n")
    assert [(one.name, one.version, one.arch) for one in got.packages] == [
        ("glibc", "2.5-123.el5_11.3", ""),
        ("libstdc++", "4.1.2-55.el5", ""),
    ]


def test_a_query_with_epochs_in_it_tells_them():
    got = of("bash-5.1.8-6.el9.x86_64\nopenssl-libs-1:3.0.7-27.el9.x86_64\n")
    assert got.epochs
    assert got.packages[1].version == "1:3.0.7-27.el9"


def test_dpkg_query_between_commas():
    text = (
        "libc6:amd64,ii ,2.36-9+deb12u9,glibc,2.36-9+deb12u9\r\nnginx,rc ,1.22-9,nginx,1.22-9\r\nzz,hi ,1:2~rc1,,\r\n"
    )
    got = of(text, "debian")
    assert brief(got) == [("libc6", "2.36-9+deb12u9", "glibc", "2.36-9+deb12u9"), ("zz", "1:2~rc1", "zz", "1:2~rc1")]
    assert got.packages[0].arch == "amd64"
    assert got.sources


def test_the_table_of_dpkg_in_any_language():
    for raw in (TABLE, TABLE.encode("gb18030"), TABLE.replace("\n", "\r\n"), "\ufeff" + TABLE, TABLE.encode("utf-16")):
        got = of(raw, "debian")
        assert brief(got) == [
            ("adduser", "3.134", "adduser", "3.134"),
            ("libc6", "2.36-9", "glibc", "2.36-9"),
            ("bash", "5.2.15-2+b8", "bash", "5.2.15-2"),
        ]
        assert [one.arch for one in got.packages] == ["all", "amd64", "amd64"]
        assert not got.sources
        assert got.skipped == ()


def test_a_table_bound_to_80_columns_does_not_pass_for_whole():
    lines = [f"ii  pkg{i:<11} 1.{i:<10} all          x" for i in range(40)]
    got = of("\n".join([*TABLE.splitlines(), *lines, "ii  libapache2-mod 2.4.10-10+de amd64 cut"]), "debian")
    assert len(got.packages) == 43
    said = "name or version may be cut to the table's width; take it with COLUMNS=500 dpkg -l"
    assert got.skipped == (f"line 51: {said}: ii libapache2-mod 2.4.10-10+de amd64 cut",)


def test_a_status_file():
    got = of(STATUS, "debian")
    assert brief(got) == [
        ("libssl3", "3.0.15-1~deb12u1+b1", "openssl", "3.0.15-1~deb12u1"),
        ("bash", "5.2.15-2", "bash", "5.2.15-2"),
    ]
    assert got.skipped == ()


@pytest.mark.parametrize(
    "text",
    [
        "  TaskName\nUpdate   KB5034119  NT AUTHORITY\\SYSTEM\nSecurity Update KB5034767\nupdate kb5034119\n",
        "http://support.microsoft.com/?kbid=5034119  HOST  Update  KB5034119\n[02]: KB5034767\n",
    ],
)
def test_windows_patches(text):
    for raw in (text, text.encode("utf-16")):
        assert parse(raw, os_id="windows", os_version="10.0.1").patches == ("KB5034119", "KB5034767")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("hello\nworld\n", "line 1: no installed package in 2 lines"),
        ("a\nb\nbash-5-1.el9.x86_64", "2 of 3 lines are not understood"),
        (b"\x00\xff\xfe" * 50, "no installed package"),
        ("nginx,rc ,1.22.1-9,nginx,1.22.1-9", "nothing in it is installed"),
        ("x" * 5000 + "-1-1", "too long"),
    ],
)
def test_what_is_no_list_is_refused_with_place_and_remedy(text, words):
    with pytest.raises(AgentError) as caught:
        of(text, where="packages.txt")
    assert words in str(caught.value)
    assert str(caught.value).startswith("packages.txt")
    assert "rpm -qa --queryformat" in caught.value.remedy
    assert len(str(caught.value)) < 700


def test_a_list_of_the_other_family_is_refused_since_it_would_match_nothing():
    with pytest.raises(AgentError, match="list of rpm packages, while debian"):
        of(BLANKS, "Debian")
    with pytest.raises(AgentError, match="list of dpkg packages, while rocky"):
        of(STATUS)
    assert of(BLANKS, "kylin").packages
    assert of(STATUS, "kylin").packages


def test_windows_without_a_patch_is_refused():
    with pytest.raises(AgentError, match="no KB number"):
        parse("nothing", os_id="windows", os_version="10.0.1")


def test_skipped_lines_are_cleaned_and_bounded():
    got = of("\n".join(["bash-5-1.el9.x86_64"] * 400 + ["\x1b[31mred\x1b[0m " + "z" * 500] * 300))
    assert len(got.skipped) == KEPT + 1
    assert got.skipped[0].startswith("line 401: ")
    assert "\x1b" not in got.skipped[0]
    assert len(got.skipped[0]) < 200
    assert got.skipped[-1] == "and 100 lines more"


name = st.from_regex(r"[a-z][a-z0-9+.]{1,8}(-[a-z0-9]{1,5}){0,2}", fullmatch=True)
version = st.from_regex(r"[0-9][0-9a-z.+~]{0,8}", fullmatch=True)
row = st.tuples(
    name, st.integers(0, 99), version, version, st.sampled_from(["x86_64", "noarch", "i686"]), name, version
)
LISTS = st.lists(row, min_size=1, max_size=8)


@given(LISTS)
def test_generated_rpm_lists_come_back_from_every_form(rows):
    def evr(epoch, left, right):
        return f"{epoch}:{left}-{right}" if epoch else f"{left}-{right}"

    want = [
        Package(n, evr(e, v, r), arch, source, evr(e, sv, r), "rpm", "")
        for n, e, v, r, arch, source, sv in rows
    ]  # fmt: skip
    for mark in (" ", "\t", "|"):
        text = "\n".join(
            mark.join([n, str(e), v, r, arch, f"{source}-{sv}-{r}.src.rpm", "(none)"])
            for n, e, v, r, arch, source, sv in rows
        )
        assert list(of(text).packages) == want
    bare = of("\n".join(f"{n}-{v}-{r}.{arch}" for n, _, v, r, arch, _, _ in rows))
    assert [(one.name, one.version, one.arch) for one in bare.packages] == [
        (n, f"{v}-{r}", arch) for n, _, v, r, arch, _, _ in rows
    ]


@given(LISTS)
def test_generated_dpkg_lists_come_back_from_every_form(rows):
    rows = [(n, v if not e else f"{e}:{v}", s, sv) for n, e, v, _, _, s, sv in rows]
    forms = [
        "\n".join(f"{n}:amd64,ii ,{v},{s},{sv}" for n, v, s, sv in rows),
        "\n".join(f"{n}\tii \t{v}\tamd64\t{s}\t{sv}" for n, v, s, sv in rows),
        "\n\n".join(
            f"Package: {n}\nStatus: install ok installed\nSource: {s} ({sv})\nArchitecture: amd64\nVersion: {v}"
            for n, v, s, sv in rows
        ),
    ]
    want = [Package(n, v, "amd64", s, sv, "dpkg") for n, v, s, sv in rows]
    for text in forms:
        assert list(of(text, "debian").packages) == want
    table = of("\n".join(f"ii  {n:<20} {v:<20} amd64 words" for n, v, _, _ in rows), "debian")
    assert [(one.name, one.version) for one in table.packages] == [(n, v) for n, v, _, _ in rows]


@given(st.text() | st.binary() | st.lists(st.sampled_from([*BLANKS.split(), *STATUS.split("\n"), "|", ",", "\t", " ", "\n", "ii ", "+++-=-=-=-=", "\ufeff", "-", ":", "."])).map("".join), st.sampled_from(["debian", "rocky", "windows", ""]))  # fmt: skip # noqa: E501
def test_whatever_the_text_only_the_declared_error_leaves(text, os_id):
    try:
        got = parse(text, os_id=os_id, os_version="1")
    except AgentError:
        return
    assert got.packages or got.patches


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="no dpkg here")
def test_all_forms_agree_on_this_machine():
    def ask(*words):
        return subprocess.run(words, capture_output=True, check=True).stdout

    fields = ("binary:Package", "db:Status-Abbrev", "Version", "Architecture", "source:Package", "source:Version")
    ours = "\\t".join(f"${{{one}}}" for one in fields)
    full = [
        of(ask("dpkg-query", "-W", f"-f={DPKG_QUERY}"), "debian"),
        of(ask("dpkg-query", "-W", f"-f={ours}\\n"), "debian"),
        of(Path("/var/lib/dpkg/status").read_bytes(), "debian"),
    ]
    table = of(ask("dpkg", "-l"), "debian")
    assert len({frozenset(brief(one)) for one in full}) == 1
    assert {(one.name, one.version) for one in table.packages} == {(one.name, one.version) for one in full[0].packages}
    assert not any(one.skipped for one in (*full, table))
