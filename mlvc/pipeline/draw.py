"""A Graph as text: lines for a terminal, Graphviz, Mermaid, plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlvc.pipeline.graph import Graph


def edges(graph: Graph, names: Iterable[str] | None = None) -> Iterator[tuple[str, str]]:
    """Each (maker, consumer) among ``names``, all Stages without, in topological order."""
    chosen = set(graph.stages if names is None else names)
    for name in graph.stages:
        if name in chosen:
            yield from ((maker, name) for maker in graph.upstream[name] if maker in chosen)


def text(graph: Graph, names: Iterable[str] | None = None) -> str:
    """One line a Stage, after those that it takes from, with their names."""
    lines = []
    chosen = dict.fromkeys(_chosen(graph, names))
    for name in chosen:
        makers = [maker for maker in graph.upstream[name] if maker in chosen]
        lines.append(name + (f"  <- {', '.join(makers)}" if makers else ""))
    return "".join(line + "\n" for line in lines)


def dot(graph: Graph, names: Iterable[str] | None = None) -> str:
    """The Graph in the language of Graphviz."""
    chosen = _chosen(graph, names)
    nodes = [f"  {_quoted(name)};\n" for name in chosen]
    arrows = [f"  {_quoted(maker)} -> {_quoted(name)};\n" for maker, name in edges(graph, chosen)]
    return "".join(["digraph pipeline {\n", *nodes, *arrows, "}\n"])


def mermaid(graph: Graph, names: Iterable[str] | None = None) -> str:
    """The Graph as a Mermaid flowchart."""
    chosen = _chosen(graph, names)
    ids = {name: f"s{number}" for number, name in enumerate(chosen)}
    nodes = [f'  {ids[name]}["{_escaped(name)}"]\n' for name in chosen]
    arrows = [f"  {ids[maker]} --> {ids[name]}\n" for maker, name in edges(graph, chosen)]
    return "".join(["flowchart TD\n", *nodes, *arrows])


def _quoted(name: str) -> str:
    """A name in Graphviz, which knows a backslash before a quote and nothing else of JSON."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(name: str) -> str:
    """A name in Mermaid: its own signs for what it would read as Markdown, a quote or an entity."""
    return "".join(f"#{ord(sign)};" if sign in '"#&<>`' else sign for sign in name)


def _chosen(graph: Graph, names: Iterable[str] | None) -> list[str]:
    wanted = graph.stages if names is None else set(names)
    return [name for name in graph.stages if name in wanted]
