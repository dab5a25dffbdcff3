"""passwords.yaml: nothing asks for less than the undertaking without a name, a reason and an end."""

from datetime import date

import pytest

from agent.declared.passwords import load_password_policies
from agent.model.errors import DeclaredError
from agent.model.password import UNDERTAKING

TODAY = date(2027, 3, 1)
EXCEPTION = "exception: {reason: 设备限制, approver: 张三, expires: 2027-03-01}"


def load(tmp_path, *entries, today=TODAY):
    lines = "\n".join(f"- {{{entry}}}" for entry in entries)
    (tmp_path / "passwords.yaml").write_text(f"schema_version: 1\npolicies:\n{lines}\n", encoding="utf-8")
    return load_password_policies(tmp_path, today)


def test_the_undertaking_is_always_there(tmp_path):
    assert load_password_policies(tmp_path, TODAY) == {"undertaking": UNDERTAKING}


def test_a_stronger_one_needs_no_exception(tmp_path):
    strong = load(tmp_path, "name: core, length: 24, max_age: 14")["core"]
    assert (strong.length, strong.max_age, strong.rotate_at, strong.exception) == (24, 14, 13, "")


def test_a_weaker_one_says_who_allowed_it(tmp_path):
    weak = load(tmp_path, f"name: vpn, length: 14, {EXCEPTION}")["vpn"]
    assert (weak.length, weak.max_age) == (14, 30)
    assert weak.exception == "设备限制（批准：张三，至 2027-03-01）"


def test_the_day_after_it_has_run_out_it_is_the_undertaking_again(tmp_path):
    weak = load(tmp_path, f"name: vpn, length: 14, {EXCEPTION}", today=date(2027, 3, 2))["vpn"]
    assert weak.length == UNDERTAKING.length
    assert "expired" in weak.exception


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("name: vpn, length: 14", "asks for less than the undertaking (length)"),
        ("name: vpn, special: 0", "asks for less than the undertaking (special)"),
        ("name: vpn, max_age: 90, rotate_at: 80", "asks for less than the undertaking (max_age, rotate_at)"),
        ("name: undertaking, length: 20", "'undertaking' is taken"),
        ("name: vpn, rotate_at: 30", "leaves no day to mend a failure"),
        (f"name: vpn, length: 0, {EXCEPTION}", "length"),
        ("name: vpn, exception: {reason: x, approver: y}", "expires"),
        ("name: vpn, lenght: 20", "lenght"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, entry, said):
    with pytest.raises(DeclaredError) as error:
        load(tmp_path, entry)
    assert said in str(error.value)
    assert "passwords.yaml:3" in str(error.value)
