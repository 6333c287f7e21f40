"""Multiplies two matrices a number of times under jax.jit; run by scripts/gpu_check under mfutrace.

Usage: jax_matmul.py M N K CALLS. XLA sends a product of this size to cuBLASLt unless Triton wins its autotuning,
which XLA_FLAGS=--xla_gpu_enable_triton_gemm=false (set by the caller) rules out. Autotuning makes calls of its
own; --xla_gpu_autotune_level=0 rules those out too.
"""

import sys

import jax
import jax.numpy as jnp


def main():
    m, n, k, calls = map(int, sys.argv[1:])
    a = jnp.ones((m, k), jnp.bfloat16)
    b = jnp.ones((k, n), jnp.bfloat16)
    product = jax.jit(jnp.matmul)
    for _ in range(calls):
        c = product(a, b)
    c.block_until_ready()


main()
