"""Redis: the line that counts is found and changed; what would cut off, lose data or not be seen is not done."""

import base64
import hashlib
import os
import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from middleware import shown

from agent.change.contract import Facts, FixError
from agent.change.library import modules
from agent.change.redisconf import RedisConf
from agent.change.registry import check, registry
from agent.change.splice import shown as read_shown
from agent.change.splice import spliced
from agent.model.change import Item, Risk, Skip, Why
from agent.model.frames import Answer

CONF = "/etc/redis/redis.conf"
TEXT = '# a\nport 6379\nTimeout  0 \ninclude more.conf\ntimeout 5\nlogfile ""\nrequirepass xxxx\n'
RUNNING = {"timeout": "5", "logfile": "", "save": "3600 1", "appendonly": "no", "protected-mode": "no", "bind": "*"}


def told(text=TEXT, *more, running=None, drop=(), **words):
    data = text.encode()
    known = {"unit": "redis.service", "uid": "9", "gid": "9", "version": "7.0.15", "password": "yes", "ping": "PONG"}
    known |= {"keys": "1", "room": "1000000"} | words
    lines = [f"{key}\t{value}" for key, value in known.items() if key not in drop]
    lines += [f"file\t{CONF}\t{CONF}\t{hashlib.sha256(data).hexdigest()}\t{len(data)}"]
    lines += [base64.b64encode(data).decode(), ".end"]
    lines += [f"running\t{key}\t{value}" for key, value in (RUNNING if running is None else running).items()]
    lines += [
        "info\tused_memory\t1000",
        "info\trole\tmaster",
        "info\tconnected_slaves\t0",
        "info\tredis_mode\tstandalone",
    ]
    return Answer(0, "\n".join([*lines, *more]), "")


def planned(want, answer, **options):
    item = Item("i", "redis_directive", want, {"restart": True} | options, location=CONF)
    check(item)
    return registry()["redis_directive"].plan(item, answer, Facts({}))


def why(found):
    assert isinstance(found, Skip), found
    return found.why


@given(st.text(max_size=200))
@settings(deadline=None)
def test_no_answer_of_a_target_makes_a_plan_fail(text):
    assert isinstance(planned({"timeout": 900, "bind": "own"}, told(text)), tuple | Skip)
    planned({"timeout": 900}, Answer(0, text, ""))


@given(
    st.lists(
        st.sampled_from(["timeout", "TIMEOUT", " ", "\t", "0", '"', "'", "#", "\n", "\r", "include", "x"]), max_size=30
    )
)
@settings(deadline=None)
def test_after_an_edit_the_wanted_value_counts_and_the_rest_is_the_same(pieces):
    text = "".join(pieces)
    conf = RedisConf({CONF: shown(CONF, text)}, {}, CONF)
    file, edit = conf.edit("timeout", "900")
    made = spliced(file.text, [edit])
    last = RedisConf({CONF: shown(CONF, made)}, {}, CONF).last("timeout")
    assert last is not None
    assert last.value == "900"
    assert made.startswith(text[: edit.offset])
    assert made.endswith(text[edit.offset + edit.length :])


def test_the_last_line_counts_included_ones_in_their_place():
    files = {CONF: shown(CONF, TEXT), "/m": shown("/m", "timeout 7\nappendonly yes")}
    conf = RedisConf(files, {"more.conf": ("/m",)}, CONF)
    assert [each.value for each in conf.settings if each.name == "timeout"] == ["0", "7", "5"]
    file, edit = conf.edit("timeout", "900")
    assert spliced(file.text, [edit]) == TEXT.replace("timeout 5", "timeout 900")
    file, edit = conf.edit("appendonly", "no")
    assert (file.path, spliced(file.text, [edit])) == ("/m", "timeout 7\nappendonly no")
    file, edit = conf.edit("bind", "127.0.0.1")
    assert spliced(file.text, [edit]) == TEXT + "bind 127.0.0.1\n"


def test_what_can_be_set_at_run_time_is_and_needs_no_restart():
    (step,) = planned(
        {"timeout": 900},
        told(TEXT.replace("timeout 5", "timeout 0"), running=RUNNING | {"timeout": "0"}),
        restart=False,
    )
    assert [handle.kind for handle in step.handles] == ["file", "redisconf"]
    assert step.write.endswith(f"rd_set {CONF} timeout 900")
    assert step.acts == ()
    assert planned({"timeout": 900}, told()) == ()  # 5 is stricter
    (step,) = planned({"timeout": 900}, told(running=RUNNING | {"timeout": "0"}))
    assert [handle.kind for handle in step.handles] == ["redisconf"]
    assert "splice" not in step.write


