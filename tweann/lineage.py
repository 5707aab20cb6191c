"""Lineage: who was born of whom and how, who died when, and which births lead to those who live.

Births wait in memory until some thousands make a *piece*: one event with packed records, since a row for each
child in a database would take longer than a generation of a small task. Pieces are kept up to a cap, the newest.

The *line* of an individual follows the dominant parent of each birth. Births on the line of anybody alive, or of the
champion, are remembered beyond their pieces: once they are old they become *ancestors*, which no cap on pieces drops.
So the line of whoever becomes champion is whole. Only dominant parents are followed, since with both almost every
birth has descendants.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tweann.errors import FormatError
from tweann.genes import Bool, Float, Int, UInt8
from tweann.kernels.lines import mark_lines, record_selection
from tweann.rows import Rows

Records = NDArray[np.void]

#: One birth, big-endian so that plain SQL can read it (`BIRTHS` and `DEATHS` are views of the databases).
BIRTH: Final = np.dtype(
    [
        ("birth", ">i8"),  # birth number
        ("parent_a", ">i8"),  # birth number of the dominant parent; -1: none
        ("parent_b", ">i8"),
        ("species", ">i8"),  # after selection; -1: none, or not selected
        ("generation", ">i4"),  # of birth
        ("mutations", ">u4"),  # bits, in the order of `tweann.genes.MUTATIONS`
        ("operator", "u1"),  # code of `tweann.genes.Operator`
        ("origin", "u1"),  # code of `tweann.genes.Origin`
        ("fitness", ">f8"),  # as evaluated; NaN: that failed
    ]
)
#: One death: who was not selected, and in which generation.
DEATH: Final = np.dtype([("birth", ">i8"), ("generation", ">i4")])

#: Births become ancestors when they are this many pieces old; so many pieces at a time.
SETTLED: Final = 8


class Children(NamedTuple):
    """Children that were told.

    Attributes:
        rows: all of the brood, in the order of birth.
        told: (m,) birth numbers of those that the strategy was told of.
        applied: (n,) bits of their mutations.
        fitness: (n,) as the task gave it.
    """

    rows: Rows
    told: Int
    applied: Int
    fitness: Float


class _Waiting:
    """Records that wait, one behind the other in an array that grows as it must.

    Attributes:
        n: how many.
    """

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self._type, self._data, self.n = dtype, np.empty(0, np.uint8), 0

    def room(self, n: int) -> UInt8:
        """Return the bytes behind those that wait, enough for ``n`` more."""
        size = self._type.itemsize
        missing = (self.n + n) * size - self._data.size
        if missing > 0:
            more = np.empty(max(missing, self._data.size), np.uint8)
            self._data = np.concatenate((self._data, more))
        return self._data[self.n * size :]

    def records(self) -> Records:
        """Return those that wait; they go on waiting."""
        return self._data[: self.n * self._type.itemsize].view(self._type)

    def take(self) -> Records:
        """Return those that wait; none do then."""
        n_bytes = self.n * self._type.itemsize
        found = self._data[:n_bytes].copy()  # as bytes: numpy copies records field by field
        self.n = 0
        return found.view(self._type)

    def fill(self, records: Records) -> None:
        """Let these wait and no others."""
        self._data, self.n = np.frombuffer(bytearray(records.tobytes()), np.uint8), records.size


class Lineage:
    """What is known of births and deaths until it is written.

    Args:
        batch: births that make a piece.
        max_births, max_generations: what the pieces that are kept reach back.
    """

    def __init__(self, batch: int, max_births: int, max_generations: int) -> None:
        self._batch, self._max_births, self._max_generations = batch, max_births, max_generations
        self._births, self._deaths = _Waiting(BIRTH), _Waiting(DEATH)
        self._line: Records = np.empty(0, BIRTH)  # written births that lead to the living
        #: Pieces that are kept: number of the event, last generation, births up to its end.
        self._pieces: deque[tuple[int, int, int]] = deque()
        self._first: deque[int] = deque(maxlen=SETTLED)  # first birth of the last pieces
        self._n_pieces = self._n_births = 0

    @property
    def due(self) -> bool:
        """Whether enough births wait for a piece."""
        return self._births.n >= self._batch

    def told(
        self, children: Children, before: Int, index: Int, species: Int, generation: int
    ) -> None:
        """Take children that were told, and who stayed.

        Args:
            children: all of a brood.
            before: birth numbers of the pool's rows until then.
            index: who stayed, of ``before`` and behind it ``children.told``.
            species: of those who stayed.
            generation: now.
        """
        rows, n = children.rows, children.fitness.size
        total = before.size + n
        self._deaths.n += record_selection(
            (rows["id"], rows["parent_a"], rows["parent_b"], rows["generation"]),
            children.applied,
            rows["operator"],
            rows["origin"],
            children.fitness.view(np.int64),
            before,
            children.told,
            index,
            species,
            generation,
            np.empty(total, np.bool_),
            self._births.room(n),
            self._deaths.room(total),
        )
        self._births.n += n

    def take(
        self, sequence: int, generation: int, alive: Sequence[Int]
    ) -> list[tuple[str, dict[str, Any], bytes]]:
        """Return what waits as events: kind, data and packed records; nothing waits then.

        Args:
            sequence: the number that the first event will have.
            generation: now.
            alive: birth numbers of all from whom a champion may come, and of the champion itself.
        """
        if not (self._births.n or self._deaths.n):
            return []
        births, deaths = by_birth(self._births.take()), self._deaths.take()
        self._n_births += births.size
        self._n_pieces += 1
        self._pieces.append((sequence, generation, self._n_births))
        self._first.append(int(births["birth"][0]) if births.size else -1)
        while len(self._pieces) > 2 * SETTLED and (
            self._pieces[0][1] < generation - self._max_generations
            or self._n_births - self._pieces[0][2] >= self._max_births
        ):
            self._pieces.popleft()
        data = {
            "n_births": births.size,
            "n_deaths": deaths.size,
            "keep_from": self._pieces[0][0],
        }
        events = [("lineage", data, births.tobytes() + deaths.tobytes())]
        self._line = lines(_joined(self._line, births), alive)
        if self._n_pieces % SETTLED == 0:
            old = self._line["birth"] < self._first[0]
            if old.any():
                settled = self._line[old]
                self._line = self._line[~old]
                data = {"n_births": settled.size, "last_birth": int(settled["birth"][-1])}
                events.append(("ancestors", data, settled.tobytes()))
        return events

    def state(self) -> dict[str, Any]:
        """Return what waits and what is remembered, as `tweann.packing.pack` takes it."""
        return {
            "births": self._births.records().tobytes(),
            "deaths": self._deaths.records().tobytes(),
            "line": self._line.tobytes(),
            "pieces": np.array(self._pieces, np.int64).reshape(-1, 3),
            "first": list(self._first),
            "n_pieces": self._n_pieces,
            "n_births": self._n_births,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``.

        Raises:
            FormatError: it is none.
        """
        self._births.fill(unpack(state["births"]))
        self._deaths.fill(unpack_deaths(state["deaths"], 0))
        self._line = unpack(state["line"])
        pieces = state["pieces"]
        if not isinstance(pieces, np.ndarray) or pieces.shape[1:] != (3,):
            raise FormatError("lineage: expected pieces as integers of shape (n, 3)")
        self._pieces = deque(tuple(row) for row in pieces.astype(np.int64).tolist())
        self._first.extend(int(birth) for birth in state["first"])
        self._n_pieces, self._n_births = int(state["n_pieces"]), int(state["n_births"])


