from __future__ import annotations

import gzip
import json

import pytest
from feeds import ANY_JSON, SAMPLES, places, read, real, refused_or_read, replaced
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.formats import endoflife
from agent.advisories.source import FeedError
from agent.model.advisory import Header, Lifecycle

END = endoflife.FORMATS[0]
FILES = ("endoflife-all.json", "anvil.json", "endoflife-v1.json")


def sample(name: str) -> str:
    return (SAMPLES / "lists" / name).read_text()


def cycles(name: str) -> list[tuple[str, ...]]:
    found = [one for one in read(END, sample(name), f"disk/{name}") if isinstance(one, Lifecycle)]
    return [(one.product, one.cycle, one.eol, one.extended, one.latest) for one in found]


@pytest.mark.parametrize("name", FILES)
def test_every_form_is_recognised(name: str) -> None:
    assert END.recognise(sample(name).encode(), name)


def test_other_json_is_not() -> None:
    assert not END.recognise((SAMPLES / "cve" / "nvd-api.json").read_bytes(), "x")
    assert not END.recognise((SAMPLES / "lists" / "kev.json").read_bytes(), "x")


def test_a_dump_of_all_products() -> None:
    assert cycles("endoflife-all.json") == [
        ("anvil", "2.0", "no", "", "2.0.5"),
        ("anvil", "1.0-lts", "2089-06-30", "2091-06-30", "1.0.9"),
        ("anvil", "0.9", "yes", "", ""),
        ("hammer", "3", "2099-12-31", "", "3.1"),
    ]
    header = read(END, sample("endoflife-all.json"))[0]
    assert isinstance(header, Header)
    assert (header.feed, header.scope, header.date) == ("endoflife/endoflife.date", "*", "2099-08-21T00:00:00Z")


@pytest.mark.parametrize("name", ["anvil.json", "endoflife-v1.json"])
def test_one_product_in_both_apis(name: str) -> None:
    assert cycles(name) == [
        ("anvil", "2.0", "no", "", "2.0.5"),
        ("anvil", "1.0", "2089-06-30", "2091-06-30", "1.0.9"),
    ]
    header = read(END, sample(name), f"disk/{name}")[0]
    assert isinstance(header, Header)
    assert (header.scope, header.snapshot) == ("anvil", True)


def test_a_cycle_without_a_name_or_with_another_end_is_refused() -> None:
    with pytest.raises(FeedError, match=r"disk/x\.json:x: a cycle without a name"):
        read(END, '[{"eol": false}]', "disk/x.json")
    with pytest.raises(FeedError, match="'eol' is neither a day nor true or false"):
        read(END, '[{"cycle": "1", "eol": "soon"}]', "disk/x.json")


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_any_value_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    document = json.loads(sample(data.draw(st.sampled_from(FILES))))
    at = data.draw(st.sampled_from(places(document)))
    refused_or_read(END, json.dumps(replaced(document, at, data.draw(ANY_JSON))))


def test_the_real_dump() -> None:
    found = read(END, gzip.decompress(real("endoflife/endoflife-products.json.gz")))
    assert len(found) == 8352
    table = {(one.product, one.cycle): one for one in found if isinstance(one, Lifecycle)}
    assert table["centos", "7"].eol == "2024-06-30"
    assert (table["debian", "11"].eol, table["debian", "11"].extended) == ("2024-08-14", "2026-08-31")
