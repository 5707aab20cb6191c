"""``tweann polish``: a search on the weights of a stored champion, on real runs."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tweann import polishing
from tweann.cli import main
from tweann.codec import decode
from tweann.errors import ConfigError, MissingExtraError, StorageError
from tweann.polishing import polish, with_values
from tweann.runs import open_run
from tweann.stored_run import StoredRun

#: Too short to solve it, so that polishing has something to gain.
XOR = """
[run]
name = "short-xor"
seed = 3
generations = 2
[task]
name = "xor"
[strategy]
population = 20
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    """A finished run whose champion does not solve its task."""
    folder = tmp_path_factory.mktemp("polished")
    return make_run(folder, XOR)


def make_run(folder: Path, config: str) -> StoredRun:
    file = folder / "run.toml"
    file.write_text(config)
    assert main(["run", str(file), "--quiet", "--out", str(folder / "runs")]) == 0
    return open_run("latest", folder / "runs")


def contents(stored: StoredRun) -> dict[str, bytes]:
    """What is in a run's folder, but for what polishing writes."""
    files = [path for path in stored.folder.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in files if path.name != "polished.tweann"}


def arguments(stored: StoredRun, *more: str) -> list[str]:
    return ["polish", stored.folder.name, "--out", str(stored.folder.parent), *more]


def last_json(text: str) -> Any:
    return json.loads(text.strip().splitlines()[-1])


def test_it_improves_weights_alone_and_keeps_count(stored: StoredRun) -> None:
    champion = stored.champion()
    seen: list[tuple[int, float]] = []
    found = polish(stored, evaluations=300, on_progress=lambda n, best: seen.append((n, best)))
    assert found.before == stored.champion_data()["fitness"]
    assert found.fitness > found.before
    assert not found.interrupted
    assert (found.genome.node_id == champion.node_id).all()
    assert (found.genome.source == champion.source).all()
    assert (found.genome.target == champion.target).all()
    assert (found.genome.enabled == champion.enabled).all()
    assert not np.array_equal(found.genome.weight, champion.weight)
    # the champion itself, then generations of samples, the last of which is cut short
    size = seen[0][0] - 1
    assert [done for done, _ in seen] == [min(1 + size * (g + 1), 300) for g in range(len(seen))]
    assert found.n_evaluations == 300
    bests = [best for _, best in seen]
    assert bests == sorted(bests)
    assert bests[-1] == found.fitness


