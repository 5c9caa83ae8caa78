/*
 * app_match.c - the best cell that a flow matches
 *
 * Cells lie in lists by what they cannot do without: a port, if they ask for
 * one; else the first byte of the one end, if few are allowed; else that of
 * the other; else nothing.  A flow looks at the lists of its two ports, of its
 * two first bytes, and at that of nothing.
 *
 * Lists are packed into pages of 63 cells, the best of a list first.  A page
 * has *rows*, words with a bit for each of its cells that allows one thing: a
 * byte (or none) in one of the eight places, or lengths of one class at one
 * end.  What a list and ten rows have in common are the cells that match; the
 * lowest bit is the best of them.  So hardly a branch depends on what a flow is
 * like, as flows come in no order and a branch foreseen wrongly costs as much
 * as a list.  Fields, bytes that are the same both ways and ports beyond the
 * first are not in the rows; few cells have any, and those are looked at one by
 * one.
 */
#include "app_match.h"

#include <stdlib.h>
#include <string.h>

enum {
    FEW = 16,         /* first bytes that a cell can be listed under */
    PORTS_MOST = 700, /* ports likewise */
    ENTRIES_MOST = 1 << 21,
    CELLS = 63, /* of a page; the last bit stands for none */
    PLACES = 2 * AT_APP_BYTES,
    NO_BYTE = 256, /* what stands in a place that was not captured */
    BYTES = 257,
    LENGTHS = 2048, /* the last is any that is as long or longer */
    CHOICES = PLACES + 2,
};

#define NONE (UINT64_C(1) << CELLS)

struct page {
    struct page *before;
    uint64_t *word; /* rows, each once */
    uint32_t cell[CELLS + 1];
    uint16_t row[]; /* its place in 'word' */
};

/* The page that is filled. */
struct filling {
    struct page *page;
    unsigned used;         /* cells */
    uint64_t doubtful;     /* cells that rows do not say all of */
    uint64_t any[CHOICES]; /* cells to be in all rows of a choice */
    uint64_t *row;
};

/* Cells of one page, and what has no room there. */
struct list {
    const struct page *page;
    uint64_t mask;
    uint64_t doubtful; /* those of its cells that rows do not say all of */
    size_t more;       /* the list that goes on; 0: none */
};

/* Lists of a transport have the numbers from 'first' on: one for each segment
 * of ports, for each first byte of either end, and one for the rest. */
struct transport {
    size_t first, segments;
    uint16_t segment[UINT16_MAX + 1]; /* ports that no rule tells apart */
};

struct at_app_matcher {
    const struct at_app_rules *rules;
    const struct at_app_cells *cells;
    struct transport of[AT_APP_IP];
    uint16_t class_of[LENGTHS]; /* lengths that no rule tells apart */
    unsigned classes;
    struct list *list;
    size_t lists;
    struct page *page; /* the last */
};

/* Ways to list a cell. */
enum place { BY_SOURCE, BY_OTHER, BY_NOTHING, BY_PORT };

/* ---- what is told apart ---------------------------------------------- */

/* Numbers what lies between marks: how many there are up to each of 'n'. */
static unsigned number_marks(uint16_t *mark, size_t n)
{
    unsigned count = 0;

    for (size_t i = 0; i < n; i++)
        mark[i] = (uint16_t)(count += mark[i]);
    return count + 1;
}

static void mark_range(uint16_t *mark, size_t n, const struct at_app_range *r)
{
    if (r->low > 0 && r->low < n)
        mark[r->low] = 1;
    if (r->high < n - 1)
        mark[r->high + 1] = 1;
}

/* All lengths from LENGTHS - 1 on are one class. */
static void make_classes(struct at_app_matcher *m)
{
    m->class_of[LENGTHS - 1] = 1;
    for (size_t i = 0; i < m->rules->sides; i++)
        for (unsigned k = 0; k < m->rules->side[i].lengths; k++)
            mark_range(m->class_of, LENGTHS, &m->rules->side[i].length[k]);
    m->classes = number_marks(m->class_of, LENGTHS);
}