def by_birth(births: Records) -> Records:
    """Return births in the order of their numbers."""
    numbers = births["birth"].astype(np.int64)
    if (numbers[1:] > numbers[:-1]).all():
        return births
    return births[np.argsort(numbers, kind="stable")]


def lines(births: Records, alive: Sequence[Int]) -> Records:
    """Return the births that are on the line of somebody in ``alive``, in the order of their numbers.

    Args:
        births: of which no number occurs twice.
        alive: birth numbers; who is not among ``births`` is left out.
    """
    births = by_birth(births)
    if not births.size:
        return births
    numbers = births["birth"].astype(np.int64)
    marked: Bool = np.zeros(numbers.size, np.bool_)
    step = _places(numbers, np.concatenate([np.asarray(ids, np.int64) for ids in alive]))
    marked[step[step >= 0]] = True
    mark_lines(numbers, births["parent_a"].astype(np.int64), marked)
    return births[marked]


def unpack(data: bytes, n_births: int | None = None) -> Records:
    """Return the births in packed records.

    Args:
        data: of an event.
        n_births: how many there are; behind them there may be deaths. By default nothing else is there.

    Raises:
        FormatError: they are not there.
    """
    size = len(data) if n_births is None else n_births * BIRTH.itemsize
    if size % BIRTH.itemsize or not 0 <= size <= len(data):
        raise FormatError(
            f"lineage: {len(data)} bytes are not {size // BIRTH.itemsize} records of {BIRTH.itemsize} bytes"
        )
    return np.frombuffer(data[:size], BIRTH)


def unpack_deaths(data: bytes, n_births: int) -> Records:
    """Return the deaths in the packed records of a piece.

    Raises:
        FormatError: they are not there.
    """
    start = n_births * BIRTH.itemsize
    if not 0 <= start <= len(data) or (len(data) - start) % DEATH.itemsize:
        raise FormatError(f"lineage: {len(data)} bytes are not {n_births} births and some deaths")
    return np.frombuffer(data[start:], DEATH)


def _joined(first: Records, second: Records) -> Records:
    """Return records one behind the other; as bytes, since numpy would copy them field by field."""
    if not first.size:
        return second
    return np.concatenate((first.view(np.uint8), second.view(np.uint8))).view(first.dtype)


def _places(numbers: Int, wanted: Int) -> Int:
    """Return where each of ``wanted`` stands in ``numbers``, which grow; -1: nowhere."""
    at = np.minimum(numbers.searchsorted(wanted), numbers.size - 1)
    return np.where(numbers[at] == wanted, at, -1)
