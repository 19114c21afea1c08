/*
 * The load generator of all service rows: one gRPC client for every server, in plain C over HTTP/2 without TLS, so that the
 * client costs as little as it can and the same for each. It speaks what RFC 9113 and RFC 7541 need of a client: it
 * sends its headers as literals, and skips the headers of answers. One thread, blocking.
 *
 *   load echo-server                                    prints its port; the raw TCP limit
 *   load echo   port request reply count                count times request bytes up, then reply bytes down
 *   load step   port path kind session elements count   remote gradient steps on one stream, each after the last answer
 *   load steps  port path session sessions elements count   as many steps by streams of session0, session1, ... at once
 *   load shared port path session elements memory file stride count   the same steps with tensors in shared memory
 *   load intake port path session elements              one gradient in chunks of 1 MiB, and a step that cancels it
 *   load unary  port path session sessions callers count   tell and ask, one call each; session0, session1, ...
 *   load stream port path session sessions callers count   the same over a stream per caller
 *
 * kind: "asktell" sends OptimizeRequest messages, "raw" the gradient's bytes. Prints {"seconds", "p50", "p99"} as JSON;
 * the first answer (the first ask) comes before the clock starts, what ends a session's last query after it stopped.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MIB (1 << 20)
#define WINDOW 0x7fffffff
/* Field of an Observation. */
#define GRADIENTS 6

__attribute__((noreturn)) static void die(const char *what) {
  fprintf(stderr, "load: %s\n", what);
  exit(1);
}
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* --- sockets --- */

static int dial(int port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(fd, (struct sockaddr *)&to, sizeof to)) die("cannot connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}
static void write_all(int fd, const void *bytes, size_t n) {
  for (const char *p = bytes; n > 0;) {
    ssize_t k = write(fd, p, n);
    if (k <= 0) die("the connection broke");
    p += k, n -= k;
  }
}
static int read_all(int fd, void *bytes, size_t n) {
  for (char *p = bytes; n > 0;) {
    ssize_t k = read(fd, p, n);
    if (k <= 0) return 0;
    p += k, n -= k;
  }
  return 1;
}
static void write_vector(int fd, struct iovec *v, int n) {
  while (n > 0) {
    ssize_t k = writev(fd, v, n < 1024 ? n : 1024);
    if (k <= 0) die("the connection broke");
    for (; n > 0 && (size_t)k >= v->iov_len; n--) k -= (v++)->iov_len;
    if (n > 0) v->iov_base = (char *)v->iov_base + k, v->iov_len -= k;
  }
}

/* --- buffers and protobuf --- */

typedef struct {
  uint8_t *at;
  size_t n, cap;
} Buf;

static void need(Buf *b, size_t more) {
  if (b->n + more <= b->cap) return;
  b->cap = 2 * (b->n + more);
  if (!(b->at = realloc(b->at, b->cap))) die("out of memory");
}
static void put(Buf *b, const void *bytes, size_t n) {
  need(b, n);
  memcpy(b->at + b->n, bytes, n);
  b->n += n;
}
static void varint(Buf *b, uint64_t v) {
  uint8_t byte;
  do {
    byte = (v & 127) | (v > 127 ? 128 : 0);
    put(b, &byte, 1);
  } while (v >>= 7);
}
static void field_int(Buf *b, int field, uint64_t v) { varint(b, field << 3), varint(b, v); }
static void field_bytes(Buf *b, int field, const void *bytes, size_t n) {
  varint(b, field << 3 | 2), varint(b, n), put(b, bytes, n);
}
static void field_text(Buf *b, int field, const char *text) { field_bytes(b, field, text, strlen(text)); }
static uint64_t read_varint(const uint8_t **p, const uint8_t *end) {
  uint64_t v = 0;
  for (int shift = 0; *p < end; shift += 7) {
    uint8_t byte = *(*p)++;
    v |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) break;
  }
  return v;
}
/* The first occurrence of a length-delimited field. */
static const uint8_t *find(const uint8_t *p, size_t n, int field, size_t *length) {
  for (const uint8_t *end = p + n; p < end;) {
    uint64_t tag = read_varint(&p, end);
    size_t size = 0;
    switch (tag & 7) {
      case 0: read_varint(&p, end); break;
      case 1: size = 8; break;
      case 5: size = 4; break;
      case 2: size = read_varint(&p, end); break;
      default: die("an answer that is not protobuf");
    }
    if ((int)(tag >> 3) == field && (tag & 7) == 2) return *length = size, p;
    p += size;
  }
  return NULL;
}