def test_what_is_written_starts_a_run_with_the_fitness_that_was_reported(
    stored: StoredRun, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(stored)
    assert main(arguments(stored, "--evaluations", "200", "--json")) == 0
    data = last_json(capsys.readouterr().out)
    assert contents(stored) == before  # the run stays as it is
    file = stored.folder / "polished.tweann"
    assert data["file"] == str(file)
    assert data["gain"] == data["fitness"] - data["before"] > 0
    assert data["genome_id"] == decode(file.read_bytes()).genome_id
    again = [
        f'genome.start="{file}"',
        "run.generations=1",
        "mutation.weights_rate=0.0",
        "mutation.add_node_rate=0.0",
        "mutation.add_connection_rate=0.0",
    ]
    changes = [part for text in again for part in ("--set", text)]
    folder = stored.folder.parent.parent
    out = ["--quiet", "--json", "--out", str(folder / "warm")]
    assert main(["run", str(folder / "run.toml"), *changes, *out]) == 0
    result = last_json(capsys.readouterr().out)
    assert result["champion"]["fitness"] == data["fitness"]
    # found again by `tweann evaluate`, as the champion of that run
    name = Path(result["run_dir"]).name
    assert main(["evaluate", name, "--out", str(folder / "warm"), "--json"]) == 0
    assert last_json(capsys.readouterr().out)["fitness"] == data["fitness"]


def test_it_never_gets_worse_and_may_leave_the_champion(stored: StoredRun) -> None:
    for sigma in (1e-300, 20.0):
        found = polish(stored, evaluations=12, sigma=sigma)
        assert found.fitness >= found.before
    only = polish(stored, evaluations=1)
    assert only.n_evaluations == 1
    assert only.fitness == only.before
    assert only.genome == stored.champion()


@pytest.mark.parametrize("evaluations", [2, 7, 23, 24])
def test_it_takes_no_more_evaluations_than_it_may(stored: StoredRun, evaluations: int) -> None:
    assert polish(stored, evaluations=evaluations).n_evaluations == evaluations


def test_where_noise_is_drawn_anew_it_is_that_of_the_champions_generation(tmp_path: Path) -> None:
    stored = make_run(
        tmp_path,
        """
[run]
seed = 3
generations = 6
stop_when_solved = false
[task]
name = "probabilistic-bandit"
[evaluation]
resample = true
[strategy]
population = 10
""",
    )
    data = stored.champion_data()
    assert data["generation"] > 0
    found = polish(stored, evaluations=40)
    assert found.before == data["fitness"]
    assert found.fitness >= found.before
    assert found.n_evaluations == 40


def test_the_same_seed_finds_the_same_and_another_something_else(stored: StoredRun) -> None:
    first, second, other = (polish(stored, evaluations=60, seed=seed) for seed in (5, 5, 6))
    assert first == second
    assert first.genome.genome_id != other.genome.genome_id


def test_values_stay_within_the_bound_of_the_run(stored: StoredRun) -> None:
    found = polish(stored, evaluations=100, sigma=100.0)
    bound = 30.0  # genome.weight_bound by default
    for column in (found.genome.weight, found.genome.bias):
        assert np.isfinite(column).all()
        assert (np.abs(column) <= bound).all()


def test_an_interrupt_keeps_what_was_found(stored: StoredRun) -> None:
    def interrupt(done: int, best: float) -> None:
        if done > 30:
            raise KeyboardInterrupt

    found = polish(stored, evaluations=10_000, on_progress=interrupt)
    assert found.interrupted
    assert 30 < found.n_evaluations < 100
    assert found.fitness >= found.before


def test_what_solves_the_task_is_reported_as_solved(stored: StoredRun) -> None:
    assert not polish(stored, evaluations=1).solved
    folder = stored.folder.parent.parent / "easy"
    folder.mkdir()
    text = XOR.replace("generations = 2", "generations = 1")
    text = text.replace('name = "xor"', 'name = "single-pole"')
    found = polish(make_run(folder, text), evaluations=300)
    assert found.solved
    assert found.fitness >= found.before


def test_the_file_is_written_where_output_says_and_nowhere_else(
    stored: StoredRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual, chosen = stored.folder / "polished.tweann", tmp_path / "elsewhere.tweann"
    usual.unlink(missing_ok=True)
    before = contents(stored)
    more = ("--evaluations", "60", "--seed", "5", "--output", str(chosen), "--json")
    assert main(arguments(stored, *more)) == 0
    data = last_json(capsys.readouterr().out)
    assert data["file"] == str(chosen)
    assert decode(chosen.read_bytes()) == polish(stored, evaluations=60, seed=5).genome
    assert not usual.exists()
    assert contents(stored) == before


def test_beyond_the_limit_only_the_diagonal_of_the_covariance_is_learned(
    stored: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = stored.champion()
    n = int(champion.enabled.sum()) + champion.n_nodes - champion.n_inputs
    full = polish(stored, evaluations=200)
    monkeypatch.setattr(polishing, "FULL_COVARIANCE", n)
    assert polish(stored, evaluations=200) == full
    monkeypatch.setattr(polishing, "FULL_COVARIANCE", n - 1)
    diagonal = polish(stored, evaluations=200)
    assert diagonal.genome != full.genome
    assert diagonal.fitness > diagonal.before == full.before
    assert diagonal == polish(stored, evaluations=200)


def test_weights_and_biases_go_to_their_genes(stored: StoredRun) -> None:
    champion = stored.champion()
    n, n_biases = champion.n_connections, champion.n_nodes - champion.n_inputs
    changed = with_values(champion, np.arange(float(n + n_biases)))
    inputs = champion.n_nodes - n_biases
    assert changed.weight.tolist() == list(range(n))
    assert changed.bias[inputs:].tolist() == list(range(n, n + n_biases))
    assert changed.bias[:inputs].tolist() == champion.bias[:inputs].tolist()


@pytest.mark.parametrize(("evaluations", "sigma"), [(0, 0.3), (10, 0.0), (10, math.nan)])
def test_arguments_out_of_range_are_named(
    stored: StoredRun, evaluations: int, sigma: float
) -> None:
    with pytest.raises(ConfigError, match="evaluations >= 1 and a finite sigma > 0"):
        polish(stored, evaluations=evaluations, sigma=sigma)


def test_a_run_without_champion_is_an_error(stored: StoredRun, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text((stored.folder / "config.toml").read_text())
    with pytest.raises(StorageError, match="champion"):
        polish(StoredRun(tmp_path))


def test_without_the_package_it_says_how_to_install_it(
    stored: StoredRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tweann\[tuning\]'"):
        polish(stored)
    assert main(arguments(stored)) == 2
    message = capsys.readouterr().err
    assert "pip install 'tweann[tuning]'" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--evaluations", "0"), "--evaluations"),
        (("--sigma", "0"), "--sigma"),
        (("--seed", "-1"), "--seed"),
        (("--sigmo", "1"), "--sigma"),
    ],
)
def test_a_mistake_in_the_call_ends_with_status_2(
    stored: StoredRun, more: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(stored, *more)) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_run_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["polish", "absent", "--out", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert "absent" in captured.err
    assert "Traceback" not in captured.err
