"""The op table: importing this package fills `graphc.ir.OPS`, one record per op, by family."""

from graphc.ops import elementwise as elementwise, index as index, product as product, reduce as reduce, shape as shape