/* --- HTTP/2 --- */

typedef struct {
  int32_t id;
  int64_t window;
  Buf in; /* the message under way, with its five bytes of prefix */
  int messages, ended;
  size_t consumed;
} Stream;

typedef struct {
  int fd;
  int64_t window, initial_window;
  size_t max_frame, consumed;
  int32_t next_id;
  Stream *streams;
  int count, settled;
  Buf in;
} Conn;

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };

static void frame_head(uint8_t *to, size_t n, int type, int flags, int32_t stream) {
  uint8_t head[9] = {n >> 16, n >> 8, n, type, flags, stream >> 24, stream >> 16, stream >> 8, stream};
  memcpy(to, head, 9);
}
static void send_frame(Conn *c, int type, int flags, int32_t stream, const void *payload, size_t n) {
  uint8_t out[9 + 512];
  frame_head(out, n, type, flags, stream);
  memcpy(out + 9, payload, n);
  write_all(c->fd, out, 9 + n);
}
static void credit(Conn *c, int32_t stream, size_t n) {
  uint8_t by[4] = {n >> 24, n >> 16, n >> 8, n};
  send_frame(c, WINDOW_UPDATE, 0, stream, by, 4);
}
static Stream *stream_of(Conn *c, int32_t id) {
  for (int i = 0; i < c->count; i++)
    if (c->streams[i].id == id) return &c->streams[i];
  return NULL;
}
static int complete(const Stream *s) {
  if (s->in.n < 5) return 0;
  const uint8_t *p = s->in.at;
  size_t length = (size_t)p[1] << 24 | p[2] << 16 | p[3] << 8 | p[4];
  return s->in.n >= 5 + length;
}

static void on_frame(Conn *c, int type, int flags, int32_t id, const uint8_t *p, size_t n) {
  Stream *s = stream_of(c, id);
  switch (type) {
    case DATA:
      if (n == 0) {
      } else if (s) {
        put(&s->in, p, n);
        if ((s->consumed += n) > WINDOW / 2) credit(c, id, s->consumed), s->consumed = 0;
      }
      if ((c->consumed += n) > WINDOW / 2) credit(c, 0, c->consumed), c->consumed = 0;
      /* fall through */
    case HEADERS:
    case CONTINUATION:
      if (s && flags & 1) s->ended = 1;
      break;
    case RST_STREAM:
      if (s) s->ended = 1;
      break;
    case SETTINGS:
      if (flags & 1) break;
      for (size_t i = 0; i + 6 <= n; i += 6) {
        int key = p[i] << 8 | p[i + 1];
        int64_t value = (int64_t)p[i + 2] << 24 | p[i + 3] << 16 | p[i + 4] << 8 | p[i + 5];
        if (key == 4) {
          for (int k = 0; k < c->count; k++) c->streams[k].window += value - c->initial_window;
          c->initial_window = value;
        }
        if (key == 5) c->max_frame = value;
      }
      c->settled = 1;
      send_frame(c, SETTINGS, 1, 0, "", 0);
      break;
    case PING:
      if (!(flags & 1)) send_frame(c, PING, 1, 0, p, n);
      break;
    case GOAWAY: die("the server closed the connection");
    case WINDOW_UPDATE: {
      int64_t by = (int64_t)(p[0] & 127) << 24 | p[1] << 16 | p[2] << 8 | p[3];
      if (id == 0) c->window += by;
      else if (s) s->window += by;
    }
  }
}

