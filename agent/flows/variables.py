"""What fills `{{name}}` in fixes: hardening.yaml's own variables, and what follows from other declared files.

The targets must let operators in from the signed ops location and from nowhere else (GB/T 22239-2019, 8.1.4.4-c: the
addresses from which a system is managed are restricted), so the networks that fixes write follow from that list.
"""

from __future__ import annotations

from ipaddress import collapse_addresses, ip_network
from typing import TYPE_CHECKING, Any

from agent.declared import load_people
from agent.declared.opscheck import allowed
from agent.model.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.app import App
    from agent.declared.opscheck import Network


def variables(app: App) -> dict[str, Any]:
    """What fills `{{name}}` in fixes: hardening.yaml's own, and what other declared files say.

    `ops_networks` (the signed ops location), `ssh_sources` (these, the bastions, and `bastion_networks`, their
    addresses on the inner side), `roster` (logins of people.yaml), `keep` (accounts that must stay).

    Raises:
        RefusedError: hardening.yaml lets in more than the signed ops location does.
    """
    signed = allowed(app.root)
    own = dict(app.policy.variables)
    asked = _texts(own.get("ops_networks", ()))
    for each in asked:
        if not _within(ip_network(each, strict=False), signed):
            raise RefusedError(
                f"hardening.yaml's ops_networks lets in {each}, which the signed ops location does not",
                where="hardening.yaml: variables.ops_networks",
                remedy="have the ops location signed with it, or take it out",
            )
    networks = asked or [str(each) for each in signed]
    ways = {host.bastion for host in app.inventory.hosts if host.bastion}
    bastions = [host.address for host in app.inventory.hosts if host.name in ways]
    keep = {host.user for host in app.inventory.hosts} | set(app.policy.keep_accounts)
    keep |= {each.account for each in app.policy.service_accounts}
    keep.discard("")
    return own | {
        "ops_networks": networks,
        "ssh_sources": [*networks, *bastions, *_texts(own.get("bastion_networks", ()))],
        "roster": sorted({person.login for person in load_people(app.root) if person.login} | keep),
        "keep": sorted(keep),
    }


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


def _within(wanted: Network, signed: Iterable[Network]) -> bool:
    """Whether the signed networks, neighbours taken together, hold the wanted one."""
    same = [each for each in signed if each.version == wanted.version]
    joined = collapse_addresses(same)  # type: ignore[type-var]
    return any(wanted.subnet_of(each) for each in joined)  # type: ignore[arg-type]
