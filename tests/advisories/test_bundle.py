from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from feedstore import AT, KNOWN, PACK, dump, file, fixes, take, tarred, tiny, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories import originals, seal
from agent.advisories.bundle import BundleInfo, fingerprint, make_bundle, open_bundle
from agent.advisories.originals import Originals
from agent.advisories.source import FeedError
from agent.advisories.store import open_feeds
from agent.model.errors import StoreError

A = tiny({"id": "A"}, scope="a")
B = tiny({"id": "B"}, scope="b")


class Key:
    def __init__(self, seed: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)

    @property
    def public(self) -> Ed25519PublicKey:
        return self._key.public_key()

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)


OURS, THEIRS = Key(1), Key(2)


@pytest.fixture
def store(tmp_path):
    with open_feeds(tmp_path / "state") as opened:
        yield opened


def made(folder: Path, *paths: Path, signer: Key = OURS, **more: object) -> tuple[Path, BundleInfo]:
    out = folder / "out.bundle"
    return out, make_bundle(paths, out, signer=signer, who="赵工", at=AT, known=KNOWN, **more)


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    file(folder, A, "sub/a.feed")
    file(folder, PACK["gz"](B), "b.gz")
    file(folder, zipped(("c", tiny({"id": "C"}, scope="c"))), "c.zip")
    file(folder, b"no feed", "README")
    return folder


def test_a_bundle_carries_the_files_as_they_are_and_tells_what_is_in_it(tmp_path, disk):
    out, info = made(tmp_path, disk)
    assert [one.name for one in info.files] == ["feeds/0001/b.gz", "feeds/0002/c.zip", "feeds/0003/a.feed.zst"]
    assert info.files[0].feeds == ("tiny",)
    assert info.left_out == (f"{disk}/README",)
    assert (info.made, info.by, info.fingerprint) == ("2026-11-22T08:00:00Z", "赵工", fingerprint(OURS.public))
    with tarfile.open(out) as opened:
        assert opened.extractfile("feeds/0001/b.gz").read() == PACK["gz"](B) == (disk / "b.gz").read_bytes()
        assert json.load(opened.extractfile("manifest.json"))["by"] == "赵工"
    assert open_bundle(out, [OURS.public]).info == replace(info, left_out=())


def test_the_same_files_make_the_same_bytes(tmp_path, disk):
    first = made(tmp_path, disk)[0].read_bytes()
    assert made(tmp_path, disk)[0].read_bytes() == first
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_bundle_is_imported_with_its_signature(tmp_path, store, disk):
    out, info = made(tmp_path, disk)
    done = take(store, out, trusted=[THEIRS.public, OURS.public])
    assert set(fixes(store)) == {"A", "B", "C"}
    assert (done.refused, done.unrecognised) == ((), ())
    (status,) = store.status()
    assert (status.source, status.signature) == ("out.bundle", info.fingerprint)
    assert store.provenance("tiny/test", "A").name == f"{out}!feeds/0003/a.feed.zst"
    before = dump(store)
    assert take(store, out, trusted=[OURS.public]).result.unchanged == 3
    assert dump(store) == before


def test_an_unknown_key_is_refused_unless_its_fingerprint_is_given(tmp_path, store, disk):
    out, info = made(tmp_path, disk, signer=THEIRS)
    for more in ({}, {"trusted": [OURS.public]}, {"trust_key": fingerprint(OURS.public)}):
        with pytest.raises(FeedError, match=info.fingerprint):
            take(store, out, **more)
    assert store.status() == ()
    take(store, out, trust_key=info.fingerprint.upper())
    assert store.status()[0].signature == info.fingerprint


def test_a_bundle_in_a_folder_is_verified_too(tmp_path, store, disk):
    out, _ = made(tmp_path, disk, signer=THEIRS)
    out.rename(disk / "their.bundle")
    done = take(store, disk, trusted=[OURS.public])
    assert [place for place, _ in done.refused] == [f"{disk}/their.bundle"]
    assert {one.signature for one in store.status()} == {"unsigned"}


