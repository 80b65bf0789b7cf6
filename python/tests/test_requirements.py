"""Whether `requirements.txt`, of which the tests' packages come, has what the package's extras ask for."""

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def unmet(texts, extras=frozenset([""])):
    for requirement in map(Requirement, texts):
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        # An extra may ask for another one.
        if requirement.name == PROJECT["name"]:
            continue
        try:
            installed = distribution(requirement.name)
        except PackageNotFoundError:
            yield f"{requirement.name} is missing"
            continue
        if not requirement.specifier.contains(installed.version, prereleases=True):
            yield f"{requirement.name} is {installed.version}, not {requirement.specifier}"
        if requirement.extras:
            yield from unmet(installed.requires or [], requirement.extras)


def test_the_extras_are_installed():
    asked = [text for extra in PROJECT["optional-dependencies"].values() for text in extra]
    assert len(asked) > 20
    assert list(unmet(asked)) == []


def test_what_is_not_installed_is_found():
    version = distribution("packaging").version
    asked = ["no-such-package", "no-such-package; python_version < '3'", "packaging<1", "packaging>1"]
    assert list(unmet(asked)) == ["no-such-package is missing", f"packaging is {version}, not <1"]