static bool is_by_port(const struct at_app_rule *rule)
{
    uint32_t span = 0;

    for (unsigned i = 0; i < rule->ports; i++)
        span += rule->port[i].high - rule->port[i].low + 1;
    return rule->ports > 0 && !rule->without && span <= PORTS_MOST;
}

static void make_segments(struct at_app_matcher *m, unsigned t)
{
    struct transport *of = &m->of[t];

    for (size_t i = 0; i < m->rules->rules; i++) {
        const struct at_app_rule *rule = &m->rules->rule[i];

        if (rule->transport == t && is_by_port(rule))
            for (unsigned k = 0; k < rule->ports; k++)
                mark_range(of->segment, UINT16_MAX + 1, &rule->port[k]);
    }
    of->segments = number_marks(of->segment, UINT16_MAX + 1);
    of->first = m->lists;
    m->lists += of->segments + 2 * BYTES + 1;
}

/* ---- rows ------------------------------------------------------------ */

/* Of the length of an end: after its classes come nothing sent, and what was
 * sent but not seen from the first on. */
static size_t rows_of_lengths(const struct at_app_matcher *m)
{
    return m->classes + 2u;
}

static size_t row_of_byte(unsigned place, unsigned byte)
{
    return (size_t)place * BYTES + byte;
}

static size_t row_of_length(const struct at_app_matcher *m, unsigned end,
                            unsigned class)
{
    return (size_t)PLACES * BYTES + end * rows_of_lengths(m) + class;
}

static void mark_byte(const struct at_app_matcher *m, struct filling *f,
                      unsigned place, const struct at_app_side *s, uint64_t bit)
{
    const unsigned i = place % AT_APP_BYTES;
    uint64_t *row = &f->row[row_of_byte(place, 0)];

    if (i >= s->need)
        f->any[place] |= bit;
    else if (s->mask[i] == 0xff)
        row[s->value[i]] |= bit;
    else
        for (unsigned b = 0; b < NO_BYTE; b++)
            if (at_app_side_allows(m->rules, s, i, (uint8_t)b))
                row[b] |= bit;
}

static unsigned class_of(const struct at_app_matcher *m, uint32_t length)
{
    return m->class_of[length < LENGTHS ? length : LENGTHS - 1];
}

static void mark_lengths(const struct at_app_matcher *m, struct filling *f,
                         unsigned end, const struct at_app_side *s,
                         uint64_t bit)
{
    static const struct at_app_range all = {0, UINT32_MAX};
    const struct at_app_range *r = s->lengths > 0 ? s->length : &all;
    uint64_t *row = &f->row[row_of_length(m, end, 0)];

    if (s->kind == AT_APP_ANY)
        f->any[PLACES + end] |= bit;
    else if (s->kind == AT_APP_SILENCE)
        row[m->classes] |= bit;
    else
        for (unsigned i = 0; i < s->lengths || i == 0; i++)
            for (unsigned c = class_of(m, r[i].low);
                 c <= class_of(m, r[i].high); c++)
                row[c] |= bit;
}

/* Whether a length is asked for that is in a class with others. */
static bool has_long(const struct at_app_side *s)
{
    for (unsigned i = 0; i < s->lengths; i++)
        if (s->length[i].low >= LENGTHS || (s->length[i].high >= LENGTHS - 1 &&
                                            s->length[i].high != UINT32_MAX))
            return true;
    return false;
}

static bool is_doubtful(const struct at_app_side *source,
                        const struct at_app_side *other,
                        const struct at_app_rule *rule)
{
    return source->fields > 0 || other->fields > 0 || has_long(source) ||
           has_long(other) || rule->same != 0 ||
           (rule->ports > 0 && (rule->both || !is_by_port(rule)));
}

static void put_cell(const struct at_app_matcher *m, struct filling *f,
                     uint32_t cell)
{
    const struct at_app_cell *c = &m->cells->cell[cell];
    const struct at_app_side *side = m->rules->side;
    const uint64_t bit = UINT64_C(1) << f->used;

    for (unsigned i = 0; i < PLACES; i++)
        mark_byte(m, f, i, &side[c->side[i / AT_APP_BYTES]], bit);
    for (unsigned end = 0; end < 2; end++)
        mark_lengths(m, f, end, &side[c->side[end]], bit);
    if (is_doubtful(&side[c->side[0]], &side[c->side[1]],
                    &m->rules->rule[c->rule]))
        f->doubtful |= bit;
    f->page->cell[f->used++] = cell;
}

