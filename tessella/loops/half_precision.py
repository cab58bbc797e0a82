"""What LLVM calls to convert half precision where the processor has no instruction for it.

A C compiler would link these functions from its runtime library. A Python process has none, so a
kernel that holds `half` brings them along; where the processor converts itself, nothing calls them.

Source: Giesen, *Float to half done quick* (2012), rounding to nearest even; Boldo & Melquiond,
*Emulation of FMA and correctly rounded sums* (2008), theorem 1, for the way from double by odd.
"""

from __future__ import annotations

from tessella.dtypes import DType, float16

DECLARATIONS = ("declare double @llvm.fabs.f64(double)",)
DEFINITIONS = """
define weak float @__extendhfsf2(half %x) nounwind {
  %bits = bitcast half %x to i16
  %word = zext i16 %bits to i32
  %size = and i32 %word, 32767
  %negative = and i32 %word, 32768
  %sign = shl i32 %negative, 16
  %shifted = shl i32 %size, 13
  %tiny = bitcast i32 %shifted to float
  %scaled = fmul float %tiny, 0x46F0000000000000
  %finite = bitcast float %scaled to i32
  %special = or i32 %shifted, 2139095040
  %endless = icmp uge i32 %size, 31744
  %chosen = select i1 %endless, i32 %special, i32 %finite
  %both = or i32 %chosen, %sign
  %result = bitcast i32 %both to float
  ret float %result
}
define weak half @__truncsfhf2(float %x) nounwind {
  %word = bitcast float %x to i32
  %size = and i32 %word, 2147483647
  %sign = lshr i32 %word, 16
  %negative = and i32 %sign, 32768
  %nan = icmp ugt i32 %size, 2139095040
  %special = select i1 %nan, i32 32256, i32 31744
  %positive = bitcast i32 %size to float
  %aligned = fadd float %positive, 5.000000e-01
  %aligned.bits = bitcast float %aligned to i32
  %subnormal = sub i32 %aligned.bits, 1056964608
  %last = lshr i32 %size, 13
  %odd = and i32 %last, 1
  %rebased = sub i32 %size, 939520001
  %rounded = add i32 %rebased, %odd
  %normal = lshr i32 %rounded, 13
  %small = icmp ult i32 %size, 947912704
  %finite = select i1 %small, i32 %subnormal, i32 %normal
  %large = icmp uge i32 %size, 1199570944
  %chosen = select i1 %large, i32 %special, i32 %finite
  %both = or i32 %chosen, %negative
  %bits = trunc i32 %both to i16
  %result = bitcast i16 %bits to half
  ret half %result
}
define weak half @__truncdfhf2(double %x) nounwind {
  %near = fptrunc double %x to float
  %back = fpext float %near to double
  %inexact = fcmp one double %back, %x
  %size = call double @llvm.fabs.f64(double %back)
  %exact = call double @llvm.fabs.f64(double %x)
  %away = fcmp ogt double %size, %exact
  %bits = bitcast float %near to i32
  %lower = sub i32 %bits, 1
  %truncated = select i1 %away, i32 %lower, i32 %bits
  %odd = or i32 %truncated, 1
  %final = select i1 %inexact, i32 %odd, i32 %bits
  %single = bitcast i32 %final to float
  %result = fptrunc float %single to half
  ret half %result
}
"""


def is_needed_for(dtype: DType) -> bool:
    """Whether LLVM may call them to convert numbers of this dtype."""
    return dtype is float16
