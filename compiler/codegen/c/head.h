#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bf16; /* storage only: arithmetic is in f32 */
typedef uint16_t f16;

#define INLINE static inline __attribute__((always_inline)) /* or the loop around the call is not vectorised */
#ifdef __clang__
#define NOINLINE static __attribute__((noinline))
#define KERNEL __attribute__((noinline, visibility("hidden")))
#define PLAIN __attribute__((noinline, optnone)) /* long, and nothing to gain in it */
#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("nounroll") /* in many places: text that is short compiles fast */
#else
#define NOINLINE static __attribute__((noinline, noclone))
#define KERNEL __attribute__((noinline, noclone, visibility("hidden")))
#define PLAIN __attribute__((noinline, optimize("O0"))) /* long, and nothing to gain in it */
#define UNROLL _Pragma("GCC unroll 32")
#define ROLLED _Pragma("GCC unroll 1") /* in many places: text that is short compiles fast */
#endif
