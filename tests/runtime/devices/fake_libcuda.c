/* A CUDA driver without a GPU: it writes every call into a log and works on host memory, so copies, kernels and graphs
 * really happen. A module image is text, "name width width ...": the widths of the kernel's parameters in bytes.
 * The kernels that exist: scale(const float *x, float *y, float factor, int n), accumulate(const float *x, float *sum),
 * add_by_table(const int64_t *table), whose table is {x, y, n}, and check(const float *x, int64_t *status), which reports
 * element 3 with index -2 where *x is negative.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, ILLEGAL_STATE = 401, NO_DEVICE = 100, SHARED_LIMIT = 48 * 1024, MOST = 64 };

typedef struct { char name[64]; int count, widths[16], shared; } Function;
typedef struct { Function *function; uint64_t values[16]; } Launch;
typedef struct { int count; Launch launches[MOST]; } Graph;
typedef struct { int capturing; Graph *graph; } Stream;

static char log_text[1 << 16];
static struct { char *start; size_t bytes; } blocks[MOST];
static int block_count;
static char failing_call[64];
static int failing_status, capability = 90, version = 13000;
static size_t memory = (size_t)80e9;
static __thread void *current;  // each thread has a context of its own

const char *fake_log(void) { return log_text; }
void fake_clear(void) { log_text[0] = 0; failing_call[0] = 0; }
void fake_capability(int value) { capability = value; }
void fake_memory(size_t bytes) { memory = bytes; }
void fake_version(int value) { version = value; }
void fake_fail(const char *call, int status) { strcpy(failing_call, call); failing_status = status; }

/* Appends one line to the log; the first word is the call. Returns the status the test asked that call to give. */
static int capturing;
static int record(const char *format, ...) {
    char line[512], call[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    strcat(strcat(log_text, line), "\n");
    sscanf(line, "%63s", call);
    return strcmp(call, failing_call) ? SUCCESS : failing_status;
}

/* A device address as text: "block 2 + 256". */
static const char *place(uint64_t address) {
    static char text[64];
    for (int i = 0; i < block_count; i++)
        if ((char *)address >= blocks[i].start && (char *)address < blocks[i].start + blocks[i].bytes) {
            snprintf(text, sizeof text, "block %d + %d", i, (int)((char *)address - blocks[i].start));
            return text;
        }
    return strcpy(text, address ? "nowhere" : "null");
}

static int new_block(void **out, size_t bytes) {
    if (!bytes || block_count == MOST) return INVALID_VALUE;
    *out = blocks[block_count].start = malloc(bytes);
    memset(*out, 0xEE, bytes);
    blocks[block_count++].bytes = bytes;
    return SUCCESS;
}

static int free_block(void *start) {
    for (int i = 0; i < block_count; i++)
        if (blocks[i].start == start) {
            free(start);
            blocks[i].start = NULL;
            return SUCCESS;
        }
    return INVALID_VALUE;
}

static void execute(const Launch *launch) {
    const uint64_t *values = launch->values;
    const float *x = (const float *)values[0];
    float *y = (float *)values[1];
    if (!strcmp(launch->function->name, "scale")) {
        float factor;
        memcpy(&factor, &values[2], sizeof factor);
        for (int i = 0; i < (int)values[3]; i++) y[i] = factor * x[i];
    } else if (!strcmp(launch->function->name, "accumulate")) {
        *y += *x;
    } else if (!strcmp(launch->function->name, "add_by_table")) {
        const int64_t *table = (const int64_t *)values[0];
        for (int i = 0; i < table[2]; i++) ((float *)table[1])[i] += ((const float *)table[0])[i];
    } else if (!strcmp(launch->function->name, "check")) {
        if (*x < 0) *(int64_t *)values[1] = (INT64_C(3) << 32) | 0xFFFFFFFE;
    }
}

int cuGetErrorName(int status, const char **out) {
    *out = status == NO_DEVICE ? "CUDA_ERROR_NO_DEVICE" : status == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : status == INVALID_VALUE ? "CUDA_ERROR_INVALID_VALUE" : NULL;
    return *out ? SUCCESS : INVALID_VALUE;
}
int cuGetErrorString(int status, const char **out) {
    *out = status == NO_DEVICE ? "no CUDA-capable device is detected" : status == OUT_OF_MEMORY ? "out of memory" : status == INVALID_VALUE ? "invalid argument" : NULL;
    return *out ? SUCCESS : INVALID_VALUE;
}

int cuInit(unsigned flags) { return record("cuInit %u", flags); }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return record("cuDeviceGet %d", ordinal); }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? capability / 10 : capability % 10;
    return record("cuDeviceGetAttribute %d %d", attribute, device);
}
int cuDeviceGetName(char *out, int length, int device) {
    snprintf(out, length, "NVIDIA H100 80GB HBM3");
    return record("cuDeviceGetName %d", device);
}
int cuDeviceTotalMem_v2(size_t *out, int device) { *out = memory; return record("cuDeviceTotalMem_v2 %d", device); }
int cuDevicePrimaryCtxRetain(void **context, int device) {
    *context = (void *)0xC0DE;
    return record("cuDevicePrimaryCtxRetain %d", device);
}
int cuDevicePrimaryCtxRelease_v2(int device) { return record("cuDevicePrimaryCtxRelease_v2 %d", device); }
int cuCtxSetCurrent(void *context) { current = context; return record("cuCtxSetCurrent %p", context); }
int cuDriverGetVersion(int *out) { *out = version; return record("cuDriverGetVersion"); }

