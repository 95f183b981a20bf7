/*
 * yardstick - speed yardstick for a simulator of the Linux page allocator (one zone, one thread).
 *
 * Written from a specification in words (SEMANTICS.md, quoted below as "S 7.2" etc.); contains no kernel code.
 *
 *   yardstick VARIANT TRACE.bin [--repeat N] [--verify OUT.bin] [--general] [--counted] [--unchecked] [--audit]
 *   yardstick gen --pages N --ops M --seed S --mix steady|fallback|random [--cpus K] [--pbo P] [--cma B] [--start PFN] OUT.bin
 *
 * Compile-time parameters: MAXO (largest order, default 10), REC (bytes per page record: 64, 32 or 16),
 * FAST_PBO (the pageblock order that is compiled in as a constant, default 9; others run from a variable).
 *
 * The file includes itself: once per variant (stage 1), and from there once per specialisation (stage 2, "the
 * template"). A specialisation is fixed by T_VAR (variant), T_FAST (1: pageblock order FAST_PBO and no CMA are constants)
 * and T_COUNT (1: with work counters), so no inner loop tests any of the three.
 */
#if !defined(YS_STAGE)
/* ================================================================================================================== */
/* Common part: types, page records, lists                                                                            */
/* ================================================================================================================== */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#ifndef MAXO
#define MAXO 10
#endif
#ifndef REC
#define REC 64
#endif
#ifndef FAST_PBO
#define FAST_PBO 9
#endif
_Static_assert(MAXO >= 9 && MAXO <= 15, "MAXO");
_Static_assert(REC == 64 || REC == 32 || REC == 16, "REC");
_Static_assert(FAST_PBO <= MAXO, "FAST_PBO");

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

enum { V_GREEDY, V_HYGIENE, V_SMALLEST, V_REMEMBERED, V_LATEST, NVAR };
enum { MT_U, MT_M, MT_R, MT_H, MT_C, MT_MAX };
enum { F_NOFRAGMENT = 1, F_HIGHATOMIC = 2, F_CMA = 4, F_OOM = 8, F_NON_BLOCK = 16, F_KSWAPD = 32, F_NOLRU = 128 };
enum { Z_BOOSTED = 1, Z_RECLAIM = 2, Z_BELOW_HIGH = 4 };
enum { P_PREV = 1, P_KEEP = 2 };
enum { MODE_NORMAL, MODE_CMA, MODE_STEAL };
enum { OP_NOP, OP_ALLOC, OP_FREE, OP_BULK, OP_PCP_ALLOC, OP_PCP_FREE, OP_PCP_DRAIN, OP_PCP_DECAY, OP_CHECK, OP_ZONE_CTL,
       OP_UNRESERVE, OP_SET_LRU };
enum { N_LOCK, N_BULK, N_SMALLEST, N_FALLBACK, N_SEARCH, N_AREA, N_HEAD, N_SCAN_BLOCK, N_SCAN_PAGE, N_MOVE_PAGE,
       N_LIST_MOVE, N_LIST_ADD, N_LIST_DEL, N_SPLIT, N_MERGE, N_CLAIM_TRY, N_CLAIM_WHOLE, N_CLAIM_PART, N_STEAL, N_PBSET,
       N_BOOST, N_FLUSH, N_FLUSH_PAGES, NCNT };

#define NORD (MAXO + 1)
#define COSTLY 3
#define SCALE_MAX 5
#define NLISTS 14                       /* lists per CPU: 3 types x orders 0..3, and up to 2 for huge pages */
#define NOPAGE UINT32_MAX
#define INLINE static inline __attribute__((always_inline))
#define unlikely(x) __builtin_expect(!!(x), 0)

static const char *const variant_name[NVAR] = { "greedy", "hygiene", "smallest", "remembered", "latest" };
static const char *const counter_name[NCNT] = {
    "lock", "bulk", "smallest", "fallback", "steal_search", "area", "head", "scan_block", "scan_page", "move_page",
    "list_move", "list_add", "list_del", "split", "merge", "claim_try", "claim_whole", "claim_part", "steal", "pbset",
    "boost", "pcp_flush", "pcp_flush_pages" };
static const u8 preference[3][2] = { { MT_R, MT_M }, { MT_R, MT_U }, { MT_U, MT_M } };        /* S 7 */

/*
 * A page is named by its number relative to zone->base, a multiple of 2^MAXO pages at or below the zone's first page.
 * The record array covers whole blocks of 2^MAXO pages; records outside the zone never look free, so no buddy needs a
 * range test. `bud` is order + 1 for the first page of a free block on a free list, else 0.
 */
#if REC == 16                           /* compact: links are record numbers, list heads are records behind the pages */
typedef struct { u32 next, prev; u8 bud, lru, pad[6]; } page;
typedef u32 lref;
#else                                   /* kernel-like: links are pointers, list heads live in the zone */
struct link { struct link *next, *prev; };
typedef struct { u32 flags_unused; u32 lru; struct link link; u32 bud; u8 pad[REC - 28]; } page;
typedef struct link *lref;
#endif
_Static_assert(sizeof(page) == REC, "record size");

typedef struct {
    int count, high, high_min, high_max, batch, alloc_factor, free_count, flags;
#if REC != 16
    struct link list[NLISTS];
#endif
} pcp;

typedef struct zone {
    page *map;
    u8 *type;                           /* per pageblock, from base */
    u32 start, end;                     /* relative to base */
    int pbo, ncpu;
    bool cma, mobility_off;
#if REC == 16
    u32 heads;                          /* number of the first list-head record */
#else
    struct link free_list[NORD][MT_MAX], batch_list;
#endif
    i64 area[NORD];                     /* free blocks per order */
    i64 nr_free, nr_free_cma, nr_free_high, nr_reserved_high;
    i64 wm_min, wm_low, wm_high, wm_promo, boost;
    int flags;
    u64 cnt[NCNT];
    pcp *pcps;
    /* rarely used */
    i64 managed, base, min_free_kbytes, boost_factor, scale_factor, fraction, wakeups;
    int keep;
    i64 cma_blocks, nreserved;
    const i64 *reserved;                /* absolute start, end pairs */
    size_t nrec, ntype;
} zone;

typedef struct { i32 code, a, b, c; } op;
typedef struct { u32 page, order; } slot;

#if REC == 16
#define FREE_LIST(z, o, t) ((z)->heads + (o) * MT_MAX + (t))
#define BATCH_LIST(z) ((z)->heads + NORD * MT_MAX)
#define PCP_LIST(z, c, i) ((z)->heads + NORD * MT_MAX + 1 + (c) * NLISTS + (i))
#define NHEADS(ncpu) (NORD * MT_MAX + 1 + (ncpu) * NLISTS)
INLINE void l_init(zone *z, lref l) { z->map[l].next = z->map[l].prev = l; }
INLINE bool l_empty(const zone *z, lref l) { return z->map[l].next == l; }
INLINE u32 l_first(const zone *z, lref l) { u32 p = z->map[l].next; return p == l ? NOPAGE : p; }
INLINE u32 l_last(const zone *z, lref l) { u32 p = z->map[l].prev; return p == l ? NOPAGE : p; }
INLINE u32 l_next(const zone *z, lref l, u32 p) { p = z->map[p].next; return p == l ? NOPAGE : p; }
INLINE void l_between(zone *z, u32 p, u32 before, u32 after) {
    z->map[p].prev = before; z->map[p].next = after; z->map[before].next = p; z->map[after].prev = p;
}
INLINE void l_head(zone *z, lref l, u32 p) { l_between(z, p, l, z->map[l].next); }
INLINE void l_tail(zone *z, lref l, u32 p) { l_between(z, p, z->map[l].prev, l); }
INLINE void l_del(zone *z, u32 p) {
    u32 a = z->map[p].prev, b = z->map[p].next;
    z->map[a].next = b; z->map[b].prev = a;
}
#else
#define FREE_LIST(z, o, t) (&(z)->free_list[o][t])
#define BATCH_LIST(z) (&(z)->batch_list)
#define PCP_LIST(z, c, i) (&(z)->pcps[c].list[i])
#define NHEADS(ncpu) 0
INLINE u32 l_page(const zone *z, struct link *x) { return (u32)((page *)((char *)x - offsetof(page, link)) - z->map); }
INLINE void l_init(zone *z, lref l) { (void)z; l->next = l->prev = l; }
INLINE bool l_empty(const zone *z, lref l) { (void)z; return l->next == l; }
INLINE u32 l_first(const zone *z, lref l) { return l->next == l ? NOPAGE : l_page(z, l->next); }
INLINE u32 l_last(const zone *z, lref l) { return l->prev == l ? NOPAGE : l_page(z, l->prev); }
INLINE u32 l_next(const zone *z, lref l, u32 p) {
    struct link *x = z->map[p].link.next;
    return x == l ? NOPAGE : l_page(z, x);
}
INLINE void l_between(struct link *x, struct link *before, struct link *after) {
    x->prev = before; x->next = after; before->next = x; after->prev = x;
}
INLINE void l_head(zone *z, lref l, u32 p) { l_between(&z->map[p].link, l, l->next); }
INLINE void l_tail(zone *z, lref l, u32 p) { l_between(&z->map[p].link, l->prev, l); }
INLINE void l_del(zone *z, u32 p) {
    struct link *a = z->map[p].link.prev, *b = z->map[p].link.next;
    a->next = b; b->prev = a;
}
#endif

INLINE int imin(int a, int b) { return a < b ? a : b; }
INLINE int imax(int a, int b) { return a > b ? a : b; }
INLINE i64 lmin(i64 a, i64 b) { return a < b ? a : b; }
INLINE i64 lmax(i64 a, i64 b) { return a > b ? a : b; }
INLINE int iclamp(int v, int lo, int hi) { return imin(imax(v, lo), hi); }          /* the upper bound wins */
INLINE void set_lru(zone *z, u32 p, int o, int on) { for (u32 i = 0; i < 1u << o; i++) z->map[p + i].lru = on; }

static void die(const char *msg, const char *arg) {
    fprintf(stderr, "yardstick: %s%s%s\n", msg, arg ? ": " : "", arg ? arg : "");
    exit(2);
}

static void *big_alloc(size_t bytes) {  /* anonymous memory, in huge pages where possible (as the kernel maps its page array) */
    size_t len = (bytes + (2u << 20) - 1) & ~(size_t)((2u << 20) - 1);
    char *p = mmap(NULL, len + (2u << 20), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) die("out of memory", strerror(errno));
    p = (char *)(((uintptr_t)p + (2u << 20) - 1) & ~(uintptr_t)((2u << 20) - 1));
    madvise(p, len, MADV_HUGEPAGE);
    return p;
}

