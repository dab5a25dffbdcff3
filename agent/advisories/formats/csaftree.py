"""CSAF's product tree, resolved: product ids to a stream of an operating system and a package in it.

CSAF 2.0 (OASIS), 3.1.2, 3.2.2. A product that is installed on a platform is a relationship of two others, and Red Hat
nests them (a package of a module of a platform). Packages are told by purl (Red Hat writes modules as
`?rpmmod=nodejs:18:...`, earlier as `pkg:rpmmod/redhat/nodejs@18:...` and `pkg:rpmmod/redhat/nodejs:18/nodejs`), or
by the name of their file (openEuler, SUSE).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from agent.advisories import fields
from agent.model import streams

_DEEP = 8
"""Most relationships on the way from a package to its platform; real ones have two."""
_ARCHES = frozenset({
    "src", "nosrc", "noarch", "x86_64", "i386", "i486", "i586", "i686", "athlon", "aarch64", "armv7l", "armv7hl",
    "ppc", "ppc64", "ppc64le", "s390", "s390x", "ia64", "loongarch64", "riscv64", "sw_64",
})  # fmt: skip
_FILE = re.compile(r"(?P<name>[^/\s]+?)-(?P<version>(?:\d+:)?[^-/\s:]+-[^-/\s:]+)")
_MODULE = re.compile(r"([A-Za-z0-9_.+-]+:[A-Za-z0-9_.+-]+)(?::.*)?")


@dataclass(frozen=True, slots=True)
class Component:
    """A package, at a version or whichever."""

    name: str
    version: str = ""
    """`epoch:version-release`, epoch 0 left out; empty: no version is named."""
    arch: str = ""
    module: str = ""
    """`nodejs:18`."""

    @property
    def source(self) -> bool:
        """Whether it is a source package, or a component that is named without an architecture."""
        return self.arch in {"", "src", "nosrc"}


class Tree:
    """Looks up product ids of one document."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        """Raises ValueError: the tree has another form than CSAF says."""
        self._products: dict[str, dict[str, Any]] = {}
        self._parents: dict[str, tuple[str, str]] = {}
        self._streams: dict[str, str] = {}
        self._components: dict[str, Component | None] = {}
        waiting = fields.children(tree, "branches")[:]
        while waiting:
            branch = waiting.pop()
            waiting.extend(fields.children(branch, "branches"))
            self._keep(fields.child(branch, "product"))
        for product in fields.children(tree, "full_product_names"):
            self._keep(product)
        for relation in fields.children(tree, "relationships"):
            name = fields.text(fields.child(relation, "full_product_name"), "product_id")
            self._parents[name] = (
                fields.text(relation, "product_reference"),
                fields.text(relation, "relates_to_product_reference"),
            )

    def _keep(self, product: dict[str, Any]) -> None:
        if name := fields.text(product, "product_id"):
            self._products[name] = product

    def resolve(self, product_id: str) -> tuple[str, Component] | None:
        """Stream and package; None where it is no package on an operating system that we know.

        Raises:
            ValueError: a field of the product has another form.
        """
        chain: list[str] = []
        platform = product_id
        while platform in self._parents and len(chain) < _DEEP:
            part, platform = self._parents[platform]
            chain.append(part)
        if not chain or not (stream := self._stream(platform)):
            return None
        component = self._component(chain[0])
        if component is None:
            return None
        if not component.module:
            module = next((found for part in chain[1:] if (found := self._module(part))), "") or _suffix(product_id)
            if module:
                component = Component(component.name, component.version, component.arch, module)
        return stream, component

    def _stream(self, platform: str) -> str:
        if platform not in self._streams:
            product = self._products.get(platform, {})
            cpe = fields.text(fields.child(product, "product_identification_helper"), "cpe")
            found = streams.of_cpe(cpe) if cpe else ""
            if not found and not re.match(r"cpe:(/|2\.3:)a:|cpe:.*:redhat:", cpe):  # named after the system below it
                found = streams.of_name(fields.text(product, "name"))
            self._streams[platform] = found
        return self._streams[platform]

    def _component(self, part: str) -> Component | None:
        if part not in self._components:
            product = self._products.get(part, {})
            purl = fields.text(fields.child(product, "product_identification_helper"), "purl")
            self._components[part] = _of_purl(purl) if purl else _of_name(fields.text(product, "name") or part)
        return self._components[part]

    def _module(self, part: str) -> str:
        product = self._products.get(part, {})
        purl = fields.text(fields.child(product, "product_identification_helper"), "purl")
        hit = re.match(r"pkg:rpmmod/[^/@]+/([^/@?]+)@([^?]+)", purl)
        return module(f"{hit[1]}:{unquote(hit[2])}") if hit else module(part)


def module(text: str) -> str:
    """`nodejs:18` of `nodejs:18:8090020231019152822:a75119d5`; empty for what is no module."""
    hit = _MODULE.fullmatch(text)
    return hit[1] if hit else ""


def _suffix(product_id: str) -> str:
    """The module at the end of `AppStream-8.9.0.Z.MAIN.EUS:nodejs-1:18.18.2-2.module+el8.x86_64::nodejs:18`."""
    return module(product_id.rpartition("::")[2]) if "::" in product_id else ""


def _of_purl(purl: str) -> Component | None:
    """An RPM package of its purl (github.com/package-url); None for what is none."""
    head, _, query = purl.partition("#")[0].partition("?")
    kind, _, path = head.partition("/")
    if kind not in {"pkg:rpm", "pkg:rpmmod"}:
        return None
    path, _, version = path.partition("@")
    *space, name = path.split("/")
    qualifiers = dict(part.partition("=")[::2] for part in query.split("&"))
    label = module(unquote(qualifiers.get("rpmmod", "")))
    if kind == "pkg:rpmmod":
        if len(space) < 2:  # noqa: PLR2004 - `redhat` alone: the module itself, no package
            return None
        label = module(unquote(space[-1]))
    epoch = unquote(qualifiers.get("epoch", ""))
    version = unquote(version)
    if version and epoch not in {"", "0"} and epoch.isdecimal():
        version = f"{epoch}:{version}"
    return _component(unquote(name), version, unquote(qualifiers.get("arch", "")), label)


def _of_name(text: str) -> Component | None:
    """A package of its file's name (`vim-9.0-33.oe2203sp3.src.rpm`), or of its bare name (`nodejs:16/nodejs`)."""
    label, slash, rest = text.rpartition("/")
    label = module(label) if slash else ""
    bare = rest.removesuffix(".rpm")
    stem, _, arch = bare.rpartition(".")
    if arch not in _ARCHES:
        stem, arch = bare, ""
    hit = _FILE.fullmatch(stem)
    if hit and (arch or re.match(r"\d", hit["version"])):
        return _component(hit["name"], hit["version"], arch, label)
    return _component(stem, "", arch, label)


def _component(name: str, version: str, arch: str, label: str) -> Component | None:
    name = fields.line(name)
    return Component(name, fields.line(version).removeprefix("0:"), fields.line(arch), label) if name else None