/* Where 'word' is among those from 'from' up to *n, put there if need be. */
static uint16_t place_word(uint64_t *all, size_t from, size_t *n, uint64_t word)
{
    size_t i = *n;

    while (i > from)
        if (all[--i] == word)
            return (uint16_t)i;
    all[*n] = word;
    return (uint16_t)(*n)++;
}

/* Most rows of a choice are the same, and what is small stays in a cache. */
static enum at_status finish_page(const struct at_app_matcher *m,
                                  struct filling *f)
{
    size_t n = 0, r = 0;

    for (unsigned i = 0; i < CHOICES; i++) {
        const size_t first = n;
        const size_t end = r + (i < PLACES ? BYTES : rows_of_lengths(m));

        for (; r < end; r++)
            f->page->row[r] = place_word(f->row, first, &n,
                                         f->row[r] | f->any[i]);
    }
    f->page->word = malloc(n * sizeof(f->row[0]));
    if (f->page->word == NULL)
        return AT_ERR_MEMORY;
    memcpy(f->page->word, f->row, n * sizeof(f->row[0]));
    return AT_OK;
}

static enum at_status begin_page(struct at_app_matcher *m, struct filling *f)
{
    const size_t rows = row_of_length(m, 2, 0);
    struct page *page = calloc(1, sizeof(*page) + rows * sizeof(page->row[0]));

    if (page == NULL)
        return AT_ERR_MEMORY;
    page->before = m->page;
    page->cell[CELLS] = AT_APP_NO_CELL;
    m->page = f->page = page;
    memset(f->row, 0, rows * sizeof(f->row[0]));
    memset(f->any, 0, sizeof(f->any));
    f->doubtful = 0;
    f->used = 0;
    return AT_OK;
}

/* ---- lists ----------------------------------------------------------- */

/* A cell in a list. */
struct entry {
    uint32_t list, cell;
};

struct entries {
    struct entry *entry;
    size_t n, room;
};

static enum at_status add_entry(struct entries *all, size_t list, size_t cell)
{
    if (all->n == all->room) {
        const size_t room = all->room * 2 + 4096;
        struct entry *more;

        if (room > ENTRIES_MOST)
            return AT_ERR_SYNTAX;
        more = realloc(all->entry, room * sizeof(*more));
        if (more == NULL)
            return AT_ERR_MEMORY;
        all->entry = more;
        all->room = room;
    }
    all->entry[all->n++] = (struct entry){(uint32_t)list, (uint32_t)cell};
    return AT_OK;
}

/* How many first bytes the side allows; 256 if it need not have one. */
static unsigned firsts(const struct at_app_rules *rules,
                       const struct at_app_side *s)
{
    unsigned n = 0;

    if (s->kind != AT_APP_SENT || s->need == 0)
        return 256;
    for (unsigned b = 0; b < 256; b++)
        n += at_app_side_allows(rules, s, 0, (uint8_t)b);
    return n;
}

static enum place place_of(const struct at_app_rules *rules,
                           const struct at_app_cell *c)
{
    if (is_by_port(&rules->rule[c->rule]))
        return BY_PORT;
    if (firsts(rules, &rules->side[c->side[0]]) <= FEW)
        return BY_SOURCE;
    if (firsts(rules, &rules->side[c->side[1]]) <= FEW)
        return BY_OTHER;
    return BY_NOTHING;
}

static size_t list_of_port(const struct transport *of, uint32_t port)
{
    return of->first + of->segment[port];
}

static size_t list_of_byte(const struct transport *of, unsigned end,
                           unsigned byte)
{
    return of->first + of->segments + (size_t)end * BYTES + byte;
}

static size_t list_of_rest(const struct transport *of)
{
    return list_of_byte(of, 2, 0);
}

static enum at_status add_by_port(struct entries *all,
                                  const struct transport *of,
                                  const struct at_app_rule *rule, size_t cell)
{
    enum at_status st = AT_OK;

    for (unsigned i = 0; i < rule->ports; i++) {
        const size_t last = list_of_port(of, rule->port[i].high);

        for (size_t list = list_of_port(of, rule->port[i].low);
             list <= last && st == AT_OK; list++)
            st = add_entry(all, list, cell);
    }
    return st;
}

