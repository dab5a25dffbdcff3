"""What the vault lends to root where a target lets nobody in for being root; real logins are in tests/lab."""

import pytest
from rotationplace import Killed, Place, killer

from agent.flows import proving
from agent.flows.logins import keys_of
from agent.flows.passwords import chosen
from agent.flows.rotation import rotate
from agent.vault.drivers import DRIVERS
from agent.vault.vault import CURRENT, PENDING

ACCOUNTS = """schema_version: 1
accounts:
- {user: app, on: [here-01], kind: redis}
- {user: default, on: [here-01], kind: redis}
- {user: other, on: [here-01], kind: redis, at: "6380"}
- {user: one, on: [here-01]}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    made = Place(tmp_path, monkeypatch)
    monkeypatch.setitem(DRIVERS, "redis", made.target)
    (made.root / "inventory" / "accounts.yaml").write_text(ACCOUNTS, encoding="utf-8")
    made.again()
    return made


def test_the_keys_of_one_service_are_its_own_accounts_the_default_user_first(place):
    names = ["app@here-01/redis", "default@here-01/redis", "other:6380@here-01/redis", "one@here-01"]
    app, default, other, one = chosen(place.app, names)
    assert keys_of(place.app, app) == ()
    place.rotate(*names)
    [first, second] = keys_of(place.app, app)
    assert [first[0], second[0]] == ["default", "app"]
    assert first[1].reveal() == place.app.vault.reveal(place.rows(default.id)[0]).reveal()
    assert [user for user, _ in keys_of(place.app, other)] == ["other"]
    assert keys_of(place.app, one) == ()


def test_one_that_is_on_its_way_comes_before_the_current_one(place):
    place.rotate("default@here-01/redis")
    [account] = chosen(place.app, ["default@here-01/redis"])
    with pytest.raises(Killed):
        rotate(place.app, [account], killer("changed"), reason="test")
    place.again()
    texts = {row.state: place.app.vault.reveal(row).reveal() for row in place.rows(account.id)}
    assert [secret.reveal() for _, secret in keys_of(place.app, account)] == [texts[PENDING], texts[CURRENT]]


@pytest.mark.parametrize("as_root", [True, False])
def test_a_login_has_the_rights_that_its_driver_asks_for(place, monkeypatch, as_root):
    """Only one that has to find its service is given root's, and gives them up by itself."""
    asked, real = [], proving.asked

    def spy(session, scripts, *, root=True):
        asked.append((sorted(scripts), root))
        return real(session, scripts, root=root)

    monkeypatch.setattr(proving, "asked", spy)
    monkeypatch.setattr(place.target, "login_as_root", as_root, raising=False)
    place.rotate("one@here-01")
    assert (["p0"], as_root) in asked
    assert (["p0"], not as_root) not in asked
