"""The step whose texts the pages about the compiler show: a network of two layers that reads digits of 8 by 8."""

import graphc as gc

x = gc.input("x", ("batch", 64))
y = gc.input("y", ("batch",), "int64")
W1, b1 = gc.param("W1", (64, 32)), gc.param("b1", 32, init="zeros")
W2, b2 = gc.param("W2", (32, 10)), gc.param("b2", 10, init="zeros")

h = gc.relu(x @ W1 + b1)
loss = gc.cross_entropy(gc.softmax(h @ W2 + b2), y)
step = gc.compile(loss, optimizer=gc.SGD(lr=0.1))
