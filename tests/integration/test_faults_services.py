# SPDX-License-Identifier: Apache-2.0
"""Services that fail at random: no call more than needed is made.

LETHE_SEED=N repeats a run; its number is printed when one fails."""
import os
import random
import threading

import pytest

from services import HANG_UP

SEED = int(os.environ.get("LETHE_SEED") or random.SystemRandom().randrange(1 << 32))

# It has not taken effect, and says so.
REFUSALS = [503, 429, 500, (503, "<html>closed</html>", {"Content-Type": "text/html"}), (429, "", {"Retry-After": "0"})]
# The call may have taken effect: the answer does not tell.
AMBIGUOUS = [HANG_UP, 502, 504, (200, "half of it", {"Content-Length": "100"}), (200, "<html>Sign in</html>"),
             (200, '{"erased": ', {"Content-Type": "application/json"})]


class Faults:
    """The failures of one service for each person, in their order; after them it succeeds."""

    def __init__(self, rng, names, share):
        kinds = rng.choice([REFUSALS, AMBIGUOUS, REFUSALS + AMBIGUOUS])
        self.of = {name: [rng.choice(kinds) for _ in range(rng.randint(1, 4))] if rng.random() < share else [] for name in names}
        self.left = {name: list(faults) for name, faults in self.of.items()}
        self.effects = dict.fromkeys(names, 0)
        self.lock = threading.Lock()

    def __call__(self, call):
        with self.lock:
            fault = self.left[call.username].pop(0) if self.left[call.username] else 204
            if fault not in REFUSALS:
                self.effects[call.username] += 1
            return fault

    def ambiguous(self, name):
        return sum(fault in AMBIGUOUS for fault in self.of[name])


@pytest.mark.parametrize("turn", range(6))
@pytest.mark.parametrize("share", [0, 0.05, 0.5, 1])
def test_no_call_is_made_without_need(pipeline, share, turn):
    seed = SEED + turn
    print(f"LETHE_SEED={SEED}, turn {turn}, faults for {share:.0%}")
    rng = random.Random(f"{seed} {share}")
    names = [f"user{n}" for n in range(rng.randint(1, 40))]
    for service in pipeline.everywhere:
        service.script = Faults(rng, names, share)
    for stage in pipeline.config["stages"]:
        stage["retry"] = {"for": "10m", "first": "1ms", "longest": "20ms"}
    for conf in pipeline.config["services"].values():
        conf["max_concurrent"] = rng.choice([1, 3, 8, 50])
        conf["breaker"] = rng.choice(["none", {"failures": 5, "pause": "10ms"}])
    pipeline.configure(driver={"poll": "100ms", "max_in_flight": rng.choice([1, 7, 1000])})
    pipeline.request_all(names)

    done = pipeline.drive_all()
    assert (done["completed"], done["errored"], done["stages"]) == (len(names), 0, 3 * len(names))
    for service in pipeline.everywhere:
        faults = service.script
        for name in names:
            calls = service.calls_for(name)
            assert len(calls) == 1 + len(faults.of[name]), (name, faults.of[name])
            assert faults.effects[name] == 1 + faults.ambiguous(name), (name, faults.of[name])
            assert len({call.key for call in calls}) == 1  # to the service they are one
    if share == 0:
        assert done["calls"] == 3 * len(names) and done["retries"] == 0
