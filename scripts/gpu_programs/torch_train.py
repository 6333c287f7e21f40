"""Trains a small GPT with PyTorch; run by scripts/gpu_check with and without mfutrace.

Usage: torch_train.py MODE STEPS [--count]
MODE: eager, compiled (torch.compile) or graph (one step captured and replayed). Attention is torch's own
scaled_dot_product_attention with the math back end, so that all of its products are library calls.
Prints one JSON line: {"step_ms": [...], "flop_per_step": N}; the count, by torch's own FlopCounterMode over one
eager step, only with --count (it slows the step that it counts).
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

BATCH, SEQ, HIDDEN, HEADS, LAYERS, VOCAB = 8, 1024, 2048, 16, 8, 32768


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm_in, self.norm_out = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        self.qkv = nn.Linear(HIDDEN, 3 * HIDDEN)
        self.out = nn.Linear(HIDDEN, HIDDEN)
        self.up, self.down = nn.Linear(HIDDEN, 4 * HIDDEN), nn.Linear(4 * HIDDEN, HIDDEN)

    def forward(self, x):
        batch, seq, _ = x.shape
        q, k, v = (part.view(batch, seq, HEADS, -1).transpose(1, 2)
                   for part in self.qkv(self.norm_in(x)).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(y.transpose(1, 2).reshape(batch, seq, HIDDEN))
        return x + self.down(F.gelu(self.up(self.norm_out(x))))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, HIDDEN)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.head = nn.Linear(HIDDEN, VOCAB, bias=False)

    def forward(self, tokens):
        return self.head(self.blocks(self.embedding(tokens)))


def main():
    mode, steps = sys.argv[1], int(sys.argv[2])
    torch.manual_seed(0)
    model = Model().cuda().bfloat16()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    tokens = torch.randint(VOCAB, (BATCH, SEQ), device="cuda")
    forward = torch.compile(model) if mode == "compiled" else model

    def step():
        optimizer.zero_grad(set_to_none=mode != "graph")
        loss = F.cross_entropy(forward(tokens).float().view(-1, VOCAB), tokens.view(-1))
        loss.backward()
        optimizer.step()

    with sdpa_kernel(SDPBackend.MATH):
        run = step
        if mode == "graph":
            side = torch.cuda.Stream()
            with torch.cuda.stream(side):
                for _ in range(3):
                    step()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                step()
            run = graph.replay
        flop = None
        if "--count" in sys.argv:
            from torch.utils.flop_counter import FlopCounterMode
            with FlopCounterMode(display=False) as counter:
                step()
            flop = counter.get_total_flops()
        step_ms = []
        for _ in range(steps):
            torch.cuda.synchronize()
            begin = time.perf_counter()
            run()
            torch.cuda.synchronize()
            step_ms.append(1e3 * (time.perf_counter() - begin))
    print(json.dumps({"step_ms": step_ms, "flop_per_step": flop}))


main()
