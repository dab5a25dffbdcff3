"""Lint of templates before they are rendered: syntax, and every attribute against the types that it will meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from jinja2 import TemplateSyntaxError, nodes

from agent.report.kinds import roots
from agent.report.template import environment

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

_GLOBALS = {
    "range",
    "dict",
    "lipsum",
    "cycler",
    "joiner",
    "namespace",
    "grade",
    "mark",
    "loop",
    "varargs",
    "kwargs",
    "caller",
}

Scope = dict[str, Any]
"""Type of each known name; None where it cannot be told."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a template."""

    where: str
    """FILE:LINE."""
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


@cache
def _attributes(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - any annotation of a model's field
    """Attributes of a dataclass or enumeration with their types."""
    known: dict[str, Any] = dict(get_type_hints(kind)) if is_dataclass(kind) else {"value": str, "name": str}
    for owner in kind.__mro__:  # dir() of an enumeration hides its properties
        for name, member in vars(owner).items():
            if isinstance(member, property) and member.fget is not None:
                known.setdefault(name, get_type_hints(member.fget).get("return"))
    return known


def _is_typed(kind: Any) -> bool:  # noqa: ANN401 - any annotation of a model's field
    return isinstance(kind, type) and (is_dataclass(kind) or issubclass(kind, Enum))


class _Linter:
    """Walks a template's syntax tree, knowing the type of what it can know."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.seen: set[tuple[str, str]] = set()

    def say(self, node: nodes.Node, problem: str) -> None:
        self.problems.append(Problem(f"{self.file}:{node.lineno}", problem))

    def kind(self, node: nodes.Node, scope: Scope) -> Any:  # noqa: ANN401, C901, PLR0911 - any annotation; one a node
        """Type that an expression has, None when that cannot be told."""
        if isinstance(node, nodes.Name):
            if node.ctx == "load" and node.name not in scope and node.name not in _GLOBALS:
                self.say(node, f"unknown name {node.name!r}; a template has report, view")
            return scope.get(node.name)
        if isinstance(node, nodes.Getattr):
            owner = self.kind(node.node, scope)
            if owner is None:
                return None
            if not _is_typed(owner):
                if isinstance(owner, type) and not hasattr(owner, node.attr):
                    self.say(node, f"{owner.__name__} has no field {node.attr!r}")
                return None
            known = _attributes(owner)
            if node.attr not in known:
                self.say(node, f"{owner.__name__} has no field {node.attr!r}; it has {', '.join(sorted(known))}")
            return known.get(node.attr)
        if isinstance(node, nodes.Getitem):
            owner = self.kind(node.node, scope)
            self.visit(node.arg, scope)
            return _element(owner)
        if isinstance(node, nodes.Const):
            return type(node.value)
        if isinstance(node, nodes.Call):
            self.call(node, scope)
            return None
        self.visit_children(node, scope)
        return None

    def visit(self, node: nodes.Node, scope: Scope) -> None:
        if isinstance(node, nodes.ScopedEvalContextModifier | nodes.EvalContextModifier):
            self.say(node, "autoescape may not be switched off")
        if isinstance(node, nodes.For):
            self.loop(node, scope)
        elif isinstance(node, nodes.Assign):
            scope.update(_bind(node.target, self.kind(node.node, scope)))
        elif isinstance(node, nodes.Macro):
            scope[node.name] = node
        elif isinstance(node, nodes.Expr):
            self.kind(node, scope)
        else:
            self.visit_children(node, scope)

    def call(self, node: nodes.Call, scope: Scope) -> None:
        """Look into a macro with the types that this call gives it, once for each combination."""
        given = [self.kind(argument, scope) for argument in node.args]
        for argument in node.kwargs:
            self.visit(argument.value, scope)
        macro = scope.get(node.node.name) if isinstance(node.node, nodes.Name) else None
        if not isinstance(macro, nodes.Macro):
            self.kind(node.node, scope)
            return
        signature = (macro.name, repr(given))
        if signature not in self.seen:
            self.seen.add(signature)
            inner = dict(scope)
            inner.update({argument.name: None for argument in macro.args})
            inner.update({argument.name: kind for argument, kind in zip(macro.args, given, strict=False)})
            self.all(macro.body, inner)

    def visit_children(self, node: nodes.Node, scope: Scope) -> None:
        for child in node.iter_child_nodes():
            self.visit(child, scope)

    def all(self, body: Sequence[nodes.Node], scope: Scope) -> None:
        for node in body:
            self.visit(node, scope)

    def loop(self, node: nodes.For, scope: Scope) -> None:
        inner = dict(scope)
        inner.update(_bind(node.target, _element(self.kind(node.iter, scope))))
        if node.test is not None:
            self.visit(node.test, inner)
        self.all(node.body, inner)
        self.all(node.else_, dict(scope))


def _element(kind: Any) -> Any:  # noqa: ANN401 - any annotation of a model's field
    """Type of the elements of a tuple type whose elements are alike."""
    parts = get_args(kind)
    return parts[0] if get_origin(kind) is tuple and parts[-1] is Ellipsis else None


def _bind(target: nodes.Node, kind: Any) -> Scope:  # noqa: ANN401 - any annotation of a model's field
    """Names that an assignment or a loop binds."""
    if isinstance(target, nodes.Name):
        return {target.name: kind}
    if isinstance(target, nodes.Tuple):
        parts = get_args(kind)
        kinds = parts if len(parts) == len(target.items) and Ellipsis not in parts else (None,) * len(target.items)
        bound: Scope = {}
        for item, part in zip(target.items, kinds, strict=True):
            bound.update(_bind(item, part))
        return bound
    return {}


def lint_file(path: Path, env: ImmutableSandboxedEnvironment) -> list[Problem]:
    """Problems of one template file; empty when it is right."""
    source = path.read_text(encoding="utf-8")
    try:
        tree = env.parse(source, filename=str(path))
        # Finds unknown filters and tests, which parsing does not; rendering takes it from the environment's cache.
        env.get_template(path.name)
    except TemplateSyntaxError as error:
        return [Problem(f"{path}:{error.lineno}", error.message or "syntax error")]
    linter = _Linter(str(path))
    linter.visit(tree, roots(path.name))
    return linter.problems


def lint(templates: Sequence[Path]) -> list[str]:
    """Errors of every `*.j2` file in the folders, each `FILE:LINE: what is wrong`; empty when all are right."""
    files = sorted(path for folder in templates for path in folder.glob("*.j2"))
    return [str(problem) for path in files for problem in lint_file(path, environment([path.parent]))]
