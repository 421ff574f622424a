/* Trains, or runs, an exported step without Python:

     ./step [-n CALLS] [-t THREADS] [-o OUTPUTS] [-w WEIGHTS]

   Reads states.bin, scalars.bin and inputs.bin from the current folder: the arguments of step.h's table in its order, each
   in row-major order and this machine's byte order. inputs.bin may hold several calls, one behind the other; they are
   used in turn. Prints the results that are one number, every call a line; -o writes all results of all calls, -w the
   states after the last one. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "step.h"

static void fail(const char *what, const char *name) {
  fprintf(stderr, "step: %s %s\n", what, name);
  exit(1);
}

/* Memory of whole cache lines, which kernels expect. */
static void *room(size_t bytes) {
  void *memory = aligned_alloc(64, (bytes + 127) / 64 * 64);
  if (!memory) fail("no memory for", "the arguments");
  return memset(memory, 0, (bytes + 127) / 64 * 64);
}

/* What a file holds; its size goes to *bytes. */
static char *content(const char *name, size_t *bytes) {
  FILE *file = fopen(name, "rb");
  if (!file) fail("cannot open", name);
  fseek(file, 0, SEEK_END);
  *bytes = (size_t)ftell(file);
  rewind(file);
  char *memory = room(*bytes);
  if (fread(memory, 1, *bytes, file) != *bytes) fail("cannot read", name);
  fclose(file);
  return memory;
}

static FILE *created(const char *name) {
  FILE *file = fopen(name, "wb");
  if (!file) fail("cannot write", name);
  return file;
}

static size_t total(enum kind kind) {
  size_t bytes = 0;
  for (int i = 0; i < SLOTS; i++)
    if (slots[i].kind == kind) bytes += slots[i].bytes;
  return bytes;
}

/* Copy the arguments of one kind from where they stand one behind the other. */
static void load(void **args, enum kind kind, const char *from) {
  for (int i = 0; i < SLOTS; i++)
    if (slots[i].kind == kind) memcpy(args[i], from, slots[i].bytes), from += slots[i].bytes;
}

static void save(void **args, enum kind kind, FILE *file) {
  for (int i = 0; i < SLOTS; i++)
    if (slots[i].kind == kind && fwrite(args[i], 1, slots[i].bytes, file) != slots[i].bytes) fail("cannot write", "a file");
}

/* The results that are one number; their bits, too, where people compare runs. */
static void print(int call, void **args) {
  printf("call %d", call + 1);
  for (int i = 0; i < SLOTS; i++) {
    if (slots[i].kind != OUTPUT) continue;
    if (!strcmp(slots[i].type, "f32") && slots[i].bytes == 4) printf("  %.9g (%a)", *(float *)args[i], *(float *)args[i]);
    if (!strcmp(slots[i].type, "f64") && slots[i].bytes == 8) printf("  %.17g (%a)", *(double *)args[i], *(double *)args[i]);
    if (!strcmp(slots[i].type, "i64") && slots[i].bytes == 8) printf("  %lld", *(long long *)args[i]);
  }
  printf("\n");
}

int main(int argc, char **argv) {
  const char *outputs = 0, *weights = 0;
  int calls = 0, threads = THREADS;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc || argv[i][0] != '-') fail("usage: ./step [-n CALLS] [-t THREADS] [-o OUTPUTS] [-w WEIGHTS], not", argv[i]);
    switch (argv[i][1]) {
      case 'n': calls = atoi(argv[i + 1]); break;
      case 't': threads = atoi(argv[i + 1]); break;
      case 'o': outputs = argv[i + 1]; break;
      case 'w': weights = argv[i + 1]; break;
      default: fail("there is no option", argv[i]);
    }
  }
  if (threads < 1) fail("the number of threads is at least", "1");

  void *args[SLOTS + 2];
  for (int i = 0; i < SLOTS; i++) args[i] = room(slots[i].bytes);
  args[SLOTS] = room(ARENA);
  args[SLOTS + 1] = room(SCRATCH(threads));

  size_t bytes;
  char *states = content("states.bin", &bytes);
  if (bytes != total(STATE)) fail("wrong size:", "states.bin");
  load(args, STATE, states);
  char *scalars = content("scalars.bin", &bytes);
  if (bytes != total(SCALAR)) fail("wrong size:", "scalars.bin");
  load(args, SCALAR, scalars);
  char *inputs = content("inputs.bin", &bytes);
  size_t one = total(INPUT);
  if (one ? !bytes || bytes % one : bytes) fail("wrong size:", "inputs.bin");
  int given = one ? (int)(bytes / one) : 1;
  if (!calls) calls = given;

  FILE *file = outputs ? created(outputs) : 0;
  for (int call = 0; call < calls; call++) {
    long long status[4] = {0};
    load(args, INPUT, inputs + one * (call % given));
    step(gen_pool_get(), threads, args, status);
    if (status[0]) {
      fprintf(stderr, "step: call %d: %s\n  for %lld, element %lld; nothing was updated by this call\n", call + 1,
              checks[status[1]], status[3], status[2]);
      return 1;
    }
    print(call, args);
    if (file) save(args, OUTPUT, file);
  }
  if (file) fclose(file);
  if (weights) save(args, STATE, file = created(weights)), fclose(file);
  return 0;
}
