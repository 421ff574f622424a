import triton
import triton.language as tl


@triton.jit
def linear_relu(lhs, rhs, bias, out):
    """[1024, 768] fp32 @ [768, 3072] bf16 in bf16, tiles of 128 x 128 x 32."""
    tile = tl.program_id(0)
    row = tile % 8
    col = tile // 8
    i = (row * 128 + tl.arange(0, 128))[:, None]
    j = (col * 128 + tl.arange(0, 128))[None, :]
    k = tl.arange(0, 32)
    lhs += i * 768 + k[None, :]
    rhs += k[:, None] + j * 768
    acc = tl.zeros((128, 128), tl.float32)
    for start in range(0, 768, 32):
        x = tl.load(lhs)
        y = tl.load(rhs)
        x = x.to(tl.bfloat16)
        acc = tl.dot(x, y, acc)
        lhs += 32
        rhs += 32
    acc += tl.load(bias + j)
    tl.store(out + i * 3072 + j, tl.maximum(acc, 0.0).to(tl.bfloat16))