int cuModuleLoadData(void **module, const char *image) {
    Function *function = calloc(1, sizeof *function);
    int used, width;
    sscanf(image, "%63s%n", function->name, &used);
    for (image += used; sscanf(image, "%d%n", &width, &used) == 1; image += used)
        function->widths[function->count++] = width;
    *module = function;
    return record("cuModuleLoadData %s", function->name);
}
int cuModuleUnload(void *module) { free(module); return record("cuModuleUnload"); }
int cuModuleGetFunction(void **function, void *module, const char *name) {
    *function = module;
    return record("cuModuleGetFunction %s", name);
}
int cuFuncSetAttribute(Function *function, int attribute, int value) {
    function->shared = value;
    return record("cuFuncSetAttribute %s %d %d", function->name, attribute, value);
}

int cuMemAlloc_v2(uint64_t *pointer, size_t bytes) {
    if (!current) return INVALID_CONTEXT;
    int status = record("cuMemAlloc_v2 %zu", bytes);
    return status ? status : new_block((void **)pointer, bytes);
}
int cuMemFree_v2(uint64_t pointer) {
    if (!current || capturing) return ILLEGAL_STATE;
    record("cuMemFree_v2 %s", place(pointer));
    return free_block((void *)pointer);
}
int cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags) {
    int status = record("cuMemHostAlloc %zu %u", bytes, flags);
    return status ? status : new_block(pointer, bytes);
}
int cuMemFreeHost(void *pointer) {
    record("cuMemFreeHost %s", place((uint64_t)pointer));
    return free_block(pointer);
}
int cuMemcpyHtoD_v2(uint64_t target, const void *source, size_t bytes) {
    if (!current) return INVALID_CONTEXT;
    memcpy((void *)target, source, bytes);
    return record("cuMemcpyHtoD_v2 %s, %zu bytes", place(target), bytes);
}
int cuMemcpyDtoH_v2(void *target, uint64_t source, size_t bytes) {
    if (!current) return INVALID_CONTEXT;
    memcpy(target, (void *)source, bytes);
    return record("cuMemcpyDtoH_v2 %s, %zu bytes", place(source), bytes);
}
int cuMemcpyHtoDAsync_v2(uint64_t target, const void *source, size_t bytes, Stream *stream) {
    if (stream->capturing) return ILLEGAL_STATE;
    memcpy((void *)target, source, bytes);
    return record("cuMemcpyHtoDAsync_v2 %s, %zu bytes", place(target), bytes);
}
int cuMemcpyDtoHAsync_v2(void *target, uint64_t source, size_t bytes, Stream *stream) {
    if (stream->capturing) return ILLEGAL_STATE;
    memcpy(target, (void *)source, bytes);
    return record("cuMemcpyDtoHAsync_v2 %s, %zu bytes", place(source), bytes);
}

int cuStreamCreate(Stream **stream, unsigned flags) {
    *stream = calloc(1, sizeof **stream);
    return record("cuStreamCreate %u", flags);
}
int cuStreamDestroy_v2(Stream *stream) { free(stream); return record("cuStreamDestroy_v2"); }
int cuStreamSynchronize(Stream *stream) { (void)stream; return record("cuStreamSynchronize"); }
int cuStreamBeginCapture_v2(Stream *stream, int mode) {
    stream->capturing = capturing = 1;
    stream->graph = calloc(1, sizeof *stream->graph);
    return record("cuStreamBeginCapture_v2 %d", mode);
}
int cuStreamEndCapture(Stream *stream, Graph **graph) {
    stream->capturing = capturing = 0;
    *graph = stream->graph;
    return record("cuStreamEndCapture");
}

int cuLaunchKernel(Function *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, Stream *stream, void **parameters, void **extra) {
    Launch launch = {.function = function};
    char text[256] = "";
    if (extra || (int)shared > (function->shared ? function->shared : SHARED_LIMIT)) return INVALID_VALUE;
    for (int i = 0; i < function->count; i++) {
        memcpy(&launch.values[i], parameters[i], function->widths[i]);
        if (function->widths[i] == 8)
            sprintf(text + strlen(text), ", %s", place(launch.values[i]));
        else
            sprintf(text + strlen(text), ", 0x%x", (unsigned)launch.values[i]);
    }
    int status = record("cuLaunchKernel %s grid %u %u %u block %u %u %u shared %u%s", function->name, gx, gy, gz, bx, by, bz,
                        shared, text);
    if (status) return status;
    if (stream->capturing)
        stream->graph->launches[stream->graph->count++] = launch;
    else
        execute(&launch);
    return SUCCESS;
}

int cuGraphInstantiateWithFlags(Graph **executable, const Graph *graph, unsigned long long flags) {
    *executable = malloc(sizeof **executable);
    **executable = *graph;
    return record("cuGraphInstantiateWithFlags %llu", flags);
}
int cuGraphLaunch(const Graph *executable, Stream *stream) {
    (void)stream;
    int status = record("cuGraphLaunch");
    for (int i = 0; i < executable->count && !status; i++) execute(&executable->launches[i]);
    return status;
}
int cuGraphDestroy(Graph *graph) { free(graph); return record("cuGraphDestroy"); }
int cuGraphExecDestroy(Graph *executable) { free(executable); return record("cuGraphExecDestroy"); }