def test_a_broken_feed_in_a_good_bundle_undoes_it(tmp_path, store):
    broken = file(tmp_path, A + b"{no json\n")
    out, _ = made(tmp_path, file(tmp_path, B, "b"), broken)
    with pytest.raises(FeedError, match="not JSON"):
        take(store, out, trusted=[OURS.public])
    assert store.status() == ()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_byte_that_is_changed_added_or_missing_is_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("b")
    out, _ = made(folder, file(folder, A, "a"), file(folder, PACK["zst"](B), "b"))
    whole = out.read_bytes()
    at, flip = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    kind = data.draw(st.sampled_from(["flip", "flip", "flip", "cut", "more"]))
    changed = {
        "flip": whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :],
        "cut": whole[:at],
        "more": whole + b"\0" * flip,
    }[kind]
    out.write_bytes(changed)
    with open_feeds(folder / "state") as store:
        with pytest.raises(FeedError):
            take(store, out, trusted=[OURS.public])
        assert store.status() == ()


def test_what_does_not_fit_is_named(tmp_path, disk):
    out, _ = made(tmp_path, disk)
    content = out.read_bytes()
    place = content.index(b"\x1f\x8b") + 20
    out.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(FeedError, match=r"1 of 3 files do not fit: feeds/0001/b\.gz"):
        open_bundle(out, [OURS.public])
    with pytest.raises(FeedError, match="this is no bundle"):
        open_bundle(disk / "b.gz", [OURS.public])
    with pytest.raises(FeedError, match="cannot be read"):
        open_bundle(disk / "absent", [OURS.public])


def test_a_manifest_of_another_version_or_form_is_refused_though_it_is_signed(tmp_path):
    for manifest, match in ((b'{"format": "agent-feeds-bundle/2"}', "another version"), (b"[]", "not understood")):
        signature = seal._signature(OURS.public, OURS.sign(seal._SIGNED + manifest))
        content = io.BytesIO()
        for name, data in (("manifest.json", manifest), ("signature.json", signature)):
            content.write(seal.header(name, len(data)) + data + bytes(-len(data) % 512))
        out = file(tmp_path, content.getvalue() + seal.END)
        with pytest.raises(FeedError, match=match):
            open_bundle(out, [OURS.public])


def test_all_that_was_imported_is_bundled_without_naming_it(tmp_path, store, disk):
    out, _ = made(tmp_path, disk)
    take(store, out, trusted=[OURS.public])
    take(store, file(tmp_path, tiny({"id": "D"}, scope="d", feed="other/test"), "d.feed"))
    again, info = made(tmp_path, store=store)
    assert {one.feeds for one in info.files} == {("tiny/test",), ("other/test",)}
    assert len(info.files) == 4
    with open_feeds(tmp_path / "elsewhere") as other:
        take(other, again, trusted=[OURS.public])
        assert set(fixes(other)) == {"A", "B", "C", "D"}
        assert other.digest() == store.digest()


def test_what_was_too_large_to_be_kept_is_told(tmp_path, store, monkeypatch):
    monkeypatch.setattr(Originals.keep, "__defaults__", (100,))
    take(store, file(tmp_path, tarred(("a", A), ("b", B)), "large.tar"))
    (sha256,) = store.originals()
    assert not Originals(store.state).has(sha256)
    with pytest.raises(FeedError, match="nothing to bundle"):
        made(tmp_path, store=store)
    monkeypatch.setattr(Originals.keep, "__defaults__", (originals.MAX_KEPT,))
    take(store, file(tmp_path, tiny({"id": "C"}, scope="c"), "small"))
    assert made(tmp_path, store=store)[1].left_out == (f"large.tar (sha256 {sha256}): it was too large to be kept",)


def test_nothing_is_left_where_a_bundle_cannot_be_made(tmp_path, disk):
    with pytest.raises(FeedError, match="nothing to bundle"):
        made(tmp_path, disk / "README")
    with pytest.raises(FeedError, match="cannot be read"):
        made(tmp_path, disk / "absent")
    with pytest.raises(StoreError, match="cannot write the bundle"):
        make_bundle([disk], tmp_path / "no" / "folder", signer=OURS, who="x", at=AT, known=KNOWN)
    assert {path.name for path in tmp_path.iterdir()} == {"disk"}