static enum at_status add_cell(const struct at_app_matcher *m,
                               struct entries *all, size_t cell)
{
    const struct at_app_cell *c = &m->cells->cell[cell];
    const struct at_app_rule *rule = &m->rules->rule[c->rule];
    const struct transport *of = &m->of[rule->transport];
    const enum place place = place_of(m->rules, c);
    enum at_status st = AT_OK;

    if (place == BY_PORT)
        return add_by_port(all, of, rule, cell);
    if (place == BY_NOTHING)
        return add_entry(all, list_of_rest(of), cell);
    for (unsigned b = 0; b < NO_BYTE && st == AT_OK; b++)
        if (at_app_side_allows(m->rules, &m->rules->side[c->side[place]], 0,
                               (uint8_t)b))
            st = add_entry(all, list_of_byte(of, place, b), cell);
    return st;
}

static int by_list(const void *one, const void *two)
{
    const struct entry *a = one, *b = two;

    if (a->list != b->list)
        return a->list < b->list ? -1 : 1;
    return a->cell < b->cell ? -1 : a->cell > b->cell;
}

static enum at_status make_room(struct at_app_matcher *m, struct filling *f,
                                unsigned cells)
{
    enum at_status st;

    if (f->used + cells <= CELLS)
        return AT_OK;
    st = finish_page(m, f);
    return st == AT_OK ? begin_page(m, f) : st;
}

/* Puts 'n' entries, of one list, into pages. */
static enum at_status put_list(struct at_app_matcher *m, struct filling *f,
                               const struct entry *e, size_t n)
{
    struct list *list = &m->list[e->list];

    for (;;) {
        const unsigned here = n < CELLS ? (unsigned)n : CELLS;

        if (make_room(m, f, here) != AT_OK)
            return AT_ERR_MEMORY;
        list->page = f->page;
        list->mask = (~UINT64_C(0) >> (64 - here)) << f->used;
        for (unsigned i = 0; i < here; i++)
            put_cell(m, f, e++->cell);
        list->doubtful = f->doubtful & list->mask;
        n -= here;
        if (n == 0)
            return AT_OK;
        list->more = m->lists++;
        list = &m->list[list->more];
    }
}

static enum at_status put_lists(struct at_app_matcher *m, struct filling *f,
                                const struct entries *all)
{
    enum at_status st = begin_page(m, f);

    for (size_t i = 0, end; i < all->n && st == AT_OK; i = end) {
        for (end = i; end < all->n; end++)
            if (all->entry[end].list != all->entry[i].list)
                break;
        st = put_list(m, f, &all->entry[i], end - i);
    }
    return st == AT_OK ? finish_page(m, f) : st;
}

static enum at_status pack_lists(struct at_app_matcher *m,
                                 const struct entries *all)
{
    struct filling f = {
        .row = malloc(row_of_length(m, 2, 0) * sizeof(f.row[0])),
    };
    enum at_status st = AT_ERR_MEMORY;

    m->list = calloc(m->lists + all->n / CELLS + 1, sizeof(m->list[0]));
    if (m->list != NULL && f.row != NULL)
        st = put_lists(m, &f, all);
    free(f.row);
    return st;
}

static enum at_status make_lists(struct at_app_matcher *m)
{
    struct entries all = {.n = 0};
    enum at_status st = AT_OK;

    for (size_t i = 0; i < m->cells->n && st == AT_OK; i++)
        st = add_cell(m, &all, i);
    if (all.n > 0)
        qsort(all.entry, all.n, sizeof(all.entry[0]), by_list);
    if (st == AT_OK)
        st = pack_lists(m, &all);
    free(all.entry);
    return st;
}

