"""What emitted text calls: Python functions, each with the LLVM code that stands for it in a compiled step.

As Python they are what a step does without the JIT.
"""
