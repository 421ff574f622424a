"""The functions of the top level, ``genesis``."""

# Written by `pytest --update-golden tests/genesis/test_declarations.py`.

from genesis.functions.activations import celu as celu
from genesis.functions.activations import celu_ as celu_
from genesis.functions.activations import elu_ as elu_
from genesis.functions.activations import hardshrink as hardshrink
from genesis.functions.activations import hardtanh_ as hardtanh_
from genesis.functions.activations import leaky_relu_ as leaky_relu_
from genesis.functions.activations import prelu as prelu
from genesis.functions.activations import relu_ as relu_
from genesis.functions.activations import rrelu as rrelu
from genesis.functions.activations import rrelu_ as rrelu_
from genesis.functions.activations import selu as selu
from genesis.functions.activations import selu_ as selu_
from genesis.functions.activations import threshold as threshold
from genesis.functions.activations import threshold_ as threshold_
from genesis.functions.control import scan as scan
from genesis.functions.conversion import allclose as allclose
from genesis.functions.conversion import as_tensor as as_tensor
from genesis.functions.conversion import asarray as asarray
from genesis.functions.conversion import clone as clone
from genesis.functions.conversion import detach as detach
from genesis.functions.conversion import equal as equal
from genesis.functions.conversion import fill_ as fill_
from genesis.functions.conversion import from_dlpack as from_dlpack
from genesis.functions.conversion import from_numpy as from_numpy
from genesis.functions.conversion import frombuffer as frombuffer
from genesis.functions.conversion import is_tensor as is_tensor
from genesis.functions.conversion import narrow_copy as narrow_copy
from genesis.functions.conversion import numel as numel
from genesis.functions.conversion import to_dlpack as to_dlpack
from genesis.functions.conversion import zero_ as zero_
from genesis.functions.convolution import conv1d as conv1d
from genesis.functions.convolution import conv2d as conv2d
from genesis.functions.convolution import conv3d as conv3d
from genesis.functions.convolution import conv_transpose1d as conv_transpose1d
from genesis.functions.convolution import conv_transpose2d as conv_transpose2d
from genesis.functions.convolution import conv_transpose3d as conv_transpose3d
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
from genesis.functions.creation import range as range
from genesis.functions.creation import zeros as zeros
from genesis.functions.creation import zeros_like as zeros_like
from genesis.functions.decompositions import cholesky as cholesky
from genesis.functions.decompositions import cholesky_solve as cholesky_solve
from genesis.functions.decompositions import det as det
from genesis.functions.decompositions import inverse as inverse
from genesis.functions.decompositions import logdet as logdet
from genesis.functions.decompositions import matrix_exp as matrix_exp
from genesis.functions.decompositions import matrix_power as matrix_power
from genesis.functions.decompositions import slogdet as slogdet
from genesis.functions.decompositions import svd as svd
from genesis.functions.distances import cosine_similarity as cosine_similarity
from genesis.functions.distances import pairwise_distance as pairwise_distance
from genesis.functions.distances import pdist as pdist
from genesis.functions.draws import bernoulli as bernoulli
from genesis.functions.draws import binomial as binomial
from genesis.functions.draws import multinomial as multinomial
from genesis.functions.draws import normal as normal
from genesis.functions.draws import poisson as poisson
from genesis.functions.draws import randint_like as randint_like
from genesis.functions.dropouts import alpha_dropout as alpha_dropout
from genesis.functions.dropouts import dropout as dropout
from genesis.functions.dropouts import feature_alpha_dropout as feature_alpha_dropout
from genesis.functions.einstein import einsum as einsum
from genesis.functions.elementary import angle as angle
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
from genesis.functions.factors import chain_matmul as chain_matmul
from genesis.functions.factors import cholesky_inverse as cholesky_inverse
from genesis.functions.factors import geqrf as geqrf
from genesis.functions.factors import lu as lu
from genesis.functions.factors import lu_solve as lu_solve
from genesis.functions.factors import lu_unpack as lu_unpack
from genesis.functions.factors import orgqr as orgqr
from genesis.functions.factors import ormqr as ormqr
from genesis.functions.factors import pca_lowrank as pca_lowrank
from genesis.functions.factors import pinverse as pinverse
from genesis.functions.factors import qr as qr
from genesis.functions.factors import svd_lowrank as svd_lowrank
from genesis.functions.factors import triangular_solve as triangular_solve
from genesis.functions.factors import vander as vander
from genesis.functions.flat_indices import nonzero_static as nonzero_static
from genesis.functions.flat_indices import unravel_index as unravel_index
from genesis.functions.gathering import gather as gather
from genesis.functions.gathering import index_select as index_select
from genesis.functions.gathering import take as take
from genesis.functions.gathering import take_along_dim as take_along_dim
from genesis.functions.incomplete_gamma import igamma as igamma
from genesis.functions.incomplete_gamma import igammac as igammac
from genesis.functions.joining import atleast_1d as atleast_1d
from genesis.functions.joining import atleast_2d as atleast_2d
from genesis.functions.joining import atleast_3d as atleast_3d
from genesis.functions.joining import broadcast_tensors as broadcast_tensors
from genesis.functions.joining import cartesian_prod as cartesian_prod
from genesis.functions.joining import column_stack as column_stack
from genesis.functions.joining import dsplit as dsplit
from genesis.functions.joining import dstack as dstack
from genesis.functions.joining import fliplr as fliplr
from genesis.functions.joining import flipud as flipud
from genesis.functions.joining import hsplit as hsplit
from genesis.functions.joining import hstack as hstack
from genesis.functions.joining import rot90 as rot90
from genesis.functions.joining import split_with_sizes as split_with_sizes
from genesis.functions.joining import sum_to_size as sum_to_size
from genesis.functions.joining import tensor_split as tensor_split
from genesis.functions.joining import vsplit as vsplit
from genesis.functions.joining import vstack as vstack
from genesis.functions.matrices import addbmm as addbmm
from genesis.functions.matrices import addmv as addmv
from genesis.functions.matrices import addr as addr
from genesis.functions.matrices import adjoint as adjoint
from genesis.functions.matrices import as_strided as as_strided
from genesis.functions.matrices import as_strided_scatter as as_strided_scatter
from genesis.functions.matrices import block_diag as block_diag
from genesis.functions.matrices import cdist as cdist
from genesis.functions.matrices import combinations as combinations
from genesis.functions.matrices import corrcoef as corrcoef
from genesis.functions.matrices import cov as cov
from genesis.functions.matrices import cross as cross
from genesis.functions.matrices import diag as diag
from genesis.functions.matrices import diag_embed as diag_embed
from genesis.functions.matrices import diagflat as diagflat
from genesis.functions.matrices import dist as dist
from genesis.functions.matrices import empty_strided as empty_strided
from genesis.functions.matrices import fill as fill
from genesis.functions.matrices import inner as inner
from genesis.functions.matrices import kron as kron
from genesis.functions.matrices import logspace as logspace
from genesis.functions.matrices import renorm as renorm
from genesis.functions.matrices import scalar_tensor as scalar_tensor
from genesis.functions.matrices import tensordot as tensordot
from genesis.functions.matrices import trace as trace
from genesis.functions.matrices import tril_indices as tril_indices
from genesis.functions.matrices import triu_indices as triu_indices
from genesis.functions.matrices import vdot as vdot
from genesis.functions.nonzeros import argwhere as argwhere
from genesis.functions.nonzeros import nonzero as nonzero
from genesis.functions.normalization import group_norm as group_norm
from genesis.functions.normalization import layer_norm as layer_norm
from genesis.functions.normalization import rms_norm as rms_norm
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
from genesis.functions.pooling import adaptive_avg_pool1d as adaptive_avg_pool1d
from genesis.functions.pooling import avg_pool1d as avg_pool1d
from genesis.functions.pooling import max_pool1d as max_pool1d
from genesis.functions.pooling import max_pool2d as max_pool2d
from genesis.functions.pooling import max_pool3d as max_pool3d
from genesis.functions.products import addmm as addmm
from genesis.functions.products import baddbmm as baddbmm
from genesis.functions.products import bmm as bmm
from genesis.functions.products import dot as dot
from genesis.functions.products import matmul as matmul
from genesis.functions.products import mm as mm
from genesis.functions.products import mv as mv
from genesis.functions.products import outer as outer
from genesis.functions.queries import broadcast_shapes as broadcast_shapes
from genesis.functions.queries import can_cast as can_cast
from genesis.functions.queries import get_device as get_device
from genesis.functions.queries import is_complex as is_complex
from genesis.functions.queries import is_conj as is_conj
from genesis.functions.queries import is_floating_point as is_floating_point
from genesis.functions.queries import is_inference as is_inference
from genesis.functions.queries import is_inference_mode_enabled as is_inference_mode_enabled
from genesis.functions.queries import is_nonzero as is_nonzero
from genesis.functions.queries import is_same_size as is_same_size
from genesis.functions.queries import is_signed as is_signed
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
from genesis.functions.reshaped_in_place import detach_ as detach_
from genesis.functions.reshaped_in_place import resize_as_ as resize_as_
from genesis.functions.scans import cummax as cummax
from genesis.functions.scans import cummin as cummin
from genesis.functions.scans import cumprod as cumprod
from genesis.functions.scans import cumsum as cumsum
from genesis.functions.scans import cumulative_trapezoid as cumulative_trapezoid
from genesis.functions.scans import diff as diff
from genesis.functions.scans import gradient as gradient
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
from genesis.functions.selections import bincount as bincount
from genesis.functions.selections import histc as histc
from genesis.functions.selections import histogram as histogram
from genesis.functions.selections import masked_select as masked_select
from genesis.functions.selections import unique as unique
from genesis.functions.selections import unique_consecutive as unique_consecutive
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
from genesis.functions.windows import bartlett_window as bartlett_window
from genesis.functions.windows import blackman_window as blackman_window
from genesis.functions.windows import hamming_window as hamming_window
from genesis.functions.windows import hann_window as hann_window
from genesis.functions.windows import kaiser_window as kaiser_window
from genesis.methods import Methods as _Methods

