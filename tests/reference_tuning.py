"""The slow twins of tuning: which nodes and values of a plain genome move, and how far."""

from __future__ import annotations

import math

from reference import Connection, Genome, Node, Stream, clip, is_input


def age(node: Node, birth: int, generation: float) -> float:
    return 0.0 if birth < 0 else max(generation - node.extra[birth], 0.0)


def chosen_nodes(
    genome: Genome, selection: str, birth: int, generation: float, rng: Stream
) -> list[Node]:
    """Return the nodes that may move; of none that qualifies, the one with the lowest id."""
    nodes = [node for node in genome.nodes if not is_input(node.id)]
    limit = math.inf
    if selection == "current":
        limit = 0.0
    elif selection == "active":
        limit = 3.0
    elif selection.startswith("dynamic"):
        limit = math.sqrt(1.0 / (1.0 - rng.uniform()))
    found = [node for node in nodes if age(node, birth, generation) <= limit]
    if not found:
        return nodes[:1]
    if selection == "dynamic_random":
        wanted, taken = max(1, len(found) // 2), []
        for i, node in enumerate(found):
            if rng.uniform() * (len(found) - i) < wanted - len(taken):
                taken.append(node)
        return taken
    return found


def movable(genome: Genome, chosen: list[Node], biases: bool) -> list[Connection | Node]:
    """Return the genes whose weight or bias may move, in gene order."""
    ids = {node.id for node in chosen}
    links = [c for c in genome.connections if c.enabled and c.target in ids]
    return [*links, *(node for node in genome.nodes if biases and node.id in ids)]


def perturb(
    genome: Genome,
    selection: str,
    birth: int,
    generation: float,
    spread: float,
    annealing: float,
    sparse: bool,
    bound: float,
    biases: bool,
    rng: Stream,
) -> None:
    """Move some weights and biases; at least one, where one may."""
    genes = movable(genome, chosen_nodes(genome, selection, birth, generation, rng), biases)
    if not genes:
        return

    def move(gene: Connection | Node) -> None:
        node = genome.node(gene.target) if isinstance(gene, Connection) else gene
        assert node is not None
        width = spread * annealing ** age(node, birth, generation)
        step = (rng.uniform() - 0.5) * width
        if isinstance(gene, Connection):
            gene.weight = clip(gene.weight + step, bound)
        else:
            gene.bias = clip(gene.bias + step, bound)

    moved = 0
    for gene in genes:
        if not sparse or len(genes) == 1 or rng.uniform() < 1.0 / math.sqrt(len(genes)):
            move(gene)
            moved += 1
    if moved == 0:
        move(genes[rng.below(len(genes))])
