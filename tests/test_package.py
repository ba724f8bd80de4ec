"""What the parts of the package may know of one another, and that they agree on their names."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ascore
from ascore import _core
from ascore.algorithms.table import ALGORITHMS
from ascore.errors import EXTRAS
from ascore.reading import toml

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "ascore"
COMPILED = list(_core.environments)

# ---- versions and names ----------------------------------------------------------------------


def test_the_version_is_the_one_of_the_header() -> None:
    header = (ROOT / "cpp/include/ascore/version.hpp").read_text()
    (stated,) = re.findall(r'#define ASCORE_VERSION "([^"]+)"', header)
    assert ascore.__version__ == _core.__version__ == stated


def test_ci_tries_the_oldest_versions_that_the_extra_allows() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    (pins,) = re.findall(r"^pettingzoo = \[(.*?)\]", text, re.MULTILINE)
    tried = re.findall(r"^(\w+)==(\S+)$", (ROOT / ".ci/oldest.txt").read_text(), re.MULTILINE)
    assert sorted(re.findall(r'"(\w+)>=([\d.]+)"', pins)) == tried


def public(names: list[str] | set[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def stub() -> dict[str, ast.stmt]:
    """Everything `_core.pyi` declares, by name."""
    return declared(ast.parse((SOURCE / "_core.pyi").read_text()).body)


def declared(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    names: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
    return names


def shared_by_classes() -> dict[str, ast.stmt]:
    base = stub()["CoreVecEnv"]
    assert isinstance(base, ast.ClassDef)
    return declared(base.body)


def test_the_stub_declares_the_module() -> None:
    # The common shape of the environments is a type to Python and nothing at run time; they
    # themselves stand in a table, and their classes need no row each.
    classes = {environment.__name__ for environment in _core.environments.values()}
    assert set(stub()) - {"CoreVecEnv", "TellingVecEnv"} == public(dir(_core)) - classes | {
        "__version__"
    }


@pytest.mark.parametrize("name", COMPILED)
def test_the_stub_declares_the_classes(name: str) -> None:
    compiled = _core.environments[name]
    tells = {"deeds"} if ascore.ENVIRONMENTS[name].deeds else set()
    assert public(set(shared_by_classes())) | tells == public(dir(compiled))
    assert compiled.name == name
    assert compiled.interface == _core.interface


@pytest.mark.parametrize("name", COMPILED)
def test_a_class_is_named_as_its_environment(name: str) -> None:
    words = [word.capitalize() for word in name.split("-")]
    assert getattr(_core, "".join(words)) is _core.environments[name]


def test_environments_have_records_and_records_environments() -> None:
    assert list(ascore.ENVIRONMENTS) == list(_core.environments)


def parameters(node: ast.stmt | None) -> list[tuple[str, bool]]:
    """Each parameter of a function, and whether it may be left out."""
    assert isinstance(node, ast.FunctionDef)
    names = [argument.arg for argument in node.args.args]
    required = len(names) - len(node.args.defaults)
    return [(name, k >= required) for k, name in enumerate(names)]


def signature(doc: str | None) -> ast.stmt:
    """The line at the top of the documentation of a compiled function."""
    assert doc is not None
    return ast.parse(f"def {doc.splitlines()[0]}: ...").body[0]


@pytest.mark.parametrize("method", ["__init__", "run"])
def test_the_stub_has_the_parameters_of_the_yardstick(method: str) -> None:
    node = stub()["HarvestYardstick"]
    assert isinstance(node, ast.ClassDef)
    assert public(set(declared(node.body))) == public(dir(_core.HarvestYardstick))
    doc = getattr(_core.HarvestYardstick, method).__doc__
    assert parameters(declared(node.body)[method]) == parameters(signature(doc))


def test_the_stub_has_the_parameters_of_gae() -> None:
    assert parameters(stub()["gae"]) == parameters(signature(_core.gae.__doc__))


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize(
    "method", ["__init__", "reset", "step", "uniforms", "inspect", "save_state", "load_state"]
)
def test_the_stub_has_the_parameters_of_the_methods(name: str, method: str) -> None:
    compiled = getattr(_core.environments[name], method)
    assert parameters(shared_by_classes()[method]) == parameters(signature(compiled.__doc__))


def test_everything_exported_is_there() -> None:
    assert dir(ascore) == sorted(ascore.__all__)
    for name in ascore.__all__:
        assert getattr(ascore, name) is not None
    with pytest.raises(AttributeError, match="module 'ascore' has no attribute 'nothing'"):
        _ = ascore.nothing


# ---- what an import brings along -------------------------------------------------------------


def test_importing_the_package_needs_numpy_only() -> None:
    script = (
        "import sys, numpy\n"
        "before = set(sys.modules)\n"
        "import ascore\n"
        "ascore.make('exchange').reset()\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - set(sys.stdlib_module_names) - {'numpy'}))\n"
        "print('torch' in sys.modules)\n"
    )
    out = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == ["ascore", "False"]


def test_a_training_does_not_load_what_takes_long_and_is_not_used(tmp_path: Path) -> None:
    """PyTorch's compiler alone takes as long to load as PyTorch."""
    script = (
        "import sys, ascore\n"
        "config = ascore.Config(env='predation-v1', num_envs=2, episodes=2)\n"
        f"ascore.train(config, {str(tmp_path / 'run')!r})\n"
        "slow = {'torch._dynamo', 'numba', 'matplotlib', 'sympy'}\n"
        "print(*slow & set(sys.modules), 'none')\n"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout == "none\n"


# ---- one trainer for every algorithm ---------------------------------------------------------


def dispatches(tree: ast.AST) -> Iterator[str]:
    """Comparisons of an algorithm or its name, and literals that are the name of one."""
    for node in ast.walk(tree):
        operands: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.Match):
            operands = [node.subject]
        elif isinstance(node, ast.Subscript):
            operands = [node.slice]
        elif isinstance(node, ast.Constant) and node.value in ALGORITHMS:
            yield f"line {node.lineno}: {node.value!r}"
        for operand in operands:
            text = ast.unparse(operand)
            if re.search(r"\balgorithm(\.name)?$", text):
                yield f"line {operand.lineno}: {ast.unparse(node)}"


