from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from contextlib import nullcontext
from pathlib import Path

import pytest
import zstandard
from feedstore import AT, PACK, dump, file, fixes, take, tarred, tiny, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories import formats, intake
from agent.advisories.intake import read_feeds
from agent.advisories.limits import Limits
from agent.advisories.source import FeedError
from agent.advisories.store import FeedStore, open_feeds
from agent.model.errors import AgentError

A = tiny({"id": "A"}, scope="a")
B = tiny({"id": "B"}, scope="b")
BROKEN = tiny({"id": "X"}, scope="x") + b"{not json\n"


@pytest.fixture
def store(tmp_path):
    with open_feeds(tmp_path / "state") as opened:
        yield opened


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def refused(store, content: bytes, folder: Path, match: str, **more: object) -> AgentError:
    """The file is refused when it is named, and the store is as it was."""
    before = dump(store)
    with pytest.raises(FeedError, match=match) as caught:
        take(store, file(folder, content), **more)
    assert dump(store) == before
    assert str(folder / "feed") in caught.value.where
    return caught.value


@pytest.mark.parametrize("kind", PACK)
def test_every_compression_is_known_by_its_content(store, tmp_path, kind):
    pack = PACK[kind]
    take(store, file(tmp_path, pack(A)))
    take(store, file(tmp_path, pack(B[:20]) + pack(B[20:])))
    take(store, file(tmp_path, pack(pack(tarred(("x/c", pack(tiny({"id": "C"}, scope="c"))))))))
    assert set(fixes(store)) == {"A", "B", "C"}


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_a_tar_in_every_dialect(store, tmp_path, form):
    long = "/".join(["deep" * 10] * 3) + "/feed"
    folder = tarfile.TarInfo("deep/")
    folder.type = tarfile.DIRTYPE
    done = take(
        store, file(tmp_path, tarred(folder, ("./LICENSE", b"free"), (long, A), ("empty", b""), ("b", B), form=form))
    )
    assert set(fixes(store)) == {"A", "B"}
    assert done.unrecognised == (f"{tmp_path}/feed!LICENSE", f"{tmp_path}/feed!empty")
    assert store.provenance("tiny/test", "A").name == f"{tmp_path}/feed!{long}"


def test_what_another_import_is_keeping_stays(store, tmp_path, monkeypatch):
    """It is told by nothing until that import is committed."""
    take(store, file(tmp_path, A))
    kept = store.state / "feeds" / "of-another"
    kept.write_bytes(b"")
    with open_feeds(store.state) as other, other.quiet() as alone, store.quiet() as both:
        assert (alone, both) == (True, False)
    with monkeypatch.context() as patch:
        patch.setattr(FeedStore, "quiet", lambda _store: nullcontext(enter_result=False))
        take(store, file(tmp_path, B))
    assert kept.exists()
    take(store, file(tmp_path, tiny({"id": "C"}, scope="c")))
    assert not kept.exists()  # nobody was at work


@pytest.mark.parametrize("size", ["\u00b2", "9" * 5000, "-1", ""])
def test_a_tar_whose_sizes_are_no_numbers(store, tmp_path, size):
    info = tarfile.TarInfo("a")
    info.size, info.pax_headers = len(A), {"size": size}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as opened:
        opened.addfile(info, io.BytesIO(A))
    refused(store, out.getvalue(), tmp_path, "size is no number")


def test_a_zip_member_without_a_name(store, tmp_path):
    refused(store, zipped(("q", A), ("b", B)).replace(b"q", b"\0"), tmp_path, "without a name")


def test_a_zip_with_stored_and_deflated_members(store, tmp_path):
    inner = zipped(("a", A), method=zipfile.ZIP_STORED)
    done = take(store, file(tmp_path, zipped(("folder/", b""), ("in.zip", inner), ("folder/b", B), ("README", b"x"))))
    assert set(fixes(store)) == {"A", "B"}
    assert done.unrecognised == (f"{tmp_path}/feed!README",)