/* Reads what there is, waiting for at least something. */
static void receive(Conn *c) {
  need(&c->in, 4 * MIB);
  ssize_t k = read(c->fd, c->in.at + c->in.n, c->in.cap - c->in.n);
  if (k <= 0) die("the connection broke");
  c->in.n += k;
  size_t at = 0;
  while (c->in.n - at >= 9) {
    const uint8_t *h = c->in.at + at;
    size_t n = (size_t)h[0] << 16 | h[1] << 8 | h[2];
    if (c->in.n - at < 9 + n) break;
    on_frame(c, h[3], h[4], (int32_t)((h[5] & 127) << 24 | h[6] << 16 | h[7] << 8 | h[8]), h + 9, n);
    at += 9 + n;
  }
  memmove(c->in.at, c->in.at + at, c->in.n -= at);
}

static void open_connection(Conn *c, int port, int streams) {
  *c = (Conn){.fd = dial(port), .window = 65535, .initial_window = 65535, .max_frame = 16384, .next_id = 1};
  c->streams = calloc(streams, sizeof(Stream));
  c->count = streams;
  write_all(c->fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
  /* no push, the largest windows, frames of 1 MiB */
  const uint8_t settings[] = {0, 2, 0, 0, 0, 0, 0, 4, 127, 255, 255, 255, 0, 5, 0, 16, 0, 0};
  send_frame(c, SETTINGS, 0, 0, settings, sizeof settings);
  credit(c, 0, WINDOW - 65535);
  while (!c->settled) receive(c);
}

static void literal(Buf *b, int index, const char *name, const char *value) {
  uint8_t byte = index;
  put(b, &byte, 1);
  if (name) byte = strlen(name), put(b, &byte, 1), put(b, name, byte);
  byte = strlen(value), put(b, &byte, 1), put(b, value, byte);
}
static void open_stream(Conn *c, Stream *s, const char *path) {
  static Buf b;
  b.n = 0;
  put(&b, "\x83\x86", 2); /* POST, http */
  literal(&b, 4, NULL, path);
  literal(&b, 1, NULL, "127.0.0.1");
  literal(&b, 0, "content-type", "application/grpc");
  literal(&b, 0, "te", "trailers");
  s->id = c->next_id, c->next_id += 2;
  s->window = c->initial_window;
  s->in.n = 0, s->ended = 0, s->consumed = 0;
  send_frame(c, HEADERS, 4, s->id, b.at, b.n);
}

/* A message as one or more parts that lie apart. Waits where the server's window is full. */
static void send_message(Conn *c, Stream *s, struct iovec *parts, int count, int last) {
  enum { FRAMES = 256 };
  static uint8_t heads[FRAMES][9];
  struct iovec all[8], out[FRAMES * 4];
  size_t left = 0;
  for (int i = 0; i < count; i++) left += parts[i].iov_len, all[i + 1] = parts[i];
  uint8_t prefix[5] = {0, left >> 24, left >> 16, left >> 8, left};
  all[0] = (struct iovec){prefix, 5};
  left += 5;
  struct iovec *part = all;
  while (left > 0) {
    int n = 0, frames = 0;
    while (left > 0 && frames < FRAMES && n + 8 < FRAMES * 4) {
      int64_t room = c->window < s->window ? c->window : s->window;
      if (room > (int64_t)c->max_frame) room = c->max_frame;
      if (room > (int64_t)left) room = left;
      if (room <= 0) break;
      left -= room, c->window -= room, s->window -= room;
      frame_head(heads[frames], room, DATA, last && left == 0, s->id);
      out[n++] = (struct iovec){heads[frames++], 9};
      while (room > 0) {
        size_t k = (size_t)room < part->iov_len ? (size_t)room : part->iov_len;
        if (k > 0) out[n++] = (struct iovec){part->iov_base, k};
        part->iov_base = (char *)part->iov_base + k, part->iov_len -= k, room -= k;
        if (part->iov_len == 0) part++;
      }
    }
    write_vector(c->fd, out, n);
    if (left > 0 && frames < FRAMES) {
      if (s->ended) die("the server ended the stream: it refused a message");
      receive(c);
    }
  }
}
static void send_buffer(Conn *c, Stream *s, Buf *b, int last) {
  struct iovec part = {b->at, b->n};
  send_message(c, s, &part, 1, last);
}
static void await_message(Conn *c, Stream *s) {
  while (!complete(s)) {
    if (s->ended) die("a call ended without an answer: the server refused it");
    receive(c);
  }
}

/* --- asktell messages --- */

static char query[80];
static void read_query(const Stream *s, char *to) {
  size_t n, m;
  const uint8_t *q = find(s->in.at + 5, s->in.n - 5, 2, &n);
  const uint8_t *id = q ? find(q, n, 1, &m) : NULL;
  if (!id || m >= sizeof query) die("an answer without a query");
  memcpy(to, id, m);
  to[m] = 0;
}

enum Tell { NOTHING, VALUE, CANCEL, CHUNKED };
static int request_number;

/* A StepRequest without gradients, in an OptimizeRequest when `wrapped`. */
static int omit_tensors;
static void step_request(Buf *out, const char *session, const char *id, enum Tell tell, int wrapped) {
  static Buf b, o, v;
  static int run;
  if (!run) run = getpid();
  char request_id[40];
  b.n = o.n = v.n = out->n = 0;
  field_text(&b, 1, session);
  if (tell != NOTHING) {
    field_text(&o, 1, id);
    if (tell == CANCEL) field_int(&o, 2, 5);
    if (tell == VALUE) {
      double value = (request_number % 1000) / 1000.0;
      field_bytes(&v, 1, &value, 8);
      field_bytes(&o, 3, v.at, v.n);
    }
    field_bytes(&b, 2, o.at, o.n);
  }
  if (tell == CANCEL) field_int(&b, 3, (uint64_t)-1);
  snprintf(request_id, sizeof request_id, "%d-%.0f-%d", run, 1e6 * now(), ++request_number);
  field_text(&b, 4, request_id);
  if (omit_tensors) field_int(&b, 6, 1);
  if (wrapped) field_bytes(out, 1, b.at, b.n);
  else put(out, b.at, b.n);
}

/* A message of a gradient's bytes from `at` on: what goes before the bytes. The message is head, then `bytes`. */
static void chunk_head(Buf *out, const char *id, size_t at, size_t bytes) {
  static Buf t, length, k;
  t.n = length.n = k.n = out->n = 0;
  /* Fields may come in any order: data last, so that it is not copied. */
  field_text(&t, 1, "w");
  if (at > 0) field_int(&t, 4, at / 4);
  varint(&t, 3 << 3 | 2), varint(&t, bytes);
  field_text(&k, 1, id);
  varint(&k, 3 << 3 | 2), varint(&k, t.n + bytes);
  put(&k, t.at, t.n);
  varint(out, 2 << 3 | 2), varint(out, k.n + bytes);
  put(out, k.at, k.n);
}
/* A step that tells a gradient of one message: what goes before its bytes, as the clients send what is no longer than a chunk. */
static void inline_head(Buf *out, const char *session, const char *id, size_t bytes) {
  static Buf b, t, m, o;
  t.n = m.n = o.n = out->n = 0;
  /* data last at each level, so that it is not copied */
  field_text(&t, 1, "w"), varint(&t, 3 << 3 | 2), varint(&t, bytes);
  varint(&m, 1 << 3 | 2), varint(&m, t.n + bytes), put(&m, t.at, t.n);
  field_text(&o, 1, id), varint(&o, GRADIENTS << 3 | 2), varint(&o, m.n + bytes), put(&o, m.at, m.n);
  step_request(&b, session, "", NOTHING, 0);
  varint(&b, 2 << 3 | 2), varint(&b, o.n + bytes), put(&b, o.at, o.n);
  varint(out, 1 << 3 | 2), varint(out, b.n + bytes), put(out, b.at, b.n);
}
static void send_inline(Conn *c, Stream *s, const char *session, const char *id, const uint8_t *bytes, size_t n) {
  static Buf head;
  inline_head(&head, session, id, n);
  struct iovec parts[2] = {{head.at, head.n}, {(void *)bytes, n}};
  send_message(c, s, parts, 2, 0);
}
static void send_gradient(Conn *c, Stream *s, const char *id, const uint8_t *bytes, size_t n) {
  static Buf head;
  for (size_t at = 0; at < n; at += MIB) {
    size_t k = n - at < MIB ? n - at : MIB;
    chunk_head(&head, id, at, k);
    struct iovec parts[2] = {{head.at, head.n}, {(void *)(bytes + at), k}};
    send_message(c, s, parts, 2, 0);
  }
}

/* --- results --- */

static double *times;
static int taken;
static int by_size(const void *a, const void *b) { return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b); }
static void report(double seconds) {
  qsort(times, taken, sizeof *times, by_size);
  printf("{\"seconds\": %.9f, \"count\": %d, \"p50\": %.9f, \"p99\": %.9f}\n", seconds, taken, times[taken / 2],
         times[(int)(taken * 0.99)]);
}
static uint8_t *gradient(size_t elements) {
  float *g = malloc(elements * 4);
  uint32_t x = 1;
  for (size_t i = 0; i < elements; i++) x = 1664525 * x + 1013904223, g[i] = (int32_t)x / 4294967296.0f;
  return (uint8_t *)g;
}

