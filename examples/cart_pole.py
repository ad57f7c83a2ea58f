"""Learns to balance a pole on a cart: simulator, policy and training step in one native function.

The policy is a small net that tells the probability of a push to the right. It learns by REINFORCE (Williams 1992) with
the mean return as baseline. The simulator is the user's own `@njit` code, and so is the loop around it, which calls
`policy.njit` and `train.njit`. The same loop in Python, with a call for the simulator and for each of the two, shows
what the way through Python costs.

Run it with `python examples/cart_pole.py`; it takes some ten seconds, most of them to compile. The picture of how long
the pole stood goes to out/cart_pole.png.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin
from pathlib import Path
from time import perf_counter
from typing import Any

import numba
import numpy as np
from matplotlib.figure import Figure

import graphc as gc

EPISODES, LONGEST, BATCH = 400, 200, 10
"""Episodes of training, the steps after which one ends, and episodes for each step of training."""
SHOWN = 50
"""Episodes whose mean length is shown."""
PICTURE = Path("out/cart_pole.png")
HIDDEN, RATE, DISCOUNT, SEED = 16, 0.5, 0.95, 1

GRAVITY, CART, POLE, HALF_LENGTH = 9.8, 1.0, 0.1, 0.5
FRICTION, HINGE_FRICTION = 5e-4, 2e-6
FORCE, SECONDS = 10.0, 0.02


@numba.njit
def push(state: np.ndarray, force: float) -> None:
    """The state (position, speed, the pole's angle, angular speed) moves by SECONDS under a force: Euler's method.

    The equations are those of Barto, Sutton & Anderson (1983), "Neuronlike adaptive elements that can solve difficult
    learning control problems", appendix; units are metres, kilograms, seconds and radians.
    """
    _, speed, angle, spin = state
    mass, friction = CART + POLE, FRICTION * np.sign(speed)
    pull = (-force - POLE * HALF_LENGTH * spin**2 * sin(angle) + friction) / mass
    torque = GRAVITY * sin(angle) + cos(angle) * pull - HINGE_FRICTION * spin / (POLE * HALF_LENGTH)
    turn = torque / (HALF_LENGTH * (4 / 3 - POLE * cos(angle) ** 2 / mass))
    thrust = (force + POLE * HALF_LENGTH * (spin**2 * sin(angle) - turn * cos(angle)) - friction) / mass
    state += SECONDS * np.array([speed, thrust, spin, turn])


@numba.njit
def stands(state: np.ndarray) -> bool:
    """Whether the cart is on its track and the pole within 12 degrees."""
    return abs(state[0]) < 2.4 and abs(state[2]) < pi / 15


def build() -> tuple[gc.Function, gc.Function]:
    """The policy, from states to probabilities of a push to the right; and a step that trains it."""
    states = gc.input("states", ("steps", 4))
    pushes = gc.input("pushes", ("steps",), "float32")
    advantages = gc.input("advantages", ("steps",))
    hidden = gc.nn.dense(states, HIDDEN, activation="tanh", name="hidden")
    right = gc.nn.dense(hidden, 1, name="out")[:, 0]
    loss = gc.sigmoid_cross_entropy(right, pushes, weights=advantages)
    return gc.compile(gc.sigmoid(right)), gc.compile(loss, optimizer=gc.SGD(lr=RATE, momentum=0.9))


def learner(policy: Callable[..., Any], train: Callable[..., Any]) -> Callable[[int], np.ndarray]:
    """The loop of learning, as a function of the number of episodes; it returns how many steps each lasted."""

    def learn(episodes: int) -> np.ndarray:
        np.random.seed(SEED)
        lengths = np.zeros(episodes, np.int64)
        states = np.empty((BATCH * LONGEST, 4), np.float32)
        pushes, returns = np.empty(BATCH * LONGEST, np.float32), np.empty(BATCH * LONGEST, np.float32)
        end = 0
        for episode in range(episodes):
            start, state = end, np.random.uniform(-0.05, 0.05, 4)
            while stands(state) and end - start < LONGEST:
                states[end] = state
                pushes[end] = np.random.random() < policy(states[end : end + 1])[0]
                push(state, FORCE if pushes[end] else -FORCE)
                end += 1
            lengths[episode] = end - start
            following = 0.0
            for step in range(end - 1, start - 1, -1):
                following = returns[step] = 1 + DISCOUNT * following
            if episode % BATCH == BATCH - 1:
                known = returns[:end]
                advantages = (known - known.mean()) / known.std()
                train(states[:end], pushes[:end], advantages.astype(np.float32))
                end = 0
        return lengths

    return learn


def native() -> Callable[[int], np.ndarray]:
    """All of it in one native function."""
    policy, train = build()
    learn = numba.njit(learner(policy.njit, train.njit))
    learn(0)  # compiles it
    return learn


def mixed() -> Callable[[int], np.ndarray]:
    """The loop in Python; the simulator, the policy and the training step are a call each."""
    return learner(*build())


def running_mean(lengths: np.ndarray) -> np.ndarray:
    """For each episode from number SHOWN on, the mean length of the last SHOWN."""
    return np.convolve(lengths, np.full(SHOWN, 1 / SHOWN), mode="valid")


def draw(lengths: np.ndarray, path: Path) -> None:
    """How long the pole stood in each episode."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    episodes = np.arange(1, len(lengths) + 1)
    axes.plot(episodes, lengths, ".", color="#56B4E9", markersize=3, label="one episode")
    axes.plot(episodes[SHOWN - 1 :], running_mean(lengths), color="#D55E00", label=f"mean of the last {SHOWN}")
    axes.set(xlabel="episode", ylabel=f"steps until the pole fell, at most {LONGEST}")
    axes.set_title("Learning to balance a pole", fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main(episodes: int = EPISODES) -> None:
    micros, runs = [], []
    for title, learn in (("all native", native()), ("a loop in Python", mixed())):
        start = perf_counter()
        lengths = learn(episodes)
        micros.append((perf_counter() - start) / lengths.sum() * 1e6)
        runs.append(lengths)
        print(f"{title}: {micros[-1]:.2f} us for a step of the simulator")
        for end in range(SHOWN, episodes + 1, SHOWN):
            mean = lengths[end - SHOWN : end].mean()
            print(f"  episodes {end - SHOWN + 1:3d} to {end:3d}: mean length {mean:5.1f} of {LONGEST}")
    print(f"all native is {micros[1] / micros[0]:.0f} times as fast")
    draw(runs[0], PICTURE)
    print(f"picture: {PICTURE}")


if __name__ == "__main__":
    main()