abs_ = _Methods.abs_
absolute = abs
acos_ = _Methods.acos_
acosh_ = _Methods.acosh_
arccos = acos
arccos_ = _Methods.arccos_
arccosh = acosh
arccosh_ = _Methods.arccosh_
arcsin = asin
arcsin_ = _Methods.arcsin_
arcsinh = asinh
arcsinh_ = _Methods.arcsinh_
arctan = atan
arctan2 = atan2
arctan_ = _Methods.arctan_
arctanh = atanh
arctanh_ = _Methods.arctanh_
asin_ = _Methods.asin_
asinh_ = _Methods.asinh_
atan_ = _Methods.atan_
atanh_ = _Methods.atanh_
ceil_ = _Methods.ceil_
clamp_ = _Methods.clamp_
clamp_max_ = _Methods.clamp_max_
clamp_min_ = _Methods.clamp_min_
clip = clamp
clip_ = _Methods.clip_
concat = cat
concatenate = cat
cos_ = _Methods.cos_
cosh_ = _Methods.cosh_
deg2rad_ = _Methods.deg2rad_
divide = div
erf_ = _Methods.erf_
erfc_ = _Methods.erfc_
exp2_ = _Methods.exp2_
exp_ = _Methods.exp_
expm1_ = _Methods.expm1_
fix = trunc
fix_ = _Methods.fix_
floor_ = _Methods.floor_
frac_ = _Methods.frac_
gcd_ = _Methods.gcd_
ger = outer
greater = gt
greater_equal = ge
i0_ = _Methods.i0_
index_put_ = _Methods.index_put_
lcm_ = _Methods.lcm_
ldexp_ = _Methods.ldexp_
less = lt
less_equal = le
log10_ = _Methods.log10_
log1p_ = _Methods.log1p_
log2_ = _Methods.log2_
log_ = _Methods.log_
logit_ = _Methods.logit_
moveaxis = movedim
multiply = mul
nan_to_num_ = _Methods.nan_to_num_
native_channel_shuffle = channel_shuffle
neg_ = _Methods.neg_
negative = neg
negative_ = _Methods.negative_
not_equal = ne
rad2deg_ = _Methods.rad2deg_
reciprocal_ = _Methods.reciprocal_
round_ = _Methods.round_
row_stack = vstack
rsqrt_ = _Methods.rsqrt_
sigmoid_ = _Methods.sigmoid_
sin_ = _Methods.sin_
sinc_ = _Methods.sinc_
sinh_ = _Methods.sinh_
sqrt_ = _Methods.sqrt_
square_ = _Methods.square_
subtract = sub
swapdims = swapaxes
tan_ = _Methods.tan_
tanh_ = _Methods.tanh_
trapz = trapezoid
trunc_ = _Methods.trunc_
unsafe_chunk = chunk
unsafe_split = split
unsafe_split_with_sizes = split_with_sizes
xlogy_ = _Methods.xlogy_