/* --- modes --- */

static void *echo_one(void *arg) {
  int fd = (int)(intptr_t)arg, one = 1;
  uint64_t sizes[2];
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (read_all(fd, sizes, sizeof sizes)) {
    uint8_t *bytes = calloc(1, sizes[0] > sizes[1] ? sizes[0] : sizes[1]);
    while (read_all(fd, bytes, sizes[0])) write_all(fd, bytes, sizes[1]);
    free(bytes);
  }
  close(fd);
  return NULL;
}
static void echo_server(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in on = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof on;
  if (bind(fd, (struct sockaddr *)&on, n) || listen(fd, 8) || getsockname(fd, (struct sockaddr *)&on, &n)) die("cannot listen");
  printf("{\"port\": %d}\n", ntohs(on.sin_port));
  fflush(stdout);
  for (;;) {
    pthread_t thread;
    pthread_create(&thread, NULL, echo_one, (void *)(intptr_t)accept(fd, NULL, NULL));
    pthread_detach(thread);
  }
}
static void echo(int port, uint64_t request, uint64_t reply, int count) {
  int fd = dial(port);
  uint64_t sizes[2] = {request, reply};
  uint8_t *up = calloc(1, request), *down = calloc(1, reply);
  memset(up, 1, request);
  write_all(fd, sizes, sizeof sizes);
  double begun = 0;
  for (int i = -1; i < count; i++) {
    double from = now();
    if (i == 0) begun = from;
    write_all(fd, up, request);
    if (!read_all(fd, down, reply)) die("the echo ended");
    if (i >= 0) times[taken++] = now() - from;
  }
  report(now() - begun);
}

