"""nginx: parsing keeps every byte; what is planned is what a configuration needs, whatever a target says."""

import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from identity import controls
from middleware import of

from agent.change.contract import Facts, FixError
from agent.change.library import modules
from agent.change.nginxconf import Configuration, NginxSyntaxError, parse, tokens
from agent.change.registry import check, registry
from agent.change.resources.nginx import WEAK_CIPHERS
from agent.change.splice import shown as read_shown
from agent.change.splice import spliced
from agent.model.change import Item, Skip, Why
from agent.model.frames import Answer

CONF = "/etc/nginx/nginx.conf"
PIECES = st.sampled_from(
    [
        "http",
        "server",
        "location",
        "{",
        "}",
        ";",
        " ",
        "\n",
        "\t",
        "#x;{",
        '"',
        "'",
        "\\",
        "${",
        "$",
        "a",
        "off",
        "\\;",
        "é",
        "\x00",
        "}",
    ]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join)


def told(files, includes=(), *, version="1.22.1", workers=("33",), more=()):
    """What `ngx_read` prints of such files."""
    import base64  # noqa: PLC0415
    import hashlib  # noqa: PLC0415

    lines = ["master\t1", "unit\tnginx.service", f"version\t{version}", *(f"worker\t{uid}" for uid in workers)]
    lines += ["account\twww-data\t33\t33", *more]
    for path, text in files.items():
        data = text.encode()
        lines += [f"file\t{path}\t{path}\t{hashlib.sha256(data).hexdigest()}\t{len(data)}"]
        lines += [base64.b64encode(data).decode(), ".end"]
    lines += [f"include\t{pattern}\t{path}" for pattern, path in includes]
    return Answer(0, "\n".join(lines), "")


def planned(want, answer, **options):
    item = Item("i", "nginx_directive", want, options, location=CONF)
    check(item)
    return registry()["nginx_directive"].plan(item, answer, Facts({}))


def after(steps, files):
    """The files as the steps' writes leave them."""
    made = dict(files)
    for step in steps:
        for line in re.split(r" &&\n(?=splice )", step.write):
            import shlex  # noqa: PLC0415

            from agent.change.splice import Edit  # noqa: PLC0415

            _, path, _, *pieces = shlex.split(line)
            edits = [Edit(int(o), int(n), t) for o, n, t in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True)]
            made[path] = spliced(made[path], edits)
    return made


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_all_tokens_one_after_the_other_are_the_text(text):
    try:
        found = list(tokens(text))
    except NginxSyntaxError:
        return
    assert "".join(text[one.start : one.end] for one in found) == text
    assert [one.start for one in found[1:]] == [one.end for one in found[:-1]]


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_parsing_ends_and_every_directive_stands_where_it_says(text):
    try:
        todo = parse(text)
    except NginxSyntaxError:
        return
    while todo:
        one = todo.pop()
        assert 0 <= one.start < one.args_start <= one.args_end < one.end <= len(text)
        assert text[one.end - 1] == ("}" if one.opened else ";")
        todo += one.inside


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_no_answer_of_a_target_makes_a_plan_fail(text):
    found = planned({"server_tokens": "off", "access_log": "/var/log/a.log"}, told({CONF: text}))
    assert isinstance(found, tuple | Skip)
    planned({"server_tokens": "off"}, Answer(0, text, ""))


def test_words_are_those_of_nginx():
    found = parse('log_format x \'a "b" ${c}\' "d\\"e";\nset $y z}q;')
    assert found[0].args == ("x", 'a "b" ${c}', 'd"e')
    assert found[1].args == ("$y", "z}q")
    for bad in ("a", "a {", "}", "a } ;", ";", '"a', '"a"b;'):
        with pytest.raises(NginxSyntaxError):
            parse(bad)


