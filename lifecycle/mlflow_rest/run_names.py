"""Names for runs that were given none: easier to tell apart, and to say aloud, than ids."""

import random

QUALITIES = [
    "amber", "bold", "brave", "bright", "calm", "clear", "clever", "crisp", "deft", "eager", "gentle", "golden", "keen",
    "kind", "lively", "merry", "neat", "patient", "quick", "quiet", "silver", "steady", "sunny", "swift", "warm",
]  # fmt: skip
ANIMALS = [
    "badger", "bear", "beaver", "crane", "crow", "deer", "dove", "eagle", "falcon", "finch", "fox", "hare", "hawk",
    "heron", "ibis", "lark", "lynx", "marten", "otter", "owl", "panda", "robin", "seal", "stork", "swan", "wren",
]  # fmt: skip


def random_name() -> str:
    """Such as “quiet-heron-412”: two words and a number, as MLflow's own are."""
    return f"{random.choice(QUALITIES)}-{random.choice(ANIMALS)}-{random.randrange(1000)}"  # noqa: S311  # no secret