/* ---- watermarks and pcp sizes: only at boot ---------------------------------------------------------------------- */
static i64 isqrt(i64 v) {
    i64 r = 0;
    for (i64 b = (i64)1 << 31; b; b >>= 1) if ((r + b) * (r + b) <= v) r += b;
    return r;
}

static void watermarks(zone *z, i64 configured) {                                     /* S 10 */
    i64 m = z->managed, s = z->scale_factor;
    z->min_free_kbytes = configured ? configured : lmin(lmax(isqrt(m * 4 * 16), 128), 262144);
    i64 min = z->min_free_kbytes / 4;
    i64 step = lmax(min / 4, (m / 10000) * s + ((m % 10000) * s) / 10000);
    z->wm_min = min; z->wm_low = min + step; z->wm_high = min + 2 * step; z->wm_promo = min + 3 * step; z->boost = 0;
}

static int pow2floor(int v) { int r = 1; while (2 * r <= v) r *= 2; return r; }

static void pcp_sizes(zone *z, bool latest) {                                         /* S 9.1 */
    int b;
    if (latest) {
        b = (int)lmin(z->managed >> 12, 64);
        b = b <= 1 ? 1 : pow2floor(b + b / 2) - 1;
    } else {
        b = imax((int)(lmin(z->managed >> 10, 256) / 4), 1);
        b = imax(1, pow2floor(b + b / 2) - 1);
    }
    for (int c = 0; c < z->ncpu; c++) {
        pcp *q = &z->pcps[c];
        q->batch = b;
        q->high_min = imax((int)((z->wm_low + z->boost) / z->ncpu), 4 * b);
        q->high_max = imax((int)(z->managed / 8 / z->ncpu), 4 * b);
        if (z->fraction > 0) q->high_min = q->high_max = imax((int)(z->managed / z->fraction / z->ncpu), 4 * b);
    }
}

/* ---- hashes and snapshots (S 16) --------------------------------------------------------------------------------- */
#define FNV_START 0xcbf29ce484222325u
INLINE u64 mix(u64 h, u64 w) { return (h ^ w) * 0x100000001b3u; }

static u64 hash_lists(const zone *z, u32 *counts) {
    u64 h = FNV_START;
    for (int o = 0; o <= MAXO; o++)
        for (int t = 0; t < (z->cma ? 5 : 4); t++) {
            u32 n = 0;
            lref l = FREE_LIST((zone *)z, o, t);
            h = mix(h, 256 * o + t);
            for (u32 p = l_first(z, l); p != NOPAGE; p = l_next(z, l, p), n++) h = mix(h, (u64)z->base + p);
            h = mix(h, n);
            if (counts) *counts++ = n;
        }
    return h;
}

static u64 hash_types(const zone *z) {
    u64 h = FNV_START;
    for (u32 b = z->start >> z->pbo; b <= (z->end - 1) >> z->pbo; b++) h = mix(h, z->type[b]);
    return h;
}

static u64 hash_pcp(const zone *z, int variant) {
    u64 h = FNV_START;
    for (int c = 0; c < z->ncpu; c++) {
        const pcp *q = &z->pcps[c];
        h = mix(h, q->count); h = mix(h, q->high); h = mix(h, q->alloc_factor); h = mix(h, q->free_count); h = mix(h, q->flags);
        for (int i = 0; i < (variant == V_GREEDY ? 13 : 14); i++) {
            u32 n = 0;
            lref l = PCP_LIST((zone *)z, c, i);
            h = mix(h, i);
            for (u32 p = l_first(z, l); p != NOPAGE; p = l_next(z, l, p), n++) h = mix(h, (u64)z->base + p);
            h = mix(h, n);
        }
    }
    return h;
}

typedef struct { u8 *p; size_t len, cap; } buf;
static void put(buf *b, const void *src, size_t n) {
    if (b->len + n > b->cap) {
        b->cap = (b->len + n) * 2 + 4096;
        if (!(b->p = realloc(b->p, b->cap))) die("out of memory", NULL);
    }
    memcpy(b->p + b->len, src, n);
    b->len += n;
}

/*
 * Independent consistency check (--audit): free lists, marks, per-order and total counts agree; every managed page is in
 * exactly one free block, pcp list or slot; no two free buddies below pageblock order are left unmerged. (List and
 * pageblock type agree in `latest` only: the others retype one pageblock of a merged buddy, which may span several.)
 */
static const char *audit(const zone *zc, int variant, const slot *slots, size_t nslots) {
    zone *z = (zone *)zc;
    i64 nfree = 0, by_type[MT_MAX] = { 0 }, used = 0;
    u8 *seen = calloc(z->end, 1);
    const char *bad = NULL;
#define FAIL(what) do { bad = what; goto out; } while (0)
#define MARK(p, n) do { if ((p) < z->start || (p) + (n) > z->end) FAIL("block outside the zone"); \
        for (u32 i_ = 0; i_ < (n); i_++) if (seen[(p) + i_]++) FAIL("page in two places"); } while (0)
    for (int o = 0; o <= MAXO; o++) {
        i64 blocks = 0;
        for (int t = 0; t < MT_MAX; t++) {
            lref l = FREE_LIST(z, o, t);
            for (u32 p = l_first(z, l); p != NOPAGE; p = l_next(z, l, p), blocks++) {
                if (p & ((1u << o) - 1) || z->map[p].bud != (u32)o + 1) FAIL("free block badly aligned or marked");
                if ((variant == V_LATEST || (variant != V_GREEDY && z->pbo >= MAXO - 1)) && z->type[p >> z->pbo] != t) FAIL("free block on a list of another type");
                if (o < z->pbo && o < MAXO && z->map[p ^ (1u << o)].bud == (u32)o + 1) FAIL("unmerged buddies");
                MARK(p, 1u << o);
                for (u32 i = 0; i < 1u << o; i++) if ((i && z->map[p + i].bud) || z->map[p + i].lru) FAIL("mark inside a free block");
                nfree += (i64)1 << o; by_type[t] += (i64)1 << o;
            }
        }
        if (blocks != z->area[o]) FAIL("block count of an order");
    }
    if (nfree != z->nr_free || (z->cma && by_type[MT_C] != z->nr_free_cma)) FAIL("nr_free");
    if (variant != V_GREEDY && by_type[MT_H] != z->nr_free_high) FAIL("nr_free_high");
    for (int c = 0; c < z->ncpu; c++) {
        i64 count = 0;
        for (int i = 0; i < NLISTS; i++) {
            int o = i < 12 ? i / 3 : variant == V_GREEDY ? z->pbo : 9;
            lref l = PCP_LIST(z, c, i);
            for (u32 p = l_first(z, l); p != NOPAGE; p = l_next(z, l, p)) {
                if (z->map[p].bud || z->map[p].lru) FAIL("mark on a per-CPU page");
                MARK(p, 1u << o);
                count += (i64)1 << o;
            }
        }
        if (count != z->pcps[c].count) FAIL("pcp count");
        used += count;
    }
    for (size_t i = 0; i < nslots; i++) {
        if (slots[i].page == NOPAGE) continue;
        if (z->map[slots[i].page].bud) FAIL("slot holds a free block");
        MARK(slots[i].page, 1u << slots[i].order);
        used += (i64)1 << slots[i].order;
    }
    if (nfree + used != z->managed) FAIL("pages lost");
out:
    free(seen);
    return bad;
}

/* What the recording replay keeps: always the result hash and the block count, the arrays of GOLDEN.md on request. */
typedef struct {
    bool store, audit;
    int variant;
    size_t nslots;
    u64 hash, blocks;                   /* blocks: blocks handed out plus blocks given back */
    u64 nres, nbulk, nchk;
    buf res, scan, bulk, hashes, zones, counters, types, counts;
} record;

static void rec_result(record *r, i64 v, u64 scanned) {
    r->hash = mix(r->hash, (u64)v);
    if (!r->store) return;
    i32 w = (i32)v; u32 s = (u32)scanned;
    put(&r->res, &w, 4); put(&r->scan, &s, 4); r->nres++;
}

static void rec_check(record *r, const zone *z, const slot *slots) {
    const char *bad = r->audit ? audit(z, r->variant, slots, r->nslots) : NULL;
    if (bad) die("audit", bad);
    if (!r->store) return;
    u32 counts[NORD * MT_MAX];
    u64 h[3] = { hash_lists(z, counts), hash_types(z), hash_pcp(z, r->variant) };
    i64 s[13] = { z->wm_min, z->wm_low, z->wm_high, z->wm_promo, z->boost, z->nr_reserved_high, z->nr_free_high, z->nr_free,
                  z->nr_free_cma, z->managed, z->flags, z->wakeups, z->min_free_kbytes };
    u32 first = z->start >> z->pbo, last = (z->end - 1) >> z->pbo;
    put(&r->hashes, h, sizeof h); put(&r->zones, s, sizeof s); put(&r->counters, z->cnt, sizeof z->cnt);
    put(&r->types, z->type + first, last - first + 1);
    put(&r->counts, counts, sizeof(u32) * NORD * (z->cma ? 5 : 4));
    r->nchk++;
}

/* One specialisation. `rec` exists only where counters do. */
typedef struct {
    void (*boot)(zone *z, i64 min_free_kbytes);
    void (*run)(zone *z, const op *ops, size_t n, slot *slots);
    void (*rec)(zone *z, const op *ops, size_t n, slot *slots, record *r);
} impl;

#define YS_STAGE 1
#define T_VAR 0
#include "yardstick.c"
#define T_VAR 1
#include "yardstick.c"
#define T_VAR 2
#include "yardstick.c"
#define T_VAR 3
#include "yardstick.c"
#define T_VAR 4
#include "yardstick.c"

