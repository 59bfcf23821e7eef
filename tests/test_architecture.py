"""Imports point one way, and TensorFlow stays where it is the subject."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "keras_proxygml"

# From which parts each part may import.
ALLOWED = {
    "types": set(),  # which everything may import
    "checks": set(),
    "numerics": set(),
    "selection": {"numerics"},
    "graph": {"checks", "numerics", "selection"},
    "metrics": {"checks"},
    "datasets": {"checks"},
    "distribution": {"checks"},
    "regularizers": {"checks", "graph", "numerics"},
    "losses": {"checks", "graph", "numerics"},
    "optimizers": {"checks"},
    "layers": {"checks", "graph", "regularizers"},
    "labeled_data": {"checks"},
    "models": {"checks", "labeled_data", "layers"},
    "callbacks": {"checks", "labeled_data", "metrics", "models"},
    "inspection": {"checks", "metrics"},
    "search": {"checks", "datasets", "labeled_data", "metrics", "models"},
    "visualization": {"checks", "datasets", "graph", "inspection", "metrics", "search"},
    "applications": {"checks"},
    "export": {"checks", "datasets", "layers", "metrics"},
    "training": {
        "applications",
        "callbacks",
        "checks",
        "datasets",
        "export",
        "layers",
        "losses",
        "models",
        "optimizers",
        "regularizers",
        "search",
    },
    "serve": {"checks", "datasets", "search"},
    "cli": {
        "checks",
        "datasets",
        "export",
        "metrics",
        "search",
        "serve",
        "training",
        "visualization",
    },
    "__main__": {"cli"},
}
# They need tf.data, TensorFlow's XLA and its SavedModel. The tests on JAX and PyTorch run without
# TensorFlow.
MAY_USE_TENSORFLOW = {"datasets", "export", "numerics"}


def imports_of(path, at_its_top=False):
    """The dotted names that a file imports: at its top, or inside a function too."""
    tree = ast.parse(path.read_text())
    for node in tree.body if at_its_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files_of(part):
    folder = PACKAGE / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def test_every_part_is_listed():
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert modules | {path.parent.name for path in PACKAGE.glob("*/*.py")} == set(ALLOWED)


def test_a_part_imports_only_from_parts_before_it():
    parts = list(ALLOWED)
    for part, allowed in ALLOWED.items():
        assert allowed <= set(parts[: parts.index(part)]), part


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_follow_the_direction(part):
    for path in files_of(part):
        for name in imports_of(path):
            root, *rest = name.split(".")
            if root == "keras_proxygml" and rest:
                assert rest[0] in ALLOWED[part] | {part, "types", "__version__"}, (
                    f"{path} imports {name}"
                )


@pytest.mark.parametrize("part", sorted(set(ALLOWED) - MAY_USE_TENSORFLOW))
def test_no_tensorflow(part):
    for path in files_of(part):
        roots = {name.split(".")[0] for name in imports_of(path)}
        assert not roots & {"tensorflow", "jax", "torch"}, path


@pytest.mark.parametrize("part", ["metrics", "datasets", "inspection"])
def test_metrics_datasets_and_inspection_are_plain_numpy(part):
    for path in files_of(part):
        if path.stem != "class_groups":  # a keras.utils.PyDataset
            assert "keras" not in {name.split(".")[0] for name in imports_of(path)}, path


def test_what_only_some_functions_need_is_imported_there():
    for path in PACKAGE.rglob("*.py"):
        roots = {name.split(".")[0] for name in imports_of(path, at_its_top=True)}
        lazy = {"matplotlib", "PIL", "sklearn", "faiss", "jinja2", "markupsafe"}
        lazy |= {"onnxruntime", "openvino", "ai_edge_litert"}
        if path.parent.name != "_web":  # which is imported in a function
            lazy |= {"fastapi", "starlette", "uvicorn"}
        assert not roots & lazy, path
