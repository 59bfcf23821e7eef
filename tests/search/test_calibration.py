"""The threshold of the unknown, against plain loops, and its promise on other classes."""

import json
import re
import tracemalloc

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_proxygml.metrics import BestMatches, best_matches
from keras_proxygml.search.calibration import Calibration, calibrate
from keras_proxygml.search.thresholds import Outcomes, Target, drawn_thresholds

QUICK = {"resamples": 5}


def made(own, other, classes, other_classes=None, items=100):
    classes = np.asarray(classes)
    if other_classes is None:
        other_classes = np.where(np.isneginf(other), -1, (classes + 1) % (classes.max() + 1))
    own, other = np.asarray(own, "float64"), np.asarray(other, "float64")
    size = items, len(np.unique(classes))
    return BestMatches(classes, classes, own, other, np.asarray(other_classes), *size)


@st.composite
def outcomes(draw):
    """Similarities of few different values, so that ties abound; some queries without a match."""
    number = draw(st.integers(2, 30))
    value = st.integers(-3, 3)
    own = draw(st.lists(st.one_of(value, st.none()), min_size=number, max_size=number))
    other = draw(st.lists(value, min_size=number, max_size=number))
    classes = draw(st.lists(st.integers(0, 4), min_size=number, max_size=number))
    own = [-np.inf if x is None else x / 4 for x in own]
    hypothesis.assume(len(set(classes)) > 1 and max(own) > -np.inf)
    return made(own, [x / 4 for x in other], classes)


def rates(matches, threshold):
    """False accept rate, identification rate, precision and F1 by plain loops."""
    pairs = list(zip(matches.own.tolist(), matches.other.tolist(), strict=True))
    known = [(a, b) for a, b in pairs if a > -np.inf]
    false_accepts = sum(b >= threshold for _, b in pairs)
    right = sum(a > b and a >= threshold for a, b in known)
    accepted = false_accepts + sum(max(a, b) >= threshold for a, b in known)
    precision = right / accepted if accepted else float("nan")
    identified = right / len(known)
    total = precision + identified
    f1 = 2 * precision * identified / total if accepted and total else 0.0
    return false_accepts / len(pairs), identified, precision, f1


def candidates(matches):
    """Every similarity at which something is accepted, and one above, rising."""
    found = sorted({*matches.own.tolist(), *matches.other.tolist()} - {-np.inf})
    return [*found, np.nextafter(found[-1], np.inf)]


def reached(calibration):
    return (
        calibration.false_accept_rate,
        calibration.true_identification_rate,
        calibration.precision,
        calibration.f1,
    )


@hypothesis.settings(deadline=None, max_examples=40)
@hypothesis.given(outcomes(), st.floats(0.01, 0.9))
@pytest.mark.slow
def test_smallest_threshold_within_the_false_accept_rate(matches, target):
    hypothesis.assume(target * len(matches.own) >= 1)
    found = calibrate(matches, false_accept_rate=target, **QUICK)
    fits = [t for t in candidates(matches) if rates(matches, t)[0] <= target]
    # Only what is the best of both classes is the answer to a known query.
    assert rates(matches, found.threshold) == pytest.approx(rates(matches, fits[0]), nan_ok=True)
    assert reached(found) == pytest.approx(rates(matches, found.threshold), nan_ok=True)
    assert found.threshold >= fits[0]


@hypothesis.settings(deadline=None, max_examples=40)
@hypothesis.given(outcomes())
@pytest.mark.slow
def test_threshold_of_the_greatest_f1(matches):
    found = calibrate(matches, f1=True, **QUICK)
    best = max(rates(matches, t)[3] for t in candidates(matches))
    assert found.f1 == pytest.approx(best)
    assert reached(found) == pytest.approx(rates(matches, found.threshold), nan_ok=True)


@hypothesis.settings(deadline=None, max_examples=40)
@hypothesis.given(outcomes(), st.floats(0.05, 1.0))
@pytest.mark.slow
def test_smallest_threshold_of_the_precision(matches, target):
    fits = [t for t in candidates(matches) if rates(matches, t)[2] >= target]
    if not fits:
        with pytest.raises(ValueError, match="`precision` must be a precision that some"):
            calibrate(matches, precision=target, **QUICK)
        return
    found = calibrate(matches, precision=target, **QUICK)
    assert reached(found) == pytest.approx(rates(matches, fits[0]))


def test_counts_are_kept_and_survive_json():
    matches = made([0.9, 0.8, 0.7, 0.3], [0.1, 0.5, 0.6, 0.4], [0, 0, 1, 1], items=10)
    found = calibrate(matches, false_accept_rate=0.25, **QUICK)
    assert (found.queries, found.classes, found.gallery_items) == (4, 2, 10)
    assert (found.items_per_class, found.target, found.target_value) == (
        5.0,
        "false_accept_rate",
        0.25,
    )
    assert found.threshold == 0.6  # one of four is accepted at it, and two at 0.5
    assert reached(found) == (0.25, 0.75, pytest.approx(3 / 4), pytest.approx(3 / 4))
    assert Calibration.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_all_unknown_queries_tie():
    # Accepting one accepts all, so the threshold lies above.
    matches = made([1.0, 0.2, 0.2, 0.2], [0.5] * 4, [0, 1, 2, 3])
    found = calibrate(matches, false_accept_rate=0.5, **QUICK)
    assert found.threshold == 1.0
    assert reached(found)[:2] == (0.0, 0.25)
    matches = made([0.5] * 4, [0.5] * 4, [0, 1, 2, 3])
    found = calibrate(matches, false_accept_rate=0.5, **QUICK)
    assert found.threshold == np.nextafter(0.5, 1)
    assert np.isnan(found.precision)


