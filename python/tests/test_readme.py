"""What the README and the guides show runs."""

import re
from pathlib import Path

import pytest
from servers import package

PAGES = Path(__file__).parents[1]
NEEDS = {"frameworks": ["flask", "fastapi"], "openfeature": ["openfeature"]}


@pytest.mark.parametrize("page", ["README", *(f"docs/{path.stem}" for path in sorted((PAGES / "docs").glob("*.md")))])
def test_examples(page):
    for name in NEEDS.get(page.removeprefix("docs/"), []):
        package(name)
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, page, "exec"), {})  # noqa: S102