/* ================================================================================================================== */
/* Driver: trace files, timing                                                                                        */
/* ================================================================================================================== */
#define IMPL(v, f) { { boot_##v##_##f##_0, run_##v##_##f##_0, NULL }, \
                     { boot_##v##_##f##_1, run_##v##_##f##_1, rec_##v##_##f##_1 } }
#define IMPLS(v) { IMPL(v, 0), IMPL(v, 1) }
static const impl impls[NVAR][2][2] = { IMPLS(0), IMPLS(1), IMPLS(2), IMPLS(3), IMPLS(4) };   /* [variant][fast][counted] */

/*
 * Trace file, little endian:
 *   int64 header[H]:  0 magic, 1 H (a multiple of 8), 2 number of ops, 3 pageblock order, 4 CMA build (0/1),
 *                     5 largest order the trace was made for (0: any), 6 number of set-up ops at the front (timed apart),
 *                     7 length L of cfg, 8..15 zero, 16..16+L cfg as in GOLDEN.md, zeros up to H
 *   int32 ops[number of ops][4]:  code, a, b, c
 */
#define MAGIC 0x314b545359524459        /* the bytes "YDRYSTK1" */
enum { HD_MAGIC, HD_LEN, HD_NOPS, HD_PBO, HD_CMA, HD_MAXO, HD_FILL, HD_NCFG, HD_CFG = 16 };
enum { CF_START, CF_PAGES, CF_NCPU, CF_MFK, CF_BOOST, CF_SCALE, CF_CMA, CF_KEEP, CF_MOBOFF, CF_FRACTION, CF_NSLOTS, CF_NRES, CF_RES };

static void zone_init(zone *z, const i64 *hd) {
    const i64 *cfg = hd + HD_CFG;
    memset(z, 0, sizeof *z);
    z->pbo = (int)hd[HD_PBO]; z->cma = hd[HD_CMA] != 0;
    if (z->pbo < 1 || z->pbo > MAXO) die("pageblock order not supported by this build (see MAXO)", NULL);
    if (hd[HD_MAXO] && hd[HD_MAXO] != MAXO) die("trace was made for another MAXO", NULL);
    i64 big = (i64)1 << MAXO;
    z->base = cfg[CF_START] & -big;
    z->start = (u32)(cfg[CF_START] - z->base);
    z->end = (u32)(z->start + cfg[CF_PAGES]);
    size_t n = (z->end + big - 1) & -big;
    z->ncpu = (int)cfg[CF_NCPU];
    z->boost_factor = cfg[CF_BOOST]; z->scale_factor = cfg[CF_SCALE]; z->cma_blocks = cfg[CF_CMA];
    z->keep = cfg[CF_KEEP] != 0; z->mobility_off = cfg[CF_MOBOFF] != 0; z->fraction = cfg[CF_FRACTION];
    z->nreserved = cfg[CF_NRES]; z->reserved = cfg + CF_RES;
    z->nrec = n + NHEADS(z->ncpu);
    z->ntype = n >> z->pbo;
    z->map = big_alloc(z->nrec * sizeof(page));
    z->type = big_alloc(z->ntype);
    if (posix_memalign((void **)&z->pcps, 64, sizeof(pcp) * z->ncpu)) die("out of memory", NULL);
#if REC == 16
    z->heads = (u32)n;
#endif
}

static void zone_clear(zone *z) {       /* back to the state before boot; touches all memory, so no page faults are timed */
    memset(z->map, 0, z->nrec * sizeof(page));
    memset(z->type, 0, z->ntype);
    memset(z->pcps, 0, sizeof(pcp) * z->ncpu);
    memset(z->area, 0, sizeof z->area);
    z->nr_free = z->nr_free_cma = z->nr_free_high = z->nr_reserved_high = z->managed = z->wakeups = 0;
    z->wm_min = z->wm_low = z->wm_high = z->wm_promo = z->boost = 0;
    z->flags = 0;
    for (int o = 0; o <= MAXO; o++) for (int t = 0; t < MT_MAX; t++) l_init(z, FREE_LIST(z, o, t));
    l_init(z, BATCH_LIST(z));
    for (int c = 0; c < z->ncpu; c++) for (int i = 0; i < NLISTS; i++) l_init(z, PCP_LIST(z, c, i));
}

static void slots_clear(slot *s, size_t n) { memset(s, 0xff, n * sizeof *s); }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);            /* other processes on the machine do not count */
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int cmp_double(const void *a, const void *b) { double x = *(double *)a, y = *(double *)b; return (x > y) - (x < y); }
static double minmed(double *v, int n, double *med) {
    qsort(v, n, sizeof *v, cmp_double);
    *med = n & 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
    return v[0];
}

static void check_ops(const op *ops, size_t n, i64 nslots, int ncpu) {    /* so that the replay needs no tests */
    for (size_t i = 0; i < n; i++) {
        const op *q = &ops[i];
        int o = q->a & 255, t = q->a >> 8 & 255;
        bool bad = q->code < 0 || q->code > OP_SET_LRU;
        if (q->code == OP_ALLOC || q->code == OP_BULK || q->code == OP_PCP_ALLOC) bad |= q->a < 0 || o > MAXO || t > MT_R;
        if (q->code == OP_BULK) bad |= q->c < 0 || q->b + (i64)q->c > nslots;
        if (q->code >= OP_ALLOC && q->code <= OP_PCP_FREE && q->code != OP_BULK) bad |= q->b >= nslots;
        if (q->code == OP_SET_LRU) bad |= q->b >= nslots;
        if (q->code >= OP_PCP_ALLOC && q->code <= OP_PCP_DECAY) bad |= q->c < 0 || q->c >= ncpu;
        if (q->code != OP_ZONE_CTL && q->code != OP_UNRESERVE) bad |= q->b < 0;
        if (q->code == OP_ZONE_CTL) bad |= q->a < 0 || q->a > 16;
        if (q->code == OP_UNRESERVE) bad |= q->a < 0 || q->a > MT_R;
        if (bad) { char m[64]; snprintf(m, sizeof m, "%zu", i); die("op not valid", m); }
    }
}

static void write_verify(const char *path, const record *r, const zone *z) {
    FILE *f = fopen(path, "wb");
    if (!f) die("cannot write", path);
    u64 hd[8] = { r->nres, r->nbulk, r->nchk, ((z->end - 1) >> z->pbo) - (z->start >> z->pbo) + 1, NORD, z->cma ? 5 : 4, NCNT, 13 };
    const buf *all[] = { &r->res, &r->scan, &r->bulk, &r->hashes, &r->zones, &r->counters, &r->types, &r->counts };
    fwrite(hd, sizeof hd, 1, f);
    for (int i = 0; i < 8; i++) if (all[i]->len) fwrite(all[i]->p, all[i]->len, 1, f);
    if (fclose(f)) die("cannot write", path);
}

static void print_counters(const char *name, const u64 *v, const u64 *minus) {
    printf(", \"%s\": {", name);
    for (int i = 0; i < NCNT; i++) printf("%s\"%s\": %llu", i ? ", " : "", counter_name[i], (unsigned long long)(v[i] - (minus ? minus[i] : 0)));
    printf("}");
}

static int replay_main(int argc, char **argv) {
    int variant = -1, repeat = 1;
    bool general = false, counted = false, unchecked = false, audited = false;
    const char *path = argv[2], *verify = NULL;
    for (int v = 0; v < NVAR; v++) if (!strcmp(argv[1], variant_name[v])) variant = v;
    if (variant < 0) die("unknown variant", argv[1]);
    for (int i = 3; i < argc; i++) {
        if (!strcmp(argv[i], "--repeat") && i + 1 < argc) repeat = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--verify") && i + 1 < argc) verify = argv[++i];
        else if (!strcmp(argv[i], "--general")) general = true;
        else if (!strcmp(argv[i], "--counted")) counted = true;
        else if (!strcmp(argv[i], "--unchecked")) unchecked = true;
        else if (!strcmp(argv[i], "--audit")) audited = true;
        else die("bad option", argv[i]);
    }
    if (repeat < 0 || (repeat == 0 && unchecked)) die("bad --repeat", NULL);

    FILE *f = fopen(path, "rb");
    if (!f) die("cannot read", path);
    i64 h8[8];
    if (fread(h8, sizeof h8, 1, f) != 1 || h8[HD_MAGIC] != MAGIC || h8[HD_LEN] < 32 || h8[HD_LEN] > 1 << 20) die("not a trace", path);
    size_t hlen = h8[HD_LEN], n = h8[HD_NOPS], fill = h8[HD_FILL];
    i64 *hd = calloc(hlen, 8);
    op *ops = big_alloc(n * sizeof(op) + 1);
    memcpy(hd, h8, sizeof h8);
    if (fread(hd + 8, 8, hlen - 8, f) != hlen - 8 || fread(ops, sizeof(op), n, f) != n || fill > n) die("trace cut off", path);
    fclose(f);
    zone z;
    zone_init(&z, hd);
    const i64 *cfg = hd + HD_CFG;
    check_ops(ops, n, cfg[CF_NSLOTS], z.ncpu);
    slot *slots = big_alloc(cfg[CF_NSLOTS] * sizeof(slot) + 1);
    bool fast = !general && z.pbo == FAST_PBO && !z.cma;
    const impl *timed = &impls[variant][fast][counted], *rec = &impls[variant][fast][1];

    double *tf = calloc(repeat + 1, sizeof(double)), *tr = calloc(repeat + 1, sizeof(double));
    u64 h[3], g[3] = { 0 };
    for (int i = 0; i < repeat; i++) {
        zone_clear(&z); slots_clear(slots, cfg[CF_NSLOTS]);
        timed->boot(&z, cfg[CF_MFK]);
        double a = now();
        timed->run(&z, ops, fill, slots);
        double b = now();
        timed->run(&z, ops + fill, n - fill, slots);
        double c = now();
        tf[i] = b - a; tr[i] = c - b;
    }
    if (repeat) { g[0] = hash_lists(&z, NULL); g[1] = hash_types(&z); g[2] = hash_pcp(&z, variant); }

    record r = { .store = verify != NULL, .audit = audited, .variant = variant, .nslots = cfg[CF_NSLOTS], .hash = FNV_START };
    u64 fill_cnt[NCNT] = { 0 }, fill_blocks = 0;
    memcpy(h, g, sizeof h);
    if (!unchecked) {                   /* the recording replay: counters, results, and a check of the timed one */
        zone_clear(&z); slots_clear(slots, cfg[CF_NSLOTS]);
        rec->boot(&z, cfg[CF_MFK]);
        rec->rec(&z, ops, fill, slots, &r);
        memcpy(fill_cnt, z.cnt, sizeof fill_cnt);
        fill_blocks = r.blocks;
        rec->rec(&z, ops + fill, n - fill, slots, &r);
        h[0] = hash_lists(&z, NULL); h[1] = hash_types(&z); h[2] = hash_pcp(&z, variant);
        if (repeat && memcmp(g, h, sizeof h)) die("internal error: timed and recording replay differ", path);
    }
    if (verify && !unchecked) write_verify(verify, &r, &z);

    size_t nfill = 0, nrun = 0;
    for (size_t i = 0; i < n; i++) if (ops[i].code != OP_NOP && ops[i].code != OP_CHECK) *(i < fill ? &nfill : &nrun) += 1;
    printf("{\"variant\": \"%s\", \"trace\": \"%s\", \"record_bytes\": %d, \"max_order\": %d, \"pageblock_order\": %d, \"cma\": %d, "
           "\"class\": \"%s\", \"counted\": %s, \"pages\": %lld, \"ops\": %zu, \"fill_ops\": %zu, \"repeat\": %d",
           variant_name[variant], path, REC, MAXO, z.pbo, z.cma, fast ? "fast" : "general", counted ? "true" : "false",
           (long long)cfg[CF_PAGES], nrun, nfill, repeat);
    if (repeat) {
        double fmed, rmed, fm = minmed(tf, repeat, &fmed), rm = minmed(tr, repeat, &rmed);
        printf(", \"seconds_min\": %.9f, \"seconds_median\": %.9f, \"ns_per_op\": %.3f, \"ns_per_op_median\": %.3f",
               rm, rmed, nrun ? rm / nrun * 1e9 : 0, nrun ? rmed / nrun * 1e9 : 0);
        if (fill) printf(", \"fill_seconds_min\": %.9f, \"fill_seconds_median\": %.9f", fm, fmed);
        if (r.blocks > fill_blocks) printf(", \"ns_per_block\": %.3f", rm / (r.blocks - fill_blocks) * 1e9);
    }
    printf(", \"hash_free\": \"0x%016llx\", \"hash_types\": \"0x%016llx\", \"hash_pcp\": \"0x%016llx\"",
           (unsigned long long)h[0], (unsigned long long)h[1], (unsigned long long)h[2]);
    printf(", \"nr_free\": %lld, \"managed\": %lld", (long long)z.nr_free, (long long)z.managed);
    if (!unchecked) {
        printf(", \"hash_results\": \"0x%016llx\", \"blocks\": %llu, \"claim_scans\": %llu, \"scan_pages\": %llu", (unsigned long long)r.hash,
               (unsigned long long)(r.blocks - fill_blocks), (unsigned long long)(z.cnt[N_SCAN_BLOCK] - fill_cnt[N_SCAN_BLOCK]),
               (unsigned long long)(z.cnt[N_SCAN_PAGE] - fill_cnt[N_SCAN_PAGE]));
        print_counters("counters", z.cnt, NULL);
        if (fill) print_counters("counters_run", z.cnt, fill_cnt);
    }
    printf("}\n");
    return 0;
}

