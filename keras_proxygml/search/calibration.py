"""The threshold below which an answer is "unknown", and how far it can be trusted.

Every class is held out in turn. A query whose class is held out stands for an unknown one: what it
finds is its best item of *another* class, and accepting that is a false accept. With its class in
the gallery, the same query is a known one: its answer is right if the best item of its own class is
more similar than any other. Both are read from two similarities, so one search suffices.
"""

import dataclasses
from typing import Any

import numpy as np

from keras_proxygml.checks import check_integer, check_number, refuse
from keras_proxygml.metrics.best_matches import BestMatches
from keras_proxygml.search.thresholds import Outcomes, Target, drawn_thresholds

MOST_GROWTH = 2.0  # no interval speaks for a gallery that is larger than so many times


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A threshold, what it was chosen for, and what it reached.

    The rates are shares of the queries. Precision and F1 count as many unknown as known queries.

    Attributes:
        threshold: An answer counts if its similarity is at least this.
        target: What the threshold was chosen by: "false_accept_rate", "precision" or "f1".
        target_value: The rate or the precision asked for; None for "f1".
        false_accept_rate: Share of the unknown queries that are accepted.
        true_identification_rate: Share of the known queries that are accepted and right.
        precision: Share of the accepted queries that are right.
        f1: Harmonic mean of the precision and the true identification rate.
        threshold_interval: Ends of the interval that other classes' thresholds lie in.
        false_accept_interval: Ends of the interval that the false accept rate of as many other
            classes lies in, at this way to choose the threshold.
        confidence: How often such an interval should hold.
        queries: How many queries were used.
        classes: How many classes they have.
        gallery_items: How many labeled items the gallery had.
        items_per_class: How many of these a class had, on average.
    """

    threshold: float
    target: str
    target_value: float | None
    false_accept_rate: float
    true_identification_rate: float
    precision: float
    f1: float
    threshold_interval: tuple[float, float]
    false_accept_interval: tuple[float, float]
    confidence: float
    queries: int
    classes: int
    gallery_items: int
    items_per_class: float

    def outgrown_by(self, items: int) -> str | None:
        """Tells why a gallery of so many labeled items is too large for the threshold, if it is.

        An unknown query finds the best of all items, and the best of more items is more similar.
        The false accept rate rises at most in proportion to the gallery.

        Args:
            items: How many labeled items the gallery has now.

        Returns:
            The reason in words, or None if the gallery has not outgrown the threshold.
        """
        growth = items / self.gallery_items
        rate, end = self.false_accept_rate, self.false_accept_interval[1]
        if growth <= MOST_GROWTH and rate * growth <= max(end, 1.1 * rate):
            return None
        more = "more unknown queries may be accepted"
        if rate:
            most = min(1.0, rate * growth)
            more = f"up to {most:.2%} of unknown queries may be accepted, where {rate:.2%} were"
        return (
            f"The threshold was calibrated on a gallery of {self.gallery_items} labeled items, and "
            f"the gallery has {items} now. The best of more items is more similar, so {more}. "
            "Calibrate again."
        )

    def to_json(self) -> dict[str, Any]:
        """The calibration as a dict of numbers, strings and lists, which JSON can hold."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Calibration":
        """The calibration that `to_json` made this dict of.

        Args:
            values: The dict.

        Returns:
            A `Calibration`.

        Raises:
            ValueError: If names are missing or unknown.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(values, dict) or set(values) != set(names):
            received = sorted(values) if isinstance(values, dict) else type(values).__name__
            refuse("values", "have the names that `to_json` writes", received)
        given: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**given)


def calibrate(
    matches: BestMatches,
    *,
    false_accept_rate: float | None = None,
    precision: float | None = None,
    f1: bool = False,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Calibration:
    """Chooses the threshold of the unknown.

    Give exactly one target. Classes should be none that the embedder was trained on.

    The intervals come from a bootstrap over classes that draws them twice: once to choose the
    threshold, and once more to count false accepts. They hold the variation of the classes at hand
    and that of other classes. A false accept depends on two classes, that of the query and that of
    the item, and counts as often as both are drawn. This makes the intervals rather too wide than
    too narrow.

    Args:
        matches: What each query finds, from `best_matches`. An item must not find itself.
        false_accept_rate: Take the smallest threshold that accepts at most this share of the
            unknown queries. In (0, 1).
        precision: Take the smallest threshold at which this share of the accepted queries is
            right, with as many unknown as known queries. In (0, 1].
        f1: Take the threshold of the greatest F1.
        confidence: How often the intervals should hold. In (0, 1).
        resamples: How many times classes are drawn.
        seed: Seed of the draws.

    Returns:
        A `Calibration`.

    Raises:
        ValueError: If not exactly one target is given, an argument is out of range, the queries
            are too few to measure the rate, no threshold reaches the precision, or there are fewer
            than two classes.

    Reference:
        Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007.
    """
    target = _check_target(false_accept_rate, precision, f1)
    check_number("confidence", confidence, "(0, 1)", "Give for instance 0.95.")
    check_integer("resamples", resamples, 2, hint="1000 is usual.")
    _check_matches(matches, target)
    outcomes = Outcomes(matches)
    chosen = outcomes.rates()
    index = int(target.choose(chosen)[0])
    reached = chosen.at([index])
    if target.name == "precision" and not reached.precision[0] >= target.value:
        best = np.nanmax(chosen.precision)
        allowed = "be a precision that some threshold reaches"
        refuse("precision", allowed, f"precision={precision}", f"The best is {best:.4f}.")
    drawn = drawn_thresholds(outcomes, target, resamples, seed)
    tails = [50 * (1 - confidence), 50 * (1 + confidence)]
    # A draw's threshold and rate are numbers that occurred: none is interpolated.
    ends = [np.percentile(x, tails, method="nearest").tolist() for x in drawn]
    rates = {name: float(values[0]) for name, values in reached._asdict().items()}
    return Calibration(
        threshold=float(outcomes.thresholds[index]),
        target=target.name,
        target_value=target.value,
        **rates,
        threshold_interval=tuple(ends[0]),
        false_accept_interval=tuple(ends[1]),
        confidence=confidence,
        queries=len(matches.own),
        classes=len(np.unique(matches.classes)),
        gallery_items=matches.items,
        items_per_class=matches.items / matches.item_classes,
    )


def _check_target(false_accept_rate, precision, f1):
    given = {"false_accept_rate": false_accept_rate, "precision": precision, "f1": f1 or None}
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        allowed = "be the only target"
        hint = "Give exactly one of false_accept_rate, precision and f1=True."
        refuse("false_accept_rate", allowed, ", ".join(names) or "no target", hint)
    if f1:
        return Target("f1", None)
    hint = "Give for instance false_accept_rate=0.01."
    if precision is not None:
        check_number("precision", precision, "(0, 1]", "Give for instance precision=0.95.")
        return Target("precision", float(precision))
    check_number("false_accept_rate", false_accept_rate, "(0, 1)", hint)
    return Target("false_accept_rate", float(false_accept_rate))


def _check_matches(matches, target):
    classes = len(np.unique(matches.classes))
    if classes < 2:
        hint = "Classes are held out in turn to stand for the unknown. Add items of another one."
        refuse("matches", "have queries of at least two classes", "queries of one class", hint)
    if np.isneginf(matches.own).all():
        hint = "Give queries of the classes of the gallery, and two items a class or more."
        received = "no query with an item of its class to find"
        refuse("matches", "have queries of known classes", received, hint)
    queries = len(matches.own)
    if target.name == "false_accept_rate" and target.value * queries < 1:
        need = int(np.ceil(1 / target.value))
        refuse(
            "false_accept_rate",
            f"be at least 1 / {queries}, because there are {queries} unknown queries",
            f"false_accept_rate={target.value:g}",
            f"Give at least {need} queries, or a greater rate.",
        )
