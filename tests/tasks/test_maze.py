"""The deceptive maze against a plain-Python twin in geometry by the book."""

from __future__ import annotations

import math

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from task_networks import KEYS, call_observe, call_reset, call_step, linear, random_linear, slice_of

from tweann.tasks.maze import GOAL, MAX_STEPS, START, WALLS, Maze, collides, observe, reset, step

ANGLES = (-90.0, -45.0, 0.0, 45.0, 90.0, 180.0)


class Twin:
    """The robot, with angles in degrees, a ray at a time."""

    def __init__(self) -> None:
        self.x, self.y = START
        self.heading = self.speed = self.turn = 0.0

    def ranges(self) -> list[float]:
        return [self.ray(self.heading + angle) / 100.0 for angle in ANGLES]

    def ray(self, angle: float) -> float:
        """Solve start + t·direction = a + s·(b − a) for each wall."""
        dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        nearest = 100.0
        for x1, y1, x2, y2 in WALLS.tolist():
            ex, ey = x2 - x1, y2 - y1
            determinant = ex * dy - ey * dx
            if determinant == 0.0:
                continue
            t = ((y1 - self.y) * ex - (x1 - self.x) * ey) / determinant
            s = ((y1 - self.y) * dx - (x1 - self.x) * dy) / determinant
            if t >= 0.0 and 0.0 <= s <= 1.0:
                nearest = min(nearest, t)
        return nearest

    def bearing(self) -> float:
        """Return the goal's bearing in [0, 360)."""
        angle = math.degrees(math.atan2(GOAL[1] - self.y, GOAL[0] - self.x))
        return (angle - self.heading) % 360.0

    def radar(self) -> list[float]:
        bearing = self.bearing()
        slices = [(45.0, 135.0), (135.0, 225.0), (225.0, 315.0)]
        others = [float(low <= bearing < high) for low, high in slices]
        return [1.0 - sum(others), *others]

    def step(self, turn: float, speed: float) -> bool:
        self.turn = min(max(self.turn + turn - 0.5, -3.0), 3.0)
        self.speed = min(max(self.speed + speed - 0.5, -3.0), 3.0)
        x = self.x + self.speed * math.cos(math.radians(self.heading))
        y = self.y + self.speed * math.sin(math.radians(self.heading))
        if all(distance_to_wall(x, y, wall) >= 8.0 for wall in WALLS.tolist()):
            self.x, self.y = x, y
        self.heading += self.turn
        return math.dist((self.x, self.y), GOAL) <= 5.0


def distance_to_wall(x: float, y: float, wall: list[float]) -> float:
    x1, y1, x2, y2 = wall
    length = math.dist((x1, y1), (x2, y2))
    along = ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length
    if along <= 0.0:
        return math.dist((x, y), (x1, y1))
    if along >= length:
        return math.dist((x, y), (x2, y2))
    return abs((x - x1) * (y2 - y1) - (y - y1) * (x2 - x1)) / length


@PROPERTY
@given(st.integers(0, 2**32 - 1))
def test_it_is_the_twin_step_for_step(seed: int) -> None:
    rng = np.random.default_rng(seed)
    twin, state = Twin(), np.zeros(8)
    call_reset(reset, state, np.uint64(0))
    action = rng.random(2)
    for k in range(200):
        seen = np.empty(11)
        call_observe(observe, state, seen)
        assert seen[:6] == pytest.approx(twin.ranges(), abs=1e-6)
        if min(abs(twin.bearing() - edge) for edge in (45.0, 135.0, 225.0, 315.0)) > 1e-6:
            assert seen[6:10].tolist() == twin.radar()
        assert seen[10] == 1.0
        if k % 7 == 0:
            action = rng.random(2)
        _, done = call_step(step, state, action)
        assert done == twin.step(*action.tolist())
        assert state[:2] == pytest.approx([twin.x, twin.y], abs=1e-6)
        if done:
            break


@PROPERTY
@given(st.floats(-20.0, 220.0), st.floats(-20.0, 220.0))
def test_a_robot_touches_a_wall_within_its_radius(x: float, y: float) -> None:
    nearest = min(distance_to_wall(x, y, wall) for wall in WALLS.tolist())
    if abs(nearest - 8.0) > 1e-9:
        assert collides(x, y) == (nearest < 8.0)


def test_start_and_goal_are_free_and_the_goal_is_out_of_sight() -> None:
    assert not collides(*START)
    assert not collides(*GOAL)
    assert math.dist(START, GOAL) > 160.0


@pytest.mark.parametrize(
    ("bearing", "slot"), [(45.0, 7), (135.0, 8), (225.0, 9), (315.0, 6), (0.0, 6), (44.9, 6)]
)
def test_slices_of_the_radar_include_their_first_edge(bearing: float, slot: int) -> None:
    state, seen = np.zeros(8), np.empty(11)
    state[0], state[1] = GOAL[0] - 64.0, GOAL[1]
    if bearing % 45.0 == 0.0:  # on an edge by whole numbers: heading along x, the goal moved around
        dx = {0.0: 64.0, 45.0: 64.0, 135.0: -64.0, 225.0: -64.0, 315.0: 64.0}[bearing]
        dy = {0.0: 0.0, 45.0: 64.0, 135.0: 64.0, 225.0: -64.0, 315.0: -64.0}[bearing]
        state[0], state[1] = GOAL[0] - dx, GOAL[1] - dy
        state[2], state[3] = 1.0, 0.0
    else:
        state[2], state[3] = math.cos(math.radians(-bearing)), math.sin(math.radians(-bearing))
    call_observe(observe, state, seen)
    assert seen[6:10].tolist() == [float(i == slot) for i in range(6, 10)]


def test_fitness_is_300_less_the_distance_and_the_descriptor_the_place() -> None:
    task = Maze(Maze.Settings())
    genomes = [random_linear(task, seed) for seed in range(30)]
    found = task.evaluate(slice_of(task, *genomes), KEYS)
    x = 3.0 + 192.0 * found.descriptor[:, 0]
    y = 5.0 + 197.0 * found.descriptor[:, 1]
    distance = np.hypot(x - GOAL[0], y - GOAL[1])
    assert found.fitness == pytest.approx(300.0 - distance)
    assert (found.descriptor >= 0.0).all()
    assert (found.descriptor <= 1.0).all()
    assert len(np.unique(found.fitness)) > 10
    assert not found.solved.any()
    assert (found.steps == MAX_STEPS).all()


def test_who_stands_still_stays_at_the_start() -> None:
    task = Maze(Maze.Settings(max_steps=7))
    found = task.evaluate(slice_of(task, linear(task, np.zeros(22))), KEYS)
    assert found.steps.tolist() == [7]
    assert found.fitness[0] == pytest.approx(300.0 - math.dist(START, GOAL))
