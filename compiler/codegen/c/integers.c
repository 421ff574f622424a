// Checks of indices and divisors, and arithmetic of integers that wraps around.

/* Of all findings the first stays in the status: by the number of the check, then of the element. status[0] is -1
   while a thread writes. Returns `instead`. */
NOINLINE int64_t gen_report(long long *status, int check, long element, int64_t value, int64_t instead) {
  long long found;
  while ((found = __atomic_exchange_n(status, -1, __ATOMIC_ACQUIRE)) < 0) {}
  if (!found || check < status[1] || (check == status[1] && element < status[2]))
    status[1] = check, status[2] = element, status[3] = value;
  __atomic_store_n(status, 1, __ATOMIC_RELEASE);
  return instead;
}

/* The index if it is in [0, size), else 0. */
static inline int64_t gen_bounded(long long *status, int check, int64_t index, int64_t size, long element) {
  return index >= 0 && index < size ? index : gen_report(status, check, element, index, 0);
}

/* The divisor if it is not 0, else 1. */
static inline int64_t gen_divisor(long long *status, int check, int64_t divisor, long element) {
  return divisor ? divisor : gen_report(status, check, element, 0, 1);
}

/* 0 where b is 0; the least integer by -1 wraps around to itself. */
static inline int64_t gen_floor_divide(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return b * a;
  return a / b - (a % b && (a % b < 0) != (b < 0));
}

/* What is left of a, with the sign of b; 0 where b is 0. */
static inline int64_t gen_remainder(int64_t a, int64_t b) { return b ? a - gen_floor_divide(a, b) * b : 0; }

/* A negative power has a whole value for 1 and -1 only; the others give 0. */
static inline int64_t gen_ipow(int64_t base, int64_t exponent) {
  int64_t result = 1;
  if (exponent < 0 && base != 1 && base != -1) return 0;
  for (exponent &= exponent < 0 ? 1 : -1; exponent > 0; exponent >>= 1, base *= base)
    if (exponent & 1) result *= base;
  return result;
}

/* Of negative numbers, too; by 64 places and more, or by a negative number, all bits leave. */
static inline int64_t gen_shift_left(int64_t x, int64_t bits) {
  return bits < 0 || bits > 63 ? 0 : (int64_t)((uint64_t)x << bits);
}

static inline int64_t gen_shift_right(int64_t x, int64_t bits) { return x >> (bits < 0 || bits > 63 ? 63 : bits); }
