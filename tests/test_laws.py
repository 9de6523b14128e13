"""Laws of the house that cut across modules: who may import whom, what loads when, what no file may hold."""

import ast
import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ncapps"

FOUNDATION = {"errors", "arrays", "persist", "config", "threads"}
STATISTICS = {"moments", "statistics"}
MATHEMATICS = {"simplex", "covariance", "prototypes", "plda", "conformal", "collapse", "collapse_measures"}
CORE = FOUNDATION | STATISTICS | MATHEMATICS
APPLICATIONS = {"fewshot", "ood", "compression", "transfer"}
BELOW_RECOGNIZER = CORE | APPLICATIONS | {"features", "training"}

# What each part may import. A part that is not named here stands above the recognizer: it may import all, and nothing
# that is named here may import it.
MAY_IMPORT = {
    "errors": set(),
    "threads": set(),
    "arrays": {"errors"},
    "persist": {"errors", "arrays"},
    "config": {"errors", "arrays", "persist"},
    **{part: FOUNDATION | STATISTICS for part in STATISTICS},
    **{part: CORE for part in MATHEMATICS},
    "features": FOUNDATION | {"features"},
    "training": FOUNDATION | STATISTICS | {"simplex", "collapse", "collapse_measures", "features", "training"},
    **{part: CORE | {"features", "training", part} for part in APPLICATIONS},
    "predictions": BELOW_RECOGNIZER,
    "recognizer": BELOW_RECOGNIZER | {"predictions"},
}

HEAVY = {
    "faiss",
    "torch_pruning",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "ray",
    "matplotlib",
    "starlette",
    "uvicorn",
    "torchvision",
}
# The one folder whose every module draws.
HOME_FOLDER = {"matplotlib": "report"}


@functools.cache
def trees():
    """Return the syntax tree of each module of the package, by path inside it."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def part_of(name):
    """`compression/macs.py` belongs to `compression`, `simplex.py` to `simplex`."""
    return name.split("/")[0].removesuffix(".py")


def imported(tree):
    """Yield (dotted name, node) for each import, those inside functions and for type checkers counted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            if node.module == "ncapps":
                yield from ((f"ncapps.{alias.name}", node) for alias in node.names)
            else:
                yield node.module or "", node


def at_module_level(tree):
    """Yield the imports that run when the module is imported."""
    pending = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            pending += [
                child for child in ast.iter_child_nodes(node) if isinstance(child, (ast.stmt, ast.excepthandler))
            ]


def library_of(node):
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return {name.split(".")[0] for name in names}


def run_python(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(result.stdout)


def test_the_import_law():
    breaches = []
    for name, tree in trees().items():
        part = part_of(name)
        for target, node in imported(tree):
            other = target.split(".")[1] if target.startswith("ncapps.") else None
            if part == "__init__" or other in (None, "__version__"):
                continue
            if other not in MAY_IMPORT.get(part, {other}):
                breaches.append(f"{name}:{node.lineno} imports ncapps.{other}")
    assert not breaches


def test_modules_are_imported_from_their_home_not_from_the_public_door():
    known = {part_of(name) for name in trees()} | {"__version__"}
    breaches = [
        f"{name}:{node.lineno} {target}"
        for name, tree in trees().items()
        for target, node in imported(tree)
        if name != "__init__.py"
        and target.split(".")[0] == "ncapps"
        and target.split(".")[1:2] not in ([], *([k] for k in known))
    ]
    assert not breaches


def test_no_module_is_on_a_cycle_when_it_loads():
    modules = {
        "ncapps." + name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): tree
        for name, tree in trees().items()
        if name != "__init__.py"
    }
    graph = {module: set() for module in modules}
    for module, tree in modules.items():
        for node in at_module_level(tree):
            graph[module] |= _targets(node, modules) - {module}
    while graph:
        free = {module for module, needs in graph.items() if not needs & graph.keys()}
        assert free, f"these import one another: {sorted(graph)}"
        graph = {module: needs for module, needs in graph.items() if module not in free}


def _targets(node, modules):
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} & modules.keys()
    inside = {f"{node.module}.{alias.name}" for alias in node.names}
    found = {name if name in modules else node.module for name in inside}
    return found & modules.keys()


@pytest.mark.parametrize("library", sorted(HEAVY))
def test_a_heavy_library_is_loaded_by_one_module_or_inside_functions(library):
    where = [
        name for name, tree in trees().items() if any(library in library_of(node) for node in at_module_level(tree))
    ]
    home = HOME_FOLDER.get(library)
    assert len({home if part_of(name) == home else name for name in where}) <= 1, where


def test_faiss_comes_after_torch():
    for name, tree in trees().items():
        lines = {library: [] for library in ("faiss", "torch")}
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for library in library_of(node) & lines.keys():
                    lines[library].append(node.lineno)
        if lines["faiss"]:
            assert lines["torch"], f"{name} imports faiss without torch"
            assert min(lines["torch"]) < min(lines["faiss"]), f"{name} imports faiss before torch"


