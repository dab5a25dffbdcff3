"""The undertaking: 18 characters, four classes, nothing guessable; what others let pass is found."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.errors import RefusedError
from agent.model.password import WORDS, CharacterRules, Fault, PasswordPolicy
from agent.model.secret import Secret
from agent.vault import guess
from agent.vault.generate import CHARACTERS, PLAIN, generate, systematic
from agent.vault.policy import faults

PEOPLE = ("张伟（虚构）", "李华", "单田芳", "ops", "bastion-01", "某市政务云运维中心", "Sample Systems Ltd")
GOOD = "Zs!8fKq2#nV7pL0x-Tw3"


def found(text: str, **more) -> set[str]:
    return {fault.value for fault in faults(Secret(text), **{"names": PEOPLE} | more)}


def test_a_good_one_has_no_fault():
    assert found(GOOD) == set()


@pytest.mark.parametrize(
    "text",
    [
        "Zhangwei19900101!!",
        "Woaini5201314@2026",
        "ZhengwuYun@20261001",
        "Lihua@13912345678Lihua",
        "11010519491231002XXx!",
    ],
)
def test_what_zxcvbn_calls_strong_is_found_out(text):
    assert found(text, names=()) - {"short"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Zs!8fKq2#nV7pL0x-", "short"),
        ("zs!8fkq2#nv7pl0x-tw3", "upper"),
        ("ZS!8FKQ2#NV7PL0X-TW3", "lower"),
        ("Zs!xfKqd#nVbpLgx-Twa", "digit"),
        ("Zsx8fKq2dnV7pL0xgTw3", "special"),
        ("Zs!8fKq2#nV7pL0x\t-Tw", "character"),
        ("Zs!fKq#13912345678nV", "mobile"),
        ("Zs!fKq#l39l2345678nV", "mobile"),
        ("Zs!11010519491231002Xq#nV", "identity"),
        ("Zs!fKq#19900101nVpLx", "date"),
        ("Zs!fKq#1990-01-01nVx", "date"),
        ("Zs!fKq#1990o1o1nVpLx", "date"),
        ("Zs!fKq#900101nVpLxTw", "date"),
        ("Zs!fKq#01011990nVpLx", "date"),
        ("Zs!8fKq2#nVabcdL0x-T", "run"),
        ("Zs!8fKq2#nV9876L0x-T", "run"),
        ("Zs!8fKq2#nVQwErL0x-T", "run"),
        ("Zs!8fKq2#nV1qazL0x-T", "run"),
        ("Zs!8fKq2#nV!@#$L0x-T", "run"),
        ("Zs!8fKq2#nVxxxxL0x-T", "repeat"),
        ("Zs!8fKq2#Zs!8fKq2#nV", "repeat"),
        ("Kv7q!Zs8#fKv7qnpL0x-", "repeat"),
        ("Zs!8fKq2#zhangweiL0x", "name"),
        ("Zs!8fKq2#zh4ngw31L0x", "name"),
        ("Zs!8fKq2#iewgnahzL0x", "name"),
        ("Zs!8fKq2#weizhangL0x", "name"),
        ("Zs!8fKq2#shantianL0x-shantianfang", "name"),
        ("Zs!8fKq2#dantianfangL", "name"),
        ("Zs!8fKq2#BastionL0x7", "name"),
        ("Woaini#zhengwuyun@2X", "guessable"),
        ("Password!Welcome1Adm", "guessable"),
    ],
)
def test_each_fault_is_found(text, fault):
    assert fault in found(text), found(text)


@pytest.mark.parametrize("text", ["Zs!8fKq2#nV99131x-Tw", "Zs!13912345x7fKq#nVp", "Zs!8fKq2#nV20261399x-T"])
def test_what_only_looks_alike_is_let_pass(text):
    assert not {"mobile", "date", "identity"} & found(text)


def test_a_birthday_that_never_was_and_a_wrong_check_digit_are_none():
    assert not list(guess.identities("110105194912310021"))
    assert list(guess.identities("11010519491231002X"))
    assert not list(guess.dates("19900230"))


def test_a_policy_is_data():
    weak = PasswordPolicy("weak", length=8, special=0, guesses=1.0)
    assert found("Zs8fKq2n", policy=weak) == set()
    assert found("Zs8fKq2n") >= {"short", "special", "guessable"}


def test_every_fault_has_its_word():
    assert set(WORDS) == set(Fault)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=200), names=st.lists(st.text(max_size=30), max_size=3))
def test_any_text_has_its_verdict_and_it_names_nothing_of_it(text, names):
    told = faults(Secret(text), names=names)
    assert list(told) == sorted(told, key=list(Fault).index)
    assert len(text) >= 18 or Fault.SHORT in told


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), digits=st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_a_mobile_number_is_found_wherever_it_stands(seed, digits):
    letters = random.Random(seed).choices(string.ascii_letters + "!#-", k=14)
    place = random.Random(seed).randrange(15)
    assert "mobile" in found("".join([*letters[:place], digits, *letters[place:]]))


@pytest.mark.parametrize("kind", CHARACTERS)
def test_generated_ones_pass_the_policy_and_the_target(kind):
    rules = CHARACTERS[kind]
    made = [generate(rules, names=PEOPLE) for _ in range(25)]
    assert [faults(each, names=PEOPLE, rules=rules) for each in made] == [()] * 25
    assert len({each.reveal() for each in made}) == 25
    assert not any(":" in each.reveal() for each in made)


@pytest.mark.campaign
def test_ten_thousand_generated_ones_pass():
    kinds = list(CHARACTERS.values())
    seen = set()
    for number in range(10_000):
        made = generate(kinds[number % len(kinds)], names=PEOPLE)
        assert faults(made, names=PEOPLE, rules=kinds[number % len(kinds)]) == ()
        seen.add(made.reveal())
    assert len(seen) == 10_000


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("ababababQ7-xkLm2ZpQ9wTrs", True), ("ababaQ7-xk.LxnZpQ9wTgsGz", False)],
)
def test_what_cracklib_calls_systematic_is_not_made(text, wrong):
    assert systematic(text) is wrong


def test_no_character_is_likelier_than_another_of_its_class():
    made = "".join(generate(PLAIN).reveal()[1:] for _ in range(1500))
    for letters, most in (
        (string.ascii_uppercase, 80), (string.ascii_lowercase, 80), (string.digits, 45), (PLAIN.special, 28),
    ):  # fmt: skip
        expected = sum(made.count(letter) for letter in letters) / len(letters)
        chi = sum((made.count(letter) - expected) ** 2 / expected for letter in letters)
        assert chi < most, (letters, chi)  # beyond it about once in a million


def test_what_a_target_cannot_hold_is_refused_not_shortened():
    with pytest.raises(RefusedError, match="asks for 18"):
        generate(CharacterRules("old", "-", longest=14))
    with pytest.raises(RefusedError, match="no password"):
        generate(CharacterRules("none", "", longest=30))
