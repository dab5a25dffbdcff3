"""Permissions of an instance's files, and how long nginx' logs are kept."""

import base64
import hashlib

import pytest

from agent.change.contract import Facts, FixError
from agent.change.registry import check, registry
from agent.model.change import Item, Skip, Why
from agent.model.frames import Answer

ROTATE = "/etc/logrotate.d/nginx"


def modes(kind, want, text):
    item = Item("i", "instance_mode", want, {"kind": kind}, location="/etc/redis/redis.conf")
    check(item)
    assert "mode_over" in registry()["instance_mode"].read(item, Facts({}))
    return registry()["instance_mode"].plan(item, Answer(0, text, ""), Facts({}))


def test_bits_go_and_the_service_can_still_read():
    over = "for\t.\nover\t644\troot\troot\t0\t0\t/etc/redis/redis.conf"
    (step,) = modes("redis", {".": "0640"}, f"ids 103 104\n{over}")
    assert (step.before, step.after) == ("0644 root:root", "0640 root:服务的组")
    assert step.write == "mode_set /etc/redis/redis.conf 0640 104"
    (step,) = modes("redis", {".": "0640"}, f"ids 0 0\n{over}")
    assert step.write == "mode_set /etc/redis/redis.conf 0640"
    (step,) = modes("redis", {".": "0640"}, "ids 103 104\nfor\t.\nover\t604\tredis\tx\t103\t9\t/etc/redis/redis.conf")
    assert step.after == "0600 redis:x"
    (step,) = modes(
        "nginx", {".": "go-w", "/var/www": "o-w"}, "ids 0 0\nfor\t/var/www\nover\t1777\ta\tb\t1\t1\t/var/www/x y"
    )
    assert step.write == "mode_set '/var/www/x y' 1775"


@pytest.mark.parametrize(
    ("text", "why"), [("none", Why.UNSUPPORTED), ("", Why.ERROR), ("ids a b", Why.ERROR), ("over\tx", Why.ERROR)]
)
def test_no_process_no_change(text, why):
    found = modes("redis", {".": "0640"}, text)
    assert isinstance(found, Skip)
    assert found.why is why


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ({}, {".": "go-w"}),
        ({"kind": "x"}, {".": "go-w"}),
        ({"kind": "nginx"}, {}),
        ({"kind": "nginx"}, {"../x": "go-w"}),
        ({"kind": "nginx"}, {".": "a+x"}),
    ],
)
def test_a_malformed_fix_is_refused(options, want):
    with pytest.raises(FixError):
        check(Item("i", "instance_mode", want, options))


def kept(text, days=180):
    item = Item("i", "nginx_logrotate", {"days": days}, {"path": ROTATE})
    check(item)
    data = text.encode()
    lines = [
        f"file\t{ROTATE}\t{ROTATE}\t{hashlib.sha256(data).hexdigest()}\t{len(data)}",
        base64.b64encode(data).decode(),
    ]
    return registry()["nginx_logrotate"].plan(item, Answer(0, "\n".join([*lines, ".end"]), ""), Facts({}))


def test_logs_are_kept_as_long_as_is_wanted():
    (step,) = kept("/a {\n\tdaily\n\trotate 14\n\tmaxage 30\n}\n")
    assert (step.before, step.after) == ("rotate 14；maxage 30", "rotate 180；maxage 180")
    (step,) = kept("/a {\n weekly\n rotate 4\n}\n")
    assert step.after == "rotate 26"
    assert kept("/a {\n weekly\n rotate 52\n}\n") == ()
    for text in ("/a {\n size 1M\n rotate 4\n}\n", "/a {\n daily\n}\n", "# daily\n"):
        found = kept(text)
        assert isinstance(found, Skip)
        assert found.why is Why.MANUAL


@pytest.mark.parametrize("want", [None, {}, {"days": "180"}, {"days": 0}])
def test_a_malformed_retention_is_refused(want):
    with pytest.raises(FixError):
        check(Item("i", "nginx_logrotate", want, {"path": ROTATE}))
