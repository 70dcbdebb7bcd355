/* An allocator for LD_PRELOAD that ends each allocation at a page without access.
 *
 * glibc allocates until guard_start is called. After that, each allocation has pages of its own,
 * and the pages of freed ones are not used again. Compiled code that reads or writes beyond the end
 * of an allocation, or in a freed one, ends the process with SIGSEGV. An allocation ends at a
 * multiple of 16 bytes, as malloc promises: up to 15 bytes beyond its end can be read, and what is
 * written there ends the process with SIGABRT when the allocation is freed.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

#define PAGE 4096UL
#define ALIGN 16UL
#define ARENA (1UL << 38)
#define MAX_BYTES (1UL << 32)
#define MAX_FILLED (1UL << 24)
#define MAX_LIVE 24000L /* Linux allows a process 65,530 mappings. Each takes two. */
#define AFTER 0xC3       /* value of the bytes between the end and the multiple of 16 */
#define NONE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static char *arena;
static size_t *sizes; /* by the number of the page of the pointer */
static size_t used, bytes;
static long live;
static int fill;

int guard_start(int byte) {
    fill = byte;
    sizes = mmap(NULL, ARENA / PAGE * sizeof *sizes, PROT_READ | PROT_WRITE, NONE, -1, 0);
    char *place = mmap(NULL, ARENA, PROT_NONE, NONE, -1, 0);
    if (sizes == MAP_FAILED || place == MAP_FAILED) return -1;
    arena = place;
    return 0;
}

static int is_ours(void *p) { return arena && (char *)p >= arena && (char *)p < arena + ARENA; }
static size_t *size_of(void *p) { return &sizes[((char *)p - arena) / PAGE]; }
static size_t rounded(size_t size, size_t to) { return (size + to - 1) / to * to; }

static void *allocate(size_t size, size_t align, int zero) {
    if (align < ALIGN) align = ALIGN;
    if (size >= MAX_BYTES || __atomic_load_n(&bytes, __ATOMIC_RELAXED) + size >= MAX_BYTES) {
        errno = ENOMEM;
        return NULL;
    }
    size_t held = rounded(size ? size : 1, align), span = rounded(held, PAGE);
    if (align > PAGE || __atomic_load_n(&live, __ATOMIC_RELAXED) >= MAX_LIVE) goto glibc;
    size_t at = __atomic_fetch_add(&used, span + PAGE, __ATOMIC_RELAXED);
    if (at + span + PAGE > ARENA || mprotect(arena + at, span, PROT_READ | PROT_WRITE)) goto glibc;
    char *p = arena + at + span - held;
    *size_of(p) = size;
    __atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&bytes, size, __ATOMIC_RELAXED);
    if (!zero && size <= MAX_FILLED) memset(p, fill, size);
    memset(p + size, AFTER, held - size);
    return p;
glibc:
    return zero ? __libc_calloc(1, size) : __libc_memalign(align, size);
}

void *malloc(size_t size) { return arena ? allocate(size, ALIGN, 0) : __libc_malloc(size); }

void *calloc(size_t count, size_t size) {
    size_t all;
    if (!arena || __builtin_mul_overflow(count, size, &all)) return __libc_calloc(count, size);
    return allocate(all, ALIGN, 1);
}

void free(void *p) {
    if (!is_ours(p)) {
        __libc_free(p);
        return;
    }
    int before = errno;
    size_t size = *size_of(p);
    char *start = (char *)((uintptr_t)p & ~(PAGE - 1)), *end = (char *)p + size;
    char *last = arena + rounded((size_t)(end - arena) + !size, PAGE);
    for (char *at = end; at < last; at++)
        if (*at != (char)AFTER) {
            abort();
        }
    /* A new mapping has no history, so that the kernel joins it with those beside it. */
    mmap(start, (size_t)(last - start), PROT_NONE, NONE | MAP_FIXED, -1, 0);
    __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&bytes, size, __ATOMIC_RELAXED);
    errno = before;
}

void *realloc(void *p, size_t size) {
    if (!arena || (p && !is_ours(p))) return __libc_realloc(p, size);
    void *made = allocate(size, ALIGN, 0);
    if (!made || !p) return made;
    size_t before = *size_of(p);
    memcpy(made, p, before < size ? before : size);
    free(p);
    return made;
}

void *memalign(size_t align, size_t size) {
    return arena ? allocate(size, align, 0) : __libc_memalign(align, size);
}

void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }

int posix_memalign(void **place, size_t align, size_t size) {
    void *made = memalign(align, size);
    if (made) *place = made;
    return made ? 0 : ENOMEM;
}

size_t malloc_usable_size(void *p) { return is_ours(p) ? *size_of(p) : p ? ((size_t *)p)[-1] & ~7UL : 0; }