def test_archives_within_archives_have_a_limit(store, tmp_path):
    content = tarred(("a", A))
    for _ in range(2):
        content = PACK["zst"](tarred(("inner", content)))
    take(store, file(tmp_path, content))
    assert set(fixes(store)) == {"A"}
    done = take(store, file(tmp_path, tarred(("b", B), ("deeper", content))))
    assert set(fixes(store)) == {"A", "B"}
    assert "more than 3 archives" in done.refused[0][1]
    for _ in range(10):
        content = gzip.compress(content)
    refused(store, content, tmp_path, "layers")


def test_a_folder_is_walked_in_order_and_tells_what_it_left_out(store, tmp_path):
    folder = tmp_path / "disk"
    file(folder, A, "2/a.feed")
    file(folder, BROKEN, "1/broken.feed")
    file(folder, gzip.compress(B), "b.gz")
    file(folder, b"hello", "README")
    file(folder, b"", "empty")
    file(folder, B, ".git/b")
    told: list[tuple[str, int]] = []
    done = take(store, folder, watch=lambda name, count: told.append((name, count)))
    assert set(fixes(store)) == {"A", "B"}
    assert done.refused == (
        (f"{folder}/1/broken.feed:line 4", "not JSON: Expecting property name enclosed in double quotes"),
    )
    assert done.unrecognised == (f"{folder}/README", f"{folder}/empty")
    assert (done.result.new, done.result.added) == (2, {"advisory": 2})
    assert told == [(f"{folder}/b.gz", 1), (f"{folder}/2/a.feed", 1)]


def test_the_same_folder_again_changes_nothing(store, tmp_path):
    folder = tmp_path / "disk"
    file(folder, tarred(("a", A), ("broken", BROKEN)), "a.tar")
    file(folder, gzip.compress(B), "b.gz")
    file(folder, B, "b-again")
    first = take(store, folder)
    before, raw = dump(store), store.file.read_bytes()
    again = take(store, folder)
    assert dump(store) == before
    assert store.file.read_bytes() == raw
    assert again.refused == first.refused != ()
    assert (again.result.new, again.result.replaced, again.result.unchanged) == (0, 0, 3)


def test_a_document_too_large_to_be_held_is_hashed_while_it_is_read(store, tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "HOLD", 100)
    large = tiny(*({"id": f"L{number}"} for number in range(50)))
    take(store, file(tmp_path, tarred(("large", large), ("x", b"x"))))
    before = dump(store)
    again = take(store, file(tmp_path, tarred(("large", large), ("x", b"x"))))
    assert dump(store) == before
    assert (again.result.new, again.result.replaced, again.result.unchanged) == (0, 0, 1)
    more = take(store, file(tmp_path, large + b'{"id": "M"}\n'))
    assert (more.result.replaced, more.result.added) == (1, {"advisory": 1})


def test_what_is_named_itself_and_broken_changes_nothing(store, tmp_path):
    take(store, file(tmp_path, A))
    error = refused(store, BROKEN, tmp_path, "not JSON")
    assert error.where == f"{tmp_path}/feed:line 4"
    assert error.exit_code == 2
    refused(store, gzip.compress(BROKEN), tmp_path, "not JSON")
    with pytest.raises(FeedError, match="not JSON"):
        take(store, file(tmp_path, B, "good"), file(tmp_path, BROKEN))
    assert set(fixes(store)) == {"A"}


def test_a_broken_member_is_refused_alone_with_its_rows(store, tmp_path):
    content = zipped(("1", A), ("2", BROKEN), ("3", B), ("4.tar.gz", gzip.compress(tarred(("x", A)))[:-30]))
    done = take(store, file(tmp_path, content))
    assert set(fixes(store)) == {"A", "B"}
    assert [place for place, _ in done.refused] == [f"{tmp_path}/feed!2:line 4", f"{tmp_path}/feed!4.tar.gz"]
    assert "truncated" in done.refused[1][1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        bytes(70_000),
        b"\xff" * 1000,
        b"PK",
        zipped(("README", b"x")),
        tarred(("README", b"x")),
        b"\x1f\x8bno",
    ],
)
def test_where_nothing_is_a_feed_the_import_fails(store, tmp_path, content):
    refused(store, content, tmp_path, "nothing in it is a feed|broken or truncated gz")


