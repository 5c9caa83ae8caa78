/*
 * piece.c - decoded bytes on their way from a source to a batch
 */
#include "piece.h"

#include <stdlib.h>
#include <string.h>

#include "format.h"

void at_shelf_init(struct at_shelf *shelf)
{
    pthread_mutex_init(&shelf->lock, NULL);
    shelf->spare = NULL;
}

static void piece_free(struct at_piece *piece)
{
    free(piece->room);
    free(piece->mark);
    free(piece->gap);
    free(piece->block);
    free(piece);
}

void at_shelf_clear(struct at_shelf *shelf)
{
    while (shelf->spare != NULL) {
        struct at_piece *piece = shelf->spare;

        shelf->spare = piece->next;
        piece_free(piece);
    }
    pthread_mutex_destroy(&shelf->lock);
}

struct at_piece *at_piece_take(struct at_shelf *shelf)
{
    struct at_piece *piece;

    pthread_mutex_lock(&shelf->lock);
    piece = shelf->spare;
    if (piece != NULL)
        shelf->spare = piece->next;
    pthread_mutex_unlock(&shelf->lock);
    if (piece == NULL)
        piece = calloc(1, sizeof(*piece));
    if (piece == NULL)
        return NULL;
    piece->shelf = shelf;
    piece->len = 0;
    piece->marks = 0;
    piece->gaps = 0;
    piece->batch = (struct at_batch){.blocks = 0};
    piece->err.status = AT_OK;
    return piece;
}

void at_piece_put_back(struct at_piece *piece)
{
    struct at_shelf *shelf;

    if (piece == NULL)
        return;
    for (size_t i = 0; i < piece->batch.blocks; i++)
        at_layout_drop(piece->block[i].layout);
    shelf = piece->shelf;
    pthread_mutex_lock(&shelf->lock);
    piece->next = shelf->spare;
    shelf->spare = piece;
    pthread_mutex_unlock(&shelf->lock);
}

enum at_status at_piece_room(struct at_piece *piece, size_t n)
{
    if (piece->room_bytes < AT_HEADROOM + n) {
        free(piece->room);
        piece->room_bytes = 0;
        piece->room = malloc(AT_HEADROOM + n);
        if (piece->room == NULL)
            return AT_ERR_MEMORY;
        piece->room_bytes = AT_HEADROOM + n;
    }
    piece->data = piece->room + AT_HEADROOM;
    piece->len = 0;
    return AT_OK;
}

enum at_status at_piece_grow(struct at_piece *piece, size_t n)
{
    const size_t at = (size_t)(piece->data - piece->room);
    uint8_t *room;

    if (piece->room_bytes - at - piece->len >= n)
        return AT_OK;
    n += piece->len; /* at least twice as much */
    room = realloc(piece->room, at + piece->len + n);
    if (room == NULL)
        return AT_ERR_MEMORY;
    piece->room = room;
    piece->room_bytes = at + piece->len + n;
    piece->data = room + at;
    return AT_OK;
}

/* Moves the piece to an allocation with 'n' more bytes before its data. */
static enum at_status piece_move(struct at_piece *piece, size_t n)
{
    uint8_t *room = malloc(n + AT_HEADROOM + piece->len);

    if (room == NULL)
        return AT_ERR_MEMORY;
    if (piece->len > 0)
        memcpy(room + n + AT_HEADROOM, piece->data, piece->len);
    free(piece->room);
    piece->room = room;
    piece->room_bytes = n + AT_HEADROOM + piece->len;
    piece->data = room + n + AT_HEADROOM;
    return AT_OK;
}

enum at_status at_piece_prepend(struct at_piece *piece, const uint8_t *p,
                                size_t n)
{
    if (n == 0)
        return AT_OK;
    if ((piece->room == NULL || (size_t)(piece->data - piece->room) < n) &&
        piece_move(piece, n) != AT_OK)
        return AT_ERR_MEMORY;
    piece->data -= n;
    piece->len += n;
    piece->raw_offset -= n;
    memcpy(piece->data, p, n);
    return AT_OK;
}

