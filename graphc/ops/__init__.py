"""The op table: importing this package fills `graphc.ir.OPS`, one record per op, by family."""

from graphc.ops import (
    activation as activation,
    arithmetic as arithmetic,
    choice as choice,
    custom as custom,
    diagonal as diagonal,
    einsum as einsum,
    functions as functions,
    getitem as getitem,
    index as index,
    likelihood as likelihood,
    pieces as pieces,
    product as product,
    random as random,
    reduce as reduce,
    scan as scan,
    shape as shape,
    softmax as softmax,
)
