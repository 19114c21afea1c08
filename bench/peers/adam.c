/*
 * Adam in C, as a compiler vectorizes it: the kernel row's native peer. Built with -O3 -march=native -fno-math-errno
 * (sqrtf that sets errno is not vectorized). `limit` moves the same bytes (four arrays read, three written) with next to no arithmetic.
 *
 * Answers lines on stdin: "alloc n" | "run k" (k steps) | "limit k" | "check input output n steps", each with seconds.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static float *x, *m, *v, *g;
static size_t n;
static int t;

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec + 1e-9 * at.tv_nsec;
}
static float *array(void) {
  float *a;
  if (posix_memalign((void **)&a, 64, n * sizeof(float))) exit(1);
  return memset(a, 0, n * sizeof(float));
}
static void allocate(size_t size) {
  free(x), free(m), free(v), free(g);
  n = size, t = 0;
  x = array(), m = array(), v = array(), g = array();
  for (size_t i = 0; i < n; i++) g[i] = 1e-3f * (float)((int)(i % 2003) - 1001);
}

/* Kingma, Ba, algorithm 1, with torch's defaults. */
__attribute__((noinline)) static void adam(float *restrict x, float *restrict m, float *restrict v, const float *restrict g) {
  const float beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f;
  t++;
  const float rate = (float)(1e-3 / (1 - pow(0.9, t))), correction = (float)(1 / sqrt(1 - pow(0.999, t)));
  for (size_t i = 0; i < n; i++) {
    m[i] = beta1 * m[i] + (1 - beta1) * g[i];
    v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
    x[i] -= rate * m[i] / (sqrtf(v[i]) * correction + eps);
  }
}
__attribute__((noinline)) static void limit(float *restrict x, float *restrict m, float *restrict v, const float *restrict g) {
  for (size_t i = 0; i < n; i++) {
    m[i] += g[i];
    v[i] -= g[i];
    x[i] += g[i];
  }
}

int main(void) {
  char line[4096], command[16], input[2048], output[2048];
  while (fgets(line, sizeof line, stdin)) {
    size_t size = 0;
    int k = 0;
    double from = now();
    if (sscanf(line, "%15s", command) != 1) continue;
    if (strcmp(command, "alloc") == 0 && sscanf(line, "%*s %zu", &size) == 1) allocate(size);
    else if (strcmp(command, "run") == 0 && sscanf(line, "%*s %d", &k) == 1)
      while (k-- > 0) adam(x, m, v, g);
    else if (strcmp(command, "limit") == 0 && sscanf(line, "%*s %d", &k) == 1)
      while (k-- > 0) limit(x, m, v, g);
    else if (strcmp(command, "check") == 0 && sscanf(line, "%*s %2047s %2047s %zu %d", input, output, &size, &k) == 4) {
      allocate(size);
      FILE *in = fopen(input, "rb"), *out = fopen(output, "wb");
      if (!in || !out || fread(x, 4, n, in) != n) return 1;
      for (; k > 0; k--) {
        if (fread(g, 4, n, in) != n) return 1;
        adam(x, m, v, g);
      }
      fwrite(x, 4, n, out);
      fclose(in), fclose(out);
    } else return 1;
    printf("%.9f\n", now() - from);
    fflush(stdout);
  }
  return 0;
}