static void step(int port, const char *path, const char *kind, const char *session, size_t elements, int count) {
  Conn c;
  Buf b = {0};
  int ours = strcmp(kind, "asktell") == 0;
  uint8_t *g = gradient(elements);
  open_connection(&c, port, 1);
  Stream *s = c.streams;
  open_stream(&c, s, path);
  double begun = 0;
  for (int i = -2; i < count; i++) {
    double from = now();
    if (i == 0) begun = from;
    if (!ours) {
      struct iovec part = {g, elements * 4};
      send_message(&c, s, &part, 1, 0);
    } else if (i == -2) {
      step_request(&b, session, "", NOTHING, 1);
      send_buffer(&c, s, &b, 0);
    } else if (elements * 4 <= MIB) {
      send_inline(&c, s, session, query, g, elements * 4);
    } else {
      send_gradient(&c, s, query, g, elements * 4);
      step_request(&b, session, query, CHUNKED, 1);
      send_buffer(&c, s, &b, 0);
    }
    await_message(&c, s);
    if (s->in.n < elements * 4) die("an answer without the parameters");
    if (ours) read_query(s, query);
    s->in.n = 0;
    if (i >= 0) times[taken++] = now() - from;
  }
  report(now() - begun);
  if (!ours) return;
  step_request(&b, session, query, CANCEL, 1);
  send_buffer(&c, s, &b, 1);
  await_message(&c, s);
}

