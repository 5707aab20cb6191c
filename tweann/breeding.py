"""From what a strategy asks for to a brood: who breeds, at which rates, and who comes from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator, Philox

from tweann import assembly
from tweann.adaptation import RateControl
from tweann.config import Config
from tweann.errors import PluginError
from tweann.genes import Float, Origin
from tweann.interfaces import Exchange, Immigrant, Strategy
from tweann.kernels.breed import BreedingParameters
from tweann.kernels.mutation import N_PLAIN
from tweann.kernels.random import ASK, EMIGRATE, make_key
from tweann.pool import Brood, GenomePool, PoolView
from tweann.records import Migrant
from tweann.registry import Registry
from tweann.tasks.base import TaskInfo

_NOBODY = np.zeros(0, np.int64)
_IMMIGRANT = int(Origin.IMMIGRANT)


class Breeder:
    """Asks a strategy, breeds its plan, and lets genomes from elsewhere join the brood.

    Args:
        config: of the run.
        info: of its task.
        pool: where genomes live; the seed network becomes a block of it.
        strategy: who is asked.
        registry: where the exchange of [bridge] is found.
        exchange: instead of the configuration's.

    Attributes:
        births, asks: children born and plans asked for so far.
        control: what changes the rates of mutation as the run goes on; None: they stay.
        exchange: made before the first ask; None: the run is alone.
    """

    def __init__(
        self,
        config: Config,
        info: TaskInfo,
        pool: GenomePool,
        strategy: Strategy,
        registry: Registry,
        exchange: Exchange | None,
    ) -> None:
        self._config, self._info = config, info
        self._pool, self._strategy, self._registry = pool, strategy, registry
        layout = pool.layout
        template = int(pool.insert([assembly.make_seed(config, info, layout)])[0])
        #: Children at a time.
        self._n_asked: int = config.strategy.settings.population  # type: ignore[attr-defined] # checked on loading
        self._parameters = assembly.make_breeding(config, layout, template, info)
        self._enrichment = assembly.make_enrichment(config, info, layout)
        self._birth_columns = [
            i for i, (name, _) in enumerate(layout.node_columns) if name == "birth"
        ]
        self.control = assembly.make_control(
            config, layout, assembly.has_controllers(config, registry)
        )
        self.exchange = exchange
        #: Immigrants in broods that are pending: by birth, who sent it and before which ask it came.
        self._guests: dict[int, tuple[str, int]] = {}
        self._rng = Generator(Philox(key=0))
        self._fresh_state: dict[str, Any] = dict(self._rng.bit_generator.state)
        self.births = self.asks = 0

    @property
    def template(self) -> int:
        """The block of the seed network."""
        return self._parameters.template

    @property
    def has_guests(self) -> bool:
        """Whether immigrants are in broods that are pending."""
        return bool(self._guests)

    @property
    def enriches(self) -> bool:
        """Whether breeding has a second pass: dynamics, learning rules, edges."""
        return self._enrichment is not None

    def breed(self, generation: int, n_evaluations: int, run_dir: Path | None) -> Brood:
        """Ask the strategy and breed what it wants; immigrants join the brood.

        Args:
            generation, n_evaluations: how far the run is.
            run_dir: where an exchange may write; None: nowhere.

        Raises:
            PluginError: the strategy's plan cannot be bred.
        """
        config = self._config
        if self.exchange is None and config.bridge is not None:
            self.exchange = assembly.make_exchange(
                config, self._info, self._pool.layout, run_dir, self._registry
            )
        view = self._pool.view()
        arrived: Sequence[Immigrant] = ()
        if self.exchange is not None:
            arrived = self._swap(self.exchange, view, generation, n_evaluations)
        immigrants = [immigrant.genome for immigrant in arrived]
        plan = self._strategy.ask(view, self._n_asked, self._generator(ASK))
        self.asks += 1
        plan.check(len(view), config.strategy.name, self._strategy.columns)
        n = len(plan)
        if not 1 <= n <= self._n_asked:
            raise PluginError(
                f"strategy {config.strategy.name}: expected a plan for 1 to {self._n_asked} children, "
                f"came one for {n}"
            )
        births = np.arange(self.births, self.births + n + len(immigrants))
        brood = self._pool.breed(
            plan.operator,
            plan.parent_a,
            plan.parent_b,
            plan.strength,
            plan.values,
            births,
            generation,
            self._current(generation),
            immigrants,
            self._enrichment,
        )
        for name, values in plan.columns.items():
            brood.rows[name][:n] = values
        if plan.tuned is not None:
            brood.rows["tuned"][:n] = plan.tuned
        if plan.group is not None:  # immigrants are a group of their own
            brood.rows["group"][:n], brood.rows["group"][n:] = plan.group, plan.group[-1] + 1
        self.births += births.size
        for birth, immigrant in zip(births[n:].tolist(), arrived, strict=True):
            self._guests[birth] = immigrant.peer, self.asks - 1
        return brood

    def _swap(
        self, exchange: Exchange, view: PoolView, generation: int, n_evaluations: int
    ) -> Sequence[Immigrant]:
        """Let genomes go, and return those that have come."""
        if not len(view):
            return ()
        n = exchange.n_emigrants(self.asks, generation, n_evaluations)
        offered = _NOBODY
        if n:
            offered = self._strategy.emigrants(view, n, self._generator(EMIGRATE))
        return exchange.swap(view, offered)

    def _generator(self, purpose: np.uint64) -> Generator:
        """Return the generator for a call of the strategy before this ask, from a key of its own."""
        parameters = self._parameters
        key = make_key(parameters.seed, parameters.stream, np.uint64(self.asks), purpose)
        # The same generator with another key: making one takes 14 µs, this takes 1.
        self._fresh_state["state"]["key"][0] = key
        self._rng.bit_generator.state = self._fresh_state
        return self._rng

    def _current(self, generation: int) -> BreedingParameters:
        """Return the breeding parameters of this generation."""
        if self.control is not None:
            self._set_rates(self.control.rates)
        if not self._birth_columns:
            return self._parameters
        mutation = self._parameters.mutation
        extra = mutation.node_extra.copy()
        extra[self._birth_columns] = generation
        return self._parameters._replace(mutation=mutation._replace(node_extra=extra))

    def steer(self, rates: Sequence[float], power: float, n_children: int) -> None:
        """Use other settings from the next breeding on.

        Args:
            rates: (n_operators,) instead of the configured ones; what learns from success goes on from them.
            power: scale of weight mutation.
            n_children: how many to ask for at a time, at most.
        """
        base = np.array(rates)
        if self.control is None:
            self.control = RateControl(base, None, None)
        self.control.rebase(base)
        mutation = self._parameters.mutation._replace(power=power)
        self._parameters = self._parameters._replace(mutation=mutation)
        self._n_asked = n_children

    def _set_rates(self, rates: Float) -> None:
        """Let children be mutated with other rates, (n_operators,), from now on."""
        mutation = self._parameters.mutation._replace(rates=rates[:N_PLAIN])
        self._parameters = self._parameters._replace(mutation=mutation)
        if self._enrichment is not None:
            self._enrichment = self._enrichment._replace(rates=rates[N_PLAIN:])

    def migrants(self, brood: Brood, first: int) -> list[Migrant]:
        """Return the immigrants of an evaluated brood, numbered from ``first``; they are guests no more."""
        rows, migrants = brood.rows, list[Migrant]()
        for k in (rows["origin"] == _IMMIGRANT).nonzero()[0].tolist():
            peer, ask = self._guests.pop(int(rows["id"][k]))
            migrants.append(
                Migrant(
                    genome=self._pool.genome(int(rows["block"][k])),
                    peer=peer,
                    number=first + len(migrants),
                    birth=int(rows["id"][k]),
                    ask=ask,
                    fitness=float(rows["fitness"][k]),
                )
            )
        return migrants

    def state(self) -> dict[str, Any]:
        """Return what is remembered, as `tweann.packing.pack` takes it; the seed network aside."""
        return {
            "births": self.births,
            "asks": self.asks,
            "control": {} if self.control is None else self.control.state(),
            "guests": [[birth, *guest] for birth, guest in self._guests.items()],
        }

    def restore(self, state: Mapping[str, Any], template: int) -> None:
        """Go on from ``state``, with the seed network in the block ``template``."""
        self._pool.release(np.array([self.template]))
        self._parameters = self._parameters._replace(template=template)
        self.births, self.asks = state["births"], state["asks"]
        if self.control is not None:
            self.control.restore(state["control"])
        self._guests = {birth: (peer, ask) for birth, peer, ask in state["guests"]}

    def close(self) -> None:
        """Let go of the exchange."""
        if self.exchange is not None:
            self.exchange.close()