def test_a_weak_value_is_replaced_at_every_level_and_nothing_else_changes():
    main = "user w;\nhttp {\n  server_tokens on; # keep\n  include s/*.conf;\n}\n"
    site = "server {\n  server_tokens\n    build; location /a { server_tokens off; }\n}\n"
    files = {CONF: main, "/etc/nginx/s/a.conf": site}
    steps = planned({"server_tokens": "off"}, told(files, [("s/*.conf", "/etc/nginx/s/a.conf")]))
    made = after(steps, files)
    assert made[CONF] == main.replace("on;", "off;")
    assert made["/etc/nginx/s/a.conf"] == site.replace("build", "off")
    assert planned({"server_tokens": "off"}, told(made, [("s/*.conf", "/etc/nginx/s/a.conf")])) == ()
    assert {handle.args[0] for handle in steps[0].handles} == set(files)


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("http {\n\tsendfile on;\n}\n", "http {\n\tssl_prefer_server_ciphers on;\n\tsendfile on;\n}\n"),
        ("http { sendfile on; }\n", "http {\n    ssl_prefer_server_ciphers on; sendfile on; }\n"),
        ("http{}", "http{\n    ssl_prefer_server_ciphers on;}"),
        ("http # c {\n{ # {\n}\n", "http # c {\n{\n    ssl_prefer_server_ciphers on; # {\n}\n"),
    ],
)
def test_what_is_missing_is_put_at_the_start_of_http(before, behind):
    steps = planned({"ssl_prefer_server_ciphers": "on"}, told({CONF: before}))
    assert after(steps, {CONF: before})[CONF] == behind
    assert planned({"ssl_prefer_server_ciphers": "on"}, told({CONF: behind})) == ()


def test_a_log_that_is_off_below_http_is_commented_out_where_it_has_its_line_for_itself():
    text = (
        "http {\n  access_log off;\n  server {\n    access_log off; # here\n"
        "    location / { access_log off; return 204; }\n  }\n}\n"
    )
    want = {"access_log": "/l combined"}
    (step,) = planned(want, told({CONF: text}))
    made = after([step], {CONF: text})[CONF]
    assert made == (
        "http {\n  access_log /l combined;\n  server {\n    # access_log off; # here\n"
        "    location / { access_log /l combined; return 204; }\n  }\n}\n"
    )
    assert planned(want, told({CONF: made})) == ()


def test_an_old_nginx_is_not_told_a_protocol_that_it_does_not_know():
    want = {"ssl_protocols": "TLSv1.2 TLSv1.3"}
    (old,) = planned(want, told({CONF: "http { ssl_protocols TLSv1; }"}, version="1.12.2"))
    (new,) = planned(want, told({CONF: "http { ssl_protocols TLSv1; }"}))
    assert (old.after, new.after) == ("TLSv1.2", "TLSv1.2 TLSv1.3")
    assert planned(want, told({CONF: "http { ssl_protocols TLSv1.3; }"})) == ()


def test_headers_reach_what_would_drop_them():
    text = (
        "http { server { listen 80; return 301 https://$host$request_uri; }\n"
        "server {\n  listen 443 ssl;\n  location /a { add_header X-A 1; }\n  location /b { }\n"
        "  location /c { add_header Strict-Transport-Security max-age=9; add_header X-B 1; }\n}\n}\n"
    )
    want = {"add_header": "Strict-Transport-Security max-age=31536000 always"}
    (step,) = planned(want, told({CONF: text}))
    made = after([step], {CONF: text})[CONF]
    assert made.count('add_header Strict-Transport-Security "max-age=31536000" always;') == 2
    assert re.search(r"listen 443|location /a \{\s+add_header Strict", made)
    assert planned(want, told({CONF: made})) == ()
    plain = planned(want, told({CONF: text.replace("return 301 https://$host$request_uri;", "root /x;")}))
    assert isinstance(plain, Skip)
    assert plain.why is Why.UNSAFE


