"""CSAF 2.0, profile `csaf_vex` (OASIS), read into statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from agent.declared.vexwords import MAX_SAID, Part, Said, bounded, place, validated
from agent.model import vex
from agent.model.errors import DeclaredError

_STATUS = {
    "known_not_affected": "not_affected",
    "fixed": "fixed",
    "first_fixed": "fixed",
    "recommended": "fixed",
    "known_affected": "affected",
    "first_affected": "affected",
    "last_affected": "affected",
    "under_investigation": "under_investigation",
}
_DEPTH = 8
"""Most relationships that stand on one another."""


class _Uri(Part):
    uri: str


class _Helper(Part):
    purl: str = ""
    x_generic_uris: tuple[_Uri, ...] = ()


class _Product(Part):
    product_id: str
    product_identification_helper: _Helper = _Helper()

    @property
    def ids(self) -> tuple[str, ...]:
        """Everything that it is called by."""
        helper = self.product_identification_helper
        return tuple(filter(None, (*(one.uri for one in helper.x_generic_uris), helper.purl, self.product_id)))


class _Branch(Part):
    branches: tuple[_Branch, ...] = ()
    product: _Product | None = None


class _Relationship(Part):
    full_product_name: _Product
    product_reference: str
    relates_to_product_reference: str


class _Group(Part):
    group_id: str
    product_ids: tuple[str, ...]


class _Tree(Part):
    branches: tuple[_Branch, ...] = ()
    full_product_names: tuple[_Product, ...] = ()
    relationships: tuple[_Relationship, ...] = ()
    product_groups: tuple[_Group, ...] = ()


class _Id(Part):
    system_name: str
    text: str


class _About(Part):
    """What flags, threats and remediations share."""

    label: str = ""
    category: str = ""
    details: str = ""
    product_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()


class _Note(Part):
    title: str = ""
    text: str


class _Vulnerability(Part):
    cve: str = ""
    ids: tuple[_Id, ...] = ()
    notes: tuple[_Note, ...] = ()
    flags: tuple[_About, ...] = ()
    threats: tuple[_About, ...] = ()
    remediations: tuple[_About, ...] = ()
    product_status: Mapping[str, tuple[str, ...]] = {}


class _Head(Part):
    category: Literal["csaf_vex"]


class _Document(Part):
    document: _Head
    product_tree: _Tree = _Tree()
    vulnerabilities: tuple[_Vulnerability, ...] = ()


class _Products:
    """Products by id, whichever part of the tree holds them."""

    def __init__(self, tree: _Tree) -> None:
        self.groups = {group.group_id: group.product_ids for group in tree.product_groups}
        self.related = {one.full_product_name.product_id: one for one in tree.relationships}
        self.ids = {product.product_id: product.ids for product in (*tree.full_product_names, *_leaves(tree.branches))}
        self.steps = 0

    def product(self, product_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Ids of the product, and of the component in it that a relationship names."""
        component: tuple[str, ...] = ()
        for _ in range(_DEPTH):
            relation = self.related.get(product_id)
            if relation is None:
                break
            component = component or self.ids.get(relation.product_reference, (relation.product_reference,))
            product_id = relation.relates_to_product_reference
        return self.ids.get(product_id, (product_id,)), component

    def spread(self, about: Iterable[_About], path: Path) -> dict[str, _About]:
        """Product id to what is said about it; groups resolved, the first counts."""
        found: dict[str, _About] = {}
        for one in about:
            for ids in (one.product_ids, *(self.groups.get(group, ()) for group in one.group_ids)):
                self.steps += len(ids)
                if self.steps > MAX_SAID * 10:
                    raise DeclaredError("its product groups multiply out without end", where=str(path))
                for product_id in ids:
                    found.setdefault(product_id, one)
        return found


def _leaves(branches: Iterable[_Branch]) -> Iterator[_Product]:
    waiting = list(branches)
    while waiting:
        branch = waiting.pop()
        waiting.extend(branch.branches)
        if branch.product:
            yield branch.product


def csaf(data: Mapping[str, Any], path: Path) -> list[Said]:
    """Every status of every product, vulnerability by vulnerability.

    Raises:
        DeclaredError: the document is not valid, or says two things of one product.
    """
    document = validated(_Document, data, path)
    products = _Products(document.product_tree)
    found: list[Said] = []
    for index, one in enumerate(document.vulnerabilities):
        flags = products.spread(one.flags, path)
        threats = products.spread((each for each in one.threats if each.category == "impact"), path)
        remedies = products.spread(one.remediations, path)
        notes = {note.title.removeprefix(vex.NOTE): note.text for note in one.notes if note.title.startswith(vex.NOTE)}
        names = tuple(filter(None, (one.cve, *(each.text for each in one.ids))))
        if not names:
            raise DeclaredError("names no vulnerability", where=place(path, "vulnerabilities", index))
        check = next((each.text for each in one.ids if each.system_name == vex.CSAF_CHECK), "")
        held: dict[str, str] = {}
        for key, status in _STATUS.items():
            for number, product_id in enumerate(one.product_status.get(key, ())):
                where = place(path, "vulnerabilities", index, "product_status", key, number)
                if held.setdefault(product_id, status) != status:
                    raise DeclaredError(f"the product is also {held[product_id]}", where=where)
                ids, component = products.product(product_id)
                nothing = _About()
                why = threats if status == "not_affected" else remedies
                found.append(
                    Said(
                        where=where,
                        products=ids,
                        component=component,
                        name=names[0],
                        aliases=names[1:],
                        status=status,
                        check=check,
                        justification=flags.get(product_id, nothing).label,
                        text=why.get(product_id, nothing).details,
                        note=notes.get(product_id, ""),
                    )
                )
        bounded(found, path)
    return found