enum at_status at_app_matcher_make(struct at_app_matcher **out,
                                   const struct at_app_rules *rules,
                                   const struct at_app_cells *cells)
{
    struct at_app_matcher *m = calloc(1, sizeof(*m));
    enum at_status st;

    *out = NULL;
    if (m == NULL)
        return AT_ERR_MEMORY;
    m->rules = rules;
    m->cells = cells;
    make_classes(m);
    for (unsigned t = 0; t < AT_APP_IP; t++)
        make_segments(m, t);
    st = make_lists(m);
    if (st == AT_OK)
        *out = m;
    else
        at_app_matcher_free(m);
    return st;
}

void at_app_matcher_free(struct at_app_matcher *m)
{
    struct page *page, *before;

    if (m == NULL)
        return;
    for (page = m->page; page != NULL; page = before) {
        before = page->before;
        free(page->word);
        free(page);
    }
    free(m->list);
    free(m);
}

/* ---- searching ------------------------------------------------------- */

struct view {
    const struct at_app_flow *flow;
    unsigned row[CHOICES];
    unsigned first[2]; /* bytes, or NO_BYTE */
};

static inline void see_end(const struct at_app_matcher *m, struct view *v,
                           unsigned end)
{
    const struct at_app_way *way = &v->flow->way[end];
    const bool sent = way->payload == AT_APP_FIRST;
    const unsigned n = sent ? at_app_bytes_of(way) : 0;
    const unsigned class = class_of(m, way->length);
    const unsigned silent = m->classes, lost = silent + 1;
    unsigned *row = &v->row[end * AT_APP_BYTES];

#pragma GCC unroll 4
    for (unsigned i = 0; i < AT_APP_BYTES; i++) {
        const unsigned byte = way->bytes[i];

        row[i] = (unsigned)row_of_byte(end * AT_APP_BYTES + i,
                                       i < n ? byte : NO_BYTE);
    }
    v->first[end] = row[0] - (unsigned)row_of_byte(end * AT_APP_BYTES, 0);
    v->row[PLACES + end] = (unsigned)row_of_length(
        m, end,
        sent                            ? class
        : way->payload == AT_APP_SILENT ? silent
                                        : lost);
}

static bool cell_holds(const struct at_app_matcher *m, uint32_t cell,
                       const struct at_app_flow *flow)
{
    const struct at_app_cell *c = &m->cells->cell[cell];
    const struct at_app_side *side = m->rules->side;

    return at_app_rest_holds(&m->rules->rule[c->rule], &side[c->side[0]],
                             &side[c->side[1]], flow);
}

static inline uint32_t best_of(const struct page *page, uint64_t cells)
{
    return page->cell[__builtin_ctzll(cells | NONE)];
}

/* The best cell of a list, if it is better than 'best'. */
static inline uint32_t search(const struct at_app_matcher *m,
                              const struct list *list, const struct view *v,
                              uint32_t best)
{
    const struct page *page = list->page;
    uint64_t cells = list->mask;
    uint32_t cell;

#pragma GCC unroll 10
    for (unsigned i = 0; i < CHOICES; i++)
        cells &= page->word[page->row[v->row[i]]];
    while ((cells & -cells & list->doubtful) != 0 &&
           best_of(page, cells) < best &&
           !cell_holds(m, best_of(page, cells), v->flow))
        cells &= cells - 1;
    cell = best_of(page, cells);
    return cell < best ? cell : best;
}

static uint32_t search_whole(const struct at_app_matcher *m, size_t number,
                             const struct view *v, uint32_t best)
{
    const struct list *list = &m->list[number];

    while (list->mask != 0) {
        best = search(m, list, v, best);
        if (list->more == 0)
            break;
        list = &m->list[list->more];
    }
    return best;
}

uint32_t at_app_matcher_find(const struct at_app_matcher *m,
                             enum at_app_transport transport,
                             const struct at_app_flow *flow)
{
    const struct transport *of = &m->of[transport];
    struct view v;
    uint32_t best = AT_APP_NO_CELL;

    v.flow = flow;
    see_end(m, &v, 0);
    see_end(m, &v, 1);
    best = search_whole(m, list_of_port(of, flow->dport), &v, best);
    best = search_whole(m, list_of_port(of, flow->sport), &v, best);
    for (unsigned end = 0; end < 2; end++)
        best = search_whole(m, list_of_byte(of, end, v.first[end]), &v, best);
    return search_whole(m, list_of_rest(of), &v, best);
}