/* ================================================================================================================== */
/* Generator                                                                                                          */
/* ================================================================================================================== */
/*
 * The generator runs variant `remembered` alongside and steers by its state (share of free pages, failures), so the
 * occupancy is known. Slots: set-up batches take fresh slots one after the other; later batches take groups of 64 slots,
 * reused when all members are free again; single requests reuse single slots. A slot is never requested again without
 * a FREE in between, also when the request failed (it may succeed in another variant).
 */
#define GROUP 64
enum { POOL_YOUNG, POOL_MOVABLE, POOL_OTHER, NPOOL };
typedef struct { u32 *v; size_t n, cap; } vec;
static void vpush(vec *x, u32 v) {
    if (x->n == x->cap && !(x->v = realloc(x->v, (x->cap = x->cap * 2 + 1024) * sizeof(u32)))) die("out of memory", NULL);
    x->v[x->n++] = v;
}

typedef struct {
    zone z;
    const impl *im;
    FILE *f;
    u64 rng[2];
    slot *slots;
    u64 nops, target;
    u32 nslots, maxslots;
    vec single, groups, pool[NPOOL];
    u32 *where;                         /* slot -> index in its pool */
    u8 *pool_of;                        /* slot -> pool + 1, or 0 when not requested */
    u8 *group_live;                     /* group -> 255 singles, else live members */
    bool pcp_ops;
    int cma_flag;
} gen;

static u64 rnd(gen *g) {                /* xorshift128+ */
    u64 a = g->rng[0], b = g->rng[1];
    g->rng[0] = b;
    a ^= a << 23; a ^= a >> 17; a ^= b ^ b >> 26;
    g->rng[1] = a;
    return a + b;
}
static u32 below(gen *g, u64 n) { return (u32)((rnd(g) >> 32) * n >> 32); }
static bool chance(gen *g, double p) { return (rnd(g) >> 11) * 0x1p-53 < p; }
static int pick(gen *g, const int *weight, int n) {
    int sum = 0, i, r;
    for (i = 0; i < n; i++) sum += weight[i];
    for (r = (int)below(g, sum), i = 0; r >= weight[i]; i++) r -= weight[i];
    return i;
}

static void emit(gen *g, int code, i32 a, i32 b, i32 c) {
    op q = { code, a, b, c };
    if (fwrite(&q, sizeof q, 1, g->f) != 1) die("cannot write the trace", NULL);
    g->im->run(&g->z, &q, 1, g->slots);
    g->nops++;
}

static u32 new_slots(gen *g, u32 n) {
    u32 s = g->nslots;
    if ((u64)s + n > g->maxslots) die("generator ran out of slots", NULL);
    g->nslots += n;
    return s;
}

static u32 single_slot(gen *g) {
    if (!g->single.n) {
        u32 s = new_slots(g, GROUP);
        g->group_live[s / GROUP] = 255;
        for (int i = GROUP - 1; i >= 0; i--) vpush(&g->single, s + i);
    }
    return g->single.v[--g->single.n];
}

static void enter(gen *g, u32 s, int pool) {
    g->pool_of[s] = pool + 1;
    g->where[s] = (u32)g->pool[pool].n;
    vpush(&g->pool[pool], s);
}

static void drop(gen *g, u32 s) {
    vec *p = &g->pool[g->pool_of[s] - 1];
    u32 last = p->v[--p->n];
    p->v[g->where[s]] = last;
    g->where[last] = g->where[s];
    g->pool_of[s] = 0;
}

static int random_cpu(gen *g) { return (int)below(g, g->z.ncpu); }
static bool pcp_order(int o) { return o <= COSTLY || o == 9; }

static void gen_free(gen *g, u32 s, int order) {
    drop(g, s);
    if (g->pcp_ops && pcp_order(order)) emit(g, OP_PCP_FREE, 0, s, random_cpu(g));
    else emit(g, OP_FREE, 0, s, 0);
    u8 *live = &g->group_live[s / GROUP];
    if (*live == 255) vpush(&g->single, s);
    else if (--*live == 0) vpush(&g->groups, s / GROUP);
}

static i64 free_pages_now(const gen *g) {
    i64 v = g->z.nr_free;
    for (int c = 0; c < g->z.ncpu; c++) v += g->z.pcps[c].count;
    return v;
}

static u8 *order_of_slot;               /* requested order; the replay forgets it when a request fails */

static u32 gen_alloc(gen *g, int o, int t, int flags, int pool) {
    u32 s = single_slot(g);
    if (t == MT_M) flags |= g->cma_flag;
    order_of_slot[s] = (u8)o;
    if (g->pcp_ops && pcp_order(o)) emit(g, OP_PCP_ALLOC, o + 256 * t + 65536 * flags, s, random_cpu(g));
    else emit(g, OP_ALLOC, o + 256 * t + 65536 * flags, s, 0);
    enter(g, s, pool);
    return s;
}

static bool gen_bulk(gen *g, int o, int t, int flags, u32 n, int pool, bool fresh) {    /* false: not all pages came */
    u32 s;
    if (fresh) s = new_slots(g, n);
    else if (g->groups.n) s = g->groups.v[--g->groups.n] * GROUP;
    else s = new_slots(g, GROUP);
    if (!fresh) g->group_live[s / GROUP] = (u8)n;
    if (t == MT_M) flags |= g->cma_flag;
    emit(g, OP_BULK, o + 256 * t + 65536 * flags, s, n);
    for (u32 i = 0; i < n; i++) { order_of_slot[s + i] = (u8)o; enter(g, s + i, pool); }
    return g->slots[s + n - 1].page != NOPAGE;
}

static void free_random(gen *g, int pool) {
    vec *p = &g->pool[pool];
    if (!p->n) return;
    u32 s = p->v[below(g, p->n)];
    gen_free(g, s, order_of_slot[s]);
}

/* Fill with batches until `share` of the managed pages is in use; `table` gives type, order, length range, weight, flags. */
struct batch { int type, order, lo, hi, weight, flags; };
static void fill_zone(gen *g, const struct batch *table, int n, double share) {
    int weight[16], misses = 0;
    for (int i = 0; i < n; i++) weight[i] = table[i].weight;
    i64 goal = (i64)(g->z.managed * (1 - share));
    while (g->z.nr_free > goal && misses < 100) {
        const struct batch *b = &table[pick(g, weight, n)];
        u32 want = b->lo + below(g, b->hi - b->lo + 1);
        want = (u32)lmax(1, lmin(want, (g->z.nr_free - goal) >> b->order));
        if (!gen_bulk(g, b->order, b->type, b->flags, want, b->type == MT_M ? POOL_MOVABLE : POOL_OTHER, true)) misses++;
    }
}

static void end_fill(gen *g) { g->nslots = (g->nslots + GROUP - 1) / GROUP * GROUP; }   /* set-up slots are reused as singles */

/* Like the caller's side (S 20): a request that finds the zone at its high mark sets BELOW_HIGH. */
static void caller(gen *g) {
    if (!(g->z.flags & Z_BELOW_HIGH) && g->z.nr_free <= g->z.wm_high + g->z.boost) emit(g, OP_ZONE_CTL, 2, 1, 0);
}

/*
 * steady: "processes" take pages in bursts, four at a time, and give all of them back when they end (in set-up every batch is
 * a process), so free memory keeps large blocks; apart from that, short-lived pages, freed at random among the last 1024.
 */
typedef struct { u32 first; i64 left; int type, flags; } process;     /* pages chained by chain[slot] */
enum { ACTIVE = 4 };

static void new_process(gen *g, process *p) {
    static const int types[] = { 18, 70, 12 };
    p->first = NOPAGE;
    p->type = pick(g, types, 3);
    p->flags = F_KSWAPD | (p->type == MT_M && chance(g, 0.05) ? F_NOLRU : 0);
    p->left = (p->type == MT_M ? 16 : 8) << below(g, 7);
    p->left += below(g, p->left);
}

