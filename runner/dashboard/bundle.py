"""bundle: the modules of the page as one script, without the comments and the indentation: what is sent in their place, made when it is first asked for.

Each module becomes a function that returns what it exports, so equal names of two modules never meet. That is a matter of lines because the modules
keep to a form: an import is one line, `import { a, b } from "./b.js";`, and an export stands before a function or a const. What differs is refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path

VENDOR = "../vendor/htm-preact.js"
_IMPORT = re.compile(r'import \{ ([\w, ]+) \} from "([^"]+)";')
_EXPORT = re.compile(r"export (?=(?:async function|function|const) (\w+))")
_LINE_COMMENT = re.compile(r"^\s*//.*\n|(?<=[;{,]) // [^`\"'\n]*$", re.MULTILINE)
_BLOCK_COMMENT = re.compile(r"^\s*/\*\*.*?\*/\n", re.MULTILINE | re.DOTALL)
_AROUND = re.compile(r"\s*([{};,])\s*")


def bundled(entry: Path) -> str:
    """The script of a page, from the module with which it begins. Raises ValueError for a module in another form, and for imports in a circle."""
    modules = list(_with_imports(entry.resolve(), (), set()))
    number = {path: place for place, (path, _) in enumerate(modules)}
    parts = [_as_function(path, text, number) for path, text in modules]
    return f'import * as vendor from "{VENDOR}";\n' + "\n".join(parts) + "\n"


def lean_style(text: str) -> str:
    """A style sheet without comments and without the spaces that say nothing."""
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r":\s+", ":", _AROUND.sub(r"\1", bare)).replace(";}", "}").strip() + "\n"


def _with_imports(path: Path, within: tuple[Path, ...], done: set[Path]) -> Iterator[tuple[Path, str]]:
    """Modules in the order in which they can begin: each after those that it imports."""
    if path in within:
        raise ValueError(f"{path.name} imports itself, by {', '.join(one.name for one in within[within.index(path) + 1 :]) or 'a line'}")
    if path in done:
        return
    text = path.read_text()
    for _, source in _IMPORT.findall(text):
        if not source.endswith(VENDOR.removeprefix("..")):
            yield from _with_imports((path.parent / source).resolve(), (*within, path), done)
    done.add(path)
    yield path, text


def _as_function(path: Path, text: str, number: dict[Path, int]) -> str:
    lines, names = [], []
    for line in _LINE_COMMENT.sub("", _BLOCK_COMMENT.sub("", text)).splitlines():
        bare = line.strip()
        if bare.startswith("import "):
            bare = _as_constants(bare, path, number)
        elif bare.startswith("export "):
            found = _EXPORT.match(bare)
            if found is None:
                raise ValueError(f"{path.name} exports in another form: {bare:.80}")
            names.append(found[1])
            bare = bare.removeprefix("export ")
        if bare:
            lines.append(bare)
    return "\n".join([f"const m{number[path]} = (() => {{", *lines, f"return {{ {', '.join(names)} }}; }})();"])


def _as_constants(line: str, path: Path, number: dict[Path, int]) -> str:
    found = _IMPORT.fullmatch(line)
    if found is None:
        raise ValueError(f"{path.name} imports in another form: {line:.80}")
    names, source = found.groups()
    owner = "vendor" if source.endswith(VENDOR.removeprefix("..")) else f"m{number[(path.parent / source).resolve()]}"
    return f"const {{ {names} }} = {owner};"
