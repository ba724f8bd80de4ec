"""What CONTRIBUTING.md says of adding an environment is all there is to it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cases import case

import ascore
from ascore import _core
from ascore.envs.table import ENVIRONMENTS
from ascore.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
NAMES = list(ascore.ENVIRONMENTS)
MOST_PLACES = 8
FEW = 2
"""So many environments may be named together, as examples; three and more are a table."""

# ---- the table -------------------------------------------------------------------------------


def table() -> list[tuple[str, str]]:
    """(place, what stands there) of every row, with the words NAME, CLASS, BOARD and SCENE."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## Add an environment")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", section, re.MULTILINE)


def words(name: str) -> dict[str, str]:
    record = ascore.ENVIRONMENTS[name]
    board, _, scene = record.scene.rpartition(".")[2].partition(":")
    stem = name.rsplit("-v", 1)[0]
    return {
        "NAME": stem.replace("-", "_"),
        "CLASS": "".join(word.capitalize() for word in stem.split("-")),
        "BOARD": board,
        "SCENE": scene,
    }


def filled(text: str, name: str) -> str:
    return re.sub(r"NAME|CLASS|BOARD|SCENE", lambda word: words(name)[word[0]], text)


def test_there_are_few_places() -> None:
    assert 1 < len(table()) <= MOST_PLACES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("place", "content"), table())
def test_every_environment_has_every_place(name: str, place: str, content: str) -> None:
    file, wanted = filled(place, name), filled(content, name)
    assert (ROOT / file).is_file(), f"{name} lacks {file}"
    assert wanted in (ROOT / file).read_text(encoding="utf-8"), f"{name}: {file} lacks {wanted!r}"


@pytest.mark.parametrize("name", NAMES)
def test_the_places_agree_on_names(name: str) -> None:
    record, at = ascore.ENVIRONMENTS[name], words(name)
    assert record.twin == f"ascore.reference.{at['NAME']}:{at['CLASS']}"
    assert record.scripted == f"ascore.scripted.{at['NAME']}"
    assert record.load_twin().name == name
    assert case(name).traces


def test_what_the_page_points_at_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    at = {path.relative_to(ROOT).as_posix(): path for path in files(*CODE, "tests")}
    for name in re.findall(r"`([\w/.]+\.(?:py|hpp))`", text):
        if not re.search("NAME|BOARD", name):
            assert any(f"/{path}".endswith(f"/{name}") for path in at), f"there is no {name}"
    classes = re.findall(r"`(\w+)`\s+in\s+`([\w/.]+\.py)`", text)
    assert len(classes) > 3
    for thing, file in classes:
        words = rf"^(?:(?:class|def) {thing}\b|{thing} = )"
        assert re.search(words, at[file].read_text(encoding="utf-8"), re.MULTILINE), (thing, file)


def test_what_is_compiled_has_a_record() -> None:
    lacking = set(_core.environments) - set(NAMES)
    assert not lacking, f"write RECORD in src/ascore/envs/catalogue for {', '.join(lacking)}"
    strange = set(NAMES) - set(_core.environments)
    remedy = "add it to cpp/include/ascore/envs/all.hpp and build again"
    assert not strange, f"not compiled: {', '.join(strange)}; {remedy}"


def test_a_record_without_compiled_code_says_what_to_build() -> None:
    with pytest.raises(ConfigError, match=r"two-rooms-v1 has a record.*all\.hpp and build again"):
        _ = replace(ENVIRONMENTS["escape-v1"], name="two-rooms-v1").core


def test_an_environment_without_a_case_is_told_what_to_write() -> None:
    with pytest.raises(LookupError, match=r"two-rooms-v1 has no case.*tests/envs/cases/two_rooms"):
        case("two-rooms-v1")


# ---- no other place --------------------------------------------------------------------------

# Where three environments and more are named all the same, and why a new one need not be.
NAMED = {
    "cpp/tests/capi_test.cpp": "examples",
    "src/ascore/benchmark/learning.py": "updates are timed on small and large networks",
    "src/ascore/benchmark/others.py": "a game with a view per agent, and updates of several sizes",
    "src/ascore/benchmark/scaling.py": "runs and environments that are timed",
    "src/ascore/benchmark/workloads.py": "sizes and bars that are promised; others have defaults",
    "src/ascore/experiments/studies.py": "the paper's figures",
}
CODE = ("src", "cpp", "python", "benches", "cmake", "tests/embedding", "CMakeLists.txt")
KINDS = {".py", ".pyi", ".pxd", ".pyx", ".hpp", ".cpp", ".c", ".h", ".txt", ".cmake"}


def mentioned(text: str) -> set[str]:
    """Environments named in code: "exchange", "exchange-v1", Exchange, ExchangeV1, EXCHANGE."""
    return {
        name
        for name in NAMES
        if re.search(
            rf"(?<![A-Za-z0-9])(?:(?i:{name.rsplit('-v', 1)[0]})|{words(name)['CLASS']}"
            rf"|{words(name)['NAME']})(?:Params|V\d+)?(?![A-Za-z])",
            text,
        )
    }


