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
from ascore.algorithms import ALGORITHMS

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "ascore"
COMPILED = ("ExchangeV1", "NavigationV1", "PredationV1")

# ---- versions and names ----------------------------------------------------------------------


def test_the_version_is_the_one_of_the_header() -> None:
    header = (ROOT / "cpp/include/ascore/version.hpp").read_text()
    (stated,) = re.findall(r'#define ASCORE_VERSION "([^"]+)"', header)
    assert ascore.__version__ == _core.__version__ == stated


def public(names: list[str] | set[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def stub() -> dict[str, ast.stmt]:
    """Everything `_core.pyi` declares, by name."""
    return declared(ast.parse((SOURCE / "_core.pyi").read_text()).body)


def declared(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return found


def shared_by_classes() -> dict[str, ast.stmt]:
    base = stub()["CoreVecEnv"]
    assert isinstance(base, ast.ClassDef)
    return declared(base.body)


def test_the_stub_declares_the_module() -> None:
    # The common shape of the classes is a type to Python and nothing at run time.
    assert set(stub()) - {"CoreVecEnv"} == public(dir(_core)) | {"__version__"}


@pytest.mark.parametrize("name", COMPILED)
def test_the_stub_declares_the_classes(name: str) -> None:
    node = stub()[name]
    assert isinstance(node, ast.ClassDef)
    assert [ast.unparse(base) for base in node.bases] == ["CoreVecEnv"]
    assert set(declared(node.body)) == set()
    assert public(set(shared_by_classes())) == public(dir(getattr(_core, name)))


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
def test_the_stub_has_the_parameters_of_the_bound(method: str) -> None:
    node = stub()["HarvestBound"]
    assert isinstance(node, ast.ClassDef)
    assert public(set(declared(node.body))) == public(dir(_core.HarvestBound))
    doc = getattr(_core.HarvestBound, method).__doc__
    assert parameters(declared(node.body)[method]) == parameters(signature(doc))


def test_the_stub_has_the_parameters_of_gae() -> None:
    assert parameters(stub()["gae"]) == parameters(signature(_core.gae.__doc__))


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize(
    "method", ["__init__", "reset", "step", "uniforms", "inspect", "save_state", "load_state"]
)
def test_the_stub_has_the_parameters_of_the_methods(name: str, method: str) -> None:
    compiled = getattr(getattr(_core, name), method)
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


# ---- who may import whom ---------------------------------------------------------------------

# Module: the modules of this package that it may import, for types only or at first use included.
ARROWS = {
    "": "_core config envs evaluation factory interop.pettingzoo policy targets training",
    "__main__": "cli",
    "algorithms": "algorithms.anticipation algorithms.contract algorithms.cppo algorithms.ippo"
    " algorithms.ps algorithms.vps algorithms.vs errors",
    "algorithms.anticipation": "algorithms.contract algorithms.ippo config fused kernels ledger"
    " objectives",
    "algorithms.contract": "config envs fused kernels ledger links objectives targets",
    "algorithms.cppo": "algorithms.contract algorithms.ippo joint ledger",
    "algorithms.ippo": "algorithms.contract config objectives",
    "algorithms.ps": "algorithms.contract config fused kernels ledger objectives",
    "algorithms.vps": "algorithms.contract algorithms.ippo ledger",
    "algorithms.vs": "algorithms.contract algorithms.ippo config ledger links targets",
    "anchors": "envs evaluation scripted streams",
    "anticipations": "",
    "benchmark": "benchmark.suite benchmark.timing",
    "benchmark.crews": "config errors factory learner rollout runtime.ranks",
    "benchmark.environments": "_core benchmark.timing benchmark.worlds processors",
    "benchmark.estimates": "_core benchmark.packages benchmark.timing reference",
    "benchmark.learning": "_core algorithms benchmark.packages benchmark.timing benchmark.updates"
    " config factory learner objectives reference.training reference.update rollout",
    "benchmark.machine": "doctor",
    "benchmark.packages": "benchmark.timing",
    "benchmark.report": "benchmark.suite benchmark.timing",
    "benchmark.scaling": "benchmark.crews benchmark.environments benchmark.machine benchmark.suite"
    " benchmark.timing benchmark.worlds processors",
    "benchmark.suite": "benchmark.environments benchmark.estimates benchmark.learning"
    " benchmark.machine"
    " benchmark.timing benchmark.updates",
    "benchmark.timing": "errors",
    "benchmark.updates": "benchmark.packages benchmark.timing config envs learner reference.update"
    " rollout",
    "benchmark.worlds": "benchmark.timing envs reference",
    "checkpoint": "_core errors files tensorfile",
    "cli": "_core commands.embedding commands.experiments commands.machine commands.runs"
    " commands.shared commands.training commands.worlds errors",
    "commands": "",
    "commands.embedding": "installed policy",
    "commands.experiments": "algorithms benchmark.machine commands.shared config experiments"
    " experiments.cells experiments.figures experiments.results experiments.slurm"
    " experiments.studies experiments.sweeps experiments.tables factory files options progress"
    " runtime.pool",
    "commands.machine": "benchmark benchmark.report benchmark.scaling commands.shared doctor",
    "commands.runs": "commands.shared evaluation interop.replay options plots progress",
    "commands.shared": "evaluation",
    "commands.training": "algorithms commands.shared compare config envs errors evaluation factory"
    " options progress runtime.ranks training",
    "commands.worlds": "anchors commands.shared envs interop.check options",
    "compare": "config errors progress runtime.pool training",
    "config": "envs errors graph",
    "doctor": "_core processors",
    "envs": "_core",
    "errors": "",
    "evaluation": "factory milestones policy streams training",
    "experiments": "",
    "experiments.cells": "checkpoint config errors evaluation files progress runtime.pool training",
    "experiments.figures": "errors experiments.results experiments.statistics experiments.tables"
    " plots",
    "experiments.results": "errors experiments experiments.cells experiments.studies factory files",
    "experiments.slurm": "files",
    "experiments.statistics": "streams",
    "experiments.studies": "config experiments.cells",
    "experiments.sweeps": "config errors experiments experiments.cells experiments.statistics"
    " experiments.tables",
    "experiments.tables": "experiments.results experiments.statistics",
    "fused": "_core config networks optimizer runtime.split",
    "factory": "envs interop.external interop.locate",
    "files": "errors",
    "graph": "errors streams",
    "guards": "config errors rollout targets",
    "installed": "_core",
    "interop": "",
    "interop.canvas": "",
    "interop.check": "envs errors interop.external interop.loading interop.locate",
    "interop.external": "_core errors interop.loading interop.locate streams",
    "interop.loading": "errors interop.locate",
    "interop.locate": "_core errors",
    "interop.pettingzoo": "envs interop.render",
    "interop.render": "envs interop.canvas interop.scenes",
    "interop.replay": "envs errors factory files interop.canvas interop.render policy scripted"
    " streams",
    "interop.scenes": "interop.canvas",
    "joint": "_core envs errors",
    "kernels": "config kernels.compiled objectives",
    "kernels.compiled": "",
    "learner": "algorithms algorithms.contract anticipations config envs errors fused guards"
    " ledger links networks objectives optimizer rollout runtime.gradients runtime.ranks"
    " runtime.rows runtime.split streams targets valuation",
    "ledger": "",
    "links": "config graph",
    "metrics": "errors files",
    "milestones": "envs",
    "networks": "streams",
    "objectives": "",
    "optimizer": "networks",
    "options": "config",
    "plots": "errors factory training",
    "policy": "_core checkpoint errors files joint tensorfile",
    "processors": "",
    "progress": "",
    "reference": "reference.cleanup reference.exchange reference.gae reference.harvest"
    " reference.navigation reference.philox reference.predation reference.vec_env",
    "reference.cleanup": "reference.gridworld reference.philox",
    "reference.exchange": "reference.hearing reference.philox",
    "reference.gae": "",
    "reference.gridworld": "reference.hearing reference.philox",
    "reference.harvest": "reference.gridworld reference.philox",
    "reference.hearing": "",
    "reference.losses": "",
    "reference.navigation": "reference.hearing reference.philox",
    "reference.philox": "",
    "reference.predation": "reference.philox",
    "reference.training": "reference.update",
    "reference.update": "",
    "reference.vec_env": "reference.philox",
    "rollout": "_core envs networks",
    "runtime": "",
    "runtime.gradients": "networks runtime.ranks",
    "runtime.pool": "errors processors progress",
    "runtime.ranks": "errors",
    "runtime.rows": "rollout runtime.ranks",
    "runtime.split": "runtime.ranks",
    "scripted": "envs scripted.cleanup scripted.exchange scripted.harvest scripted.navigation"
    " scripted.predation scripted.uniform",
    "scripted.board": "envs scripted.reading",
    "scripted.cleanup": "envs scripted.board scripted.walking",
    "scripted.exchange": "envs scripted.reading scripted.square",
    "scripted.harvest": "envs scripted.board scripted.walking",
    "scripted.navigation": "envs scripted.reading scripted.square",
    "scripted.predation": "envs",
    "scripted.reading": "envs",
    "scripted.square": "",
    "scripted.uniform": "envs",
    "scripted.walking": "scripted.board",
    "streams": "",
    "targets": "_core",
    "tensorfile": "",
    "theory": "",
    "training": "checkpoint config envs errors factory files learner metrics policy processors"
    " rollout runtime.ranks",
    "valuation": "algorithms.contract config fused links networks rollout runtime.ranks targets",
}
ALLOWED = {module: set(others.split()) for module, others in ARROWS.items()}


def modules() -> dict[str, Path]:
    """Every module below `ascore`, by its name there; the package itself is ""."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(module: str, path: Path) -> Iterator[str]:
    """Full names of what a module imports, wherever it stands in the file."""
    package = ["ascore", *module.split(".")] if module else ["ascore"]
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def arrows(module: str, path: Path) -> set[str]:
    """Modules of this package that a module imports."""
    known = {*modules(), "_core"} - {""}
    found = set()
    for name in imported(module, path):
        top, _, rest = name.partition(".")
        if top != "ascore":
            continue
        while rest not in known and rest:  # the last part may be a name within a module
            rest = rest.rpartition(".")[0]
        found.add(rest)
    return found


def test_the_table_lists_the_modules_there_are() -> None:
    assert set(ALLOWED) == set(modules())


@pytest.mark.parametrize(("module", "path"), modules().items(), ids=lambda x: str(x))
def test_imports_are_in_the_table(module: str, path: Path) -> None:
    unexpected = arrows(module, path) - ALLOWED.get(module, set())
    assert not unexpected, f"ascore.{module} may not import {', '.join(sorted(unexpected))}"


def reachable(module: str) -> set[str]:
    found: set[str] = set()
    ahead = [module]
    while ahead:
        for other in ALLOWED.get(ahead.pop(), set()) - found:
            found.add(other)
            ahead.append(other)
    return found


@pytest.mark.parametrize("module", ALLOWED)
def test_no_module_leads_back_to_itself(module: str) -> None:
    assert module not in reachable(module)


def test_the_bottom_layers_know_nothing_above_them() -> None:
    assert ALLOWED["envs"] == ALLOWED["targets"] == {"_core"}
    assert ALLOWED["objectives"] == set()


def test_the_reference_stands_alone() -> None:
    """An oracle that called what it checks would check nothing."""
    for module in ALLOWED:
        if module.split(".")[0] == "reference":
            assert all(other.startswith("reference.") for other in ALLOWED[module])
        elif module.split(".")[0] != "benchmark":  # the slow twins are what it measures against
            assert not any(other.split(".")[0] == "reference" for other in ALLOWED[module])


def test_only_the_command_line_measures() -> None:
    """What may import the slow twins must not be what anything else is made of."""
    for module in ALLOWED:
        if module.split(".")[0] not in ("benchmark", "commands"):
            assert not any(other.split(".")[0] == "benchmark" for other in ALLOWED[module])


def test_the_command_line_loads_the_slow_twins_only_to_measure() -> None:
    script = "import sys, ascore.cli\nprint([m for m in sys.modules if 'ascore.reference' in m])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"


def test_algorithms_do_not_reach_what_runs_them() -> None:
    for module in ALLOWED:
        if module.split(".")[0] == "algorithms":
            assert reachable(module).isdisjoint({"learner", "training", "rollout", "evaluation"})


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


@pytest.mark.parametrize("module", ["learner", "training", "rollout"])
def test_the_trainer_does_not_ask_which_algorithm_it_runs(module: str) -> None:
    assert list(dispatches(ast.parse(modules()[module].read_text()))) == []


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