static u64 gen_steady(gen *g) {
    static const struct batch table[] = {
        { MT_M, 0, 63, 504, 55, 0 }, { MT_M, 0, 15, 126, 4, F_NOLRU }, { MT_U, 0, 31, 252, 16, 0 }, { MT_R, 0, 31, 252, 9, 0 },
        { MT_U, 1, 4, 32, 5, 0 }, { MT_R, 2, 2, 16, 4, 0 }, { MT_U, 3, 2, 16, 4, 0 }, { MT_M, 9, 1, 4, 1, 0 } };
    static const int types[] = { 30, 50, 20 },
                     orders[3][10] = { { 720, 120, 80, 60, 8, 4, 3, 3, 2, 0 }, { 950, 10, 20, 15, 1, 1, 0, 0, 0, 3 },
                                       { 850, 70, 50, 30, 0, 0, 0, 0, 0, 0 } };
    u32 *chain = big_alloc((size_t)g->maxslots * 4), dying = NOPAGE;
    process act[ACTIVE];
    vec idle = { 0 };
    i64 m = g->z.managed;
    fill_zone(g, table, sizeof table / sizeof *table, 0.97);
    for (u32 s = 0; s < g->nslots; s++) {                     /* a batch: as long as type and order stay the same, at most 504 */
        u32 first = s;
        chain[s] = NOPAGE;
        while (s + 1 < g->nslots && s + 1 - first < 504 && order_of_slot[s + 1] == order_of_slot[first]
               && g->pool_of[s + 1] == g->pool_of[first]) { s++; chain[s] = s - 1; }
        vpush(&idle, s);
    }
    end_fill(g);
    u64 fill = 0;
    for (int i = 0; i < ACTIVE; i++) new_process(g, &act[i]);
    while (!fill || g->nops < fill + g->target) {
        if (!fill && g->z.nr_free >= m * 7 / 100) { fill = g->nops; g->pcp_ops = true; }     /* end of set-up: some have ended */
        i64 nfree = free_pages_now(g);
        double want_free = nfree < m * 5 / 100 || !fill ? 1 : nfree > m * 9 / 100 ? 0 : nfree < m * 7 / 100 ? 0.52 : 0.48;
        u32 x = below(g, 1 << 16);
        if (fill && x == 0) emit(g, OP_PCP_DRAIN, 0, 0, random_cpu(g));
        else if (fill && x < 17) emit(g, OP_PCP_DECAY, 0, 0, random_cpu(g));
        else if (fill && x < 33 && g->z.boost) emit(g, OP_ZONE_CTL, 16, 0, 0);               /* kswapd is done */
        else if (chance(g, want_free)) {
            if (fill && g->pool[POOL_YOUNG].n && (g->pool[POOL_YOUNG].n > 1024 || chance(g, 0.4))) { free_random(g, POOL_YOUNG); continue; }
            if (dying == NOPAGE) {
                if (!idle.n) { free_random(g, POOL_YOUNG); continue; }
                u32 i = below(g, idle.n);
                dying = idle.v[i];
                idle.v[i] = idle.v[--idle.n];
            }
            u32 s = dying;
            dying = chain[s];
            gen_free(g, s, order_of_slot[s]);
        } else {
            bool brief = chance(g, 0.4);
            process *p = &act[below(g, ACTIVE)];
            int t = brief ? pick(g, types, 3) : p->type, o = pick(g, orders[t], 10);
            caller(g);
            u32 s = gen_alloc(g, o, t, brief ? F_KSWAPD : p->flags, brief ? POOL_YOUNG : t == MT_M ? POOL_MOVABLE : POOL_OTHER);
            if (brief) continue;
            chain[s] = p->first;
            p->first = s;
            if ((p->left -= 1 << o) > 0) continue;
            vpush(&idle, p->first);
            new_process(g, p);
        }
    }
    return fill;
}

static u64 gen_fallback(gen *g) {
    static const struct batch table[] = {
        { MT_M, 0, 63, 504, 85, 0 }, { MT_M, 0, 63, 252, 8, F_NOLRU }, { MT_U, 0, 15, 126, 10, 0 }, { MT_R, 0, 15, 126, 6, 0 },
        { MT_U, 2, 2, 16, 4, 0 } };
    static const int orders_u[] = { 55, 20, 12, 10, 2, 1 }, orders_m[] = { 90, 5, 3, 2 };
    i64 m = g->z.managed;
    fill_zone(g, table, sizeof table / sizeof *table, 0.985);
    while (g->z.nr_free < m * 4 / 100 && g->pool[POOL_MOVABLE].n) free_random(g, POOL_MOVABLE);
    end_fill(g);
    u64 fill = g->nops;
    bool movable = false;                                     /* which side is asking; the other one gives back */
    i64 swing = m * 6 / 100, moved = 0;
    while (g->nops < fill + g->target) {
        i64 nfree = g->z.nr_free;
        int give = movable ? POOL_OTHER : POOL_MOVABLE;
        if (moved > swing || !g->pool[give].n) { movable = !movable; moved = 0; continue; }
        double want_free = nfree < m * 25 / 1000 ? 1 : nfree > m * 5 / 100 ? 0 : nfree < m * 375 / 10000 ? 0.55 : 0.45;
        u32 x = below(g, 1 << 16);
        if (x < 32 && g->z.boost) emit(g, OP_ZONE_CTL, 16, 0, 0);
        else if (chance(g, want_free)) free_random(g, give);
        else {
            int t = movable ? MT_M : chance(g, 0.7) ? MT_U : MT_R, pool = movable ? POOL_MOVABLE : POOL_OTHER;
            if (chance(g, 0.04)) {
                u32 n = 7 + below(g, 25);
                gen_bulk(g, 0, t, F_KSWAPD, n, pool, false);
                moved += n;
            } else {
                int o = movable ? pick(g, orders_m, 4) : pick(g, orders_u, 6);
                gen_alloc(g, o, t, F_KSWAPD, pool);
                moved += 1 << o;
            }
        }
    }
    return fill;
}

/*
 * random: no steering and nothing but ALLOC and FREE. Each operation picks one of the slots, all equally likely, and gives back
 * what it holds or, if it is empty, asks for a block: about half the slots are full, 88 % of the requests are of order 0, and
 * nearly every operation touches memory that no operation before it has touched for long. Set-up fills every slot, then
 * empties half of them.
 */
static void gen_touch(gen *g, u32 s) {
    static const int types[] = { 30, 50, 20 }, orders[] = { 880, 60, 30, 20, 4, 2, 2, 1, 0, 1 };
    if (g->pool_of[s]) {                                      /* also when the request failed: a later FREE does nothing */
        g->pool_of[s] = 0;
        emit(g, OP_FREE, 0, s, 0);
    } else {
        g->pool_of[s] = 1;
        emit(g, OP_ALLOC, pick(g, orders, 10) + 256 * pick(g, types, 3), s, 0);
    }
}

static u64 gen_random(gen *g) {
    u32 n = (u32)(g->z.managed * 3 / 8);                      /* 2.2 pages a block: 80 % in use when all are full, 40 % after */
    new_slots(g, n);
    for (u32 s = 0; s < n; s++) gen_touch(g, s);
    for (u32 s = 0; s < n; s++) if (chance(g, 0.5)) gen_touch(g, s);
    u64 fill = g->nops;
    while (g->nops < fill + g->target) gen_touch(g, below(g, n));
    return fill;
}

static int gen_main(int argc, char **argv) {
    i64 pages = 0, ops = 0, seed = 1, cpus = 0, pbo = 9, cma = 0, start = 0;
    const char *mix_name = "steady", *out = NULL;
    for (int i = 2; i < argc; i++) {
        struct { const char *name; i64 *v; } opt[] = { { "--pages", &pages }, { "--ops", &ops }, { "--seed", &seed }, { "--cpus", &cpus },
            { "--pbo", &pbo }, { "--cma", &cma }, { "--start", &start } };
        bool hit = false;
        for (size_t k = 0; k < sizeof opt / sizeof *opt; k++)
            if (!strcmp(argv[i], opt[k].name) && i + 1 < argc) { *opt[k].v = strtoll(argv[++i], NULL, 0); hit = true; break; }
        if (hit) continue;
        if (!strcmp(argv[i], "--mix") && i + 1 < argc) mix_name = argv[++i];
        else if (argv[i][0] != '-') out = argv[i];
        else die("bad option", argv[i]);
    }
    if (pages < 1024 || pages > (i64)1 << 30 || ops < 1 || !out) die("gen needs --pages (1024..2^30), --ops and a file name", NULL);
    bool random = !strcmp(mix_name, "random"), steady = !strcmp(mix_name, "steady");
    if (!random && !steady && strcmp(mix_name, "fallback")) die("unknown mix", mix_name);
    if (!cpus) cpus = pages <= 1 << 16 ? 2 : pages <= 1 << 20 ? 4 : 8;

    i64 hd[32] = { MAGIC, 32, 0, pbo, cma > 0, MAXO == 10 ? 0 : MAXO, 0, 12 };
    i64 *cfg = hd + HD_CFG;
    cfg[CF_START] = start; cfg[CF_PAGES] = pages; cfg[CF_NCPU] = cpus; cfg[CF_BOOST] = 15000; cfg[CF_SCALE] = 10; cfg[CF_CMA] = cma;
    gen *g = calloc(1, sizeof *g);
    zone_init(&g->z, hd);
    zone_clear(&g->z);
    g->im = &impls[V_REMEMBERED][0][0];
    g->im->boot(&g->z, 0);
    g->cma_flag = cma ? F_CMA : 0;
    g->target = ops;
    g->rng[0] = (u64)seed * 0x9e3779b97f4a7c15u + 1; g->rng[1] = ((u64)seed ^ 0xd1b54a32d192ed03u) * 0xbf58476d1ce4e5b9u + 1;
    for (int i = 0; i < 32; i++) rnd(g);
    g->maxslots = (u32)lmin((i64)UINT32_MAX / 2, pages * 2 + ops * 4 + 4096) / GROUP * GROUP;
    g->slots = big_alloc((size_t)g->maxslots * sizeof(slot));
    slots_clear(g->slots, g->maxslots);
    g->where = big_alloc((size_t)g->maxslots * 4);
    g->pool_of = big_alloc(g->maxslots);
    order_of_slot = big_alloc(g->maxslots);
    g->group_live = big_alloc(g->maxslots / GROUP + 1);
    memset(g->group_live, 255, g->maxslots / GROUP + 1);

    if (!(g->f = fopen(out, "wb")) || fwrite(hd, sizeof hd, 1, g->f) != 1) die("cannot write", out);
    u64 fill = random ? gen_random(g) : steady ? gen_steady(g) : gen_fallback(g);
    emit(g, OP_CHECK, 0, 0, 0);
    hd[HD_NOPS] = (i64)g->nops; hd[HD_FILL] = (i64)fill; cfg[CF_NSLOTS] = g->nslots;
    if (fseek(g->f, 0, SEEK_SET) || fwrite(hd, sizeof hd, 1, g->f) != 1 || fclose(g->f)) die("cannot write", out);
    printf("{\"trace\": \"%s\", \"mix\": \"%s\", \"seed\": %lld, \"pages\": %lld, \"cpus\": %lld, \"ops\": %llu, \"fill_ops\": %llu, \"slots\": %u, "
           "\"in_use\": %.4f}\n", out, mix_name, (long long)seed, (long long)pages, (long long)cpus, (unsigned long long)g->nops,
           (unsigned long long)fill, g->nslots, 1 - (double)free_pages_now(g) / g->z.managed);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "gen")) return gen_main(argc, argv);
    if (argc < 3) {
        fputs("usage: yardstick greedy|hygiene|smallest|remembered|latest TRACE.bin [--repeat N] [--verify OUT.bin] [--general] [--counted] [--unchecked] [--audit]\n"
              "       yardstick gen --pages N --ops M --seed S --mix steady|fallback|random [--cpus K] [--pbo P] [--cma B] [--start PFN] OUT.bin\n", stderr);
        return 2;
    }
    return replay_main(argc, argv);
}