def test_what_takes_a_restart_is_asked_for_and_loses_nothing():
    want = {"logfile": "/var/log/redis/redis-server.log"}
    (step,) = planned(want, told(TEXT, "writable\t/var/log/redis"))
    assert Risk.RESTART in step.risk
    assert step.acts[0].args == ("redis.service", CONF)
    assert why(planned(want, told(TEXT, "writable\t/var/log/redis"), restart=False)) is Why.EXCLUDED
    assert why(planned(want, told(TEXT))) is Why.UNSAFE  # its account cannot write there
    bare = RUNNING | {"save": ""}
    assert why(planned(want, told(TEXT, "writable\t/var/log/redis", running=bare))) is Why.UNSAFE
    assert planned(want, told(TEXT, "writable\t/var/log/redis", running=bare, keys="0"))
    assert why(planned(want, told(TEXT, "writable\t/var/log/redis", "info\tconnected_slaves\t2"))) is Why.MANUAL


def test_a_second_server_writes_a_log_of_its_own():
    want = {"logfile": "/var/log/redis/redis-server.log"}
    (step,) = planned(want, told(TEXT.replace("6379", "6380"), "writable\t/var/log/redis"))
    assert step.after == "/var/log/redis/redis-server-6380.log"


def test_listening_is_narrowed_to_the_one_address_and_only_behind_a_password():
    want = {"bind": "own", "protected-mode": "yes"}
    bind, mode = planned(want, told(TEXT, "address\t10.0.0.5"))
    assert (bind.after, mode.after) == ("127.0.0.1 10.0.0.5", "yes")
    assert bind.acts == ()
    assert planned(want, told(TEXT, "address\t10.0.0.5", version="6.0.16"))[0].acts
    assert why(planned(want, told(TEXT, "address\t10.0.0.5", drop=["password"]))) is Why.UNSAFE
    assert why(planned(want, told(TEXT, "address\t10.0.0.5", "address\t10.1.0.5"))) is Why.MANUAL
    narrow = TEXT + "bind 10.0.0.5\nprotected-mode yes\n"
    good = RUNNING | {"bind": "10.0.0.5", "protected-mode": "yes"}
    assert planned(want, told(narrow, "address\t10.0.0.5", running=good)) == ()


def test_persistence_is_begun_at_run_time_first_and_with_room_only():
    (step,) = planned({"appendonly": "yes"}, told())
    assert step.write.index("rd_set") < step.write.index("rd_saved")
    assert [handle.kind for handle in step.handles] == ["file", "redisconf", "redisaof"]
    assert why(planned({"appendonly": "yes"}, told(room="2"))) is Why.UNSAFE


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(0, "none", ""), Why.UNSUPPORTED),
        (Answer(0, "", ""), Why.ERROR),
        (told(ping="NOAUTH Authentication required.", running={}), Why.UNSUPPORTED),
        (told(running={}), Why.UNSUPPORTED),
        (told(TEXT, "option\ttimeout", running=RUNNING | {"timeout": "0"}), Why.MANUAL),
    ],
)
def test_what_cannot_be_done_is_skipped_with_its_reason(answer, reason):
    answer = Answer(0, answer.text.replace("timeout 5", "timeout 0"), "") if "\tunit" in answer.text else answer
    found = planned({"timeout": 3}, answer)
    assert why(found) is reason


@pytest.mark.parametrize(
    "want", [None, {}, {"requirepass": "x"}, {"timeout": True}, {"logfile": "a b"}, {"bind": ["x"]}]
)
def test_a_malformed_fix_is_refused(want):
    with pytest.raises(FixError):
        check(Item("i", "redis_directive", want, location=CONF))


@pytest.mark.parametrize("shell", [["dash"], ["bash"], ["busybox", "sh"]], ids=lambda each: each[0])
def test_the_target_covers_passwords_and_reads_as_redis_does(tmp_path, shell):
    main, more = tmp_path / "redis.conf", tmp_path / "more.conf"
    main.write_text(
        f'# requirepass hidden1\nport 1\ninclude {tmp_path}/m*.conf\nrequirepass "hid\\"den2"\nuser a on >hidden3\n'
        'masterauth hidden4\n rename-command CONFIG hidden5\nsentinel auth-pass m hidden6\n"x" hidden7\ntimeout 0'
    )
    more.write_text("port 2\nport 3\nrequirepass first\n")
    head = f"R=; TX=none; TXROOT=/none\n{modules(('splice', 'mw', 'redis'))}\n"

    def run(script):
        done = subprocess.run(
            [*shell, "-c", head + script], capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}
        )
        return done.stdout

    said = run(f"rd_show {shlex.quote(str(main))}")
    files, missing = read_shown(said.splitlines())
    assert not missing
    assert len(files[str(main)].text) == len(main.read_text())
    assert "hid" not in files[str(main)].text
    assert "first" not in files[str(more)].text
    assert files[str(main)].text.endswith("\ntimeout 0")
    assert f"include\t{tmp_path}/m*.conf\t{more}" in said
    assert run(f"rd_last {main} port; rd_last {main} requirepass; rd_config {main}") == '3\nhid"den2\nhidden5\n'
