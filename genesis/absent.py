"""Names of PyTorch that Genesis leaves out for good: one table, by reason and by namespace.

The error for such a name, ``genesis check`` and docs/coverage.md read it. ``hasattr`` of such a name is False.
"""

from __future__ import annotations

from collections.abc import Mapping

ANYWHERE = ""
"""The namespace of names that mean the same wherever they are asked for."""

_PARTS: dict[str, tuple[str, dict[str, str]]] = {
    "sparse tensors are": (
        "use dense tensors; index_add_, scatter_add and embedding gather and add rows",
        {
            ANYWHERE: "sparse spmm hspmm sparse_coo_tensor sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor "
            "sparse_bsc_tensor sparse_compressed_tensor sparse_coo sparse_csr sparse_csc sparse_bsr sparse_bsc "
            "to_sparse to_sparse_csr to_sparse_coo to_sparse_csc to_sparse_bsr to_sparse_bsc to_dense coalesce "
            "is_coalesced sparse_mask sparse_resize_ sparse_resize_and_clear_ crow_indices col_indices ccol_indices "
            "row_indices sparse_dim dense_dim is_sparse_csr sspaddmm smm saddmm hsmm dsmm resize_as_sparse_ "
            "crow_indices_copy col_indices_copy ccol_indices_copy row_indices_copy indices_copy values_copy",
            "torch.Tensor": "indices values",
        },
    ),
    "quantization is": (
        "compile the step with precision='bf16-mixed' for numbers of 16 bits",
        {
            ANYWHERE: "ao quantization quantize_per_tensor quantize_per_channel quantize_per_tensor_dynamic dequantize "
            "qint8 quint8 qint32 quint2x4 quint4x2 qscheme quantized quantizable qat intrinsic int_repr q_scale "
            "q_zero_point q_per_channel_axis q_per_channel_scales q_per_channel_zero_points empty_quantized "
            "fake_quantize_per_tensor_affine fake_quantize_per_channel_affine fused_moving_avg_obs_fake_quant "
            "choose_qparams_optimized NonDynamicallyQuantizableLinear per_tensor_affine per_tensor_symmetric "
            "per_channel_affine per_channel_symmetric per_channel_affine_float_qparams quantized_lstm "
            "quantized_lstm_cell quantized_gru quantized_gru_cell quantized_rnn_relu_cell quantized_rnn_tanh_cell "
            "quantized_batch_norm quantized_max_pool1d quantized_max_pool2d quantized_max_pool3d QInt32Storage "
            "QInt8Storage QUInt2x4Storage QUInt4x2Storage QUInt8Storage scaled_mm scaled_grouped_mm ScalingType "
            "SwizzleType",
        },
    ),
    "numbers of fewer than 8 bits, floats of 8 bits and unsigned integers of more than 8 are": (
        "bfloat16 and float16 are the small floats; int8, uint8, int16, int32 and int64 the integers",
        {
            ANYWHERE: "bit bits16 bits1x8 bits2x4 bits4x2 bits8 float4_e2m1fn_x2 float8_e4m3fn float8_e4m3fnuz "
            "float8_e5m2 float8_e5m2fnuz float8_e8m0fnu int1 int2 int3 int4 int5 int6 int7 uint1 uint2 uint3 uint4 "
            "uint5 uint6 uint7 uint16 uint32 uint64",
        },
    ),
    "graphs of torch.fx and torch.export are": (
        "a compiled step shows its graph: step.graph(), step.dump('ir')",
        {ANYWHERE: "fx export _export", "torch.utils.checkpoint": "GraphExecGroup"},
    ),
    "ONNX is": ("genesis.save writes the weights, and step.source('c') is the program", {ANYWHERE: "onnx"}),
    "nested tensors are": (
        "pad the sequences, and mask what was padded",
        {ANYWHERE: "nested nested_tensor as_nested_tensor to_padded_tensor", "torch": "jagged"},
    ),
    "complex numbers are": (
        "keep real and imaginary parts in a last dimension of size 2; what genesis.fft gives has .real and .imag",
        {
            ANYWHERE: "complex complex32 complex64 complex128 cfloat cdouble chalf polar view_as_complex view_as_real "
            "view_as_complex_copy view_as_real_copy real imag conj conj_physical conj_physical_ resolve_conj "
            "resolve_neg is_neg ComplexFloatTensor ComplexDoubleTensor ComplexFloatStorage ComplexDoubleStorage",
            "torch.linalg": "eig eigvals",
            "torch": "eig",
            "torch.Tensor": "eig",
        },
    ),
    "several processes on one training are": (
        "one process with genesis.set_num_threads, or accumulate= for larger batches",
        {
            ANYWHERE: "rpc fsdp FullyShardedDataParallel ZeroRedundancyOptimizer DeviceMesh init_device_mesh "
            "tensor_parallel pipelining elastic DistributedDataParallelCPU is_distributed "
            "batch_norm_backward_elemt batch_norm_backward_reduce batch_norm_elemt batch_norm_gather_stats "
            "batch_norm_gather_stats_with_counts batch_norm_stats batch_norm_update_stats",
            "torch.nn.parallel": "comm gather scatter replicate parallel_apply scatter_gather",
            "torch": "futures",
        },
    ),
    "custom C++ and CUDA operators are": (
        "write a function of Genesis ops, which is compiled, or autograd.Function",
        {ANYWHERE: "cpp_extension library ops", "torch": "classes cpp"},
    ),
    "TorchScript, its types and its threads are": (
        "genesis.compile takes functions and modules as they are written",
        {
            "torch": "AVG AggregationType AliasDb AnyType Argument ArgumentSpec AwaitType BenchmarkConfig "
            "BenchmarkExecutionStats Block BoolType BufferDict CallStack Capsule ClassType Code CompilationUnit "
            "CompleteArgumentSpec ComplexType ConcreteModuleType ConcreteModuleTypeBuilder DeepCopyMemoTable "
            "DeserializationStorageContext DeviceObjType DictType EnumType ErrorReport ExecutionPlan FatalError "
            "FileCheck FloatType FunctionSchema Future FutureType Gradient Graph GraphExecutorState IODescriptor "
            "InferredType IntType InterfaceType JITException ListType LiteScriptModule LockingLogger LoggerBase "
            "ModuleDict Node NoneType NoopLogger NumberType OperatorInfo OptionalType ParameterDict PyObjectType "
            "PyTorchFileReader PyTorchFileWriter RRefType SUM ScriptClass ScriptClassFunction ScriptDict "
            "ScriptDictIterator ScriptDictKeyIterator ScriptFunction ScriptList ScriptListIterator ScriptMethod "
            "ScriptModule ScriptModuleSerializer ScriptObject ScriptObjectProperty SerializationStorageContext "
            "StaticModule StreamObjType StringType SymBoolType SymIntType TensorType ThroughputBenchmark "
            "TracingState TupleType Type UnionType Use Value fork wait import_ir_module import_ir_module_from_buffer "
            "merge_type_from_type_comment parse_ir parse_schema parse_type_comment unify_type_list package",
            "torch.testing": "FileCheck",
            "torch.utils": "ThroughputBenchmark throughput_benchmark",
        },
    ),
    "sizes that are symbols are": (
        "sizes are numbers: another shape is another program, and int(), max() and min() compute with them",
        {
            "torch": "SymBool SymFloat SymInt sym_constrain_range sym_constrain_range_for_size sym_float "
            "sym_fresh_size sym_int sym_ite sym_max sym_min sym_not sym_sqrt sym_sum",
        },
    ),
    "storages of tensors are": (
        "tensors share memory by views, by .numpy() and by p.data = other",
        {
            "torch": "storage BFloat16Storage BoolStorage ByteStorage CharStorage DoubleStorage FloatStorage "
            "HalfStorage IntStorage LongStorage ShortStorage Storage StorageBase TypedStorage UntypedStorage from_file",
            "torch.Tensor": "storage untyped_storage storage_type set_ is_set_to const_data_ptr",
        },
    ),
    "devices other than the CPU and CUDA GPUs are": (
        "genesis.compile(backend='cuda') compiles for a GPU; eager tensors are in the memory of the CPU",
        {
            ANYWHERE: "mtia ipu maia is_ipu is_maia is_mtia is_xla is_vulkan_available",
            "torch": "get_autocast_ipu_dtype get_autocast_xla_dtype is_autocast_ipu_enabled is_autocast_xla_enabled "
            "set_autocast_ipu_dtype set_autocast_ipu_enabled set_autocast_xla_dtype set_autocast_xla_enabled "
            "Event Stream",
            "torch.Tensor": "xpu",
            "torch.utils": "backend_registration generate_methods_for_privateuse1_backend rename_privateuse1_backend",
        },
    ),
    "functions of one vendor's library are": (
        "nn.functional has the function for all devices",
        {
            ANYWHERE: "cudnn_affine_grid_generator cudnn_batch_norm cudnn_convolution cudnn_convolution_add_relu "
            "cudnn_convolution_relu cudnn_convolution_transpose cudnn_grid_sampler cudnn_is_acceptable "
            "fbgemm_linear_fp16_weight fbgemm_linear_fp16_weight_fp32_activation fbgemm_linear_int8_weight "
            "fbgemm_linear_int8_weight_fp32_activation fbgemm_linear_quantize_weight fbgemm_pack_gemm_matrix_fp16 "
            "fbgemm_pack_quantized_matrix miopen_batch_norm miopen_convolution miopen_convolution_add_relu "
            "miopen_convolution_relu miopen_convolution_transpose miopen_ctc_loss miopen_depthwise_convolution "
            "miopen_rnn mkldnn_adaptive_avg_pool2d mkldnn_convolution mkldnn_linear_backward_weights "
            "mkldnn_max_pool2d mkldnn_max_pool3d mkldnn_rnn_layer to_mkldnn",
        },
    ),
    "functions as PyTorch calls them inside of layers and losses are": (
        "nn.functional and nn have them, with defaults",
        {
            "torch": "affine_grid_generator batch_norm bilinear binary_cross_entropy_with_logits constant_pad_nd "
            "conv_tbc convolution cosine_embedding_loss ctc_loss embedding embedding_bag embedding_renorm_ "
            "feature_dropout feature_dropout_ grid_sampler grid_sampler_2d grid_sampler_3d gru gru_cell "
            "hinge_embedding_loss instance_norm kl_div lstm lstm_cell margin_ranking_loss max_pool1d_with_indices "
            "native_batch_norm native_dropout native_group_norm native_layer_norm native_norm norm_except_dim "
            "poisson_nll_loss rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell segment_reduce triplet_margin_loss",
            "torch.nn": "grad",
            "torch.nn.functional": "conv_tbc grad grouped_mm",
        },
    ),
    "functions that copy where others show are": (
        "call the function of the name without _copy, and .clone() of its result",
        {
            ANYWHERE: "alias_copy as_strided_copy detach_copy diagonal_copy expand_copy permute_copy select_copy "
            "slice_copy split_copy split_with_sizes_copy squeeze_copy t_copy transpose_copy unbind_copy unfold_copy "
            "unsqueeze_copy view_copy",
        },
    ),
    "classes that say what PyTorch's functions do with them are": (
        "wrap a tensor in a class of your own, and call functions on the tensor",
        {
            "torch": "DisableTorchFunction DisableTorchFunctionSubclass overrides",
            "torch.Tensor": "as_subclass",
            "torch.nn.functional": "handle_torch_function has_torch_function has_torch_function_unary "
            "has_torch_function_variadic",
        },
    ),
    "the registers and guards inside of PyTorch are": (
        "Genesis has no dispatcher; a program needs nothing of it",
        {
            "torch": "DispatchKey DispatchKeySet ExcludeDispatchKeyGuard PRIVATE_OPS Tag USE_GLOBAL_DEPS "
            "USE_RTLD_GLOBAL_WITH_LIBTORCH autocast_decrement_nesting autocast_increment_nesting classproperty "
            "get_file_path init_num_threads legacy_contiguous_format prepare_multiprocessing_environment "
            "profiler_allow_cudagraph_cupti_lazy_reinit_cuda12 return_types thread_safe_generator slice_inverse "
            "hash_tensor compiled_with_cxx11_abi has_lapack has_mkl has_openmp has_spectral",
            "torch.random": "thread_safe_generator",
            "torch.Tensor": "index resize resize_as record_stream hash_tensor slice_inverse "
            "name output_nr grad_dtype module_load volatile reinforce",
            "torch.nn": "factory_kwargs common_types Container",
            "torch.nn.attention": "WARN_FOR_UNFUSED_KERNELS activate_flash_attention_impl "
            "current_flash_attention_impl list_flash_attention_impls register_flash_attention_impl "
            "restore_flash_attention_impl",
            "torch.autograd": "NestedIOFunction enforce_grad_layout_policy profiler_legacy profiler_util",
            "torch.autograd.graph": "GradientEdge Node get_gradient_edge increment_version "
            "region_activation_memory_budget set_override_stale_capture_stream "
            "set_warn_on_accumulate_grad_stream_mismatch",
            "torch.func": "debug_unwrap",
            "torch.utils": "swap_tensors backcompat cmake_prefix_path cpp_backtrace get_cpp_backtrace set_module weak "
            "hooks collect_env",
            "torch.utils.checkpoint": "CheckpointFunction DefaultDeviceType check_backward_validity detach_variable "
            "fx_traceback get_device_states set_device_states",
            "torch.compiler": "CacheInfo config get_default_backend keep_portable_guards_unsafe "
            "keep_tensor_guards_unsafe load_cache_artifacts load_compiled_function nested_compile_region "
            "save_cache_artifacts set_default_backend set_enable_guard_collectives skip_all_guards_unsafe "
            "skip_guard_on_all_nn_modules_unsafe skip_guard_on_globals_unsafe skip_guard_on_inbuilt_nn_modules_unsafe "
            "substitute_in_graph wrap_numpy "
            "assume_constant_result list_backends set_stance",
        },
    ),
    "decompositions and eigensolvers that NumPy does not have are": (
        "linalg.lu_factor, linalg.cholesky and linalg.eigh decompose",
        {"torch.linalg": "ldl_factor ldl_factor_ex ldl_solve", "torch": "lobpcg"},
    ),
    "dual numbers of forward derivatives are": (
        "genesis.func.jvp and genesis.func.jacfwd give forward derivatives",
        {"torch.autograd": "forward_ad"},
    ),
    "pipes of data are": (
        "write a Dataset or an IterableDataset, and give it to a DataLoader",
        {
            ANYWHERE: "DFIterDataPipe IterDataPipe MapDataPipe datapipes functional_datapipe",
            "torch.utils.data": "DataChunk argument_validation graph graph_settings "
            "guaranteed_datapipes_determinism non_deterministic runtime_validation runtime_validation_disabled",
        },
    ),
    "the events of PyTorch's profiler are": (
        "step.profile() measures a compiled step, per kernel, module and line",
        {
            "torch.autograd.profiler": "EnforceUnique EventList FunctionEvent KinetoStepTracker MEMORY_EVENT_NAME "
            "MemRecordsAcc OUT_OF_MEMORY_EVENT_NAME emit_itt emit_nvtx load_nvprof parse_nvprof_trace",
        },
    ),
    "masks of pruned weights are": (
        "nn.utils.parametrize.register_parametrization with a module that multiplies by a mask",
        {"torch.nn.utils": "prune"},
    ),
    "tensors with a mask of their own are": (
        "give the mask to a function of genesis.masked",
        {"torch.masked": "MaskedTensor as_masked_tensor is_masked_tensor masked_tensor maskedtensor"},
    ),
    "settings of autocast that outlast a block are": (
        "use autocast(device_type, dtype=..., enabled=...) around the code",
        {
            "torch": "clear_autocast_cache is_autocast_cache_enabled set_autocast_cache_enabled set_autocast_cpu_dtype "
            "set_autocast_cpu_enabled set_autocast_dtype set_autocast_enabled set_autocast_gpu_dtype",
        },
    ),
    "plans that choose op by op what is computed again are": (
        "genesis.compile(activation_memory='1GiB') chooses what a step computes again",
        {
            "torch.utils.checkpoint": "CheckpointError CheckpointPolicy SAC_IGNORED_OPS SelectiveCheckpointContext "
            "create_selective_checkpoint_contexts",
            "torch.nn": "LinearCrossEntropyOptions",
        },
    ),
    "hooks on several tensors at once, and saved tensors that may be written, are": (
        "use x.register_hook on each tensor, and .clone() before a write",
        {"torch.autograd.graph": "register_multi_grad_hook allow_mutation_on_saved_tensors"},
    ),
    "loops and branches whose course depends on data are": (
        "genesis.scan loops a fixed number of times, and genesis.where chooses between two results",
        {"torch": "cond while_loop"},
    ),
    "special functions that carry no gradient in PyTorch are": (
        "compute them by scipy.special on x.numpy() outside of the step",
        {
            "torch.special": "chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v "
            "chebyshev_polynomial_w hermite_polynomial_h hermite_polynomial_he laguerre_polynomial_l "
            "legendre_polynomial_p shifted_chebyshev_polynomial_t shifted_chebyshev_polynomial_u "
            "shifted_chebyshev_polynomial_v shifted_chebyshev_polynomial_w airy_ai bessel_j0 bessel_j1 bessel_y0 "
            "bessel_y1 modified_bessel_k0 modified_bessel_k1 "
            "scaled_modified_bessel_k0 scaled_modified_bessel_k1",
        },
    ),
}
OUT_OF_SCOPE: Mapping[str, str] = {
    f"{space}.{name}" if space else name: f"{part} out of the scope of Genesis: {advice}"
    for part, (advice, spaces) in _PARTS.items()
    for space, names in spaces.items()
    for name in names.split()
}
"""Names that will not be there, and the way out: ``spmm``, or with the one namespace, ``torch.Tensor.values``."""

