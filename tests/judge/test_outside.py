"""Software beyond the package manager: a feed that knows next to nothing of a product covers it not."""

import pytest

from agent.judge import outside


@pytest.mark.parametrize(
    ("advisories", "said"), [(0, "均未收录该产品"), (1, "只收录该产品 1 条公告"), (outside.FEW, "")]
)
def test_a_product_of_few_advisories_is_said_and_never_clean(advisories, said):
    why = outside.gap(advisories)
    assert said in why
    assert bool(why) is bool(said)