def clusters(classes, items, dims, seed, noise=1.0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), items)
    vectors = rng.normal(size=(classes, dims))[labels] + noise * rng.normal(
        size=(len(labels), dims)
    )
    return vectors, labels


@pytest.mark.slow
def test_other_classes_keep_the_promise():
    inside = 0
    for seed in range(40):
        vectors, labels = clusters(120, 8, 16, seed)
        half = np.random.default_rng(seed).permutation(120)[:60]
        seen = np.isin(labels, half)
        found = calibrate(best_matches(vectors[seen], labels[seen]), false_accept_rate=0.02)
        others = best_matches(vectors[~seen], labels[~seen])
        low, high = found.false_accept_interval
        inside += low <= (others.other >= found.threshold).mean() <= high
        assert low <= found.false_accept_rate <= high
        assert found.threshold_interval[0] <= found.threshold <= found.threshold_interval[1]
    assert inside >= 36


def test_interval_narrows_with_more_classes_and_less_confidence():
    widths = {}
    for classes, confidence in ((40, 0.95), (400, 0.95), (400, 0.5)):
        matches = best_matches(*clusters(classes, 5, 16, 0))
        found = calibrate(matches, false_accept_rate=0.1, confidence=confidence, resamples=200)
        widths[classes, confidence] = np.diff(found.false_accept_interval)[0]
    assert widths[40, 0.95] > 1.5 * widths[400, 0.95] > 2.5 * widths[400, 0.5] > 0


def test_draws_depend_on_the_seed_alone():
    matches = best_matches(*clusters(30, 5, 8, 0))
    found = [calibrate(matches, false_accept_rate=0.1, resamples=50, seed=s) for s in (0, 0, 1)]
    assert found[0] == found[1]
    assert found[0] != found[2]


@pytest.mark.parametrize(("resamples", "numbers"), [(2, 2**18), (200, 10_000)])
def test_draws_take_little_memory_with_few_queries_and_many_classes(resamples, numbers):
    rng = np.random.default_rng(0)
    own, other = rng.random((2, 20))
    outcomes = Outcomes(made(own, other, np.arange(20), np.arange(980, 1000)))
    tracemalloc.start()
    drawn = drawn_thresholds(outcomes, Target("f1", None), resamples, 0, numbers)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [len(x) for x in drawn] == [resamples] * 2
    assert peak < 500_000


def test_a_gallery_outgrows_its_threshold():
    matches = best_matches(*clusters(60, 5, 16, 0))
    found = calibrate(matches, false_accept_rate=0.05)
    assert found.outgrown_by(300) is None
    assert found.outgrown_by(100) is None
    reason = found.outgrown_by(3000)
    assert re.search(
        r"on a gallery of 300 labeled items, and the gallery has 3000 now.*up to 50.00%", reason
    )


WITHOUT_OTHERS = made([0.5, 0.6], [-np.inf, -np.inf], [0, 1])
MATCHES = made([0.9, 0.8, 0.7], [0.1, 0.2, 0.3], [0, 0, 1])


@pytest.mark.parametrize(
    ("matches", "arguments", "message"),
    [
        (MATCHES, {}, "`false_accept_rate` must be the only target. Received: no target"),
        (MATCHES, {"precision": 0.9, "f1": True}, "only target. Received: precision, f1"),
        (MATCHES, {"false_accept_rate": 0.0}, r"must be in \(0, 1\). Received: .*=0.0"),
        (MATCHES, {"precision": 1.5}, r"`precision` must be in \(0, 1\]"),
        (MATCHES, {"f1": True, "confidence": 1}, "`confidence` must be in"),
        (MATCHES, {"f1": True, "resamples": 1}, "`resamples` must be an integer of 2"),
        (
            MATCHES,
            {"false_accept_rate": 0.01},
            "be at least 1 / 3, .* 3 unknown queries. Received: .*=0.01. Give at least 100 queries",
        ),
        (made([1.0], [0.5], [0]), {"f1": True}, "`matches` must have queries of at least two"),
        (made([-np.inf] * 2, [0.5] * 2, [0, 1]), {"f1": True}, "have queries of known classes"),
    ],
)
def test_errors(matches, arguments, message):
    with pytest.raises(ValueError, match=message):
        calibrate(matches, **arguments)


@pytest.mark.parametrize("values", [{"threshold": 1.0}, [1]])
def test_foreign_json_is_refused(values):
    with pytest.raises(ValueError, match="`values` must have the names that `to_json` writes"):
        Calibration.from_json(values)


def test_nothing_to_confuse():
    found = calibrate(WITHOUT_OTHERS, false_accept_rate=0.5, **QUICK)
    assert found.threshold == 0.5
    assert reached(found) == (0, 1, 1, 1)
    assert found.outgrown_by(150) is None
    assert "so more unknown queries may be accepted" in found.outgrown_by(250)


def test_numpy_may_raise_on_everything():
    matches = best_matches(*clusters(20, 5, 8, 0))
    for target in ({"false_accept_rate": 0.1}, {"precision": 0.5}, {"f1": True}):
        found = calibrate(matches, **target, **QUICK)
        with np.errstate(all="raise"):
            assert calibrate(matches, **target, **QUICK) == found
