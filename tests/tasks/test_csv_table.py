"""Tables from CSV files: what columns become, how rows are split, and every way a file can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from task_networks import KEYS, linear, random_linear, slice_of

from tweann.errors import ConfigError
from tweann.genes import Float
from tweann.tasks.csv_table import CsvTable

BREAST_CANCER = Path(__file__).parent.parent.parent / "examples" / "data" / "breast_cancer.csv"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def classification(path: Path, target: Any = "y", **options: Any) -> CsvTable:
    return CsvTable(CsvTable.Settings(file=path, target=target, kind="classification", **options))


def regression(path: Path, target: Any = "y", **options: Any) -> CsvTable:
    return CsvTable(CsvTable.Settings(file=path, target=target, kind="regression", **options))


def numbers(n: int = 50) -> str:
    """Return a table of two numbers, a text and y = 3a − 2b + 10, and z = 1000a."""
    rng = np.random.default_rng(0)
    lines = ["a,b,colour,y,z"]
    for i in range(n):
        a, b = rng.normal(5, 2), rng.normal(-1, 0.5)
        colour = ("red", "green", "blue")[i % 3]
        lines.append(f"{a},{b},{colour},{3 * a - 2 * b + 10},{1000 * a}")
    return "\n".join(lines) + "\n"


def arrays(task: CsvTable, part: str) -> tuple[Float, Float]:
    """Return (n, n_inputs) and (n, n_outputs) of a part."""
    t = task.parts[part]
    inputs = t.inputs.transpose(0, 2, 1).reshape(-1, task.info.n_inputs)[: t.n_rows]
    return inputs, t.targets.transpose(0, 2, 1).reshape(-1, task.info.n_outputs)[: t.n_rows]


def test_inputs_are_standardised_on_the_training_part_and_texts_become_one_input_each(
    tmp_path: Path,
) -> None:
    task = regression(write(tmp_path, numbers()), ignore=("z",))
    assert task.info.inputs == ("a", "b", "colour=blue", "colour=green", "colour=red")
    assert task.info.outputs == ("y",)
    assert task.info.output_activation == "identity"
    train, targets = arrays(task, "train")
    assert train[:, :2].mean(axis=0) == pytest.approx([0.0, 0.0], abs=1e-12)
    assert train[:, :2].std(axis=0) == pytest.approx([1.0, 1.0])
    assert set(train[:, 2:].ravel()) == {0.0, 1.0}
    assert (train[:, 2:].sum(axis=1) == 1.0).all()
    assert targets.std() == pytest.approx(1.0)
    test, _ = arrays(task, "test")
    assert abs(test[:, 0].mean()) > 1e-6  # by the training part's mean, not its own


def test_the_parts_have_their_shares_and_every_row_once(tmp_path: Path) -> None:
    text = "a,y\n" + "".join(f"{i},{i}\n" for i in range(100))
    task = regression(write(tmp_path, text))
    mean, scale = task.target_encodings[0].mean, task.target_encodings[0].scale
    values = {
        part: np.round(arrays(task, part)[1][:, 0] * scale + mean).tolist() for part in task.parts
    }
    assert [len(values[part]) for part in ("train", "validation", "test")] == [60, 20, 20]
    assert sorted(v for part in values.values() for v in part) == list(range(100))
    assert values["train"] != list(range(60))


def test_another_seed_splits_otherwise_and_the_same_one_alike(tmp_path: Path) -> None:
    path = write(tmp_path, numbers())
    first, again, other = (
        arrays(regression(path, split_seed=seed), "test")[1].tolist() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_each_class_is_split_by_the_shares(tmp_path: Path) -> None:
    text = "a,y\n" + "".join(f"{i},{'rare' if i % 10 == 0 else 'common'}\n" for i in range(100))
    task = classification(write(tmp_path, text))
    assert task.info.outputs == ("y=common", "y=rare")
    counts = {part: arrays(task, part)[1].sum(axis=0).tolist() for part in task.parts}
    assert counts == {"train": [54.0, 6.0], "validation": [18.0, 2.0], "test": [18.0, 2.0]}


def test_a_class_of_three_rows_has_one_in_each_part(tmp_path: Path) -> None:
    text = "a,y\n" + "".join(f"{i},{'rare' if i < 3 else 'common'}\n" for i in range(20))
    for shares in ((0.6, 0.2, 0.2), (0.02, 0.49, 0.49), (0.9, 0.05, 0.05)):
        task = classification(write(tmp_path, text), shares=shares)
        assert all(arrays(task, part)[1][:, 1].sum() == 1 for part in task.parts)


def test_a_part_with_a_share_of_nothing_does_not_exist(tmp_path: Path) -> None:
    task = regression(write(tmp_path, numbers()), shares=(1.0, 0.0, 0.0))
    assert list(task.parts) == ["train"]
    genome = random_linear(task, 1)
    found = task.evaluate(slice_of(task, genome), KEYS)
    assert found.validation[0] == found.fitness[0]
    assert set(task.metrics(slice_of(task, genome))) == {"train_rmse"}


def test_a_perfect_regression_has_no_error_and_the_rmse_is_in_the_targets_unit(
    tmp_path: Path,
) -> None:
    task = regression(write(tmp_path, numbers()), ignore=("z",))
    scale = {e.column: e.scale for e in (*task.encodings, *task.target_encodings)}
    mean = {e.column: e.mean for e in (*task.encodings, *task.target_encodings)}
    weights = [3 * scale["a"] / scale["y"], -2 * scale["b"] / scale["y"], 0.0, 0.0, 0.0]
    offset = 3 * mean["a"] - 2 * mean["b"] + 10 - mean["y"]
    exact = linear(task, weights, bias=offset / scale["y"])
    off = linear(task, weights, bias=(offset + 5.0) / scale["y"])
    assert task.evaluate(slice_of(task, exact), KEYS).fitness[0] == pytest.approx(0.0, abs=1e-20)
    found = task.metrics(slice_of(task, off))
    assert found == pytest.approx({"train_rmse": 5.0, "validation_rmse": 5.0, "test_rmse": 5.0})


def test_several_targets_have_an_rmse_each(tmp_path: Path) -> None:
    task = regression(write(tmp_path, numbers()), target=("z", "y"))
    assert task.info.outputs == ("z", "y")
    assert "y" not in task.info.inputs
    found = task.metrics(slice_of(task, linear(task, np.zeros(2 * task.info.n_inputs))))
    by_target = np.array([found["train_rmse_z"], found["train_rmse_y"]])
    assert by_target == pytest.approx([e.scale for e in task.target_encodings])
    assert found["train_rmse"] == pytest.approx(np.sqrt((by_target**2).mean()))


def test_breast_cancer_is_told_apart_by_the_distance_of_the_class_means() -> None:
    task = classification(BREAST_CANCER, target="diagnosis")
    assert task.info.n_inputs == 30
    assert sum(part.n_rows for part in task.parts.values()) == 569
    inputs, targets = arrays(task, "train")
    means = [inputs[targets[:, k] == 1.0].mean(axis=0) for k in range(2)]
    direction = means[0] - means[1]
    genome = linear(task, np.concatenate((direction, -direction)) / 30)
    slice_ = slice_of(task, genome)
    found = task.metrics(slice_)
    assert set(found) == {"train_accuracy", "validation_accuracy", "test_accuracy"}
    assert all(0.9 < accuracy < 1.0 for accuracy in found.values())
    right = [genome.network().activate(row).argmax() for row in arrays(task, "test")[0]]
    expected = np.mean(right == arrays(task, "test")[1].argmax(axis=1))
    assert found["test_accuracy"] == pytest.approx(expected)
    evaluations = task.evaluate(slice_, KEYS)
    assert -0.5 < evaluations.validation[0] < -0.05
    assert evaluations.validation[0] != evaluations.fitness[0]


def test_a_new_row_is_encoded_as_the_file_was(tmp_path: Path) -> None:
    path = write(tmp_path, numbers(3))
    task = regression(path, shares=(1.0, 0.0, 0.0), ignore=("z",))
    inputs, _ = arrays(task, "train")
    header, first, *_ = path.read_text().splitlines()
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert task.encode(row) == pytest.approx(inputs[0])
    assert task.encode({"a": 1.0, "b": 2, "colour": "red"}).shape == (5,)
    for wrong, message in (
        ({"a": 1.0, "b": 2.0}, "no value for 'colour'"),
        ({**row, "a": "x"}, "'a': expected a finite number, came 'x'"),
        ({**row, "colour": "pink"}, "expected one of blue, green, red, came 'pink'"),
    ):
        with pytest.raises(ConfigError, match=message):
            task.encode(wrong)


def test_constant_columns_are_left_out_and_a_constant_target_is_no_fault(tmp_path: Path) -> None:
    text = "a,same,word,y\n" + "".join(f"{i},7,x,3\n" for i in range(10))
    task = regression(write(tmp_path, text))
    assert task.info.inputs == ("a",)
    assert set(arrays(task, "train")[1].ravel()) == {0.0}
    found = task.metrics(slice_of(task, linear(task, [0.0], bias=0.5)))
    assert found["test_rmse"] == pytest.approx(0.5)


def test_rows_with_holes_are_dropped_if_asked(tmp_path: Path) -> None:
    text = "a,b,y\n1,2,x\n?,2,x\n3,,z\n4,5,NA\n" + "".join(
        f"{i},{i},{'xz'[i % 2]}\n" for i in range(12)
    )
    task = classification(write(tmp_path, text), holes="drop")
    assert sum(part.n_rows for part in task.parts.values()) == 13
    assert task.info.inputs == ("a", "b")


def test_a_hole_in_an_ignored_column_does_not_matter(tmp_path: Path) -> None:
    text = "a,note,y\n" + "".join(f"{i},,{i}\n" for i in range(10))
    assert regression(write(tmp_path, text), ignore=("note",)).info.inputs == ("a",)


def test_numbers_that_are_classes_are_sorted_by_value(tmp_path: Path) -> None:
    text = "a,y\n" + "".join(f"{i},{(2, 10, 1)[i % 3]}\n" for i in range(12))
    assert classification(write(tmp_path, text)).info.outputs == ("y=1", "y=2", "y=10")


def test_quotes_blanks_blank_lines_a_byte_order_mark_and_a_delimiter(tmp_path: Path) -> None:
    lines = [
        '\ufeff a ; "the y"',
        "",
        *(f' {i};"{"u;v" if i % 2 else "w"}"' for i in range(8)),
        "  ",
        "",
    ]
    task = classification(write(tmp_path, "\r\n".join(lines)), target="the y", delimiter=";")
    assert task.info.inputs == ("a",)
    assert task.info.outputs == ("the y=u;v", "the y=w")


def test_a_column_is_of_texts_from_its_first_text_on(tmp_path: Path) -> None:
    text = "a,b,y\n" + "".join(f"{i},{'1_0' if i == 9 else i % 2},{i}\n" for i in range(10))
    task = regression(write(tmp_path, text), shares=(1.0, 0.0, 0.0))
    assert task.info.inputs == ("a", "b=0", "b=1", "b=1_0")


ROWS = "".join(f"{i},{i * i},{'xz'[i % 2]}\n" for i in range(12))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "table.csv is empty, expected a header"),
        ("\n\n", {}, "is empty"),
        ("a,b,y\n", {}, "has no rows: there is only a header"),
        ("a,b,y\n1,,x\n", {"holes": "drop"}, "has no rows: all 1 rows have holes"),
        (
            "a,b,type\n" + ROWS,
            {"target": "typ"},
            r"task.target: .*no column 'typ', did you mean 'type'",
        ),
        ("a;b;y\n" + ROWS.replace(",", ";"), {}, "is task.delimiter = ',' right?"),
        ("a,b,y\n" + ROWS, {"ignore": ("bb",)}, "task.ignore: .*did you mean 'b'"),
        ("a,b,y\n" + ROWS, {"ignore": ("y",)}, "task.ignore: 'y' is the target"),
        ("a,b,y\n" + ROWS, {"ignore": ("a", "b")}, "no column to predict from"),
        ("a,,y\n" + ROWS, {}, r"table.csv:1: column 2 has no name"),
        ("a,a,y\n" + ROWS, {}, r"table.csv:1: two columns are named 'a'"),
        ("a,b,y\n1,2,x\n\n1,2\n", {}, r"table.csv:4: expected 3 cells as in the header, came 2"),
        (
            "a,b,y\n1,2,x\n,2,x\n1,?,nan\n",
            {},
            r"3 holes in 2 rows, the first at .*table.csv:3, column 'a'",
        ),
        ("a,b,y\n1,inf,x\n", {}, r"table.csv:2: column 'b': expected a finite number, came 'inf'"),
        ("a,b,y\n1,1e999,x\n", {}, "expected a finite number, came '1e999'"),
        (
            "a,b,y\n" + ROWS + "5,5,u\n5,6,u\n",
            {},
            "class 'u' of column 'y' has 2 rows, expected at least 3",
        ),
        ("a,b,y\n" + ROWS.replace("z", "x"), {}, "a classification needs two classes"),
        ("a,b,y\n" + ROWS, {"target": ("a", "y")}, "a classification has one target, came 2: a, y"),
        ("a,b,y\n" + ROWS, {"max_cells": 35}, r"more than task.max_cells = 35 cells \(line 13\)"),
        (
            "a,b,y\n" + "".join(f"t{i},{i},{'xz'[i % 2]}\n" for i in range(12)),
            {"max_categories": 11},
            "column 'a' has more than task.max_categories = 11 different texts; leave it out with task.ignore",
        ),
        (
            "a,y\n" + "".join(f"{i},{i}.5\n" for i in range(30)),
            {},
            "has 1 rows, expected at least 3.*is kind = 'regression' meant",
        ),
        ('a,b,y\n1,"2,x\n', {}, r"table.csv:\d: unexpected end of data"),
        (b"a,b,y\n1,2,\xff\n", {}, "expected UTF-8 text"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_place(
    tmp_path: Path, text: str | bytes, options: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        classification(write(tmp_path, text), **options)


def test_a_text_in_a_regressions_target_is_refused_with_its_place(tmp_path: Path) -> None:
    text = "a,y\n1,2\n3,4\n5,six\n"
    with pytest.raises(
        ConfigError, match=r"task.target: .*table.csv:4: column 'y': .*a number, came 'six'"
    ):
        regression(write(tmp_path, text))


def test_too_few_rows_for_a_regression_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the table has 2 rows, expected at least 3"):
        regression(write(tmp_path, "a,y\n1,2\n3,4\n"))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file: .*nowhere\.csv"):
        regression(tmp_path / "nowhere.csv")
    with pytest.raises(ConfigError, match="cannot read"):
        regression(tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"shares": (0.5, 0.2, 0.2)},
        {"shares": (0.0, 0.5, 0.5)},
        {"shares": (1.2, -0.1, -0.1)},
        {"target": ""},
        {"target": ()},
        {"target": ("a", "a")},
        {"delimiter": ""},
        {"delimiter": ",,"},
        {"delimiter": '"'},
        {"kind": "clustering"},
        {"splitseed": 1},
    ],
)
def test_settings_that_mean_nothing_are_refused(options: Any) -> None:
    given = {"file": "x.csv", "target": "y", "kind": "regression", **options}
    with pytest.raises(ValidationError):
        CsvTable.Settings(**given)


def test_numbers_that_are_too_large_to_be_standardised_are_refused(tmp_path: Path) -> None:
    text = "a,y\n" + "".join(f"{(-1) ** i * 1.7e308},{i}\n" for i in range(10))
    with pytest.raises(ConfigError, match="column 'a' are too large"):
        regression(write(tmp_path, text))