TRAINER = [p for room in ("learning", "runs") for p in sorted((SOURCE / room).rglob("*.py"))]


@pytest.mark.parametrize("path", TRAINER, ids=lambda path: path.stem)
def test_the_trainer_does_not_ask_which_algorithm_it_runs(path: Path) -> None:
    assert list(dispatches(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "line",
    [
        'x = 1 if algorithm.name == "new" else 2',
        "x = self.algorithm is other",
        'x = config.algorithm in ("a", "b")',
        "x = table[self.algorithm.name]",
        'x = name == "ippo"',
    ],
)
def test_a_dispatch_is_seen(line: str) -> None:
    assert list(dispatches(ast.parse(line)))


def test_the_compiled_core_knows_no_algorithm() -> None:
    names = re.compile("|".join(rf'"{re.escape(name)}"' for name in ALGORITHMS))
    files = [path for folder in ("cpp/include", "python") for path in (ROOT / folder).rglob("*")]
    assert files
    for path in files:
        if path.suffix in {".hpp", ".cpp"}:
            assert not names.search(path.read_text()), path


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("train", "torch", "train"),
        ("parallel_env", "pettingzoo", "pettingzoo"),
        ("plot", "matplotlib", "plot"),
        ("vector_env", "gymnasium", "pettingzoo"),
        ("torchrl_env", "tensordict", "torchrl"),
    ],
)
def test_what_needs_a_package_names_the_extra(name: str, package: str, extra: str) -> None:
    lines = f"import sys; sys.modules[{package!r}] = None; import ascore; ascore.{name}"
    ended = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    assert ended.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: ascore.{name} needs {package}; pip install 'ascore[{extra}]'"
    )


def test_extras_install_what_they_are_named_for() -> None:
    """The table follows pyproject.toml, where extras are lists of requirements."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = toml(text.encode())["project"]["optional-dependencies"]
    names = {
        extra: {re.split(r"[\[>=; ]", one, maxsplit=1)[0] for one in lines}
        for extra, lines in listed.items()
    }
    for package, extra in EXTRAS.items():
        others = {"PIL": "pillow", "mlflow": "mlflow-skinny"} | {
            "google": "protobuf",
            "grpc": "grpcio",
        }
        distribution = others.get(package, package)
        assert distribution.replace("_", "-") in names[extra]


def test_files_are_short() -> None:
    """Only the kernel's loops, which compile together, are in a long one."""
    lines = {
        str(path.relative_to(SOURCE)): len(path.read_text().splitlines())
        for path in SOURCE.rglob("*.py")
    }
    assert {name for name, count in lines.items() if count > 500} == {"learning/backends/loops.py"}
    assert lines["learning/learner.py"] <= 400
