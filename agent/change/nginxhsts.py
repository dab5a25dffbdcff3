"""Which blocks of nginx must set Strict-Transport-Security themselves. Pure.

An add_header in a block drops all that further out set (ngx_http_headers_module). So the header stands in every server
that speaks TLS, and besides in each block of such a server that has headers of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.change.nginxconf import Directive, Node

HSTS = "strict-transport-security"
_SITE = 2
"""Blocks around what stands in a server: http and the server."""


class Sites:
    """The servers of one nginx."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.servers: list[Node] = []
        self.own: dict[int, list[Directive]] = {}
        """By the identity of a block: what stands in it itself."""
        self.blocks: dict[int, list[Node]] = {}
        """By the identity of a server: the blocks within it."""
        http: list[Directive] = []
        for node in nodes:
            if node.around:
                self.own.setdefault(id(node.around[-1].directive), []).append(node.directive)
            if node.level == "http":
                http.append(node.directive)
                if node.directive.name == "server":
                    self.servers.append(node)
            elif node.directive.opened and len(node.around) >= _SITE and node.around[0].directive.name == "http":
                self.blocks.setdefault(id(node.around[1].directive), []).append(node)
        self.outer = any(map(is_hsts, http))

    def plain(self) -> Node | None:
        """A server that gives content without TLS, if there is one."""
        return next((each for each in self.servers if self._clear(each) and not self._redirects(each)), None)

    def without(self) -> list[Node]:
        """Blocks of servers with TLS that must set the header and do not."""
        found = []
        for server in filter(self._tls, self.servers):
            for block in (server, *self.blocks.get(id(server.directive), ())):
                headers = [each for each in self._of(block) if each.name == "add_header"]
                inherits = not headers and (block is not server or self.outer)
                if not inherits and not any(map(is_hsts, headers)):
                    found.append(block)
        return found

    def _of(self, block: Node) -> list[Directive]:
        return self.own.get(id(block.directive), [])

    def _listens(self, server: Node) -> list[bool]:
        """For each address whether TLS is spoken there; without any nginx listens on port 80."""
        if any(one.name == "ssl" and one.args == ("on",) for one in self._of(server)):
            return [True]
        listens = [one.args for one in self._of(server) if one.name == "listen"]
        return ["ssl" in args or "quic" in args for args in listens] or [False]

    def _tls(self, server: Node) -> bool:
        return any(self._listens(server))

    def _clear(self, server: Node) -> bool:
        return not all(self._listens(server))

    def _redirects(self, server: Node) -> bool:
        return any(
            one.name == "return"
            and len(one.args) > 1
            and one.args[0] in {"301", "302", "307", "308"}
            and one.args[1].startswith("https://")
            for one in self._of(server)
        )


def is_hsts(directive: Directive) -> bool:
    """Whether it sets the header."""
    return directive.name == "add_header" and bool(directive.args) and directive.args[0].lower() == HSTS
