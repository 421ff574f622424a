"""What the Triton kernels can do."""

from compiler.codegen.triton.claims import claims
from compiler.features import Features

FEATURES = Features(
    claims, product_sums=True, keeps_operands=True, row_sums=True, packed_sums=True, few_launches=True, ordered=True
)
