"""The functions of the top level, ``genesis``."""

# Written by `pytest --update-golden tests/genesis/test_declarations.py`.

from genesis.functions.control import scan as scan
from genesis.functions.conversion import allclose as allclose
from genesis.functions.conversion import as_tensor as as_tensor
from genesis.functions.conversion import clone as clone
from genesis.functions.conversion import detach as detach
from genesis.functions.conversion import equal as equal
from genesis.functions.conversion import from_dlpack as from_dlpack
from genesis.functions.conversion import from_numpy as from_numpy
from genesis.functions.conversion import is_tensor as is_tensor
from genesis.functions.conversion import numel as numel
from genesis.functions.creation import arange as arange
from genesis.functions.creation import empty as empty
from genesis.functions.creation import empty_like as empty_like
from genesis.functions.creation import eye as eye
from genesis.functions.creation import full as full
from genesis.functions.creation import full_like as full_like
from genesis.functions.creation import linspace as linspace
from genesis.functions.creation import ones as ones
from genesis.functions.creation import ones_like as ones_like
from genesis.functions.creation import rand as rand
from genesis.functions.creation import rand_like as rand_like
from genesis.functions.creation import randint as randint
from genesis.functions.creation import randn as randn
from genesis.functions.creation import randn_like as randn_like
from genesis.functions.creation import randperm as randperm
from genesis.functions.creation import zeros as zeros
from genesis.functions.creation import zeros_like as zeros_like
from genesis.functions.distances import cosine_similarity as cosine_similarity
from genesis.functions.distances import pairwise_distance as pairwise_distance
from genesis.functions.distances import pdist as pdist
from genesis.functions.einstein import einsum as einsum
from genesis.functions.elementary import bitwise_left_shift as bitwise_left_shift
from genesis.functions.elementary import bitwise_right_shift as bitwise_right_shift
from genesis.functions.elementary import clamp_max as clamp_max
from genesis.functions.elementary import clamp_min as clamp_min
from genesis.functions.elementary import deg2rad as deg2rad
from genesis.functions.elementary import float_power as float_power
from genesis.functions.elementary import fmax as fmax
from genesis.functions.elementary import fmin as fmin
from genesis.functions.elementary import frac as frac
from genesis.functions.elementary import frexp as frexp
from genesis.functions.elementary import gcd as gcd
from genesis.functions.elementary import heaviside as heaviside
from genesis.functions.elementary import isclose as isclose
from genesis.functions.elementary import isneginf as isneginf
from genesis.functions.elementary import isposinf as isposinf
from genesis.functions.elementary import isreal as isreal
from genesis.functions.elementary import lcm as lcm
from genesis.functions.elementary import ldexp as ldexp
from genesis.functions.elementary import logit as logit
from genesis.functions.elementary import nan_to_num as nan_to_num
from genesis.functions.elementary import nextafter as nextafter
from genesis.functions.elementary import positive as positive
from genesis.functions.elementary import rad2deg as rad2deg
from genesis.functions.elementary import rsub as rsub
from genesis.functions.elementary import sgn as sgn
from genesis.functions.elementary import signbit as signbit
from genesis.functions.gathering import gather as gather
from genesis.functions.gathering import index_select as index_select
from genesis.functions.gathering import take as take
from genesis.functions.gathering import take_along_dim as take_along_dim
from genesis.functions.pointwise import abs as abs
from genesis.functions.pointwise import acos as acos
from genesis.functions.pointwise import acosh as acosh
from genesis.functions.pointwise import add as add
from genesis.functions.pointwise import addcdiv as addcdiv
from genesis.functions.pointwise import addcmul as addcmul
from genesis.functions.pointwise import asin as asin
from genesis.functions.pointwise import asinh as asinh
from genesis.functions.pointwise import atan as atan
from genesis.functions.pointwise import atan2 as atan2
from genesis.functions.pointwise import atanh as atanh
from genesis.functions.pointwise import bitwise_and as bitwise_and
from genesis.functions.pointwise import bitwise_not as bitwise_not
from genesis.functions.pointwise import bitwise_or as bitwise_or
from genesis.functions.pointwise import bitwise_xor as bitwise_xor
from genesis.functions.pointwise import ceil as ceil
from genesis.functions.pointwise import clamp as clamp
from genesis.functions.pointwise import copysign as copysign
from genesis.functions.pointwise import cos as cos
from genesis.functions.pointwise import cosh as cosh
from genesis.functions.pointwise import div as div
from genesis.functions.pointwise import eq as eq
from genesis.functions.pointwise import erf as erf
from genesis.functions.pointwise import erfc as erfc
from genesis.functions.pointwise import erfinv as erfinv
from genesis.functions.pointwise import exp as exp
from genesis.functions.pointwise import exp2 as exp2
from genesis.functions.pointwise import expm1 as expm1
from genesis.functions.pointwise import floor as floor
from genesis.functions.pointwise import floor_divide as floor_divide
from genesis.functions.pointwise import fmod as fmod
from genesis.functions.pointwise import ge as ge
from genesis.functions.pointwise import gt as gt
from genesis.functions.pointwise import hypot as hypot
from genesis.functions.pointwise import i0 as i0
from genesis.functions.pointwise import isfinite as isfinite
from genesis.functions.pointwise import isinf as isinf
from genesis.functions.pointwise import isnan as isnan
from genesis.functions.pointwise import le as le
from genesis.functions.pointwise import lerp as lerp
from genesis.functions.pointwise import lgamma as lgamma
from genesis.functions.pointwise import log as log
from genesis.functions.pointwise import log10 as log10
from genesis.functions.pointwise import log1p as log1p
from genesis.functions.pointwise import log2 as log2
from genesis.functions.pointwise import logaddexp as logaddexp
from genesis.functions.pointwise import logaddexp2 as logaddexp2
from genesis.functions.pointwise import logical_and as logical_and
from genesis.functions.pointwise import logical_not as logical_not
from genesis.functions.pointwise import logical_or as logical_or
from genesis.functions.pointwise import logical_xor as logical_xor
from genesis.functions.pointwise import lt as lt
from genesis.functions.pointwise import masked_fill as masked_fill
from genesis.functions.pointwise import maximum as maximum
from genesis.functions.pointwise import minimum as minimum
from genesis.functions.pointwise import mul as mul
from genesis.functions.pointwise import ne as ne
from genesis.functions.pointwise import neg as neg
from genesis.functions.pointwise import pow as pow
from genesis.functions.pointwise import reciprocal as reciprocal
from genesis.functions.pointwise import relu as relu
from genesis.functions.pointwise import remainder as remainder
from genesis.functions.pointwise import round as round
from genesis.functions.pointwise import rsqrt as rsqrt
from genesis.functions.pointwise import sigmoid as sigmoid
from genesis.functions.pointwise import sign as sign
from genesis.functions.pointwise import sin as sin
from genesis.functions.pointwise import sinc as sinc
from genesis.functions.pointwise import sinh as sinh
from genesis.functions.pointwise import sqrt as sqrt
from genesis.functions.pointwise import square as square
from genesis.functions.pointwise import sub as sub
from genesis.functions.pointwise import tan as tan
from genesis.functions.pointwise import tanh as tanh
from genesis.functions.pointwise import true_divide as true_divide
from genesis.functions.pointwise import trunc as trunc
from genesis.functions.pointwise import where as where
from genesis.functions.pointwise import xlogy as xlogy
from genesis.functions.products import addmm as addmm
from genesis.functions.products import baddbmm as baddbmm
from genesis.functions.products import bmm as bmm
from genesis.functions.products import dot as dot
from genesis.functions.products import matmul as matmul
from genesis.functions.products import mm as mm
from genesis.functions.products import mv as mv
from genesis.functions.products import outer as outer
from genesis.functions.queries import can_cast as can_cast
from genesis.functions.queries import is_complex as is_complex
from genesis.functions.queries import is_conj as is_conj
from genesis.functions.queries import is_floating_point as is_floating_point
from genesis.functions.queries import is_inference as is_inference
from genesis.functions.queries import is_inference_mode_enabled as is_inference_mode_enabled
from genesis.functions.queries import is_nonzero as is_nonzero
from genesis.functions.queries import is_storage as is_storage
from genesis.functions.queries import promote_types as promote_types
from genesis.functions.queries import result_type as result_type
from genesis.functions.queries import typename as typename
from genesis.functions.rearranging import diagonal as diagonal
from genesis.functions.rearranging import meshgrid as meshgrid
from genesis.functions.rearranging import movedim as movedim
from genesis.functions.rearranging import ravel as ravel
from genesis.functions.rearranging import repeat_interleave as repeat_interleave
from genesis.functions.rearranging import roll as roll
from genesis.functions.rearranging import swapaxes as swapaxes
from genesis.functions.rearranging import tile as tile
from genesis.functions.reductions import all as all
from genesis.functions.reductions import amax as amax
from genesis.functions.reductions import amin as amin
from genesis.functions.reductions import any as any
from genesis.functions.reductions import argmax as argmax
from genesis.functions.reductions import argmin as argmin
from genesis.functions.reductions import log_softmax as log_softmax
from genesis.functions.reductions import logsumexp as logsumexp
from genesis.functions.reductions import max as max
from genesis.functions.reductions import mean as mean
from genesis.functions.reductions import min as min
from genesis.functions.reductions import norm as norm
from genesis.functions.reductions import prod as prod
from genesis.functions.reductions import softmax as softmax
from genesis.functions.reductions import std as std
from genesis.functions.reductions import sum as sum
from genesis.functions.reductions import var as var
from genesis.functions.resampling import channel_shuffle as channel_shuffle
from genesis.functions.resampling import pixel_shuffle as pixel_shuffle
from genesis.functions.resampling import pixel_unshuffle as pixel_unshuffle
from genesis.functions.scans import cummax as cummax
from genesis.functions.scans import cummin as cummin
from genesis.functions.scans import cumprod as cumprod
from genesis.functions.scans import cumsum as cumsum
from genesis.functions.scans import cumulative_trapezoid as cumulative_trapezoid
from genesis.functions.scans import diff as diff
from genesis.functions.scans import logcumsumexp as logcumsumexp
from genesis.functions.scans import trapezoid as trapezoid
from genesis.functions.scattering import diagonal_scatter as diagonal_scatter
from genesis.functions.scattering import index_add as index_add
from genesis.functions.scattering import index_copy as index_copy
from genesis.functions.scattering import index_fill as index_fill
from genesis.functions.scattering import index_put as index_put
from genesis.functions.scattering import index_reduce as index_reduce
from genesis.functions.scattering import masked_scatter as masked_scatter
from genesis.functions.scattering import put as put
from genesis.functions.scattering import scatter as scatter
from genesis.functions.scattering import scatter_add as scatter_add
from genesis.functions.scattering import scatter_reduce as scatter_reduce
from genesis.functions.scattering import select_scatter as select_scatter
from genesis.functions.scattering import slice_scatter as slice_scatter
from genesis.functions.searching import bucketize as bucketize
from genesis.functions.searching import isin as isin
from genesis.functions.searching import searchsorted as searchsorted
from genesis.functions.shapes import broadcast_to as broadcast_to
from genesis.functions.shapes import cat as cat
from genesis.functions.shapes import chunk as chunk
from genesis.functions.shapes import flatten as flatten
from genesis.functions.shapes import flip as flip
from genesis.functions.shapes import narrow as narrow
from genesis.functions.shapes import permute as permute
from genesis.functions.shapes import reshape as reshape
from genesis.functions.shapes import select as select
from genesis.functions.shapes import split as split
from genesis.functions.shapes import squeeze as squeeze
from genesis.functions.shapes import stack as stack
from genesis.functions.shapes import t as t
from genesis.functions.shapes import transpose as transpose
from genesis.functions.shapes import tril as tril
from genesis.functions.shapes import triu as triu
from genesis.functions.shapes import unbind as unbind
from genesis.functions.shapes import unflatten as unflatten
from genesis.functions.shapes import unsqueeze as unsqueeze
from genesis.functions.sorting import argsort as argsort
from genesis.functions.sorting import kthvalue as kthvalue
from genesis.functions.sorting import median as median
from genesis.functions.sorting import mode as mode
from genesis.functions.sorting import msort as msort
from genesis.functions.sorting import nanmedian as nanmedian
from genesis.functions.sorting import nanquantile as nanquantile
from genesis.functions.sorting import quantile as quantile
from genesis.functions.sorting import sort as sort
from genesis.functions.sorting import topk as topk
from genesis.functions.special import digamma as digamma
from genesis.functions.special import mvlgamma as mvlgamma
from genesis.functions.special import polygamma as polygamma
from genesis.functions.statistics import aminmax as aminmax
from genesis.functions.statistics import count_nonzero as count_nonzero
from genesis.functions.statistics import nanmean as nanmean
from genesis.functions.statistics import nansum as nansum
from genesis.functions.statistics import std_mean as std_mean
from genesis.functions.statistics import var_mean as var_mean

absolute = abs
arccos = acos
arccosh = acosh
arcsin = asin
arcsinh = asinh
arctan = atan
arctan2 = atan2
arctanh = atanh
clip = clamp
concat = cat
concatenate = cat
divide = div
fix = trunc
greater = gt
greater_equal = ge
less = lt
less_equal = le
moveaxis = movedim
multiply = mul
native_channel_shuffle = channel_shuffle
negative = neg
not_equal = ne
subtract = sub
swapdims = swapaxes
trapz = trapezoid