#elif YS_STAGE == 1
/* ================================================================================================================== */
/* Stage 1: the four specialisations of one variant                                                                   */
/* ================================================================================================================== */
#undef YS_STAGE
#define YS_STAGE 2
#define T_FAST 0
#define T_COUNT 0
#include "yardstick.c"
#define T_COUNT 1
#include "yardstick.c"
#undef T_FAST
#define T_FAST 1
#define T_COUNT 0
#include "yardstick.c"
#define T_COUNT 1
#include "yardstick.c"
#undef T_FAST
#undef T_VAR
#undef YS_STAGE
#define YS_STAGE 1

#else
/* ================================================================================================================== */
/* Stage 2, the template: the allocator                                                                               */
/* ================================================================================================================== */
#define JOIN_(n, v, f, c) n##_##v##_##f##_##c
#define JOIN(n, v, f, c) JOIN_(n, v, f, c)
#define FN(n) JOIN(n, T_VAR, T_FAST, T_COUNT)

#define GREEDY (T_VAR == 0)
#define HYGIENE (T_VAR == 1)
#define SMALLEST (T_VAR == 2)
#define LATEST (T_VAR == 4)
#if T_FAST
#define PBO FAST_PBO
#define HAS_CMA 0
#else
#define PBO (z->pbo)
#define HAS_CMA (z->cma)
#endif
#define PBN (1u << PBO)
#define THPO (GREEDY ? PBO : 9)
#define LISTS (GREEDY ? 13 : 14)
#if T_COUNT
#define CNT(what, n) (z->cnt[N_##what] += (u64)(n))
#else
#define CNT(what, n) ((void)0)
#endif

/* ---- primitives (S 2, S 4) ---------------------------------------------------------------------------------------- */
INLINE int FN(ptype)(const zone *z, u32 p) { return z->type[p >> PBO]; }

INLINE void FN(settype)(zone *z, u32 p, int t) {
    if (unlikely(z->mobility_off) && t <= MT_R) t = MT_U;
    z->type[p >> PBO] = (u8)t;
    CNT(PBSET, 1);
}

static void FN(settypes)(zone *z, u32 p, int o, int t) {              /* all pageblocks of a block of order o >= PBO */
    for (u32 q = p; q < p + (1u << o); q += PBN) FN(settype)(z, q, t);
}

INLINE bool FN(in_zone)(const zone *z, u32 p) {                       /* is p's pageblock entirely inside the zone? */
    u32 a = p & -PBN;
    return a >= z->start && a + PBN <= z->end;
}

INLINE void FN(add)(zone *z, u32 p, int o, int t, bool tail) {
    if (tail) l_tail(z, FREE_LIST(z, o, t), p);
    else l_head(z, FREE_LIST(z, o, t), p);
    z->map[p].bud = (u8)(o + 1);
    z->area[o]++;
    CNT(LIST_ADD, 1);
}

INLINE void FN(unlink)(zone *z, u32 p, int o) {
    l_del(z, p);
    z->map[p].bud = 0;
    z->area[o]--;
    CNT(LIST_DEL, 1);
}

INLINE void FN(move)(zone *z, u32 p, int o, int t) {
    l_del(z, p);
    l_tail(z, FREE_LIST(z, o, t), p);
    CNT(LIST_MOVE, 1);
}

INLINE void FN(expand)(zone *z, u32 p, int low, int high, int t) {
    while (high > low) {
        high--;
        FN(add)(z, p + (1u << high), high, t, false);
        CNT(SPLIT, 1);
    }
}

INLINE void FN(account)(zone *z, i64 pages, int t) {
    z->nr_free += pages;
    if (HAS_CMA && t == MT_C) z->nr_free_cma += pages;
    if (!GREEDY && t == MT_H) z->nr_free_high += pages;
}

/* ---- freeing (S 5) ------------------------------------------------------------------------------------------------ */
static void FN(free_one)(zone *z, u32 p, int o, int t, bool to_tail) {
    u32 b = p;
    FN(account)(z, (i64)1 << o, t);
    while (o < MAXO) {
        int bt = t;
        b = p ^ (1u << o);
        if (z->map[b].bud != (u32)o + 1) break;
        if (unlikely(o >= PBO)) {
            bt = FN(ptype)(z, b);
            if (bt != t && (t > MT_R || bt > MT_R)) break;
        }
        FN(unlink)(z, b, o);
        if (unlikely(bt != t)) {
            if (LATEST) FN(settypes)(z, b, o, t);
            else FN(settype)(z, b, t);
        }
        p &= b;
        o++;
        CNT(MERGE, 1);
    }
    bool tail = to_tail;
    if (!tail && o < MAXO - 1) tail = z->map[(p & b) ^ (2u << o)].bud == (u32)o + 2;
    FN(add)(z, p, o, t, tail);
}

static void FN(free_blocks)(zone *z, u32 p, int o, bool to_tail) {
    int c = GREEDY || o < PBO ? o : PBO;                              /* greedy: whole; others: by pageblock */
    u32 q = p, e = p + (1u << o);
    do {
        FN(free_one)(z, q, c, FN(ptype)(z, q), to_tail);
        q += 1u << c;
    } while (q < e);
}

INLINE void FN(free_direct)(zone *z, u32 p, int o) {
    set_lru(z, p, o, 0);
    CNT(LOCK, 1);
    FN(free_blocks)(z, p, o, false);
}

/* ---- native allocation (S 6) -------------------------------------------------------------------------------------- */
static u32 FN(smallest)(zone *z, int o, int t) {
    CNT(SMALLEST, 1);
    for (int k = o; k <= MAXO; k++) {
        u32 p = l_first(z, FREE_LIST(z, k, t));
        CNT(HEAD, 1);
        if (p == NOPAGE) continue;
        FN(unlink)(z, p, k);
        FN(expand)(z, p, o, k, t);
        if (!GREEDY) FN(account)(z, -((i64)1 << o), t);               /* greedy: the caller does it */
        return p;
    }
    return NOPAGE;
}

/* ---- fallback (S 7, S 11) ----------------------------------------------------------------------------------------- */
INLINE bool FN(block_wish)(const zone *z, int k, int t) {
    return k >= PBO / 2 || t == MT_U || t == MT_R || z->mobility_off;
}

INLINE int FN(find)(zone *z, int k, int t) {                          /* the type to take from, or -1; `area` is counted by callers */
    if (!z->area[k]) return -1;
    for (int i = 0; i < 2; i++) {
        int f = preference[t][i];
        CNT(HEAD, 1);
        if (!l_empty(z, FREE_LIST(z, k, f))) return f;
    }
    return -1;
}

static void FN(boost)(zone *z, int flags) {
    if (!z->boost_factor || 4 * (i64)PBN > z->managed) return;
    i64 mx = (z->wm_high / 10000) * z->boost_factor + ((z->wm_high % 10000) * z->boost_factor) / 10000;
    if (!mx) return;
    z->boost = lmin(z->boost + PBN, lmax(mx, PBN));
    CNT(BOOST, 1);
    if (flags & F_KSWAPD) z->flags |= Z_BOOSTED;
}

/* The half rule: count the pageblock at a (greedy: and move its free blocks to t's lists on the way). */
INLINE bool FN(worth)(zone *z, u32 a, int t, int bt) {
    u32 q = a, e = a + PBN, nfree = 0, movable = 0, steps = 0, alike;
    while (q < e) {
        u32 bud = z->map[q].bud;
        steps++;
        if (bud) {
            if (GREEDY) FN(move)(z, q, bud - 1, t);
            nfree += 1u << (bud - 1);
            q += 1u << (bud - 1);
        } else {
            movable += z->map[q].lru;
            q++;
        }
    }
    CNT(SCAN_BLOCK, 1);
    CNT(SCAN_PAGE, steps);
    (void)steps;
    if (t == MT_M) alike = movable;
    else if (bt == MT_M) alike = PBN - (nfree + movable);
    else alike = 0;
    return nfree + alike >= PBN / 2 || z->mobility_off;
}

static u32 FN(move_all)(zone *z, u32 a, int t) {                      /* second pass: all free blocks of the pageblock to t's tails */
    u32 q = a, e = a + PBN, moved = 0, steps = 0;
    while (q < e) {
        u32 bud = z->map[q].bud, n = 1;
        steps++;
        if (bud) {
            FN(move)(z, q, bud - 1, t);
            n = 1u << (bud - 1);
            moved += n;
        }
        q += n;
    }
    CNT(MOVE_PAGE, steps);
    (void)steps;
    return moved;
}

#if GREEDY

static void FN(steal)(zone *z, u32 p, int k, int t, bool can, int flags) {
    int bt = FN(ptype)(z, p);
    CNT(CLAIM_TRY, 1);
    if (bt == MT_H) goto only_this;
    if (k >= PBO) {
        FN(settypes)(z, p, k, t);
        FN(move)(z, p, k, t);
        CNT(CLAIM_WHOLE, 1);
        return;
    }
    FN(boost)(z, flags);
    if (!can || !FN(in_zone)(z, p)) goto only_this;
    if (FN(worth)(z, p & -PBN, t, bt)) {
        FN(settype)(z, p, t);
        CNT(CLAIM_PART, 1);
    }
    return;
only_this:
    FN(move)(z, p, k, t);
    CNT(STEAL, 1);
}

static bool FN(fallback)(zone *z, int o, int t, int flags) {
    int lo = (flags & F_NOFRAGMENT) && o < PBO ? PBO : o, k, f;
    CNT(FALLBACK, 1);
    for (k = MAXO; k >= lo; k--) {
        CNT(AREA, 1);
        f = FN(find)(z, k, t);
        if (f < 0) continue;
        if (!FN(block_wish)(z, k, t) && t == MT_M && k > o) goto upward;
        goto take;
    }
    return false;
upward:
    CNT(SEARCH, 1);
    for (k = o;; k++) {
        CNT(AREA, 1);
        f = FN(find)(z, k, t);
        if (f >= 0) break;
    }
take:
    CNT(HEAD, 1);
    FN(steal)(z, l_first(z, FREE_LIST(z, k, f)), k, t, FN(block_wish)(z, k, t), flags);
    return true;
}

static u32 FN(rmqueue)(zone *z, int o, int t, int flags, int *mode) {
    u32 p;
    (void)mode;
    if (HAS_CMA && (flags & F_CMA) && z->nr_free_cma > z->nr_free / 2 && (p = FN(smallest)(z, o, MT_C)) != NOPAGE) return p;
    for (;;) {
        if ((p = FN(smallest)(z, o, t)) != NOPAGE) return p;
        if (HAS_CMA && (flags & F_CMA) && (p = FN(smallest)(z, o, MT_C)) != NOPAGE) return p;
        if (!FN(fallback)(z, o, t, flags)) return NOPAGE;
    }
}