def without_prose(path: Path, text: str) -> str:
    """Code without comments and documentation."""
    if path.suffix in {".hpp", ".cpp", ".c", ".h"}:
        return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    if path.suffix not in {".py", ".pyi"}:
        return re.sub(r"#[^\n]*", "", text)
    kept, before = [], tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in {tokenize.COMMENT, tokenize.NL}:
            continue
        starts = before in {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
        if not (token.type == tokenize.STRING and starts):
            kept.append(token.string)
        before = token.type
    return " ".join(kept)


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        at = ROOT / folder
        for path in [at] if at.is_file() else sorted(at.rglob("*")):
            inside = path.relative_to(ROOT).as_posix()
            built = inside.startswith(("src/ascore/include/", "src/ascore/share/"))
            if path.suffix in KINDS and not built:
                yield path


def places() -> set[str]:
    return {filled(place, name) for place, _ in table() for name in NAMES}


def test_no_other_file_of_the_code_knows_them() -> None:
    tables = {
        path.relative_to(ROOT).as_posix()
        for path in files(*CODE)
        if len(mentioned(without_prose(path, path.read_text(encoding="utf-8")))) > FEW
    }
    assert tables - places() == set(NAMED), "name environments in their own places alone"


# Tests may name environments one by one. A table of them is one a new environment might lack.
LISTED = {
    "tests/support/hostility.py::ENVIRONMENTS": "a sample that is attacked",
    "tests/envs/test_env_errors.py::test_bad_parameter": "examples of refused values",
    "tests/envs/test_scripted.py::test_scripts_refuse_what_they_are_not_for": "examples",
    "tests/experiments/test_studies.py::test_figure_2_is_five_environments_by_four_algorithms_and"
    "_one_that_shares_nothing": "a figure of the paper",
    "tests/experiments/test_studies.py::test_figure_4_has_the_paper_s_weights_with_the_paper_s"
    "_preset": "a figure of the paper",
    "tests/test_config.py::test_paper_presets_are_tables_1_and_2": "tables of the paper",
    "tests/test_embedding.py::test_exported_policies_act_alike": "networks of several kinds",
}


def subject(node: ast.expr | None) -> str:
    """What an entry of a table is about: itself, or the first thing in it."""
    if isinstance(node, ast.Tuple | ast.List) and node.elts:
        return subject(node.elts[0])
    if isinstance(node, ast.Call):
        return subject(node.args[0] if node.args else node.func)
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def listed(tree: ast.Module) -> Iterator[str]:
    """Names of the functions and variables of a module that hold a table of environments."""
    for owner in tree.body:
        for node in ast.walk(owner):
            entries: list[ast.expr | None] = []
            if isinstance(node, ast.Dict):
                entries = list(node.keys)
            elif isinstance(node, ast.List | ast.Tuple | ast.Set):
                entries = list(node.elts)
            named = set().union(*(mentioned(subject(entry)) for entry in entries))
            if len(named) > FEW:
                target = owner.targets[0] if isinstance(owner, ast.Assign) else owner
                target = owner.target if isinstance(owner, ast.AnnAssign) else target
                yield getattr(target, "name", None) or getattr(target, "id", "")
                break


def test_no_test_has_a_table_of_its_own() -> None:
    tables = {
        f"{path.relative_to(ROOT).as_posix()}::{owner}"
        for path in files("tests")
        if path.suffix == ".py" and "fixtures" not in path.parts
        for owner in listed(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert tables == set(LISTED), "derive it from ascore.ENVIRONMENTS and tests/envs/cases"


FIRST, LAST = NAMES[:3], NAMES[-3:]
CLASSES = [words(name)["CLASS"] for name in FIRST]


@pytest.mark.parametrize(
    "line",
    [
        f"T = {dict.fromkeys(FIRST, 1)}",
        f"T: dict = {dict.fromkeys((name.rsplit('-v')[0] for name in LAST), 1)}",
        f"T = [{', '.join(f'_core.{name}V1' for name in CLASSES)}]",
        f"def T(x=({', '.join(f'{name}Params' for name in CLASSES)})): ...",
        f"T = {[(name, 1, 2) for name in LAST]}",
        f"T = ({', '.join(f'Workload({name!r}, 3)' for name in LAST)})",
    ],
)
def test_a_table_is_seen(line: str) -> None:
    assert list(listed(ast.parse(line))) == ["T"]
    assert len(mentioned(without_prose(Path("x.py"), f'"""About it."""\n{line}\n'))) == 3


def test_prose_is_no_table() -> None:
    prose = ", ".join(NAMES)
    assert not mentioned(without_prose(Path("x.py"), f'"""{prose}"""\ny = 1  # {prose}\n'))
    assert not mentioned(without_prose(Path("x.hpp"), f"/// {prose}\nint y;  // {prose}\n"))
    classes = "\n".join(f"add<{words(name)['CLASS']}>();" for name in NAMES)
    assert mentioned(without_prose(Path("x.cpp"), classes)) == set(NAMES)
