import ast
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.lint import assert_clean
from torchcaffe.codegen.layout import (
    Bracket,
    Doc,
    Infix,
    Text,
    flat,
    function_head,
    paragraphs,
    render,
)

words = st.text("uvwxyz", min_size=1, max_size=24)


def calls(inner: st.SearchStrategy[Doc]) -> st.SearchStrategy[Doc]:
    several = st.lists(inner, min_size=2, max_size=5).map(tuple)
    call = st.builds(lambda name, items: Bracket(f"{name}(", items, ")"), words, several)
    literal = several.map(lambda items: Bracket("(", items, ")", literal=True))
    return call | literal


documents = st.recursive(words.map(Text), calls, max_leaves=12)


def test_what_fits_stays_on_its_line() -> None:
    doc = Bracket("f(", (Text("a"), Text("b=1")), ")")
    assert render(doc, 2, "x = ", "  # (1,)") == ["        x = f(a, b=1)  # (1,)"]
    assert flat(Bracket("(", (Text("a"),), ")", literal=True)) == "(a,)"


def test_what_does_not_fit_is_opened_from_the_outside() -> None:
    long = Text("a" * 47)
    together = Bracket("f(", (long, long), ")")
    assert render(together, 0, "x = ") == ["x = f(", f"    {flat(long)}, {flat(long)}", ")"]
    apart = Bracket("f(", (long, long, long), ")")
    assert render(apart, 0, "x = ")[1:-1] == [f"    {flat(long)},"] * 3
    infix = Infix(long, (("+", long), ("-", long)))
    assert render(infix, 0, "x = ") == [
        "x = (",
        f"    {flat(long)}",
        f"    + {flat(long)}",
        f"    - {flat(long)}",
        ")",
    ]


def test_function_heads() -> None:
    assert function_head("f", ["self"], "None") == ["    def f(self) -> None:"]
    many = [f"argument_{index}: int" for index in range(7)]
    assert function_head("f", many, "None")[1] == f"        {many[0]},"


def test_paragraphs() -> None:
    assert paragraphs([["a"], [], ["b", "c"]]) == ["a", "", "b", "c"]


@given(documents)
def test_the_meaning_stays(doc: Doc) -> None:
    lines = render(doc, 0, "x = ")
    assert ast.dump(ast.parse("\n".join(lines))) == ast.dump(ast.parse(f"x = {flat(doc)}"))


def test_ruff_would_write_it_the_same(tmp_path: Path) -> None:
    blocks: list[str] = []

    @settings(max_examples=300, derandomize=True, database=None)
    @given(documents)
    def collect(doc: Doc) -> None:
        blocks.extend(["def f():", *render(doc, 1, "x = "), *render(doc, 1, "return "), "", ""])

    collect()
    (tmp_path / "layout.py").write_text("\n".join(blocks).rstrip() + "\n")
    assert_clean(tmp_path, rules="E5")