def test_what_is_not_there_or_no_file_is_refused_and_never_waited_for(store, tmp_path):
    with pytest.raises(FeedError, match="cannot be read"):
        take(store, tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FeedError, match="neither a file nor a folder"):
        take(store, tmp_path / "pipe")
    folder = tmp_path / "disk"
    file(folder, A, "a")
    os.mkfifo(folder / "pipe")
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "circle").symlink_to("circle")
    (folder / "in").symlink_to("a")
    (folder / "up").symlink_to("..")
    done = take(store, folder)
    assert {Path(place).name for place, _ in done.refused} == {"pipe", "out", "circle"}
    assert set(fixes(store)) == {"A"}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "..\\x", "C:\\x", "\\x"])
@pytest.mark.parametrize("pack", [tarred, zipped])
def test_a_name_that_leads_out_of_an_archive_refuses_all_of_it(store, tmp_path, name, pack):
    error = refused(store, pack(("good", A), (name, B)), tmp_path, "leads out of the archive")
    assert name.lstrip("/") in error.message


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"S"]
)
def test_a_link_or_device_refuses_a_tar(store, tmp_path, kind):
    refused(store, tarred(("good", A), link("evil", "/etc/passwd", kind)), tmp_path, "evil is a link")


def test_a_link_or_secret_refuses_a_zip(store, tmp_path):
    info = zipfile.ZipInfo("evil")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    refused(store, zipped(("good", A), (info, b"/etc/passwd")), tmp_path, "evil is a link")
    locked = bytearray(zipped(("good", A)))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    refused(store, bytes(locked), tmp_path, "encrypted")
    refused(store, zipped(("good", A), method=zipfile.ZIP_LZMA), tmp_path, "compressed by method 14")