def test_workers_become_an_account_that_is_there_and_can_read_the_sites():
    text, want = "user root;\nhttp { }\n", {"user": ["nginx", "www-data"]}
    (step,) = planned(want, told({CONF: text}, workers=("0",)))
    assert after([step], {CONF: text})[CONF].startswith("user www-data;")
    shut = planned(want, told({CONF: text}, workers=("0",), more=["closed\twww-data\t/root/site"]))
    assert isinstance(shut, Skip)
    assert shut.why is Why.UNSAFE
    none = planned(want, told({CONF: "http { }"}, workers=("0",)))
    assert isinstance(none, Skip)
    assert none.why is Why.MANUAL


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(0, "none", ""), Why.UNSUPPORTED),
        (Answer(0, "", ""), Why.ERROR),
        (Answer(0, f"lost\t{CONF}", ""), Why.ERROR),
        (Answer(0, f"file\t{CONF}\t{CONF}\tshort\t1\nYQ==\n.end", ""), Why.ERROR),
        (told({CONF: "http {"}), Why.ERROR),
        (told({CONF: "http { include x; }"}, [("x", CONF)]), Why.ERROR),
        (told({CONF: "events {}"}), Why.UNSUPPORTED),
    ],
)
def test_what_cannot_be_understood_is_skipped_with_its_reason(answer, why):
    found = planned({"server_tokens": "off"}, answer)
    assert isinstance(found, Skip)
    assert found.why is why


@pytest.mark.parametrize(
    "want",
    [
        None,
        {},
        {"proxy_pass": "x"},
        {"server_tokens": False},
        {"server_tokens": "off; x"},
        {"add_header": "X y"},
        {"user": []},
        {"user": "a\nb"},
    ],
)
def test_a_malformed_fix_is_refused(want):
    with pytest.raises(FixError):
        check(Item("i", "nginx_directive", want, location=CONF))


def test_every_control_of_nginx_has_a_fix_of_its_resources_form_and_one_idea_of_weak_ciphers():
    for name, control in controls().items():
        if control.target == "nginx":
            check(of(name, CONF))
    assert controls()["NGX-IA-C-02"].expect.value == WEAK_CIPHERS


def test_before_reads_the_same_after_lines_were_put_above_it():
    text = "http {\n  autoindex on;\n}\n"
    one = planned({"autoindex": "off"}, told({CONF: text}))[0]
    two = planned({"autoindex": "off"}, told({CONF: text.replace("http {", "http {\n\n")}))[0]
    assert one.digest == two.digest
    assert one.source != two.source


NASTY = r"""user www-data; # password=hidden1
http {
  include "conf.d/*.conf"; server_tokens on;
  map $http_key $ok { "hidden2" 1; default 0; }
  proxy_set_header Authorization "Basic hid\"den3 ;{ }";
  log_format x 'a
 b ${c} "$d"';
  server { listen 443 ssl; add_header X-Token hidden4; proxy_pass http://u:hidden5@h/;
    return 301 https://u:hidden6@host/$request_uri;
    content_by_lua_block { local a = "}"  -- } it's
      if x then y({1}) end [[ } ]] local b = 'hidden7' }
    location ~ \.php$ { autoindex on; set ${x}y hidden8; fastcgi_param A\ B hidden9; }
  }
}
"""


@pytest.mark.parametrize("shell", [["dash"], ["bash"], ["busybox", "sh"]], ids=lambda each: each[0])
def test_the_target_covers_what_is_not_needed_and_keeps_every_place(tmp_path, shell):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "nginx.conf").write_text(NASTY)
    (tmp_path / "conf.d" / "a b.conf").write_bytes(b"server { listen 80; } # \xff no newline")
    library = modules(("splice", "mw", "nginx"))
    script = f"LC_ALL=C; export LC_ALL; R=; TX=none; TXROOT=/none\n{library}\nngx_follow {tmp_path}/nginx.conf"
    done = subprocess.run([*shell, "-c", script], capture_output=True, text=True, check=True)
    files, missing = read_shown(done.stdout.splitlines())
    assert not missing
    main = files[f"{tmp_path}/nginx.conf"]
    assert len(files) == 2
    assert len(main.text) == len(NASTY)
    assert "hid" not in main.text
    includes = [line.split("\t") for line in done.stdout.splitlines() if line.startswith("include\t")]
    assert includes == [["include", "conf.d/*.conf", f"{tmp_path}/conf.d/a b.conf"]]
    nodes = Configuration(files, {"conf.d/*.conf": (f"{tmp_path}/conf.d/a b.conf",)}, main.path).nodes()
    found = {node.directive.name: node for node in nodes}
    at = found["autoindex"].directive
    assert NASTY[at.start : at.end] == "autoindex on;"
    assert found["autoindex"].level == "http/server/location"
    assert [node.level for node in nodes if node.directive.name == "listen"] == ["http/server", "http/server"]
