"""The house style, held by a test: sizes, names, docstrings, no clock in business code."""

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src" / "meterbook"
TESTS = Path(__file__).parent
MODULES = sorted(SOURCES.rglob("*.py"))
MODULE_LINES_MAX = 400
MODULE_LINES_MEDIAN_MAX = 150
FUNCTION_LINES_MAX = 50

# Who may ask what time it is: the outermost layers, which pass it in as `now`.
CLOCK_READERS = (
    "app.py",
    "access.py",
    "collecting.py",
    "listening.py",
    "cli/",
    "jobs/",
    "intake/",
    "simulate/",
)
CLOCKS = {"time", "time_ns", "now", "utcnow", "today"}
FORBIDDEN_WORDS = {"manager", "helper", "helpers", "utils", "util", "common", "service", "handler"}
FORBIDDEN_WORDS |= {"info"}
FORBIDDEN_BARE = {"data", "value", "type"}
# Names that others gave: the framework's, the wire's.
NAMES_OF_OTHERS = {
    ("problems.py", "type"),  # RFC 9457
}
# Litestar injects the request's body under this name.
NAMES_OF_OTHERS |= {(f"api/{file.name}", "data") for file in (SOURCES / "api").glob("*.py")}
NAMES_OF_OTHERS |= {
    (file.relative_to(SOURCES).as_posix(), "data") for file in (SOURCES / "web").rglob("*.py")
}
MACHINE_PATHS = re.compile(r"/(?:work|home|root)/|simple/|pypi\.org|files\.pythonhosted")


def relative(module: Path) -> str:
    return module.relative_to(SOURCES).as_posix()


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def names_made(tree: ast.Module) -> Iterator[str]:
    """Yield the names a module gives to modules, classes, functions, parameters and fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
            parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            yield from (parameter.arg for parameter in parameters)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_a_module_says_what_it_is_and_fits_on_a_few_screens(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "no module docstring"
    assert text.count("\n") <= MODULE_LINES_MAX
    for function in functions(tree):
        length = (function.end_lineno or 0) - function.lineno + 1
        assert length <= FUNCTION_LINES_MAX, f"{function.name} has {length} lines"
    for mark in ("TODO", "FIXME", "XXX", "NotImplementedError"):
        assert mark not in text


def test_the_median_module_is_short() -> None:
    lengths = [module.read_text(encoding="utf-8").count("\n") for module in MODULES]
    assert statistics.median(lengths) <= MODULE_LINES_MEDIAN_MAX


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_names_say_what_a_thing_is(module: Path) -> None:
    place = relative(module)
    tree = ast.parse(module.read_text(encoding="utf-8"))
    assert not set(module.stem.split("_")) & FORBIDDEN_WORDS
    for name in names_made(tree):
        words = set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_"))
        assert not words & FORBIDDEN_WORDS, name
        assert name not in FORBIDDEN_BARE or (place, name) in NAMES_OF_OTHERS, name


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_business_code_never_reads_the_clock(module: Path) -> None:
    if relative(module).startswith(CLOCK_READERS):
        return
    tree = ast.parse(module.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            of_clock = isinstance(owner, ast.Name) and owner.id in {"time", "datetime", "date"}
            assert not (of_clock and node.func.attr in CLOCKS), f"line {node.lineno}"


def test_tests_mirror_the_sources() -> None:
    folders = {path.name for path in SOURCES.iterdir() if path.is_dir()} - {"__pycache__"}
    extra = {path.name for path in TESTS.iterdir() if path.is_dir()} - folders - {"__pycache__"}
    no_package = {"browser", "deploy", "faults", "nodes"}
    assert extra <= no_package, "a test folder without a package of its name"


def test_nothing_names_this_machine_or_a_registry() -> None:
    root = SOURCES.parents[1]
    for pattern in ("*.toml", "Makefile", "*.md", "docs/**/*.md", "requirements/*.txt", ".ci/*"):
        for file in root.glob(pattern):
            if file.is_file():
                found = MACHINE_PATHS.search(file.read_text(encoding="utf-8"))
                assert not found, f"{file.name}: {found}"
