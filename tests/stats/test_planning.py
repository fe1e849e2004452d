"""Planning and repeat noise: textbook numbers, inverses, and components recovered from simulated nesting."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evalharness.stats.noise import LEVELS, components, repeats
from evalharness.stats.planning import (
    Design,
    Spread,
    detectable,
    interval_width,
    prompts_for_difference,
    prompts_for_width,
    standard_error,
)

USUAL = Spread(sigma=0.45)


def test_the_textbook_example() -> None:
    design = Design(500)
    assert 100 * standard_error(USUAL, design) == pytest.approx(2.0, abs=0.02)
    assert 100 * detectable(USUAL, design) == pytest.approx(5.6, abs=0.05)
    assert design.games == 1000


@pytest.mark.parametrize("spread", [Spread(0.45, r=0.0), Spread(0.3, r=0.4, deff=1.7, within=0.2)])
@pytest.mark.parametrize(("languages", "repeats"), [(1, 1), (23, 3)])
def test_the_prompts_for_a_width_just_reach_it(spread: Spread, languages: int, repeats: int) -> None:
    needed = prompts_for_width(spread, 0.03, languages, repeats)
    assert interval_width(spread, Design(needed, languages, repeats)) <= 0.03
    assert interval_width(spread, Design(needed - 1, languages, repeats)) > 0.03
    enough = prompts_for_difference(spread, 0.03, languages, repeats)
    assert detectable(spread, Design(enough, languages, repeats)) <= 0.03
    assert detectable(spread, Design(enough - 1, languages, repeats)) > 0.03


def test_languages_that_agree_wholly_are_one_and_repeats_help_only_what_repeats() -> None:
    one, many = Design(100), Design(100, languages=23)
    assert standard_error(Spread(0.4, r=1.0), many) == pytest.approx(standard_error(Spread(0.4), one))
    assert standard_error(Spread(0.4, r=0.0), many) == pytest.approx(standard_error(Spread(0.4), one) / 23**0.5)
    assert standard_error(USUAL, Design(100, repeats=9)) == standard_error(USUAL, one)
    with pytest.raises(ValueError, match="correlation"):
        standard_error(USUAL, many)
    pure = Spread(0.0, within=0.3)
    assert standard_error(pure, Design(100, repeats=9)) == pytest.approx(standard_error(pure, one) / 3)


def test_repeats_by_hand_and_with_one_each() -> None:
    found = repeats([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    assert found.within == pytest.approx(0.5 / 3)
    assert found.between == pytest.approx(np.var([0.5, 1.0, 0.0], ddof=1))
    assert found.between_true == pytest.approx(found.between - found.within / 2)
    assert found.variance_of_mean == pytest.approx(found.between_true / 3 + found.within / 6)
    once = repeats([[0.0], [1.0], [0.5]])
    assert once.within is None and once.variance_of_mean == pytest.approx(once.between / 3)


def nested(sizes: tuple[int, ...], spreads: tuple[float, ...], seed: int = 0) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    index = np.indices(sizes).reshape(len(sizes), -1)
    score = np.zeros(index.shape[1])
    for depth, spread in enumerate(spreads):
        effect = r.normal(0, spread, sizes[: depth + 1])
        score += effect[tuple(index[: depth + 1])]
    return pd.DataFrame({**dict(zip(LEVELS, index, strict=True)), "score": score})


def test_components_are_recovered() -> None:
    spreads = (0.3, 0.2, 0.15, 0.1, 0.05)
    found = components(nested((400, 3, 3, 2, 3), spreads))
    for level, spread in zip(LEVELS, spreads, strict=True):
        assert found[level].variance == pytest.approx(spread**2, rel=0.15)


def test_what_was_not_repeated_is_unknown_and_what_does_not_vary_is_zero() -> None:
    found = components(nested((50, 1, 1, 2, 1), (0.3, 0.0, 0.0, 0.0, 0.0)))
    assert [found[level].variance for level in ("language", "generation", "judge")] == [None] * 3
    assert found["order"].variance == pytest.approx(0.0, abs=1e-12)
    shuffled = nested((50, 2, 1, 2, 1), (0.3, 0.2, 0, 0.1, 0)).sample(frac=1, random_state=1)
    assert components(shuffled)["prompt"] == pytest.approx(components(shuffled.sort_index())["prompt"])
