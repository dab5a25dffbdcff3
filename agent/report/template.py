"""The sandbox in which a template is rendered; every value passes `clean` on its way out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import BytecodeCache, FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

import agent
from agent.model.errors import DeclaredError
from agent.model.severity import Severity
from agent.model.text import CAP, clean
from agent.report.words import beijing, category, day, iso_day, names, percent, spans

if TYPE_CHECKING:
    from jinja2.bccache import Bucket

SCAN = "scan-report.xhtml.j2"
"""File name of the scan report's template; a workspace's templates/ overrides it by that name."""
HARDEN = "harden-report.xhtml.j2"
"""The same of the 安全加固报告."""
ACCOUNTS = "accounts-report.xhtml.j2"
"""The same of the 账号与口令报告."""

FILTERS = {
    "beijing": beijing,
    "category": category,
    "day": day,
    "iso_day": iso_day,
    "names": names,
    "percent": percent,
    "spans": spans,
}


def shipped() -> Path:
    """The folder of the shipped templates: package data of a wheel, else the repository's templates/."""
    package = Path(agent.__file__).parent
    data = package / "_data" / "templates"
    return data if data.is_dir() else package.parent / "templates"


def search_path(own: Sequence[Path]) -> list[Path]:
    """Folders in which a template is looked up: the workspace's first."""
    return [*own, shipped()]


def find(name: str, own: Sequence[Path]) -> Path:
    """The file that serves a template's name.

    Raises:
        DeclaredError: no folder has it.
    """
    for folder in search_path(own):
        if (folder / name).is_file():
            return folder / name
    raise DeclaredError("no such template", where=name, remedy="reinstall the agent, or put it into templates/")


@lru_cache(maxsize=4096)
def _clean(text: str) -> str:
    return clean(text, CAP)


def _finalize(value: Any) -> Any:  # noqa: ANN401 - whatever an expression yields
    """Clean and cap text; markup comes from the template's own macros, whose values have passed here already."""
    if isinstance(value, Markup):
        return value
    text = value if type(value) is str else str(value)
    if text.isprintable() and len(text) <= CAP:  # nothing that `clean` would touch
        return text
    return _clean(text) if len(text) <= CAP else clean(text, CAP)


@cache
def grade(severity: Severity) -> Markup:
    """The word of a severity in its colours: templates call it for each finding."""
    return Markup('<span class="{}">{}</span>').format(severity.value, severity.zh)


@lru_cache(maxsize=1024)
def mark(css: str, text: str) -> Markup:
    """A word in the colours of a style (good, high ...)."""
    return Markup('<span class="{}">{}</span>').format(css, _finalize(text))


@cache
def _is_ours(module: str) -> bool:
    return module.startswith(("agent.model.", "agent.report."))


class _Sandbox(ImmutableSandboxedEnvironment):
    """The sandbox, with a short way to public attributes of the project's own frozen values."""

    def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - as in the parent
        """Look an attribute up; private ones and foreign objects take the parent's checks."""
        if attribute[0] != "_" and _is_ours(type(obj).__module__):
            try:
                return getattr(obj, attribute)
            except AttributeError:
                pass
        return super().getattr(obj, attribute)


class _Compiled(BytecodeCache):
    """Compiled templates beside the shipped ones, as Python keeps its modules; nothing where that cannot be written.

    Jinja checks the template's digest and the versions of itself and of Python. What else shapes the code is this file.
    """

    def __init__(self) -> None:
        self._folder = shipped() / "__pycache__"
        self._shape = sha256(Path(__file__).read_bytes()).hexdigest()[:16]

    def _path(self, bucket: Bucket) -> Path:
        return self._folder / f"{bucket.key}-{self._shape}.jinja"

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take the code if it is there and whole."""
        with suppress(OSError), self._path(bucket).open("rb") as file:
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Leave the code for the next time; two at once write the same."""
        path = self._path(bucket)
        half = path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            half.write_bytes(bucket.bytecode_to_string())
            half.replace(path)


def environment(own: Sequence[Path]) -> ImmutableSandboxedEnvironment:
    """An environment that knows the project's filters and not `safe`."""
    edited = any(True for folder in own for _file in folder.glob("*.j2"))
    env = _Sandbox(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader([str(folder) for folder in search_path(own)]),
        finalize=_finalize,
        bytecode_cache=None if edited else _Compiled(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    del env.filters["safe"]
    env.filters.update(FILTERS)
    env.globals["grade"] = grade
    env.globals["mark"] = mark
    return env


def _line(error: BaseException, path: str) -> int:
    """Line of the template on which an error arose (Jinja rewrites tracebacks to template lines)."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def render(env: ImmutableSandboxedEnvironment, path: Path, **values: object) -> str:
    """Render a template that passed the lint to XHTML text.

    Raises:
        DeclaredError: the template is wrong; `where` names file and line.
    """
    try:
        return env.get_template(path.name).render(**values)
    except TemplateSyntaxError as error:
        where = f"{error.filename or path}:{error.lineno}"
        raise DeclaredError(error.message or "syntax error", where=where, remedy="mend the template") from error
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        where = f"{path}:{_line(error, str(path))}"
        raise DeclaredError(str(error), where=where, remedy="mend the template") from error