@pytest.mark.parametrize("kind", PACK)
def test_a_truncated_or_damaged_file_is_refused_wherever_it_is_cut(store, tmp_path, kind):
    many = tiny(*({"id": f"N{number}", "modified": f"{number * 7919:020}"} for number in range(2000)))
    for content in (PACK[kind](many), PACK[kind](tarred(("a", many)))):
        for cut in (len(content) // 2, len(content) - 5, len(content) - 1):
            refused(store, content[:cut], tmp_path, "broken or truncated|nothing in it")
        refused(store, content + b"garbage", tmp_path, "broken or truncated")
        if kind != "zst":  # which checks its content only where its maker asked for it
            flipped = bytearray(content)
            flipped[len(content) // 2] ^= 0x10
            refused(store, bytes(flipped), tmp_path, "broken or truncated")


def test_a_truncated_archive_is_refused_with_what_it_gave(store, tmp_path):
    whole = tarred(("a", A), ("b", B))
    for cut in (512, 1024 + 100, 2048, len(whole) - 10240 + 2048):
        refused(store, whole[:cut], tmp_path, "truncated tar")
    whole = zipped(("a", A), ("b", B))
    for cut in (40, len(whole) // 2, len(whole) - 3):
        refused(store, whole[:cut], tmp_path, "truncated zip")
    flipped = bytearray(zipped(("a", A), method=zipfile.ZIP_STORED))
    flipped[60] ^= 1
    refused(store, bytes(flipped), tmp_path, "zip|not JSON")


def zeros(kind: str, head: bytes, size: int) -> bytes:
    """A document that begins well and goes on as nothing."""
    chunk = bytes(1 << 20)
    if kind == "zst":
        packer = zstandard.ZstdCompressor().compressobj()
        return b"".join([packer.compress(head), *(packer.compress(chunk) for _ in range(size >> 20)), packer.flush()])
    out = io.BytesIO()
    opened = {"gz": gzip.open, "xz": lzma.open, "bz2": bz2.open}[kind]
    with opened(out, "wb") as stream:
        stream.write(head)
        for _ in range(size >> 20):
            stream.write(chunk)
    return out.getvalue()


@pytest.mark.parametrize("kind", PACK)
def test_a_decompression_bomb_is_refused(store, tmp_path, kind):
    bomb = zeros(kind, A + b"# ", 80 << 20)
    limits = Limits(ratio_from=8 << 20, ratio=100)
    refused(store, bomb, tmp_path, "decompression bomb", limits=limits)
    done = take(store, file(tmp_path, tarred(("a", A), ("bomb.x", zeros(kind, b"noise", 2 << 20)))), limits=limits)
    assert len(done.unrecognised) == 1


def test_a_zip_bomb_and_too_many_members_and_bytes_are_refused(store, tmp_path):
    bomb = zipped(("a", A + (b"#" * 99 + b"\n") * (1 << 18)))
    refused(store, bomb, tmp_path, "decompression bomb", limits=Limits(ratio_from=8 << 20, ratio=100))
    many = [(f"m{number}", b"x") for number in range(200)]
    for pack in (tarred, zipped):
        refused(store, pack(("a", A), *many), tmp_path, "more than 100 members", limits=Limits(members=100))
    refused(store, PACK["gz"](A * 10_000), tmp_path, "holds more than 0 MiB", limits=Limits(total=100_000))
    refused(store, zipped(("a", A)), tmp_path, "too long a list", limits=Limits(member_tables=10))
    inner = tarred(("z.zip", zipped(("a", A))), ("b", B))
    assert "within another archive" in take(store, file(tmp_path, inner), limits=Limits(held=10)).refused[0][1]


NOTHING = """
import resource, sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from feedstore import take
from agent.advisories.source import FeedError
from agent.advisories.store import open_feeds
with open_feeds(Path(sys.argv[1])) as store:
    begin, base = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        take(store, Path(sys.argv[2]))
    except FeedError as error:
        print(error.message)
    print(time.monotonic() - begin, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024)
"""


@pytest.mark.parametrize("kind", ["plain", "headed", "gz", "zst"])
def test_5_gb_of_nothing_is_refused_in_seconds_with_flat_memory(tmp_path, kind):
    place = tmp_path / "nothing"
    size = 5 << 30
    with place.open("wb") as out:
        if kind in {"plain", "headed"}:
            out.write(A + b"\n# " if kind == "headed" else b"")
            out.truncate(size)
        elif kind == "zst":
            # One block of the same byte after the other (RFC 8878, 3.1.1.2.2): four bytes are 128 KiB.
            out.write(b"\x28\xb5\x2f\xfd\x00\x58" + b"\x48\x00\x00" + b"TINY\n####")
            out.write(b"\x02\x00\x10\x00" * (size >> 17))
        else:
            part = gzip.compress(bytes(64 << 20))
            out.write(gzip.compress(A + b"# "))
            out.writelines(part for _ in range(size >> 26))
    root = Path(__file__).parents[2]
    command = [
        sys.executable,
        "-c",
        NOTHING,
        str(tmp_path / "state"),
        str(place),
        str(root),
        str(root / "tests/support"),
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.splitlines()
    seconds, grown = map(float, said[-1].split())
    assert len(said) == 2
    assert seconds < 20
    assert grown < 300


def test_an_extended_header_of_any_size_is_not_held(store, tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 5 << 30
    refused(
        store,
        tarred(("a", A)).rstrip(b"\0") + bytes(-len(tarred(("a", A)).rstrip(b"\0")) % 512) + info.tobuf(),
        tmp_path,
        "extended header|early",
    )


def test_a_format_that_fails_is_a_declared_error(store, tmp_path):
    error = refused(store, tiny({"crash": "boom"}), tmp_path, "the reader of tiny failed: KeyError")
    assert error.remedy == "report it with the file"
    refused(store, b'TINY\n{"id": "A"}\n', tmp_path, "a record before its header")
    refused(store, b'TINY\n{"feed": "f"}\n{"id": "\xff"}\n', tmp_path, "broken UTF-8")
    refused(store, b'TINY\n{"feed": "f"}\n' + b"[" * 100_000, tmp_path, "too deep")
    refused(store, b'TINY\n{"feed": "f"}\n{"id": "\\ud800"}\n', tmp_path, "cannot be stored")


def test_names_are_shown_clean(store, tmp_path):
    done = take(store, file(tmp_path, tarred(("a", A), ("evil\x1b[31m\u202e\n", b"x"))))
    assert done.unrecognised == (f"{tmp_path}/feed!evil\\u202e".replace("\\u202e", "\\x202e"),)
    folder = tmp_path / "disk"
    file(folder, B)
    (folder / os.fsdecode(b"\xff\xfe")).write_bytes(b"x")
    assert take(store, folder).unrecognised[0].startswith(str(folder))


def test_what_was_imported_is_kept_and_what_was_replaced_goes(store, tmp_path):
    place = file(tmp_path, A)
    take(store, place)
    packed = file(tmp_path, PACK["gz"](B), "b.gz")
    take(store, packed)
    kept = {path.name: path for path in (tmp_path / "state/feeds").iterdir()}
    assert len(kept) == 2
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in kept.values())
    by_name = {name: sha256 for sha256, (name, _, _) in store.originals().items()}
    assert kept[by_name["b.gz"]].read_bytes() == packed.read_bytes()
    assert zstandard.ZstdDecompressor().stream_reader(kept[by_name["feed"] + ".zst"].read_bytes()).read() == A
    take(store, file(tmp_path, tiny({"id": "A", "fixed": "2"}, scope="a", snapshot=True)))
    assert by_name["feed"] not in store.originals()
    assert not kept[by_name["feed"] + ".zst"].exists()
    refused(store, BROKEN, tmp_path, "not JSON")
    (tmp_path / "state/feeds/.left-by-a-killed-import").write_bytes(b"x")
    take(store, packed)
    assert {path.name.removesuffix(".zst") for path in (tmp_path / "state/feeds").iterdir()} == set(store.originals())


@functools.cache
def archives():
    """Made once: a time in their heads would make each drawing another."""
    every = [PACK[kind](tarred(("a", A), ("b", PACK["gz"](B)))) for kind in PACK]
    return [*every, zipped(("a", A), ("b", B)), tarred(("a", A), ("b", zipped(("c", B))))]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_flipped_byte_leads_to_another_error(tmp_path_factory, data):
    content = bytearray(data.draw(st.sampled_from(archives())))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("f")
    with open_feeds(folder / "state") as store:
        try:
            take(store, file(folder, bytes(content[: data.draw(st.integers(1, len(content)))])))
        except FeedError:
            assert store.status() == ()


def test_the_real_feeds_are_taken_whole_and_only_what_is_broken_is_refused(tmp_path):
    folder = Path(os.environ.get("AGENT_TEST_FEEDS") or Path(__file__).resolve().parents[3] / "shared" / "feeds")
    if not folder.is_dir():
        pytest.skip("no real feeds: set AGENT_TEST_FEEDS to their folder")
    small = [
        folder / name
        for name in ("kev", "nginx", "anolis", "openeuler", "openssl", "redhat-samples")
        if (folder / name).is_dir()
    ]
    with open_feeds(tmp_path) as store:
        done = read_feeds(store, small, who="tester", at=AT)
        assert all("!" in place for place, _ in done.refused)
        assert all("error" not in reason.lower() for _, reason in done.refused), done.refused
        assert {one.feed for one in store.status()} >= {"kev/cisa"}
        before = dump(store)
        read_feeds(store, small, who="tester", at=AT)
        assert dump(store) == before


def test_all_expected_formats_are_there_and_load_late():
    probe = "import sys, agent.advisories.formats as f; print('lxml' in sys.modules, len(f.ALL) >= len(f.MODULES))"
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[0] == "False"
    assert all(one.name for one in formats.ALL)
