/*
 * files.h - directories and names, made to last
 */
#ifndef AT_FILES_H
#define AT_FILES_H

#include "archive_trace.h"

/* Both return memory that the caller frees, or NULL. */
char *at_path_join(const char *dir, const char *name);
char *at_path_append(const char *path, const char *more);

/* Makes DIR and DIR/NAME; fine if they are there. */
enum at_status at_dir_make(const char *dir, const char *name,
                           struct at_error *err);

/* Makes the directories, under 'dir', that 'relative' is to lie in, and
 * syncs each that got a new one. */
enum at_status at_dir_make_for(const char *dir, const char *relative,
                               struct at_error *err);

/* Makes the names in the directory of 'path' durable. */
enum at_status at_dir_sync_of(const char *path, struct at_error *err);

/* Removes the files in DIR/NAME that 'keep' does not know. */
enum at_status at_dir_clean(const char *dir, const char *name,
                            bool (*keep)(void *ctx, const char *name),
                            void *ctx, struct at_error *err);

/*
 * Calls 'fn' with each file in DIR/BELOW and the directories below it, by name;
 * 'path' is from DIR on.  What returns an error ends it.
 */
enum at_status at_dir_walk(const char *dir, const char *below,
                           enum at_status (*fn)(void *ctx, const char *path,
                                                struct at_error *err),
                           void *ctx, struct at_error *err);

/* Gives the file another name, or where that cannot be, copies it; a file
 * that was 'to' is replaced.  The old name stays. */
enum at_status at_file_link(const char *from, const char *to,
                            struct at_error *err);

/* Opens a new file in the folder to read and write, which has no name; -1 with
 * errno if that cannot be. */
int at_file_nameless(const char *folder);

/* Writes all of 'n' bytes from 'at' on; false with errno if that cannot be. */
bool at_file_write(int fd, const uint8_t *p, size_t n, uint64_t at);

/* The size of a file; 0 if there is none. */
uint64_t at_file_bytes(const char *path);

/* strftime() of a time in UTC. */
void at_time_stamp(char *buf, size_t n, const char *format, int64_t ns);

#endif
