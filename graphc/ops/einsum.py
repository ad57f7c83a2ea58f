"""einsum: any sum of products, as pairwise contractions in the order that opt_einsum finds."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.constants import as_node, cast, common_dtype
from graphc.errors import ShapeError
from graphc.explained import teaching
from graphc.ir import Node, Operand
from graphc.ops.diagonal import diagonal
from graphc.ops.product import batched_dot
from graphc.ops.reduce import sum
from graphc.ops.shape import reshape, squeeze, transpose
from graphc.sizes import Dim, product, typical


@teaching
def einsum(subscripts: str, *operands: Operand) -> Node:
    """The sum of products that `subscripts` describes, in NumPy's notation: "ij,jk->ik", "...i->...".

    Raises ShapeError where subscripts and shapes disagree.
    """
    from opt_einsum.parser import parse_einsum_input

    dtype = common_dtype(*operands, floating=True)
    nodes = [cast(as_node(each), dtype) for each in operands]
    try:
        inputs, output, _ = parse_einsum_input((subscripts, *[(0,) * n.ndim for n in nodes]), shapes=True)
        terms = inputs.split(",")
        sizes = _sizes(terms, nodes)
        if len(set(output)) < len(output) or not set(output) <= set(sizes):
            raise ValueError(f"the result {output!r} wants labels of the operands, each once")
        pairs = [_without_ones(term, node, sizes) for term, node in zip(terms, nodes, strict=True)]
        path = _path(pairs, output)
    except ValueError as error:
        raise ShapeError(f"einsum: {subscripts!r} for {', '.join(str(n.type) for n in nodes)}: {error}") from None
    return _contracted(pairs, output, path, sizes)


def _path(terms: Sequence[tuple[str, Node]], output: str) -> Sequence[Sequence[int]]:
    """Which operands to contract, step by step, by opt_einsum; symbols count as sizes.TYPICAL."""
    from opt_einsum import contract_path

    shapes = [tuple(typical(size) for size in node.shape) for _, node in terms]
    path: Sequence[Sequence[int]] = contract_path(f"{','.join(t for t, _ in terms)}->{output}", *shapes, shapes=True)[0]
    return path


def _without_ones(term: str, node: Node, sizes: dict[str, Dim]) -> tuple[str, Node]:
    """The operand without the axes of size 1 that stretch to another size of their label."""
    axes = [at for at, label in enumerate(term) if node.shape[at] == 1 and sizes[label] != 1]
    kept = "".join(label for at, label in enumerate(term) if at not in axes)
    return (kept, squeeze(node, axes)) if axes else (term, node)


def _sizes(terms: Sequence[str], nodes: Sequence[Node]) -> dict[str, Dim]:
    """The size of each label; an axis of size 1 stretches, as in NumPy."""
    sizes: dict[str, Dim] = {}
    for term, node in zip(terms, nodes, strict=True):
        if len(term) != node.ndim:
            raise ValueError(f"{term!r} has {len(term)} labels for {node.ndim} axes")
        for label, size in zip(term, node.shape, strict=True):
            if node.shape[term.index(label)] != size:
                raise ValueError(
                    f"label {label!r} stands for sizes {node.shape[term.index(label)]} and {size} of {term!r}"
                )
            if sizes.setdefault(label, size) == 1:
                sizes[label] = size
            if size not in (1, sizes[label]):
                raise ValueError(f"label {label!r} has sizes {sizes[label]} and {size}")
    return sizes


def _contracted(
    terms: list[tuple[str, Node]], output: str, path: Sequence[Sequence[int]], sizes: dict[str, Dim]
) -> Node:
    """The operands replaced, step by step, by their contraction; what nobody needs any more is summed at once."""
    terms = [_without_repeats(*each) for each in terms]
    for step in path:
        chosen = [terms.pop(at) for at in sorted(step, reverse=True)]
        result = chosen.pop()
        if not chosen:
            result = _summed(*result, set(output).union(*(term for term, _ in terms)))
        while chosen:
            other = chosen.pop()
            result = _pair(result, other, set(output).union(*(term for term, _ in (*terms, *chosen))), sizes)
        terms.append(result)
    ((term, node),) = terms
    return transpose(node, [term.index(label) for label in output])


def _without_repeats(term: str, node: Node) -> tuple[str, Node]:
    """A label that stands twice is the diagonal of its axes."""
    for label in term:
        while term.count(label) > 1:
            one = term.index(label)
            other = term.index(label, one + 1)
            node = diagonal(node, 0, one, other)
            term = term[:one] + term[one + 1 : other] + term[other + 1 :] + label
    return term, node


def _summed(term: str, node: Node, needed: set[str]) -> tuple[str, Node]:
    """The operand without the axes that nothing needs."""
    axes = [at for at, label in enumerate(term) if label not in needed]
    kept = "".join(label for label in term if label in needed)
    return (kept, sum(node, axes)) if axes else (term, node)


def _pair(a: tuple[str, Node], b: tuple[str, Node], needed: set[str], sizes: dict[str, Dim]) -> tuple[str, Node]:
    """Two operands as one product for each of the labels that both have and that are kept."""
    (term_a, left), (term_b, right) = (_summed(*one, needed | set(other[0])) for one, other in ((a, b), (b, a)))
    batch = [label for label in term_a if label in term_b and label in needed]
    inner = [label for label in term_a if label in term_b and label not in needed]
    rows = [label for label in term_a if label not in term_b]
    columns = [label for label in term_b if label not in term_a]
    shapes = [
        tuple(product(sizes[label] for label in group) for group in groups)
        for groups in ((batch, rows, inner), (batch, inner, columns))
    ]
    left = transpose(left, [term_a.index(label) for label in (*batch, *rows, *inner)])
    right = transpose(right, [term_b.index(label) for label in (*batch, *inner, *columns)])
    result = batched_dot(reshape(left, shapes[0]), reshape(right, shapes[1]))
    labels = [*batch, *rows, *columns]
    return "".join(labels), reshape(result, tuple(sizes[label] for label in labels))