#else

INLINE u32 FN(take_one)(zone *z, u32 p, int k, int o, int t) {         /* one block of order o from p, the rest stays with type t */
    FN(unlink)(z, p, k);
    FN(expand)(z, p, o, k, t);
    FN(account)(z, -((i64)1 << o), t);
    CNT(STEAL, 1);
    return p;
}

/* Take over the pageblock(s) of p for t. Hygiene: `can` false or failure end in a single page; others: failure gives none. */
static u32 FN(claim_block)(zone *z, u32 p, int k, int o, int t, int f, bool can, int flags) {
    int bt = LATEST ? f : FN(ptype)(z, p);
    CNT(CLAIM_TRY, 1);
    if (LATEST || bt != MT_H) {
        if (k >= PBO) {
            FN(unlink)(z, p, k);
            FN(settypes)(z, p, k, t);
            FN(expand)(z, p, o, k, t);
            FN(account)(z, -((i64)1 << o), t);
            CNT(CLAIM_WHOLE, 1);
            return p;
        }
        FN(boost)(z, flags);
        if (can && FN(in_zone)(z, p) && FN(worth)(z, p & -PBN, t, bt)) {
            FN(move_all)(z, p & -PBN, t);
            FN(settype)(z, p, t);
            CNT(CLAIM_PART, 1);
            return FN(smallest)(z, o, t);
        }
    }
    return HYGIENE ? FN(take_one)(z, p, k, o, bt) : NOPAGE;
}

#if HYGIENE

static u32 FN(fallback)(zone *z, int o, int t, int flags) {
    int lo = (flags & F_NOFRAGMENT) && o < PBO ? PBO : o, k, f;
    CNT(FALLBACK, 1);
    for (k = MAXO; k >= lo; k--) {
        CNT(AREA, 1);
        f = FN(find)(z, k, t);
        if (f < 0) continue;
        if (!FN(block_wish)(z, k, t) && t == MT_M && k > o) goto upward;
        goto take;
    }
    return NOPAGE;
upward:
    CNT(SEARCH, 1);
    for (k = o;; k++) {
        CNT(AREA, 1);
        f = FN(find)(z, k, t);
        if (f >= 0) break;
    }
take:
    CNT(HEAD, 1);
    return FN(claim_block)(z, l_first(z, FREE_LIST(z, k, f)), k, o, t, f, FN(block_wish)(z, k, t), flags);
}

#else

static u32 FN(claim)(zone *z, int o, int t, int flags) {               /* top-down */
    int lo = (flags & F_NOFRAGMENT) && o < PBO ? PBO : o;
    CNT(FALLBACK, 1);
    for (int k = MAXO; k >= lo; k--) {
        CNT(AREA, 1);
        if (LATEST && !FN(block_wish)(z, k, t)) break;
        int f = FN(find)(z, k, t);
        if (f < 0) continue;
        if (!LATEST && !FN(block_wish)(z, k, t)) break;
        CNT(HEAD, 1);
        u32 p = FN(claim_block)(z, l_first(z, FREE_LIST(z, k, f)), k, o, t, f, true, flags);
        if (p != NOPAGE) return p;
    }
    return NOPAGE;
}

static u32 FN(steal)(zone *z, int o, int t) {                          /* bottom-up */
    CNT(SEARCH, 1);
    for (int k = o; k <= MAXO; k++) {
        CNT(AREA, 1);
        int f = FN(find)(z, k, t);
        if (f < 0) continue;
        CNT(HEAD, 1);
        return FN(take_one)(z, l_first(z, FREE_LIST(z, k, f)), k, o, f);
    }
    return NOPAGE;
}

#endif

static u32 FN(rmqueue)(zone *z, int o, int t, int flags, int *mode) {
    u32 p;
    if (HAS_CMA && (flags & F_CMA) && z->nr_free_cma > z->nr_free / 2 && (p = FN(smallest)(z, o, MT_C)) != NOPAGE) return p;
#if HYGIENE || SMALLEST
    (void)mode;
    if ((p = FN(smallest)(z, o, t)) != NOPAGE) return p;
    if (HAS_CMA && (flags & F_CMA) && (p = FN(smallest)(z, o, MT_C)) != NOPAGE) return p;
#if HYGIENE
    return FN(fallback)(z, o, t, flags);
#else
    if ((p = FN(claim)(z, o, t, flags)) != NOPAGE) return p;
    return flags & F_NOFRAGMENT ? NOPAGE : FN(steal)(z, o, t);
#endif
#else
    if (*mode == MODE_NORMAL && (p = FN(smallest)(z, o, t)) != NOPAGE) return p;
    if (*mode != MODE_STEAL) {
        if (HAS_CMA && (flags & F_CMA) && (p = FN(smallest)(z, o, MT_C)) != NOPAGE) { *mode = MODE_CMA; return p; }
        if ((p = FN(claim)(z, o, t, flags)) != NOPAGE) { *mode = MODE_NORMAL; return p; }
    }
    if (!(flags & F_NOFRAGMENT) && (p = FN(steal)(z, o, t)) != NOPAGE) { *mode = MODE_STEAL; return p; }
    return NOPAGE;
#endif
}

#endif

/* ---- batches (S 8), HIGHATOMIC (S 12), single allocations (S 15) ------------------------------------------------------ */
static int FN(bulk)(zone *z, int o, int count, int t, int flags, lref list) {
    int got, mode = MODE_NORMAL;
    CNT(BULK, 1);
    CNT(LOCK, 1);
    for (got = 0; got < count; got++) {
        u32 p = FN(rmqueue)(z, o, t, flags, &mode);
        if (unlikely(p == NOPAGE)) break;
        l_tail(z, list, p);
        if (GREEDY && HAS_CMA && FN(ptype)(z, p) == MT_C) z->nr_free_cma -= (i64)1 << o;
    }
    if (GREEDY) z->nr_free -= (i64)got << o;
    return got;
}

static void FN(reserve)(zone *z, u32 p, int o) {
    i64 mx = z->managed / 100;
    if (mx < PBN) return;
    mx = (mx + PBN - 1) & -(i64)PBN;
    if (z->nr_reserved_high >= mx) return;
    CNT(LOCK, 1);
    int t = FN(ptype)(z, p);
    if (t > MT_R) return;
    if (GREEDY) {
        z->nr_reserved_high += PBN;
        FN(settype)(z, p, MT_H);
        if (FN(in_zone)(z, p)) FN(move_all)(z, p & -PBN, MT_H);
    } else if (o < PBO) {
        if (!FN(in_zone)(z, p)) return;
        z->nr_free_high += FN(move_all)(z, p & -PBN, MT_H);
        FN(settype)(z, p, MT_H);
        z->nr_reserved_high += PBN;
    } else {
        FN(settypes)(z, p, o, MT_H);
        z->nr_reserved_high += (i64)1 << o;
    }
}

static int FN(unreserve)(zone *z, int t, int force) {
    if (!force && z->nr_reserved_high <= PBN) return 0;
    CNT(LOCK, 1);
    for (int o = 0; o <= MAXO; o++) {
        u32 p = l_first(z, FREE_LIST(z, o, MT_H));
        CNT(HEAD, 1);
        if (p == NOPAGE) continue;
        i64 pages = PBN;
        if (!GREEDY) pages = lmax(pages, (i64)1 << o);
        if (LATEST || FN(ptype)(z, p) == MT_H) z->nr_reserved_high -= lmin(pages, z->nr_reserved_high);
        if (GREEDY) {
            FN(settype)(z, p, t);
            if (FN(in_zone)(z, p) && FN(move_all)(z, p & -PBN, t)) return 1;
        } else if (o < PBO) {
            z->nr_free_high -= FN(move_all)(z, p & -PBN, t);
            FN(settype)(z, p, t);
            return 1;
        } else {
            FN(move)(z, p, o, t);
            z->nr_free_high -= (i64)1 << o;
            FN(settypes)(z, p, o, t);
            return 1;
        }
    }
    return 0;
}

static u32 FN(buddy_alloc)(zone *z, int o, int t, int flags) {
    int mode = MODE_NORMAL;
    u32 p = NOPAGE;
    CNT(LOCK, 1);
    if (flags & F_HIGHATOMIC) p = FN(smallest)(z, o, MT_H);
    if (p == NOPAGE) p = FN(rmqueue)(z, o, t, flags, &mode);
    if (p == NOPAGE && (flags & (GREEDY ? F_OOM : F_OOM | F_NON_BLOCK))) p = FN(smallest)(z, o, MT_H);
    if (p == NOPAGE) return p;
    if (GREEDY) FN(account)(z, -((i64)1 << o), FN(ptype)(z, p));
    if (LATEST && (flags & F_HIGHATOMIC)) FN(reserve)(z, p, o);
    return p;
}

/* ---- per-CPU lists (S 9) ------------------------------------------------------------------------------------------- */
INLINE bool FN(pcp_allowed)(const zone *z, int o) { (void)z; return o <= COSTLY || o == THPO; }
INLINE int FN(list_no)(int o, int t) { return o <= COSTLY ? 3 * o + t : GREEDY ? 12 : 12 + (t == MT_M); }
INLINE int FN(order_no)(const zone *z, int i) { (void)z; return i < 12 ? i / 3 : THPO; }

static void FN(flush)(zone *z, int cpu, int k, int index) {
    pcp *q = &z->pcps[cpu];
    int i = index - 1;
    CNT(LOCK, 1);
    CNT(FLUSH, 1);
    k = imin(q->count, k);
    while (k > 0) {
        lref l;
        u32 p;
        do {
            if (++i > LISTS - 1) i = 0;
            l = PCP_LIST(z, cpu, i);
        } while ((p = l_last(z, l)) == NOPAGE);
        int o = FN(order_no)(z, i);
        do {
            l_del(z, p);
            k -= 1 << o;
            q->count -= 1 << o;
            CNT(FLUSH_PAGES, 1 << o);
            FN(free_one)(z, p, o, FN(ptype)(z, p), false);
        } while (k > 0 && (p = l_last(z, l)) != NOPAGE);
    }
}

static int FN(refill_size)(zone *z, pcp *q, int o) {
    int h = q->high = iclamp(q->high, q->high_min, q->high_max), b;
    if (h < q->batch) return 1;
    b = o > 0 ? q->batch : q->batch << q->alloc_factor;
    if (q->high_min != q->high_max && !(z->flags & Z_BELOW_HIGH)) h = q->high = imin(h + b, q->high_max);
    if (o == 0) {
        int m = imax(h - q->count - q->batch, q->batch);
        if (b <= m && q->alloc_factor < SCALE_MAX) q->alloc_factor++;
        b = imin(b, m);
    }
    return b > 1 ? imax(b >> o, 2) : b;
}

