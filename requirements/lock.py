"""Write the three lock files from pyproject.toml (run by `make lock`).

`dev.lock` and `demo.lock` hold only what the runtime lock does not, so each can be installed on top of it.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
UV = Path(sys.executable).with_name("uv")
# hatchling and editables build our own editable install, without build isolation, so they belong to the runtime lock.
BUILD = ["hatchling", "editables"]
FLAGS = ["--python-version=3.11", "--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header", "-q"]


def compile_lock(requirements: list[str], *flags: str) -> str:
    command = [str(UV), "pip", "compile", "-", *FLAGS, *flags]
    return subprocess.run(command, input="\n".join(requirements), text=True, check=True, capture_output=True).stdout


def blocks(lock: str) -> dict[str, str]:
    """Split a lock into one block a package (its pin and its hashes)."""
    found: dict[str, str] = {}
    for line in lock.splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            name = line.split("==")[0]
            found[name] = ""
        found[name] += line
    return found


def main() -> None:
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())
    runtime_in = project["project"]["dependencies"] + BUILD
    groups = project["dependency-groups"]
    runtime = compile_lock(runtime_in)
    both = compile_lock(runtime_in + groups["dev"], f"--constraints={_write('runtime.lock', runtime)}")
    extra = {name: text for name, text in blocks(both).items() if name not in blocks(runtime)}
    _write("dev.lock", "".join(extra.values()))
    _write("demo.lock", compile_lock(groups["demo"], "--no-deps"))


def _write(name: str, text: str) -> Path:
    path = HERE / name
    path.write_text(text)
    return path


if __name__ == "__main__":
    main()
