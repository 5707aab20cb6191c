"""MAP-Elites: the best of every kind.

The archive is the pool: its members are the elites, and a column says which cell each holds. Cells that nobody
holds take no room.

Source: Mouret & Clune, "Illuminating search spaces by mapping elites" (arXiv:1504.04909, 2015); CVT archive and iso+line
operator: Vassiliades et al. (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, NamedTuple, Self, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike
from pydantic import BaseModel, Field, model_validator

from tweann.config.sections import Rate
from tweann.errors import ConfigError
from tweann.genes import Bool, Float, Int, Operator
from tweann.interfaces import BreedingPlan, State, StrategyContext, Survivors
from tweann.kernels.archive import NOT_FINITE, REJECTED, Int32, place
from tweann.kernels.iso_line import iso_lines
from tweann.pool import BroodView, PoolView
from tweann.strategies.archives import Cells, Grid, Voronoi, check_cells
from tweann.strategies.descriptors import Descriptors, DescriptorSettings

_FRESH, _MUTATE = np.uint8(Operator.FRESH), np.uint8(Operator.MUTATE)
_CROSSOVER, _SET_VALUES = np.uint8(Operator.CROSSOVER), np.uint8(Operator.SET_VALUES)
_CROSSOVER_MUTATE = np.uint8(Operator.CROSSOVER_MUTATE)
#: In the order of their shares.
_OPERATORS: Final = np.array([_CROSSOVER, _SET_VALUES, _MUTATE, _FRESH])
#: Cells for each place that a hash table needs, up to which every cell has its own.
_SPARSE: Final = 2


class MapElitesSettings(DescriptorSettings):
    """Settings of strategy ``map-elites``."""

    population: int = Field(150, ge=1, description="Evaluations a generation.")
    archive: Literal["grid", "cvt"] = Field(
        "grid",
        description="`grid`: bins in each dimension. `cvt`: a centroidal Voronoi tessellation, for "
        "descriptors of many dimensions.",
    )
    bins: int | tuple[int, ...] = Field(
        30, description="Of a grid: bins in every dimension, or a list, one number a dimension."
    )
    cells: int = Field(1_000, ge=1, description="Of a CVT: how many cells.")
    cvt_samples: int = Field(
        25_000,
        ge=1,
        le=10_000_000,
        description="Of a CVT: points that are shared out, at least `cells`.",
    )
    cvt_seed: int = Field(
        1,
        ge=0,
        le=2**63 - 1,
        description="Of a CVT: its seed, so that all runs have the same cells.",
    )
    max_cells: int = Field(
        10_000, ge=1, le=100_000_000, description="Cap on the cells of an archive."
    )
    out_of_bounds: Literal["clip", "reject"] = Field(
        "clip",
        description="A descriptor out of bounds: `clip`: counts as on the bound. `reject`: is not "
        "kept.",
    )
    crossover_rate: Rate = Field(0.25, description="Share of children of two elites.")
    crossover_mutate_rate: Rate = Field(1.0, description="Share of these that are mutated as well.")
    iso_line_rate: Rate = Field(
        0.0,
        description="Share of children that have an elite's structure, and its weights with noise and a "
        "step along the line to another elite.",
    )
    iso_sigma: float = Field(
        0.1, ge=0, description="Standard deviation of that noise, in units of weights."
    )
    line_sigma: float = Field(
        0.2,
        ge=0,
        description="Standard deviation of that step, in units of the distance; 0: no line, "
        "Gaussian mutation.",
    )
    random_rate: Rate = Field(
        0.0, description="Share of new random genomes. All other children are mutated elites."
    )
    qd_offset: float = Field(
        0.0, description="What the fitness of each elite is reduced by in the QD score."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        shares = self.crossover_rate + self.iso_line_rate + self.random_rate
        if shares > 1.0 + 1e-9:
            raise ValueError(
                f"crossover_rate + iso_line_rate + random_rate must be at most 1, came {shares:g}"
            )
        if min(self.bins if isinstance(self.bins, tuple) else (self.bins,), default=0) < 1:
            raise ValueError(f"bins must be 1 or more, came {self.bins}")
        if self.archive == "cvt" and self.cvt_samples < self.cells:
            raise ValueError(
                f"cvt_samples must be at least cells = {self.cells}, came {self.cvt_samples}"
            )
        return self


class HeatMap(NamedTuple):
    """The archive as a picture needs it: who is where, and how good; (n,) each, by cell."""

    cell: Int  #: numbers, ascending
    centre: Float  #: (n, d) the middle of each cell
    fitness: Float
    row: Int  #: of the pool


class MapElites:
    """Strategy ``map-elites``."""

    Settings: ClassVar[type[BaseModel]] = MapElitesSettings
    columns: ClassVar[Mapping[str, DTypeLike]] = {"cell": np.int64}

    def __init__(self, settings: MapElitesSettings, context: StrategyContext) -> None:
        self._settings = settings
        #: Where, in [0, 1), the shares of `_OPERATORS` end; if their sum is rounded, new genomes come first.
        ends = settings.crossover_rate, settings.crossover_rate + settings.iso_line_rate, 1.0
        self._shares = np.minimum(ends, 1.0 - settings.random_rate)
        self._biases = context.bias
        self._descriptors = Descriptors(settings, context, "map-elites")
        self._cells = self._make_cells()
        #: One elite a cell, at most.
        self.max_rows = self._cells.n_cells
        self._n_elites = self._n_placed = 0
        self._n_rejected = self._n_not_finite = 0
        self._qd_score, self._best = 0.0, -np.inf
        # room for the kernel, so that a generation makes no large arrays
        self._slots = np.empty(0, np.int32)

    def _make_cells(self) -> Cells:
        s, names = self._settings, self._descriptors.names
        low, high, clip = self._descriptors.low, self._descriptors.high, s.out_of_bounds == "clip"
        if s.archive == "cvt":
            check_cells(
                s.cells, s.max_cells, f"strategy.cells = {s.cells:,}", "lower strategy.cells"
            )
            return Voronoi(low, high, s.cells, s.cvt_samples, s.cvt_seed, clip)
        bins = s.bins if isinstance(s.bins, tuple) else (s.bins,) * len(names)
        if len(bins) != len(names):
            raise ConfigError(
                f"strategy.bins: expected a number for each dimension of the descriptor ({', '.join(names)}), "
                f"came {len(bins)}"
            )
        product = 1
        for n in bins:
            product *= n
        check_cells(
            product,
            s.max_cells,
            f"{len(bins)} dimensions with {' x '.join(map(str, bins))} bins",
            'lower strategy.bins, set strategy.archive = "cvt"',
        )
        return Grid(low, high, bins, clip)

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        """Return a plan for ``population`` children, of elites chosen evenly."""
        s = self._settings
        n = min(n, s.population)
        m = len(pool)
        if m == 0:
            return BreedingPlan.fresh(n)
        a, b = rng.integers(0, m, (2, n))
        operator = _OPERATORS.take(self._shares.searchsorted(rng.random(n), "right"))
        b[operator == _MUTATE] = -1
        if s.random_rate:
            fresh = operator == _FRESH
            a[fresh] = b[fresh] = -1
        if s.crossover_rate:
            crossover = operator == _CROSSOVER
            operator[crossover & (rng.random(n) < s.crossover_mutate_rate)] = _CROSSOVER_MUTATE
            fitness = pool.fitness  # the fitter is dominant; of equals the one drawn first
            swap = crossover & (fitness[b] > fitness[a])
            a[swap], b[swap] = b[swap], a[swap]
        line = operator == _SET_VALUES
        values = self._iso_lines(pool, a, b, line, rng) if s.iso_line_rate and line.any() else None
        return BreedingPlan(operator, a, b, values=values)

    def _iso_lines(self, pool: PoolView, a: Int, b: Int, line: Bool, rng: Generator) -> Float:
        """Return (n, d) values, filled in for the children that ``line`` marks."""
        s, genes, blocks, n = self._settings, pool.pool.genes, pool.blocks, a.size
        parents, others = np.where(line, blocks.take(a), -1), blocks.take(b)
        used = parents if line.all() else parents[line]
        width = int((genes.n_connections.take(used) + genes.n_nodes.take(used)).max())
        values = np.empty((n, width))
        keys = np.frombuffer(bytearray(rng.bytes(8 * n)), np.uint64)

        def vary(start: int, stop: int) -> None:
            iso_lines(
                genes,
                parents,
                others,
                start,
                stop,
                s.iso_sigma,
                s.line_sigma,
                self._biases,
                keys,
                values,
            )

        pool.pool.workers.run("iso+line", vary, n)
        return values

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Let the children compete for their cells; elites that stay keep their rows."""
        cells = self._cells.of(self._descriptors.of(brood))
        self._n_not_finite += int(np.count_nonzero(cells == NOT_FINITE))
        self._n_rejected += int(np.count_nonzero(cells == REJECTED))
        total = len(pool) + len(brood)
        slots = self._room(2 * total)
        index, cell = np.empty(total, np.int64), np.empty(total, np.int64)
        fitness = np.empty(total)
        n, self._n_placed = place(
            pool["cell"],
            pool.fitness,
            cells,
            brood.fitness,
            slots.size < self._cells.n_cells,
            slots,
            index,
            cell,
            fitness,
        )
        elites = fitness[:n]
        self._n_elites = n
        self._qd_score = float(elites.sum()) - n * self._settings.qd_offset
        self._best = float(elites.max(initial=-np.inf))
        return Survivors(index[:n], columns={"cell": cell[:n]})

    def _room(self, least: int) -> Int32:
        """Return room for a hash table of a power of two of places: one for each cell where that is not much more."""
        if self._cells.n_cells <= _SPARSE * least:
            least = max(least, self._cells.n_cells)
        if self._slots.size < least:
            self._slots = np.empty(1 << (least - 1).bit_length(), np.int32)
        return self._slots

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        """Return ``n`` elites chosen evenly, each at most once."""
        return np.sort(rng.permutation(len(pool))[:n])

    def heat_map(self, pool: PoolView) -> HeatMap:
        """Return where the elites are and how good they are, for a picture or a table."""
        row = np.argsort(pool["cell"], kind="stable")
        cell = pool["cell"][row]
        return HeatMap(cell, self._cells.centres(cell), pool.fitness[row], row)

    def archive(self, pool: PoolView) -> list[dict[str, object]]:
        """Return a row for each elite, by cell; see `tweann.archived.archive_rows`."""
        heat = self.heat_map(pool)
        places = self._cells.places(heat.cell)
        descriptors = self._descriptors.of(pool)[heat.row]
        rows: list[dict[str, object]] = []
        for i, row in enumerate(heat.row.tolist()):
            rows.append(
                {
                    "cell": places[i].tolist(),
                    "centre": heat.centre[i].tolist(),
                    "descriptor": descriptors[i].tolist(),
                    "fitness": float(heat.fitness[i]),
                    "genome_id": pool.genome(row).genome_id,
                }
            )
        return rows

    def state(self) -> State:
        """Return the figures of the last generation; all else stands in the pool's column ``cell``."""
        return {
            "n_elites": self._n_elites,
            "n_placed": self._n_placed,
            "n_rejected": self._n_rejected,
            "n_not_finite": self._n_not_finite,
            "qd_score": self._qd_score,
            "best": self._best,
        }

    def restore(self, state: State) -> None:
        """Go on from such figures."""
        self._n_elites = cast(int, state["n_elites"])
        self._n_placed = cast(int, state["n_placed"])
        self._n_rejected = cast(int, state["n_rejected"])
        self._n_not_finite = cast(int, state["n_not_finite"])
        self._qd_score = cast(float, state["qd_score"])
        self._best = cast(float, state["best"])

    def max_bytes(self, n_values: int) -> int:
        """Return the centroids of the cells, and what is known of each cell."""
        del n_values
        return self.max_rows * 8 * (len(self._descriptors) + 6)

    def metrics(self) -> Mapping[str, float]:
        """Return coverage, QD score and best of the archive, and how the last generation fared.

        ``n_placed`` children found a cell; ``n_rejected`` descriptors were out of bounds and ``n_not_finite`` no
        finite numbers since the run began.
        """
        return {
            "coverage": self._n_elites / self._cells.n_cells,
            "qd_score": self._qd_score,
            "archive_best": self._best if self._n_elites else float("nan"),
            "n_elites": float(self._n_elites),
            "n_placed": float(self._n_placed),
            "n_rejected": float(self._n_rejected),
            "n_not_finite": float(self._n_not_finite),
        }