INLINE void FN(wake)(zone *z, int flags) {
    if ((flags & F_KSWAPD) && unlikely(z->flags & Z_BOOSTED)) {
        z->flags &= ~Z_BOOSTED;
        z->wakeups++;
    }
}

static u32 FN(pcp_alloc)(zone *z, int cpu, int o, int t, int flags) {
    u32 p;
    if (!FN(pcp_allowed)(z, o)) return FN(buddy_alloc)(z, o, t, flags);   /* to the letter: without the BOOSTED test at the end */
    pcp *q = &z->pcps[cpu];
    lref l = PCP_LIST(z, cpu, FN(list_no)(o, t));
    q->free_count >>= 1;
    p = l_first(z, l);
    if (p == NOPAGE) {
        int n = FN(refill_size)(z, q, o);
        if (!(LATEST && (flags & F_HIGHATOMIC))) {
            q->count += FN(bulk)(z, o, n, t, flags, l) << o;
            p = l_first(z, l);
        }
    }
    if (p != NOPAGE) {
        l_del(z, p);
        q->count -= 1 << o;
    } else p = FN(buddy_alloc)(z, o, t, flags);
    FN(wake)(z, flags);
    return p;
}

static int FN(pcp_high)(zone *z, pcp *q, bool fh) {
    int h = q->high = iclamp(q->high, q->high_min, q->high_max);
    if (h == 0) return 0;
    if (fh) {
        q->high = imax(h - (q->batch << SCALE_MAX), q->high_min);
        return 0;
    }
    if (z->flags & Z_RECLAIM) {
        q->high = imax(h - imax(q->free_count, q->batch), q->high_min);
        return imin(4 * q->batch, q->high);
    }
    if (q->high_min == q->high_max) return h;
    if (z->flags & Z_BELOW_HIGH) {
        q->high = imax(h - imax(q->free_count, q->batch), q->high_min);
        return imax(q->count, q->high_min);
    }
    if (q->count >= h) {
        int need = q->free_count + q->batch;
        if (q->high < need) q->high = iclamp(need, q->high_min, q->high_max);
    }
    return h;
}

static bool FN(above_high)(const zone *z) {                            /* S 10.2 */
    i64 nfree = z->nr_free - (GREEDY ? z->nr_reserved_high : z->nr_free_high);
    if (HAS_CMA) nfree -= z->nr_free_cma;
    return nfree > z->wm_high + z->boost;
}

static void FN(pcp_free)(zone *z, int cpu, u32 p, int o) {
    if (!FN(pcp_allowed)(z, o)) {
        FN(free_direct)(z, p, o);
        return;
    }
    pcp *q = &z->pcps[cpu];
    int t = FN(ptype)(z, p), index, h;
    bool fh = false;
    set_lru(z, p, o, 0);
    if (t > MT_R) t = MT_M;
    index = FN(list_no)(o, t);
    q->alloc_factor >>= 1;
    l_head(z, PCP_LIST(z, cpu, index), p);
    q->count += 1 << o;
    if (o >= 1 && o <= COSTLY) {
        fh = q->free_count >= q->batch + (LATEST ? q->high_min / 2 : 0) && (q->flags & P_PREV)
             && (!(q->flags & P_KEEP) || q->count >= q->batch);
        q->flags |= P_PREV;
    } else q->flags &= ~P_PREV;
    if (q->free_count < q->batch << SCALE_MAX) q->free_count += 1 << o;
    h = FN(pcp_high)(z, q, fh);
    if (q->count < h) return;
    int k;
    if (fh) k = imin(q->count, q->batch << SCALE_MAX);
    else if (h < q->batch) k = 1;
    else k = iclamp(q->free_count, q->batch, h - q->batch);
    if (!LATEST) FN(flush)(z, cpu, k, index);
    else for (int c; k > 0 && q->count > 0; k -= c) {
        c = imin(k, q->batch);
        FN(flush)(z, cpu, c, index);
    }
    if ((z->flags & Z_BELOW_HIGH) && FN(above_high)(z)) z->flags &= ~Z_BELOW_HIGH;
}

static int FN(decay)(zone *z, int cpu) {
    pcp *q = &z->pcps[cpu];
    int r = 0, d;
    if (q->high > q->high_min) {
        q->high = imax(imax(q->count - (q->batch << SCALE_MAX), q->high - (q->high >> 3)), q->high_min);
        if (q->high > q->high_min) r++;
    }
    d = q->count - q->high;
    if (d <= 0) return r;
    if (!LATEST) FN(flush)(z, cpu, d, 0);
    else for (int c; d > 0; d -= c) {
        c = imin(d, q->batch);
        FN(flush)(z, cpu, c, 0);
    }
    return LATEST ? 1 : r + 1;
}

static void FN(drain)(zone *z, int cpu) {
    pcp *q = &z->pcps[cpu];
    if (GREEDY) {
        if (q->count) FN(flush)(z, cpu, q->count, 0);
        return;
    }
    for (int c;;) {
        if (!(c = q->count)) break;
        int x = imin(c, q->batch << SCALE_MAX);
        FN(flush)(z, cpu, x, 0);
        if (c == x) break;
    }
}

/* ---- boot (S 3, S 13) ------------------------------------------------------------------------------------------------ */
static void FN(give_range)(zone *z, u32 a, u32 e) {
    while (a < e) {
        int o = a ? imin(MAXO, __builtin_ctz(a)) : MAXO;
        while (a + (1u << o) > e) o--;
        z->managed += (i64)1 << o;
        FN(free_blocks)(z, a, o, true);
        a += 1u << o;
    }
}

static void FN(boot)(zone *z, i64 min_free_kbytes) {
    for (u32 p = (z->start + PBN - 1) & -PBN; p < z->end; p += PBN) FN(settype)(z, p, MT_M);
    u32 cma_end = z->end & -PBN, cma_start = cma_end - (u32)(z->cma_blocks << PBO), a = z->start;
    if (!z->cma_blocks) cma_start = cma_end = z->end;
    for (i64 i = 0; i <= z->nreserved; i++) {                          /* free ranges between reserved ones, with the CMA area cut out */
        u32 e = i < z->nreserved ? (u32)(z->reserved[2 * i] - z->base) : z->end;
        if (a < e) {
            u32 e1 = e < cma_start ? e : cma_start, a2 = a > cma_end ? a : cma_end;
            if (a < e1) FN(give_range)(z, a, e1);
            if (a2 < e) FN(give_range)(z, a2, e);
        }
        if (i < z->nreserved) a = (u32)(z->reserved[2 * i + 1] - z->base);
    }
    pcp_sizes(z, LATEST);
    for (u32 p = cma_start; p < cma_end; p += PBN) {
        FN(settype)(z, p, MT_C);
        FN(free_direct)(z, p, PBO);
        z->managed += PBN;
    }
    watermarks(z, min_free_kbytes);
    pcp_sizes(z, LATEST);
    memset(z->cnt, 0, sizeof z->cnt);
    for (int c = 0; c < z->ncpu; c++) z->pcps[c].flags = z->keep ? P_KEEP : 0;
}

/* ---- replay (S 15) ----------------------------------------------------------------------------------------------------- */
INLINE void FN(step)(zone *z, const op *q, slot *slots, record *r) {
#if T_COUNT
    u64 before = z->cnt[N_SCAN_PAGE];
#else
    u64 before = 0;
#endif
    slot *s = &slots[q->b];
    int o = q->a & 255, t = q->a >> 8 & 255, flags = q->a >> 16, v;
    i64 result;
    u32 p;
    switch (q->code) {
    case OP_ALLOC:
    case OP_PCP_ALLOC:
        p = q->code == OP_ALLOC ? FN(buddy_alloc)(z, o, t, flags) : FN(pcp_alloc)(z, q->c, o, t, flags);
        s->page = p;
        s->order = o;
        if (p != NOPAGE) {
            if (!LATEST && unlikely(flags & F_HIGHATOMIC)) FN(reserve)(z, p, o);
            if (t == MT_M && !(flags & F_NOLRU)) set_lru(z, p, o, 1);
        }
        if (r) r->blocks += p != NOPAGE;
        result = p == NOPAGE ? -1 : z->base + p;
        break;
    case OP_FREE:
    case OP_PCP_FREE:
        p = s->page;
        if (p == NOPAGE) return;
        s->page = NOPAGE;
        if (q->code == OP_FREE) FN(free_direct)(z, p, s->order);
        else FN(pcp_free)(z, q->c, p, s->order);
        if (r) r->blocks++;
        return;
    case OP_BULK: {
        lref l = BATCH_LIST(z);
        result = FN(bulk)(z, o, q->c, t, flags, l);
        if (r) { rec_result(r, result, z->cnt[N_SCAN_PAGE] - before); r->blocks += result; }
        for (; (p = l_first(z, l)) != NOPAGE; s++) {
            l_del(z, p);
            s->page = p;
            s->order = o;
            if (t == MT_M && !(flags & F_NOLRU)) set_lru(z, p, o, 1);
            if (r) {
                i32 pfn = (i32)(z->base + p);
                r->hash = mix(r->hash, (u64)(z->base + p));
                if (r->store) { put(&r->bulk, &pfn, 4); r->nbulk++; }
            }
        }
        return;
    }
    case OP_PCP_DRAIN:
        FN(drain)(z, q->c);
        return;
    case OP_PCP_DECAY:
        result = FN(decay)(z, q->c);
        break;
    case OP_CHECK:
        if (r) rec_check(r, z, slots);
        return;
    case OP_ZONE_CTL:
        v = 1 << (q->a & 15);
        if (q->a == 16) z->boost = q->b;
        else if (q->b) z->flags |= v;
        else z->flags &= ~v;
        return;
    case OP_UNRESERVE:
        result = FN(unreserve)(z, q->a, q->b);
        break;
    case OP_SET_LRU:
        if (s->page != NOPAGE) set_lru(z, s->page, s->order, q->c != 0);
        return;
    default:
        return;
    }
    if (r) rec_result(r, result, z->cnt[N_SCAN_PAGE] - before);
}

static void FN(run)(zone *z, const op *ops, size_t n, slot *slots) {
    for (size_t i = 0; i < n; i++) FN(step)(z, &ops[i], slots, NULL);
}

#if T_COUNT
static void FN(rec)(zone *z, const op *ops, size_t n, slot *slots, record *r) {
    for (size_t i = 0; i < n; i++) FN(step)(z, &ops[i], slots, r);
}
#endif

#undef JOIN_
#undef JOIN
#undef FN
#undef GREEDY
#undef HYGIENE
#undef SMALLEST
#undef LATEST
#undef PBO
#undef HAS_CMA
#undef PBN
#undef THPO
#undef LISTS
#undef CNT
#undef T_COUNT
#endif