INSTEAD: Mapping[str, str] = {
    "torch.addmv_": "use x.addmv_",
    "torch.dropout_": "use nn.functional.dropout(x, p, inplace=True)",
    "torch.alpha_dropout_": "use nn.functional.alpha_dropout(x, p, inplace=True)",
    "torch.feature_alpha_dropout_": "use nn.functional.feature_alpha_dropout(x, p, inplace=True)",
    "torch.adaptive_max_pool1d": "use nn.functional.adaptive_max_pool1d(x, size, return_indices=True)",
    "torch.as_strided_": "use as_strided, a view",
    "torch.Tensor.as_strided_": "use as_strided, a view",
    "torch.empty_permuted": "use empty(...).permute(...)",
    "torch.histogramdd": "use histogram of each dimension, or numpy.histogramdd of x.numpy()",
    "torch.Tensor.stft": "use genesis.stft",
    "torch.Tensor.istft": "use genesis.istft, of what genesis.stft gives",
    "torch.nn.utils.convert_conv2d_weight_memory_format": "use model.to(memory_format=...)",
    "torch.nn.utils.convert_conv3d_weight_memory_format": "use model.to(memory_format=...)",
    "torch.get_device_module": "use genesis.cpu or genesis.cuda",
    "torch.get_autocast_cpu_dtype": "use get_autocast_dtype('cpu')",
    "torch.is_autocast_cpu_enabled": "use is_autocast_enabled('cpu')",
    "torch.set_anomaly_enabled": "use autograd.set_detect_anomaly",
    "torch.is_anomaly_check_nan_enabled": "use is_anomaly_enabled: NaN is what it looks for",
    "torch.Tensor.dim_order": "use .stride()",
    "torch.Tensor.retains_grad": "call .retain_grad(); it has an effect once",
    "torch.distributions.ExponentialFamily": "subclass distributions.Distribution, and write entropy()",
    "torch.distributions.constraints.MixtureSameFamilyConstraint": "it is the support of MixtureSameFamily",
    "torch.distributions.constraint_registry": "use distributions.transform_to and distributions.biject_to",
    "torch.utils.deterministic": "fresh memory is zero always",
    "torch.optim.swap_in_optimizer_params_and_state": "use optimizer.load_state_dict",
    "torch.quasirandom": "use scipy.stats.qmc.Sobol, and from_numpy",
    **dict.fromkeys(("torch.signal", "torch.windows"), "use hann_window and its siblings"),
    "torch.func.rearrange": "use reshape and permute",
    "from_pretrained": "load the arrays, then module.load_state_dict",
    "clip_grad_norm": "use clip_grad_norm_",
    **{f"{space}.{name}": f"use linalg.{name}" for name in ("lstsq", "solve") for space in ("torch", "torch.Tensor")},
    **{f"{space}.symeig": "use linalg.eigh" for space in ("torch", "torch.Tensor")},
    "torch.matrix_rank": "use linalg.matrix_rank",
    "torch.frobenius_norm": "use linalg.norm",
    "torch.nuclear_norm": "use linalg.matrix_norm(x, 'nuc')",
}
"""Names for which Genesis has another one, as above."""


def out_of_scope(path: str) -> str | None:
    """The reason why the name at ``path``, as ``torch.fx``, is left out for good; None if it is not."""
    return OUT_OF_SCOPE.get(path) or OUT_OF_SCOPE.get(path.rpartition(".")[2])


def advice(path: str) -> str | None:
    """:func:`out_of_scope`, or the name that Genesis has instead; None for a name that no table has."""
    return out_of_scope(path) or INSTEAD.get(path) or INSTEAD.get(path.rpartition(".")[2])