/* Bytes in a slot of shared memory; its first 8 are the generation of what it holds. */
static void extent(Buf *out, int slot, uint64_t generation, size_t length) {
  out->n = 0;
  field_int(out, 1, slot), field_int(out, 2, generation), field_int(out, 4, length);
}

static void shared(int port, const char *path, const char *session, size_t elements, const char *memory, const char *file,
                   size_t stride, int count) {
  Conn c;
  Buf b = {0}, o = {0}, t = {0}, e = {0}, m = {0}, step = {0};
  uint8_t *g = gradient(elements), *down = malloc(elements * 4);
  /* The file has lost its name to an earlier run: it is there as a descriptor of whoever started this one. */
  int fd = open(file, O_RDWR);
  uint8_t *map = mmap(NULL, 4096 + 2 * stride, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (fd < 0 || map == MAP_FAILED) die("no shared memory");
  uint8_t *up = map + 4096, *from_server = up + stride;
  uint64_t generation = 1e6 * now();
  open_connection(&c, port, 1);
  Stream *s = c.streams;
  open_stream(&c, s, path);
  double begun = 0;
  for (int i = -2; i < count; i++) {
    double from = now();
    if (i == 0) begun = from;
    generation++;
    b.n = o.n = t.n = m.n = step.n = 0;
    field_text(&b, 1, session);
    if (i > -2) {
      __atomic_store_n((uint64_t *)up, 0, __ATOMIC_SEQ_CST);
      memcpy(up + 64, g, elements * 4);
      __atomic_store_n((uint64_t *)up, generation, __ATOMIC_SEQ_CST);
      extent(&e, 0, generation, elements * 4);
      field_text(&t, 1, "w"), field_bytes(&t, 6, e.at, e.n);
      m.n = 0, field_bytes(&m, 1, t.at, t.n);
      field_text(&o, 1, query), field_bytes(&o, GRADIENTS, m.at, m.n);
      field_bytes(&b, 2, o.at, o.n);
    }
    char id[60];
    snprintf(id, sizeof id, "%d-%llu", getpid(), (unsigned long long)generation);
    field_text(&b, 4, id);
    m.n = 0, field_text(&m, 1, memory), field_int(&m, 2, 1), field_int(&m, 3, generation);
    field_bytes(&b, 11, m.at, m.n);
    field_bytes(&step, 1, b.at, b.n);
    send_buffer(&c, s, &step, 0);
    await_message(&c, s);
    read_query(s, query);
    s->in.n = 0;
    if (__atomic_load_n((uint64_t *)from_server, __ATOMIC_SEQ_CST) != generation) die("an answer without the parameters");
    memcpy(down, from_server + 64, elements * 4);
    if (i >= 0) times[taken++] = now() - from;
  }
  report(now() - begun);
  step_request(&b, session, query, CANCEL, 1);
  send_buffer(&c, s, &b, 1);
  await_message(&c, s);
}

static void intake(int port, const char *path, const char *session, size_t elements) {
  Conn c;
  Buf b = {0};
  uint8_t *g = gradient(elements);
  omit_tensors = 1;
  open_connection(&c, port, 1);
  Stream *s = c.streams;
  open_stream(&c, s, path);
  step_request(&b, session, "", NOTHING, 1);
  send_buffer(&c, s, &b, 0);
  await_message(&c, s);
  /* A sink gives no query. */
  if (s->in.n > 5) read_query(s, query);
  s->in.n = 0;
  double from = now();
  send_gradient(&c, s, query, g, elements * 4);
  step_request(&b, session, query, CANCEL, 1);
  send_buffer(&c, s, &b, 1);
  await_message(&c, s);
  times[taken++] = now() - from;
  report(times[0]);
}

typedef struct {
  char session[80], query[80];
  double from;
} Caller;

/*
 * Tell and ask by many callers at once on one connection: a value, or a gradient of so many elements. Phases: the first ask,
 * the count that is timed, the end.
 */
static void messages(int port, const char *path, const char *session, int sessions, int callers, int count, int unary,
                     size_t elements) {
  Conn c;
  Buf b = {0};
  Caller *caller = calloc(callers, sizeof(Caller));
  uint8_t *g = gradient(elements);
  open_connection(&c, port, callers);
  for (int i = 0; i < callers; i++) {
    snprintf(caller[i].session, sizeof caller[i].session, "%s%d", session, i % sessions);
    if (!unary) open_stream(&c, &c.streams[i], path);
  }
  double begun = 0, ended = 0;
  for (int phase = 0; phase < 3; phase++) {
    int begin = phase == 1 ? (count < callers ? count : callers) : callers;
    int left = begin, more = phase == 1 ? count - begin : 0;
    enum Tell tell = phase == 0 ? NOTHING : phase == 1 ? VALUE : CANCEL;
    /* 1 for who is to send, 2 for who waits for an answer. */
    char *turn = calloc(1, callers);
    memset(turn, 1, begin);
    if (phase == 1) begun = now();
    while (left > 0) {
      for (int i = 0; i < callers; i++) {
        Stream *s = &c.streams[i];
        if (turn[i] == 1) {
          turn[i] = 2;
          caller[i].from = now();
          if (unary) open_stream(&c, s, path);
          if (tell == VALUE && elements > 0) {
            send_inline(&c, s, caller[i].session, caller[i].query, g, elements * 4);
          } else {
            step_request(&b, caller[i].session, caller[i].query, tell, !unary);
            send_buffer(&c, s, &b, unary || tell == CANCEL);
          }
        }
        if (turn[i] == 0) continue;
        if (s->ended && !complete(s)) die("a call ended without an answer: the server refused it");
        if (!complete(s) || (unary && !s->ended)) continue;
        if (phase < 2 && s->in.n < elements * 4) die("an answer without the parameters");
        if (phase == 1) times[taken++] = now() - caller[i].from;
        if (phase < 2) read_query(s, caller[i].query);
        s->in.n = 0;
        if (more > 0) more--, turn[i] = 1;
        else left--, turn[i] = 0;
      }
      int waiting = 0;
      for (int i = 0; i < callers; i++) waiting |= turn[i] == 1;
      if (left > 0 && !waiting) receive(&c);
    }
    free(turn);
    if (phase == 1) ended = now();
  }
  report(ended - begun);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  if (strcmp(mode, "echo-server") == 0) echo_server();
  int given = argc - 2;
  char **a = argv + 2;
  int count = given > 0 ? atoi(a[given - 1]) : 0;
  times = calloc(count + 1, sizeof(double));
  if (strcmp(mode, "echo") == 0 && given == 4) echo(atoi(a[0]), atoll(a[1]), atoll(a[2]), count);
  else if (strcmp(mode, "step") == 0 && given == 6) step(atoi(a[0]), a[1], a[2], a[3], atoll(a[4]), count);
  else if (strcmp(mode, "steps") == 0 && given == 6)
    messages(atoi(a[0]), a[1], a[2], atoi(a[3]), atoi(a[3]), count, 0, atoll(a[4]));
  else if (strcmp(mode, "shared") == 0 && given == 8)
    shared(atoi(a[0]), a[1], a[2], atoll(a[3]), a[4], a[5], atoll(a[6]), count);
  else if (strcmp(mode, "intake") == 0 && given == 4) intake(atoi(a[0]), a[1], a[2], atoll(a[3]));
  else if ((strcmp(mode, "unary") == 0 || strcmp(mode, "stream") == 0) && given == 6)
    messages(atoi(a[0]), a[1], a[2], atoi(a[3]), atoi(a[4]), count, mode[0] == 'u', 0);
  else die("see the head of load.c");
  return 0;
}
