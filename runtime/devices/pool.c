// The threads of this process: one pool, made on first use, that runs one function on several threads at once. Calls
// from several threads take turns. A body must not call run itself.
//
// A thread that waits spins for a while, then sleeps: on a free machine it goes on in a fraction of a microsecond, on a
// crowded one others get the processor. Sleeping costs: to wake takes some 40 microseconds, and on a crowded machine
// often until the next time slice. There is no sched_yield in between: Linux lets a thread that yields wait for a whole
// slice of the others, while one that slept is back sooner.
#define _GNU_SOURCE
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

enum { MAX_THREADS = 1024, STACK_BYTES = 8 << 20 };

// How long a thread spins, in nanoseconds: at a barrier; between two runs, where a training loop has its Python; and
// between runs after a pause that was longer than that.
enum { AT_BARRIER = 100000, BETWEEN_RUNS = 500000, AFTER_A_PAUSE = 10000 };

typedef struct gen_pool gen_pool;
struct gen_pool {
  void (*run)(gen_pool *, int threads, void (*body)(int tid, int nt, void *ctx), void *ctx);
  void (*barrier)(gen_pool *, int nt);
  int max_threads;
};

// A counter that threads wait on, alone on its cache lines.
typedef struct {
  _Alignas(128) atomic_uint value;
  atomic_int sleepers;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
} event;

static event start[MAX_THREADS];  // start[tid] is advanced to set worker tid to work
static event phase;               // advanced when the last thread has arrived
static _Alignas(128) atomic_int arrived;
static pthread_mutex_t busy;  // held for the length of a run
static int workers;           // threads made so far, the caller's included
static struct {
  void (*body)(int tid, int nt, void *ctx);
  void *ctx;
  int threads, processor;  // the caller's processor
  fenv_t arithmetic;       // the caller's rounding and subnormal modes, for results that do not depend on the thread
} job;

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");  // yield costs nothing there, and so would not relax
#endif
}

static int64_t nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// Wait until the value is another than was seen, the first `patience` nanoseconds without sleep; returns how long.
static int64_t await(event *e, unsigned seen, int64_t patience) {
  int64_t began = nanoseconds(), waited = 0;
  for (; waited < patience; waited = nanoseconds() - began)
    for (int i = 0; i < 16; i++) {
      if (atomic_load_explicit(&e->value, memory_order_acquire) != seen) return waited;
      relax();
    }
  pthread_mutex_lock(&e->mutex);
  atomic_fetch_add(&e->sleepers, 1);
  while (atomic_load(&e->value) == seen) pthread_cond_wait(&e->changed, &e->mutex);
  atomic_fetch_sub(&e->sleepers, 1);
  pthread_mutex_unlock(&e->mutex);
  return nanoseconds() - began;
}

// A waiter counts itself among the sleepers and then looks at the value; here it is the other way round. Both being
// sequentially consistent, one of the two sees the other, and no waiter is left asleep: whoever has looked too early is
// asleep once the mutex is free. It is left free, so that nobody wakes only to wait for it.
static void advance(event *e) {
  atomic_fetch_add(&e->value, 1);
  if (atomic_load(&e->sleepers) == 0) return;
  pthread_mutex_lock(&e->mutex);
  pthread_mutex_unlock(&e->mutex);
  pthread_cond_broadcast(&e->changed);
}

// True for the last of nt threads, which lets the others go.
static int arrive(int nt) {
  if (atomic_fetch_add(&arrived, 1) + 1 < nt) return 0;
  atomic_store(&arrived, 0);
  advance(&phase);
  return 1;
}

static void barrier(gen_pool *pool, int nt) {
  (void)pool;
  if (nt == 1) return;
  unsigned seen = atomic_load(&phase.value);
  if (!arrive(nt)) await(&phase, seen, AT_BARRIER);
}

static int processor(void) {
#ifdef __linux__
  return sched_getcpu();
#else
  return -1;
#endif
}

// Leave the processor that the caller runs on. Linux may keep a worker where it was woken, and two threads of one run
// on one processor take turns, each spinning while it keeps the other from working. Shutting that processor out for a
// moment moves the thread and leaves its affinity as it was.
static void move_away_from(int taken) {
#ifdef __linux__
  cpu_set_t allowed, others;
  if (processor() != taken || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  others = allowed;
  CPU_CLR(taken, &others);
  if (sched_setaffinity(0, sizeof others, &others) == 0) sched_setaffinity(0, sizeof allowed, &allowed);
#else
  (void)taken;
#endif
}

static void *work(void *arg) {
  int tid = (int)(intptr_t)arg;
  int64_t patience = BETWEEN_RUNS;
  for (unsigned seen = 0;; seen++) {
    int64_t waited = await(&start[tid], seen, patience);
    patience = waited < BETWEEN_RUNS ? BETWEEN_RUNS : AFTER_A_PAUSE;  // the next run comes as soon as this one did
    int nt = job.threads;
    move_away_from(job.processor);
    fesetenv(&job.arithmetic);
    job.body(tid, nt, job.ctx);
    arrive(nt);
  }
  return 0;
}

// Make workers until there are enough; returns how many there are to use, fewer where the system gives no more.
static int hire(int wanted) {
  pthread_attr_t attr;
  pthread_t thread;
  if (wanted > MAX_THREADS) wanted = MAX_THREADS;
  if (workers >= wanted) return wanted;
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, STACK_BYTES);
  while (workers < wanted && pthread_create(&thread, &attr, work, (void *)(intptr_t)workers) == 0) workers++;
  pthread_attr_destroy(&attr);
  return workers;
}

static void run(gen_pool *pool, int threads, void (*body)(int tid, int nt, void *ctx), void *ctx) {
  if (threads <= 1) {
    body(0, 1, ctx);
    return;
  }
  pthread_mutex_lock(&busy);
  int nt = hire(threads);
  job.body = body, job.ctx = ctx, job.threads = nt, job.processor = processor();
  fegetenv(&job.arithmetic);
  for (int tid = 1; tid < nt; tid++) advance(&start[tid]);
  body(0, nt, ctx);
  barrier(pool, nt);
  pthread_mutex_unlock(&busy);
}

// As at the start of the process; also right in the child of a fork, which has none of the parent's workers.
static void reset(void) {
  memset(start, 0, sizeof start);
  memset(&phase, 0, sizeof phase);
  for (int tid = 0; tid < MAX_THREADS; tid++) {
    pthread_mutex_init(&start[tid].mutex, 0);
    pthread_cond_init(&start[tid].changed, 0);
  }
  pthread_mutex_init(&phase.mutex, 0);
  pthread_cond_init(&phase.changed, 0);
  pthread_mutex_init(&busy, 0);
  atomic_store(&arrived, 0);
  workers = 1;
}

static void make(void) {
  reset();
  pthread_atfork(0, 0, reset);
}

gen_pool *gen_pool_get(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  static gen_pool pool = {run, barrier, MAX_THREADS};
  pthread_once(&once, make);
  return &pool;
}
