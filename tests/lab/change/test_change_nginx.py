"""nginx on web-01, which is weak, and web-02: every automatic control passes afterwards, pages are served all the time."""

import ssl
import urllib.request

import pytest
from hardening import HostUnderChange, differences, proves
from middleware import judged, of

from agent.model.change import Item, Skip, TxState, Why

CONF = "/etc/nginx/nginx.conf"
SITE = "/etc/nginx/sites-available/default"
WEAK = (
    "NGX-IA-C-01",
    "NGX-IA-C-02",
    "NGX-IA-C-03",
    "NGX-AU-A-01",
    "NGX-AU-C-01",
    "NGX-IP-A-01",
    "NGX-IP-B-01",
)


def served(address, scheme="http"):
    """Status code of the start page, and its headers; no proxy is asked."""
    open_ = urllib.request.ProxyHandler({})
    trust = ssl._create_unverified_context()
    opener = urllib.request.build_opener(open_, urllib.request.HTTPSHandler(context=trust))
    with opener.open(f"{scheme}://{address}/index.nginx-debian.html", timeout=10) as answer:
        return answer.status, dict(answer.headers)


def test_every_nginx_control_that_fails_passes_afterwards_and_comes_back(lab):
    under = HostUnderChange(lab.workspace, "web-01")
    assert judged(under, WEAK, CONF) == dict.fromkeys(WEAK, "fail")
    items = [of(control, CONF) for control in WEAK]
    before = under.manifest()
    tx = under.harden(*items)
    try:
        assert judged(under, WEAK, CONF) == dict.fromkeys(WEAK, "pass")
        status, headers = served(under.host.address)
        assert (status, headers["Server"]) == (200, "nginx")
        assert served(under.host.address, "https")[0] == 200
    finally:
        under.revert(tx)
    assert differences(before, under.manifest()) == []
    assert judged(under, WEAK, CONF) == dict.fromkeys(WEAK, "fail")
    assert served(under.host.address)[1]["Server"].startswith("nginx/")


@pytest.mark.parametrize(
    ("control", "broken"),
    [
        ("NGX-IP-A-01", f"sed -i '/server_tokens/d' {CONF}"),
        ("NGX-IP-B-01", f"sed -i 's/try_files/autoindex on; try_files/' {SITE}"),
        ("NGX-AU-A-01", f"sed -i 's/^    location/    access_log off;\\n    location/' {SITE}"),
        ("NGX-AU-A-02", f"sed -i 's,^error_log .*,error_log /dev/null;,' {CONF}"),
        ("NGX-IP-D-01", f"sed -i 's/server_tokens off;/& client_max_body_size 0;/' {CONF}"),
        ("NGX-AC-A-01", f"sed -i 's/^user .*/user root;/' {CONF}"),
        ("NGX-AC-F-01", f"chmod 664 {CONF}; mkdir /var/www/html/up && chmod 777 /var/www/html/up"),
        ("NGX-DI-A-01", f"sed -i 's/listen 80 .*//; s/try_files/add_header X-A b; try_files/' {SITE}"),
    ],
)
def test_a_control_is_mended_where_it_was_broken_and_taken_back(lab, control, broken):
    under = HostUnderChange(lab.workspace, "web-02")
    item = of(control, CONF)
    keep = f"mkdir -p /run/keep && cp -a {CONF} {SITE} /run/keep/"
    back = f"cp -a /run/keep/nginx.conf {CONF}; cp -a /run/keep/default {SITE}; rm -rf /run/keep /var/www/html/up; systemctl reload nginx; sleep 1"
    under.root(keep)
    try:
        under.root(f"{broken}; systemctl reload nginx; sleep 1")
        assert judged(under, [control], CONF) == {control: "fail"}
        tx = under.harden(item)
        assert judged(under, [control], CONF) == {control: "pass"}
        assert served(under.host.address, "https")[0] == 200
        under.revert(tx)
        assert judged(under, [control], CONF) == {control: "fail"}
    finally:
        under.root(back)
    proves(under, [item], broken=f"{keep}; {broken}; systemctl reload nginx; sleep 1", mended=back)


def test_hsts_reaches_blocks_that_have_headers_of_their_own_and_not_a_site_without_tls(lab):
    under = HostUnderChange(lab.workspace, "web-02")
    item = of("NGX-DI-A-01", CONF)
    found = under.plan(item)[item.id]
    assert isinstance(found, Skip)
    assert found.why is Why.UNSAFE
    keep = under.root(f"cat {SITE}")
    try:
        under.root(
            f"sed -i 's/listen 80 .*//; s/try_files/add_header X-A b; try_files/' {SITE}; systemctl reload nginx; sleep 1"
        )
        tx = under.transaction([item], under.steps(item))
        assert not under.begin(tx).failed
        headers = served(under.host.address, "https")[1]
        assert headers["Strict-Transport-Security"] == "max-age=31536000"
        assert headers["X-A"] == "b"
        assert under.undo(tx) is TxState.UNDONE
        assert "Strict-Transport-Security" not in served(under.host.address, "https")[1]
    finally:
        under.root(f"cat >{SITE} <<'KEEP'\n{keep.rstrip()}\nKEEP\nsystemctl reload nginx; sleep 1")
    assert under.root(f"cat {SITE}") == keep


def test_a_file_that_is_another_by_now_is_refused_and_a_configuration_that_nginx_refuses_is_undone(lab):
    under = HostUnderChange(lab.workspace, "web-01")
    item = of("NGX-IP-A-01", CONF)
    steps = under.steps(item)
    under.root(f"cp -a {CONF} /run/keep.conf; echo '# somebody' >>{CONF}")
    try:
        tx = under.transaction([item], steps)
        begun = under.begin(tx)
        assert begun.failed == "step.1"
        assert "is not the file that was looked at" in begun.why
        assert under.root(f"tail -n 1 {CONF}").strip() == "# somebody"
    finally:
        under.root(f"cp -a /run/keep.conf {CONF}; rm -f /run/keep.conf")
    bad = Item("bad", "nginx_directive", {"ssl_ciphers": "NOSUCHCIPHER"}, location=CONF)
    before = under.manifest()
    begun = under.begin(under.transaction([bad], under.steps(bad)))
    assert begun.failed.startswith("validate")
    assert begun.state is TxState.UNDONE
    assert differences(before, under.manifest()) == []


def test_no_secret_of_a_configuration_is_read_or_written(lab):
    under = HostUnderChange(lab.workspace, "web-01")
    item = of("NGX-IP-A-01", CONF)
    secret = "S3cretToken=="
    under.root(
        f"cp -a {SITE} /run/keep.site; sed -i 's,autoindex on;,& proxy_set_header Authorization \"Basic {secret}\"; # {secret},' {SITE}"
    )
    try:
        from agent.change.library import modules  # noqa: PLC0415 - what the read is made of, once here
        from agent.change.registry import registry  # noqa: PLC0415

        read = registry()["nginx_directive"]
        said = under.root(f"R=; TX=none; TXROOT=/none\n{modules(read.library)}\n{read.read(item, under.facts)}")
        from agent.change.splice import shown  # noqa: PLC0415

        files, missing = shown(said.splitlines())
        assert not missing
        site = files["/etc/nginx/sites-enabled/default"]
        assert secret not in site.text
        assert "proxy_set_header xxxxxxxxxxxxx" in site.text
        assert len(site.text) == int(under.root(f"wc -c <{SITE}"))
        assert secret not in str(under.steps(item))
    finally:
        under.root(f"cp -a /run/keep.site {SITE}; rm -f /run/keep.site")