def test_import_ncapps_is_light():
    heavy = sorted(HEAVY | {"torch", "timm", "sklearn", "scipy", "numpy"})
    loaded = run_python(
        f"import json, sys, ncapps; print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    )
    assert loaded == []


def test_the_core_needs_no_torch():
    heavy = sorted(HEAVY | {"torch", "timm"})
    code = (
        "import json, sys, numpy as np\n"
        "from ncapps import ClassStatistics, SimplexETF, measure_collapse\n"
        "from ncapps import conformal, covariance, prototypes\n"
        "measure_collapse(np.eye(3).repeat(4, axis=0), list('aaaabbbbcccc'))\n"
        f"print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    )
    assert run_python(code) == []


def test_every_public_name_is_documented_and_listed_once():
    import ncapps

    tree = trees()["__init__.py"]
    typed = {
        alias.asname: node.module.split(".")[1]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ncapps.")
        for alias in node.names
    }
    assert {*typed, "__version__"} == set(ncapps.__all__)
    for name, home in typed.items():
        assert (PACKAGE / home).is_dir() or (PACKAGE / f"{home}.py").is_file(), f"{name} has no home {home}"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = ncapps.nothing


def calls(tree):
    """Yield (text of what is called, node) for each call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


FORBIDDEN_LIBRARIES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "random"}
FORBIDDEN_CALLS = {"print", "eval", "exec", "compile", "__import__", "input", "breakpoint"}
OWN_GENERATORS = {"default_rng", "Generator", "SeedSequence", "PCG64", "Philox"}


def test_no_pickle_no_eval_no_print_no_global_state():
    breaches = []
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)) and library_of(node) & FORBIDDEN_LIBRARIES:
                breaches.append(f"{name}:{node.lineno} imports {library_of(node) & FORBIDDEN_LIBRARIES}")
            if isinstance(node, ast.Global):
                breaches.append(f"{name}:{node.lineno} global {', '.join(node.names)}")
        for called, node in calls(tree):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if called in FORBIDDEN_CALLS or called.endswith(".cuda"):
                breaches.append(f"{name}:{node.lineno} {called}()")
            if called == "torch.load" and keywords.get("weights_only") != "True":
                breaches.append(f"{name}:{node.lineno} torch.load without weights_only=True")
            if called in ("np.load", "numpy.load") and keywords.get("allow_pickle", "False") != "False":
                breaches.append(f"{name}:{node.lineno} np.load with pickle")
            if re.fullmatch(r"(np|numpy)\.random\.\w+", called) and called.rsplit(".", 1)[1] not in OWN_GENERATORS:
                breaches.append(f"{name}:{node.lineno} {called}: the global generator")
    assert not breaches


def test_no_error_is_swallowed():
    breaches = []
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
            silent = all(isinstance(part, (ast.Pass, ast.Continue)) for part in node.body)
            if node.type is None or (broad and silent):
                breaches.append(f"{name}:{node.lineno}")
    assert not breaches


def test_files_and_functions_are_short():
    breaches = []
    for name, tree in trees().items():
        lines = len((PACKAGE / name).read_text(encoding="utf-8").splitlines())
        if lines > 300:
            breaches.append(f"{name}: {lines} lines")
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                length = (node.end_lineno or 0) - first.lineno + 1
                if length > 60:
                    breaches.append(f"{name}: {node.name} has {length} lines")
    assert not breaches


def test_recipes_are_thin():
    for path in (ROOT / "recipes").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 80, path.name


def test_every_module_has_its_tests():
    """`a/b.py` is tested by a file named after it, or by one under tests/a that imports it or what it defines."""
    tests = {path.relative_to(ROOT / "tests"): ast.parse(path.read_text(encoding="utf-8")) for path in _tests()}
    used = {path: {target for target, _ in imported(tree)} | _imported_names(tree) for path, tree in tests.items()}
    missing = []
    for name, tree in trees().items():
        path = Path(name)
        if path.name in ("__init__.py", "__main__.py"):
            continue
        dotted = "ncapps." + name.removesuffix(".py").replace("/", ".")
        defined = {dotted} | {
            node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_"
        }
        folder = path.parts[0] if len(path.parts) > 1 else None
        mine = [test for test in tests if folder in (None, test.parts[0])]
        if not any(path.stem in test.stem or used[test] & defined for test in mine):
            missing.append(name)
    assert not missing, "\n".join(missing)


def _imported_names(tree):
    """Return the names, and the dotted modules, that a test takes from the package."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ncapps":
            found |= {alias.name for alias in node.names} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _tests():
    return sorted((ROOT / "tests").rglob("test_*.py"))


def test_no_file_holds_a_machine_path_or_an_unfinished_mark():
    # Put together here, so that this file does not hold what it looks for.
    machine = re.compile(
        r"(?<![\w.:/~-])/(" + "|".join(("wo" + "rk", "ro" + "ot", "ho" + "me", "Us" + "ers")) + r")/\w"
    )
    unfinished = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b|raise Not" + r"ImplementedError")
    breaches = []
    for folder in ("ncapps", "recipes", "configs", "tests", "."):
        for path in (ROOT / folder).glob("*" if folder == "." else "**/*"):
            if path.suffix in (".py", ".md", ".toml", ".yaml", ".yml", ".html", ".css") and path.is_file():
                text = path.read_text(encoding="utf-8")
                found = [match.group() for pattern in (machine, unfinished) for match in pattern.finditer(text)]
                breaches += [f"{path.relative_to(ROOT)}: {what}" for what in found]
    assert not breaches
