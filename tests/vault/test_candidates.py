"""Guesses: which rule each comes from, the likeliest first, bounded, and shown nowhere."""

import pytest

from agent.model.weak import Rule
from agent.vault.candidates import LONGEST, MOST, MOST_WORDS, Known, dictionary, guesses, spoken

KNOWN = Known(2027, ("星河市应急管理事务中心（虚构）", "Acme Corp"), ("张三（虚构）", "lisi", "欧阳修远"))


def made(kind="linux", user="deploy", hosts=("web-01",), known=KNOWN, full_name=""):
    return {guess.text: guess.rule for guess in guesses(kind, user, hosts, known, full_name)}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", Rule.EMPTY),
        ("deploy", Rule.SAME),
        ("Deploy", Rule.SAME),
        ("yolped", Rule.SAME),
        ("Huawei@123", Rule.DEFAULT),
        ("123456", Rule.RUN),
        ("87654321", Rule.RUN),
        ("888888", Rule.RUN),
        ("1qaz@WSX", Rule.RUN),
        ("deploy123", Rule.USER),
        ("Deploy@2027", Rule.USER),
        ("deploy@2026", Rule.USER),
        ("web-01", Rule.HOST),
        ("Web@123", Rule.HOST),
        ("P@ssw0rd", Rule.DEFAULT),
        ("zhengwu123", Rule.COMMON),
        ("xhsy123456", Rule.ORGANISATION),
        ("Acme@2027", Rule.ORGANISATION),
        ("zhangsan", Rule.PERSON),
        ("Zhangsan@2027", Rule.PERSON),
        ("zs123456", Rule.PERSON),
        ("lisi@123", Rule.PERSON),
        ("ouyangxiuyuan123", Rule.PERSON),
    ],
)
def test_each_rule_makes_its_guesses(text, rule):
    assert made()[text] is rule


def test_what_no_rule_makes_is_no_guess():
    assert not {"vT7#nQ2x!Lm9@Zr4Kd", "correct horse battery", "deploy2019", "wangwu123"} & made().keys()


def test_defaults_follow_the_kind_and_the_name():
    assert made(user="pi")["raspberry"] is Rule.DEFAULT
    assert "raspberry" not in made()
    assert made("postgresql", "scan")["postgres"] is Rule.DEFAULT
    assert made(full_name="王五")["wangwu123"] is Rule.PERSON


def test_the_likeliest_come_first():
    order = [guess.rule for guess in guesses("linux", "deploy", ("web-01",), KNOWN)]
    first = {rule: order.index(rule) for rule in set(order)}
    early = [Rule.EMPTY, Rule.SAME, Rule.DEFAULT, Rule.RUN, Rule.USER]
    assert sorted(early, key=first.get) == early
    assert max(first[rule] for rule in early) < min(first[rule] for rule in set(order) - set(early))
    assert len(order) == len(made())  # none twice


def test_rules_are_bounded_however_many_names_there_are():
    many = Known(2027, ("单位",) * 3, tuple(f"person{n}" for n in range(3000)))
    assert len(guesses("linux", "deploy", ("web-01",), many)) == MOST


def test_a_dictionary_stands_between_the_rules_and_is_bounded():
    words = tuple(f"word-{n}" for n in range(MOST_WORDS + 5))
    found = guesses("linux", "deploy", ("web-01",), Known(2027, words=words))
    mine = [at for at, guess in enumerate(found) if guess.rule is Rule.DICTIONARY]
    assert len(mine) == MOST_WORDS
    assert mine[0] < 200
    assert {guess.rule for guess in found[200:400]} > {Rule.DICTIONARY, Rule.COMMON}


def test_a_dictionary_is_read_and_told_when_cut():
    raw = "\ufeffone\r\ntwo\none\n\nb\x01d\n".encode() + b"x" * (LONGEST + 1)
    assert dictionary(raw) == (("one", "two"), 2)
    words, there = dictionary("\n".join(f"w{n}" for n in range(MOST_WORDS + 7)).encode())
    assert (len(words), there) == (MOST_WORDS, MOST_WORDS + 7)
    with pytest.raises(ValueError, match="utf-8"):
        dictionary(b"\xff\xfe\x00")


def test_a_guess_shows_no_text():
    assert "deploy123" not in repr(guesses("linux", "deploy", ("web-01",), KNOWN))
    assert "Geheim" not in repr(Known(2027, words=("Geheim",)))


def test_names_as_they_are_typed():
    assert set(spoken("张三（虚构）")) >= {"zhangsan", "zs"}
    assert "xhsy" in spoken("星河市应急管理事务中心（虚构）")
    assert spoken("Acme Corp") == ("acmecorp", "acme", "corp")
    assert spoken("") == ()