/* Doubles an array of 'size'-byte things once all 'room' are in use. */
static void *grow(void *array, size_t used, size_t *room, size_t size)
{
    if (used < *room)
        return array;
    array = realloc(array, (*room * 2 + 16) * size);
    if (array != NULL)
        *room = *room * 2 + 16;
    return array;
}

/* Adds a mark as it is. */
static enum at_status add_mark(struct at_piece *piece, struct at_mark one)
{
    struct at_mark *mark = grow(piece->mark, piece->marks, &piece->mark_room,
                                sizeof(*mark));

    if (mark == NULL)
        return AT_ERR_MEMORY;
    piece->mark = mark;
    mark[piece->marks++] = one;
    return AT_OK;
}

enum at_status at_piece_mark(struct at_piece *piece, uint64_t raw,
                             uint64_t file)
{
    const size_t n = piece->marks;

    /* Members that hold nothing must not cost memory. */
    if (n > 1 && piece->mark[n - 1].raw == raw &&
        piece->mark[n - 2].raw == raw) {
        piece->mark[n - 1].file = file;
        return AT_OK;
    }
    return add_mark(piece, (struct at_mark){raw, file});
}

enum at_status at_piece_gap(struct at_piece *piece, struct at_gap one)
{
    struct at_gap *gap = piece->gap, *last;

    if (piece->gaps > 0) {
        last = &gap[piece->gaps - 1];
        if (last->raw == one.raw && last->file + last->bytes == one.file &&
            last->kind == one.kind) {
            last->bytes += one.bytes;
            return AT_OK;
        }
    }
    gap = grow(gap, piece->gaps, &piece->gap_room, sizeof(*gap));
    if (gap == NULL)
        return AT_ERR_MEMORY;
    piece->gap = gap;
    gap[piece->gaps++] = one;
    return AT_OK;
}

void at_piece_shift(struct at_piece *piece, uint64_t raw)
{
    piece->raw_offset += raw;
    for (size_t i = 0; i < piece->marks; i++)
        piece->mark[i].raw += raw;
    for (size_t i = 0; i < piece->gaps; i++)
        piece->gap[i].raw += raw;
}

enum at_status at_piece_prepend_marks(struct at_piece *piece,
                                      const struct at_mark *mark, size_t n)
{
    const size_t marks = piece->marks;
    enum at_status st = AT_OK;

    for (size_t i = 0; st == AT_OK && i < n; i++)
        st = add_mark(piece, mark[i]);
    if (st == AT_OK && n > 0) {
        memmove(piece->mark + n, piece->mark, marks * sizeof(*mark));
        memcpy(piece->mark, mark, n * sizeof(*mark));
    }
    return st;
}

/* Puts gaps before those of the piece. */
static enum at_status prepend_gaps(struct at_piece *piece,
                                   const struct at_gap *gap, size_t n)
{
    const size_t gaps = piece->gaps;

    if (n == 0)
        return AT_OK;
    while (piece->gap_room < gaps + n) {
        struct at_gap *more = grow(piece->gap, piece->gap_room,
                                   &piece->gap_room, sizeof(*more));

        if (more == NULL)
            return AT_ERR_MEMORY;
        piece->gap = more;
    }
    memmove(piece->gap + n, piece->gap, gaps * sizeof(*gap));
    memcpy(piece->gap, gap, n * sizeof(*gap));
    piece->gaps += n;
    return AT_OK;
}

enum at_status at_piece_join(struct at_piece *piece, struct at_piece *before)
{
    enum at_status st = at_piece_prepend(piece, before->data, before->len);

    if (st == AT_OK)
        st = at_piece_prepend_marks(piece, before->mark, before->marks);
    if (st == AT_OK)
        st = prepend_gaps(piece, before->gap, before->gaps);
    at_piece_put_back(before);
    return st;
}

struct at_block *at_piece_add_block(struct at_piece *piece)
{
    struct at_block *block = grow(piece->block, piece->batch.blocks,
                                  &piece->block_room, sizeof(*block));

    if (block == NULL)
        return NULL;
    piece->block = block;
    piece->batch.block = block;
    return &block[piece->batch.blocks++];
}
